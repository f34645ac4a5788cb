"""From the name of a transport in the inventory to the transport. Each is one line here, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

from tasks.errors import InventoryError
from tasks.transports.lazily import import_lazily

if TYPE_CHECKING:
    from tasks.transports.base import Transport
    from tasks.transports.ssh_settings import SshSettings
    from tasks.transports.winrm_settings import WinRmSettings

#: name -> "module:function" that makes it. paramiko costs 0.13 s to import, pywinrm as much: a local host does without.
TRANSPORTS: Final = {
    "local": "tasks.transports.local:make",
    "ssh": "tasks.transports.ssh:make",
    "winrm": "tasks.transports.winrm:make",
}


class Maker(Protocol):
    """What stands behind a line of ``TRANSPORTS``."""

    def __call__(self, host: str, settings: SshSettings | WinRmSettings | None) -> Transport:
        """Return the transport, not open yet."""
        ...


def make_transport(name: str, host: str, settings: SshSettings | WinRmSettings | None = None) -> Transport:
    """Return the transport ``name`` to a host, not open yet; ``settings`` are for those over a network.

    Raises ``InventoryError`` when there is no such transport, or it lacks its settings.
    """
    if name not in TRANSPORTS:
        known = ", ".join(sorted(TRANSPORTS))
        raise InventoryError(f"there is no transport {name!r}", hint=f"Use one of: {known}.", host=host)
    if name == "ssh":
        # paramiko wants it for ``Match exec`` in an ssh_config alone, and it is a third of what paramiko costs.
        import_lazily("invoke")
    module, _, function = TRANSPORTS[name].partition(":")
    return cast("Maker", getattr(import_module(module), function))(host, settings)
