"""Rows of the frame contract to nodes of a tree, and nodes to the metadata that a helper sets."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.entries import Expected
from tasks.errors import ProtocolError
from tasks.remote.frames import decode_path
from tasks.repository.tree import Node, NodeType

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
            return Node(
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
                device=(extra or {}).get("rdev", 0),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"not a row: {str(row)[:200]}") from error


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
    return meta


def expect_of(expected: Expected | None) -> list[Any] | None:
    """Return what the plan saw at a path as the contract writes it."""
    return None if expected is None else [expected.type, expected.size, expected.mtime_ns]
