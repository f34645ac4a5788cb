"""What every verb starts from: the configuration, the inventory, and how to resolve a secret reference."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from configs.load import DEFAULT_PATH, config_path, load_config
from configs.model import AppConfig
from inventory.credentials import resolve
from inventory.load import load_inventory
from inventory.model import Host, Inventory
from tasks.backends.shared import SharedBackends
from tasks.verbs.links import Links


@dataclass(frozen=True, slots=True)
class Context:
    """Loaded once per run. Secrets stay references in here; ``secret`` resolves one when it is used."""

    config: AppConfig
    inventory: Inventory
    resolve_block: Callable[[str], str] | None = None
    #: What is open to hosts right now; a run that is stopped cuts it.
    links: Links = field(default_factory=Links, compare=False, repr=False)
    #: The connections to repositories that are in use right now.
    stores: SharedBackends = field(default_factory=SharedBackends, compare=False, repr=False)
    #: The folder of the configuration file: relative paths in it begin here.
    folder: Path = DEFAULT_PATH.parent

    @classmethod
    def load(
        cls,
        *,
        config: Path | None = None,
        inventory: Path | None = None,
        resolve_block: Callable[[str], str] | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Context:
        """Load configuration and inventory. Raises ``ConfigError`` or ``InventoryError`` with all problems at once."""
        loaded = load_config(config, environ)
        found = load_inventory(inventory, environ, sites=loaded.sites)
        return cls(loaded, found, resolve_block, folder=config_path(config, environ).parent)

    def host(self, name: str) -> Host:
        """Return the host of that name. Raises ``InventoryError`` that names near misses."""
        return self.inventory.host(name)

    def secret(self, reference: str) -> SecretStr:
        """Return the value of a secret reference. Raises ``ConfigError`` that names the reference, never the value."""
        return resolve(reference, self.resolve_block)
