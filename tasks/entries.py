"""The values that pass between the engine and a host: what archiver, restorer and remote all speak of.

``archiver/source.py`` and ``restorer/sink.py`` say what is done with them. Paths are raw bytes, absolute, separated by
``/``; sizes and offsets are bytes; times ns since 1970 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tasks.events import SkipReason
from tasks.repository.tree import Node

WriteReason = Literal["conflict", "denied", "vanished", "unreadable", "no-space", "outside", "unsupported", ""]


@dataclass(frozen=True, slots=True)
class Rule:
    """A standing rule that leaves something out, decided on the host; ``remote/PROTOCOL.md`` says how it matches."""

    id: str
    #: What a person reads: why this is left out.
    reason: str
    regex: str = ""
    dirs_only: bool = False
    #: Leave out files of at least this many bytes; 0 means any.
    min_size: int = 0
    #: Leave out a folder that holds this cache tag file.
    tag: str = ""


@dataclass(slots=True)
class Directory:
    """One folder: its path and its children in byte order of their names.

    Folders among the children follow later, each as its own ``Directory`` or, when it cannot be read, as a ``Skipped``
    of its path.
    """

    path: bytes
    children: list[Node]


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something the host could not or should not give, ``rule`` is the id of the rule that says so, if one does."""

    path: bytes
    reason: SkipReason
    rule: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Stat:
    """What tells one version of a file from another: size in bytes, times in ns, and the inode or file id."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Content of a file from ``offset``; ``zero`` bytes of zeros when ``data`` is empty (a hole)."""

    path: bytes
    offset: int
    data: bytes | memoryview = b""
    zero: int = 0


@dataclass(frozen=True, slots=True)
class FileEnd:
    """A file was read to its end; ``before != after`` means that it changed meanwhile."""

    path: bytes
    size: int
    #: SHA-256 of the whole content as the host read it, or None where the host cannot hash.
    sha256: bytes | None
    before: Stat
    after: Stat
    #: Read from the disk in use where a shadow copy is usual: what a program had not written yet is not in it.
    live: bool = False


@dataclass(frozen=True, slots=True)
class KnownRange:
    """A range of a previous version: offset and length in bytes, and the SHA-256 of its content."""

    offset: int
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class WalkRequest:
    """What to walk: absolute root paths, rules, and with ``only`` just those paths (for a before-image).

    ``shadow`` asks for a shadow copy of the disks, from which everything is listed and read; Windows alone has such.
    """

    roots: tuple[bytes, ...]
    rules: tuple[Rule, ...] = field(default=())
    only: tuple[bytes, ...] | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """What the plan saw at a path: type, size in bytes, time in ns. Nothing there is written as None instead."""

    type: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of one path. ``detail`` of a good result names metadata that could not be set."""

    path: bytes
    ok: bool
    reason: WriteReason = ""
    detail: str = ""
    #: SHA-256 of what the host wrote, for files.
    sha256: bytes | None = None
    #: The host took that hash from the file itself, read back before it got its name, and not from what arrived.
    read_back: bool = False


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file as it stands on the host now; ``sha256`` is None when it could not be read (``detail`` says why)."""

    path: bytes
    size: int
    mtime_ns: int
    sha256: bytes | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Zeros:
    """So many zero bytes, instead of sending them."""

    length: int
