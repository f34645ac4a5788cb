"""Where each value of a host comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from configs.values import text_of
from inventory.model import Host, Inventory, JumpHost, SshAccess, WinRmAccess

_BUILT_IN = "built in"
#: Of the ways to log in, the one that the host's transport uses is shown.
_SECTIONS: dict[str, type[SshAccess] | type[WinRmAccess]] = {"ssh": SshAccess, "winrm": WinRmAccess}


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
        if key in {"name", "sources", *_SECTIONS} or (key == "shadow_copy" and host.platform in ("linux", "macos")):
            continue
        source = host.sources.get(key, "the host's name" if key == "address" else _BUILT_IN)
        rows.append(Row(key, _text(getattr(host, key)), source))
    name = "winrm" if host.transport == "winrm" else "ssh"
    for key in _SECTIONS[name].model_fields:
        value = getattr(getattr(host, name), key)
        rows.append(Row(f"{name}.{key}", _text(value), host.sources.get(f"{name}.{key}", _BUILT_IN)))
    return tuple(rows)


def _text(value: Any) -> str:
    if isinstance(value, JumpHost):
        return f"{value.user}@{value.address}:{value.port}" if value.user else f"{value.address}:{value.port}"
    return text_of(value)
