"""Rows of the frame contract to nodes of a tree, and nodes to the metadata that a helper sets."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasks.entries import Expected
from tasks.errors import ProtocolError
from tasks.remote.frames import decode_path
from tasks.repository.tree import Node, NodeType

# Keys of restic's ``generic_attributes`` (``internal/data/node.go``, GenericAttributeType), and our own: restic knows
# neither alternate streams nor which link is a junction.
ATTRIBUTES: Final = "windows.file_attributes"
CREATED: Final = "windows.creation_time"
DESCRIPTOR: Final = "windows.security_descriptor"
STREAMS: Final = "firstbell.streams"
REPARSE: Final = "firstbell.reparse"

#: The reparse tag of a junction, IO_REPARSE_TAG_MOUNT_POINT of winnt.h: unlike a symlink anybody may make one.
JUNCTION: Final = 0xA0000003
#: 1601, where a FILETIME begins, in its units of 100 ns before 1970.
_EPOCH: Final = 116_444_736_000_000_000

_TYPES: dict[str, NodeType] = {
    "file": "file",
    "dir": "dir",
    "symlink": "symlink",
    "fifo": "fifo",
    "socket": "socket",
    "dev": "dev",
    "chardev": "chardev",
    "other": "irregular",
}


class NameTable:
    """Names of users and groups, as far as the helper has told them."""

    def __init__(self) -> None:
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}

    def learn(self, header: Mapping[str, Any]) -> None:
        """Take what the header of a frame with rows tells."""
        if "users" in header:
            self._users.update((int(number), str(name)) for number, name in header["users"].items())
        if "groups" in header:
            self._groups.update((int(number), str(name)) for number, name in header["groups"].items())

    def node(self, row: Sequence[Any]) -> Node:
        """Return the node that a row describes. Raises ``ProtocolError`` when it is none.

        Hosts do not tell the time of the last access; as the stock client does, the time of the last change stands in.
        """
        try:
            name, kind, mode, uid, gid, size, mtime, ctime, inode, device, links, target, xattrs, extra = row
            node = Node(
                name=name.encode() if isinstance(name, str) and name.isascii() else decode_path(name),
                type=_TYPES[kind],
                mode=mode,
                mtime_ns=mtime,
                atime_ns=mtime,
                ctime_ns=ctime,
                uid=uid,
                gid=gid,
                user=self._users.get(uid, ""),
                group=self._groups.get(gid, ""),
                inode=inode,
                device_id=device,
                size=size,
                links=links,
                linktarget=decode_path(target) if target is not None else b"",
                xattrs=tuple((key, base64.b64decode(value)) for key, value in xattrs) if xattrs else (),
            )
            if extra:
                node.device = extra.get("rdev", 0)
                node.generic_attributes = _generic_of(extra)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"not a row: {str(row)[:200]}") from error
        return node


def meta_of(node: Node) -> dict[str, Any]:
    """Return the metadata of a node as the contract writes it."""
    meta: dict[str, Any] = {"mode": node.mode, "uid": node.uid, "gid": node.gid, "mtime": node.mtime_ns}
    if node.user:
        meta["user"] = node.user
    if node.group:
        meta["group"] = node.group
    if node.atime_ns:
        meta["atime"] = node.atime_ns
    if node.xattrs:
        meta["xattrs"] = [[name, base64.b64encode(value).decode("ascii")] for name, value in node.xattrs]
    if node.generic_attributes and (windows := _windows_of(node.generic_attributes)):
        meta["windows"] = windows
    return meta


def _generic_of(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of a Windows host tells besides, as restic keeps it."""
    generic: dict[str, Any] = {}
    if "attributes" in extra:
        generic[ATTRIBUTES] = int(extra["attributes"])
    if "created" in extra and (created := filetime_of(extra["created"])) is not None:
        generic[CREATED] = created
    if extra.get("sd"):
        generic[DESCRIPTOR] = str(extra["sd"])
    if extra.get("streams"):
        generic[STREAMS] = {str(name): str(content) for name, content in extra["streams"]}
    if extra.get("reparse") == JUNCTION:
        generic[REPARSE] = JUNCTION
    return generic


def _windows_of(generic: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``meta`` says to a Windows host; what another program wrote otherwise is left out."""
    windows: dict[str, Any] = {}
    if isinstance(attributes := generic.get(ATTRIBUTES), int):
        windows["attributes"] = attributes
    if (created := ns_of(generic.get(CREATED))) is not None:
        windows["created"] = created
    if isinstance(descriptor := generic.get(DESCRIPTOR), str):
        windows["sd"] = descriptor
    if isinstance(streams := generic.get(STREAMS), dict):
        windows["streams"] = [[name, content] for name, content in streams.items()]
    if isinstance(reparse := generic.get(REPARSE), int):
        windows["reparse"] = reparse
    return windows


def filetime_of(ns: int) -> dict[str, int] | None:
    """Return a time as restic writes a FILETIME, or None when it cannot be one."""
    ticks = ns // 100 + _EPOCH
    return {"LowDateTime": ticks & 0xFFFFFFFF, "HighDateTime": ticks >> 32} if 0 < ticks < 2**63 else None


def ns_of(filetime: object) -> int | None:
    """Return the time that restic wrote as a FILETIME, or None for anything else."""
    match filetime:
        case {"LowDateTime": int(low), "HighDateTime": int(high)}:
            return ((high << 32) + low - _EPOCH) * 100
        case _:
            return None


def expect_of(expected: Expected | None) -> list[Any] | None:
    """Return what the plan saw at a path as the contract writes it."""
    return None if expected is None else [expected.type, expected.size, expected.mtime_ns]
