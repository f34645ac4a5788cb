"""Where each value of a host comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from configs.values import text_of
from inventory.model import Host, Inventory, JumpHost, SshAccess

_BUILT_IN = "built in"


@dataclass(frozen=True, slots=True)
class Row:
    """One value: its key, the value as a person would write it, and the file and line it stands in."""

    key: str
    value: str
    source: str


def explain(inventory: Inventory, name: str) -> tuple[Row, ...]:
    """Return every value of a host. Secrets appear as the references they are.

    Raises:
        InventoryError: there is no such host; the message names the nearest.
    """
    host = inventory.host(name)
    rows = [Row("name", host.name, "")]
    for key in Host.model_fields:
        if key in {"name", "sources", "ssh"}:
            continue
        source = host.sources.get(key, "the host's name" if key == "address" else _BUILT_IN)
        rows.append(Row(key, _text(getattr(host, key)), source))
    for key in SshAccess.model_fields:
        value = getattr(host.ssh, key)
        rows.append(Row(f"ssh.{key}", _text(value), host.sources.get(f"ssh.{key}", _BUILT_IN)))
    return tuple(rows)


def _text(value: Any) -> str:
    if isinstance(value, JumpHost):
        return f"{value.user}@{value.address}:{value.port}" if value.user else f"{value.address}:{value.port}"
    return text_of(value)
