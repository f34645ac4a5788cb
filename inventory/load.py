"""Reading an inventory: a folder with ``defaults.yaml``, ``groups.yaml`` and ``hosts.yaml`` (or ``hosts/*.yaml``).

A host resolves once, here: host > groups in the order it lists them > defaults. A list replaces the list of the layer
below it as a whole; of ``ssh`` and ``winrm`` each key is taken by itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from inventory.errors import InventoryError
from inventory.files import Layers, read_layers
from inventory.model import Inventory
from inventory.resolve import resolve_hosts

#: Where the inventory lies when neither the caller nor FIRSTBELL_INVENTORY says so.
DEFAULT_FOLDER = Path("inventory")


def load_inventory(
    folder: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    sites: Collection[str] = (),
) -> Inventory:
    """Return the inventory in ``folder``, else in FIRSTBELL_INVENTORY, else in ``./inventory``.

    A host of a site that is not among ``sites`` is a mistake, unless that is empty: then any site will do.

    Raises:
        InventoryError: there is no inventory, or something in it is wrong; every problem stands in the message.
    """
    environ = os.environ if environ is None else environ
    place = Path(folder or environ.get("FIRSTBELL_INVENTORY") or DEFAULT_FOLDER)
    layers = read_layers(place)
    hosts, problems, warnings = resolve_hosts(layers, sites)
    problems = [*layers.problems, *problems]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InventoryError(
            "\n  ".join([f"{place}: {count}", *map(str, problems)]),
            hint="Correct the files; docs/configuration.md describes every key with an example.",
        )
    return Inventory(hosts=hosts, groups=_titles(layers), warnings=tuple(warnings), rooms=_rooms(layers))


def _titles(layers: Layers) -> dict[str, str]:
    return {name: entry.model.title for name, entry in layers.groups.items()}


def _rooms(layers: Layers) -> frozenset[str]:
    return frozenset(name for name, entry in layers.groups.items() if entry.model.kind == "room")
