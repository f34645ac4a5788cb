"""What a host says about an entry, as far as SFTP tells it."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from typing import Any, Final

from tasks.remote.frames import encode_path
from tasks.remote.sftp.replies import dump
from tasks.transports.sftp_client import SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes

SECOND: Final = 1_000_000_000

_TYPES: Final = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
}


def kind_of(attributes: Attributes) -> str:
    """Return the type of an entry as the contract calls it."""
    return _TYPES.get(stat.S_IFMT(attributes.mode or 0), "other")


def mtime_of(attributes: Attributes) -> int:
    """Return the time of the last change in ns; SFTP has whole seconds."""
    return (attributes.mtime or 0) * SECOND


def version_of(attributes: Attributes) -> list[int]:
    """Return what tells one version of a file from another: ctime and inode are not known, so 0."""
    return [attributes.size or 0, mtime_of(attributes), 0, 0]


def row(name: bytes, attributes: Attributes, target: bytes | None) -> str:
    """Return the row of an entry as JSON text.

    Not known over SFTP, and told as nothing: ctime, inode, device, hard links, extended attributes, device numbers.
    """
    kind = kind_of(attributes)
    size = (attributes.size or 0) if kind == "file" else 0
    mtime = mtime_of(attributes)
    owner = attributes.uid or 0, attributes.gid or 0
    link = encode_path(target) if target is not None else None
    fields: tuple[Any, ...] = (encode_path(name), kind, attributes.mode or 0, *owner, size, mtime, 0, 0, 0, 1, link)
    return dump((*fields, None, None))


class Accounts:
    """Names and numbers of users and groups on the host, from the server's extension or its account files."""

    def __init__(self, client: SftpClient) -> None:
        self._client = client
        self._names: dict[str, dict[int, str]] = {"users": {}, "groups": {}}
        self._files: dict[str, dict[str, int]] | None = None
        self._fresh: dict[str, dict[str, str]] = {}

    def learn(self, seen: Iterable[Attributes]) -> None:
        """Find out the names of those numbers in ``seen`` that are new; ``header`` tells them."""
        seen = tuple(seen)
        users = sorted({item.uid for item in seen if item.uid is not None} - self._names["users"].keys())
        groups = sorted({item.gid for item in seen if item.gid is not None} - self._names["groups"].keys())
        if not users and not groups:
            return
        for kind, numbers, names in zip(("users", "groups"), (users, groups), self._ask(users, groups), strict=True):
            for number, name in zip(numbers, names, strict=False):
                self._names[kind][number] = name
                if name:
                    self._fresh.setdefault(kind, {})[str(number)] = name

    def header(self) -> dict[str, Any]:
        """Return the fields of a header with the names that were not told yet."""
        fresh, self._fresh = self._fresh, {}
        return dict(fresh)

    def number_of(self, kind: str, name: str | None, number: int | None) -> int | None:
        """Return the number of a user or group here (``users`` or ``groups``): by its name, else as it was."""
        if not name:
            return number
        for known, its_name in self._names[kind].items():
            if its_name == name:
                return known
        return self._listed()[kind].get(name, number)

    def _ask(self, users: list[int], groups: list[int]) -> tuple[list[str], list[str]]:
        if self._client.has(b"users-groups-by-id@openssh.com"):
            try:
                names = self._client.names(users, groups).result()
            except SftpError:
                names = [], []
            return _text(names[0]), _text(names[1])
        listed = {kind: {number: name for name, number in ids.items()} for kind, ids in self._listed().items()}
        return [listed["users"].get(uid, "") for uid in users], [listed["groups"].get(gid, "") for gid in groups]

    def _listed(self) -> dict[str, dict[str, int]]:
        """Return the numbers by name in the host's account files."""
        if self._files is None:
            self._files = {}
            for kind, path in (("users", b"/etc/passwd"), ("groups", b"/etc/group")):
                lines = (line.split(":") for line in text_of(self._client, path).splitlines())
                self._files[kind] = {line[0]: int(line[2]) for line in lines if len(line) > 3 and line[2].isdigit()}
        return self._files


def text_of(client: SftpClient, path: bytes) -> str:
    """Return a small file's text, or "" when it cannot be read. Never waits for a FIFO or a device."""
    try:
        attributes = client.lstat(path).result()
        return client.small_file(path).decode("utf-8", "replace") if kind_of(attributes) == "file" else ""
    except SftpError:
        return ""


def _text(names: list[bytes]) -> list[str]:
    return [name.decode("utf-8", "replace") for name in names]
