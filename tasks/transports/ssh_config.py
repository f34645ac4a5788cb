"""The user's ``~/.ssh/config``, where the inventory allows it: aliases, and what belongs to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import paramiko

from tasks.errors import Unreachable
from tasks.transports.ssh_settings import SshSettings

#: More hops than anybody has; a file that names itself would otherwise never end.
_MOST_HOPS: Final = 8


def resolve(settings: SshSettings, host: str) -> SshSettings:
    """Return the settings with what the file says about ``address``, and the same for the hosts to jump through.

    What the settings say wins over the file, except that ``HostName`` always replaces the alias and ``Port`` counts
    where the settings leave it at 22. Raises ``Unreachable`` when the file cannot be used.
    """
    return _Resolver(host).resolve(settings, 0)


class _Resolver:
    def __init__(self, host: str) -> None:
        self._host = host
        self._config: paramiko.SSHConfig | None = None

    def resolve(self, settings: SshSettings, hops: int) -> SshSettings:
        if hops > _MOST_HOPS:
            raise self._unusable(f"ProxyJump leads through more than {_MOST_HOPS} hosts")
        jump = settings.jump
        if settings.use_ssh_config:
            entry = self._lookup(settings.address, settings.user)
            jump = jump or self._jump(entry, settings)
            if jump is None and (entry.get("proxycommand") or "none") != "none":
                raise self._unusable("ProxyCommand is not supported; ProxyJump is")
            settings = replace(
                settings,
                address=entry.get("hostname", settings.address),
                port=int(entry.get("port", 22)) if settings.port == 22 else settings.port,
                user=settings.user or entry.get("user"),
                key_files=settings.key_files
                or tuple(Path(name).expanduser() for name in entry.get("identityfile", [])),
                known_hosts=settings.known_hosts or _known_hosts(entry),
            )
        return replace(settings, jump=self.resolve(jump, hops + 1) if jump is not None else None)

    def _jump(self, entry: dict[str, Any], settings: SshSettings) -> SshSettings | None:
        """Return the settings of ``ProxyJump``: the last host of the list is the nearest to the target."""
        text = entry.get("proxyjump") or "none"
        if text.lower() == "none":
            return None
        jump: SshSettings | None = None
        for part in text.split(","):
            user, _, place = part.strip().removeprefix("ssh://").rpartition("@")
            address, port = _split_port(place)
            # The jump host has credentials of its own in the file; the target's deadlines hold for it too.
            jump = replace(
                settings, address=address, port=port, user=user or None, password=None, key_files=(), jump=jump
            )
        return jump

    def _lookup(self, address: str, user: str | None) -> dict[str, Any]:
        if self._config is None:
            path = Path.home() / ".ssh" / "config"
            try:
                self._config = paramiko.SSHConfig.from_path(str(path)) if path.exists() else paramiko.SSHConfig()
            except (OSError, ValueError, paramiko.SSHException) as error:
                raise self._unusable(str(error)) from error
        try:
            return dict(self._config.lookup(address))
        except (ValueError, paramiko.SSHException, ImportError) as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, reason: str) -> Unreachable:
        return Unreachable(
            f"~/.ssh/config cannot be used for this host: {reason}",
            hint="Correct the file, or give address, user and key in the inventory and leave use_ssh_config off.",
            host=self._host,
        )


def _known_hosts(entry: dict[str, Any]) -> Path | None:
    """Return the first file of ``UserKnownHostsFile``."""
    names = str(entry.get("userknownhostsfile", "")).split()
    return Path(names[0]).expanduser() if names and names[0] != "none" else None


def _split_port(place: str) -> tuple[str, int]:
    if place.startswith("["):
        address, _, port = place[1:].partition("]")
        return address, int(port.removeprefix(":") or 22)
    if place.count(":") == 1:
        address, _, port = place.partition(":")
        return address, int(port or 22)
    return place, 22
