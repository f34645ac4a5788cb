r"""Node and Tree: what a snapshot says about files, in restic's JSON.

Source of the format: restic's ``doc/design.rst`` ("Trees and Data") and its ``internal/data/node.go``. A tree blob is
``{"nodes":[...]}\n`` with nodes in byte order of their names; keys, order and escapes are those of Go's
``encoding/json``, so that the same folder gives the same blob as from the stock client; ``tree_json.py`` does that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.repository.ids import ID

NodeType = Literal["file", "dir", "symlink", "fifo", "socket", "dev", "chardev", "irregular"]


@dataclass(slots=True)
class Node:
    """One entry of a folder. Times are ns since 1970 UTC, sizes bytes, ``mode`` is POSIX ``st_mode``.

    ``name`` and ``linktarget`` are raw bytes; the JSON form quotes what is not UTF-8 as restic does.
    """

    name: bytes
    type: NodeType
    mode: int = 0
    mtime_ns: int = 0
    atime_ns: int = 0
    ctime_ns: int = 0
    uid: int = 0
    gid: int = 0
    user: str = ""
    group: str = ""
    inode: int = 0
    device_id: int = 0
    size: int = 0
    links: int = 0
    linktarget: bytes = b""
    #: (name, value) pairs, in the order the host gave them.
    xattrs: tuple[tuple[str, bytes], ...] = ()
    device: int = 0
    #: IDs of data blobs, for files; None while unknown.
    content: tuple[ID, ...] | None = None
    #: ID of the tree blob, for folders; None while unknown.
    subtree: ID | None = None
    #: Platform attributes by restic's names, such as ``windows.creation_time``.
    generic_attributes: dict[str, Any] = field(default_factory=dict)
    #: Keys that this version does not know (and restic's ``error``), kept so that saving the node again keeps them.
    extra: dict[str, Any] | None = None


@dataclass(slots=True)
class Tree:
    """A folder's nodes in byte order of their names."""

    nodes: list[Node]
