"""Setting metadata over SFTP: owner, mode, then the time; and telling what could not be set."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from typing import Any

from tasks.remote.sftp.rows import SECOND, Accounts, kind_of
from tasks.transports.sftp_client import Pending, SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes

#: Sets some attributes of one entry.
Setter = Callable[[Attributes], Pending[None]]


class Setting:
    """What is being set on one entry; ``finish`` waits for it."""

    def __init__(self, missed: list[str]) -> None:
        self._missed = missed
        self._waiting: list[tuple[str, Pending[None]]] = []

    def add(self, name: str, pending: Pending[None]) -> None:
        """Wait for one more answer, about what a person calls ``name``."""
        self._waiting.append((name, pending))

    def settle(self) -> list[str]:
        """Wait for all answers, and return what was missed so far."""
        for name, pending in self._waiting:
            try:
                pending.result()
            except SftpError:
                self._missed.append(name)
        self._waiting = []
        return self._missed

    def finish(self) -> str:
        """Wait, and return what could not be set, as the contract writes it."""
        missed = self.settle()
        return f"not set: {', '.join(missed)}" if missed else ""


def setter_for(client: SftpClient, path: bytes, attributes: Attributes) -> Setter | None:
    """Return what sets attributes of an entry by its path, never of what a symlink points to."""
    if kind_of(attributes) != "symlink":
        return lambda wanted: client.setstat(path, wanted)
    if client.has(b"lsetstat@openssh.com"):
        return lambda wanted: client.lsetstat(path, wanted)
    return None


def begin(setter: Setter | None, accounts: Accounts, standing: Attributes, meta: Mapping[str, Any]) -> Setting:
    """Ask to set what ``meta`` names on an entry that stands as ``standing``, the time last."""
    missed = [f"extended attribute {name}" for name, _ in meta.get("xattrs") or ()]
    setting = Setting(missed)
    if setter is None:
        missed.extend(name for name, key in (("owner", "uid"), ("time", "mtime")) if meta.get(key) is not None)
        return setting
    owner_changes = _owner(setting, setter, accounts, standing, meta)
    if meta.get("mode") is not None and kind_of(standing) != "symlink":
        mode = stat.S_IMODE(meta["mode"])
        if owner_changes and mode & 0o6000 and {"owner", "group"} & set(setting.settle()):
            mode &= ~0o6000
            missed.append("set-user-id")
        setting.add("mode", setter(Attributes(mode=mode)))
    if meta.get("mtime") is not None:
        _time(setting, setter, meta, missed)
    return setting


def _owner(setting: Setting, setter: Setter, accounts: Accounts, standing: Attributes, meta: Mapping[str, Any]) -> bool:
    """Ask to set owner and group, each by itself, so that the one that is allowed is set; return whether either is."""
    uid = accounts.number_of("users", meta.get("user"), meta.get("uid"))
    gid = accounts.number_of("groups", meta.get("group"), meta.get("gid"))
    owner_changes = uid is not None and uid != standing.uid
    group_changes = gid is not None and gid != standing.gid
    if owner_changes:
        setting.add("owner", setter(Attributes(uid=uid, gid=standing.gid)))
    if group_changes:
        # SFTP sets both at once: keep the owner as it is by now.
        owner = standing.uid if not owner_changes or "owner" in setting.settle() else uid
        setting.add("group", setter(Attributes(uid=owner, gid=gid)))
    return owner_changes or group_changes


def _time(setting: Setting, setter: Setter, meta: Mapping[str, Any], missed: list[str]) -> None:
    # Whole seconds, which `limits` of hello tells once instead of each file.
    mtime = meta["mtime"] // SECOND
    atime = meta["mtime"] if meta.get("atime") is None else meta["atime"]
    if not 0 <= mtime < 2**32:
        missed.append("time")
        return
    setting.add("time", setter(Attributes(atime=min(max(atime // SECOND, 0), 2**32 - 1), mtime=mtime)))
