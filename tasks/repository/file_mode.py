"""File modes: POSIX ``st_mode`` in our nodes, Go's ``os.FileMode`` in restic's JSON.

Source: Go's ``os/types.go``; restic keeps the type, permission, setuid, setgid and sticky bits.
"""

from __future__ import annotations

import stat
from functools import lru_cache
from typing import Final

_SETUID: Final = 1 << 23
_SETGID: Final = 1 << 22
_STICKY: Final = 1 << 20
_IRREGULAR: Final = 1 << 19

#: POSIX type bits -> Go type bits. A regular file has none in Go.
_TYPE_BITS: Final = {
    stat.S_IFREG: 0,
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}
_FORMATS: Final = {bits: kind for kind, bits in _TYPE_BITS.items() if bits}
_ALL_TYPE_BITS: Final = 1 << 31 | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | _IRREGULAR
#: Node type -> POSIX type bits, for modes that carry permissions only.
_FORMAT_OF: Final = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}


@lru_cache(maxsize=1024)
def to_go(mode: int, node_type: str) -> int:
    """Return Go's mode; the node type decides where ``mode`` has no type bits."""
    bits = _IRREGULAR if node_type == "irregular" else _TYPE_BITS[stat.S_IFMT(mode) or _FORMAT_OF[node_type]]
    if mode & stat.S_ISUID:
        bits |= _SETUID
    if mode & stat.S_ISGID:
        bits |= _SETGID
    if mode & stat.S_ISVTX:
        bits |= _STICKY
    return bits | (mode & 0o777)


@lru_cache(maxsize=1024)
def from_go(mode: int, node_type: str) -> int:
    """Return the POSIX ``st_mode``; the node type decides where Go's mode has no type bits, as for files."""
    kind = _FORMATS.get(mode & _ALL_TYPE_BITS) or _FORMAT_OF.get(node_type, 0)
    if mode & _SETUID:
        kind |= stat.S_ISUID
    if mode & _SETGID:
        kind |= stat.S_ISGID
    if mode & _STICKY:
        kind |= stat.S_ISVTX
    return kind | (mode & 0o777)
