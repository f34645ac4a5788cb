"""What the archiver needs of a host. ``remote.filesystem.RemoteSource`` satisfies it structurally."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tasks.events import SkipReason
from tasks.repository.tree import Node


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


@dataclass(frozen=True, slots=True)
class KnownRange:
    """A range of a previous version: offset and length in bytes, and the SHA-256 of its content."""

    offset: int
    length: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class WalkRequest:
    """What to walk: absolute root paths, rules, and with ``only`` just those paths (for a before-image)."""

    roots: tuple[bytes, ...]
    rules: tuple[Rule, ...] = field(default=())
    only: tuple[bytes, ...] | None = None


class Source(Protocol):
    """Files of one host, for reading."""

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        """Yield folders depth first, each before what is in it, names in byte order, starting at ``/``.

        Each path comes once. What cannot be read is yielded as ``Skipped``, never raised. The iterator is lazy and may
        be interleaved with ``read`` and ``ranges``; it fetches ahead by a bounded amount.
        """

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        """Yield for each file in the order asked its pieces in order and one ``FileEnd``, or one ``Skipped``.

        The request is sent at once, before the first item is taken, so that several may be under way; they must be
        consumed in the order they were made.
        """

    def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        """Yield only what differs from ``known``, and everything behind the last known range, then ``FileEnd``.

        A known range that is not yielded is unchanged on the host.
        """
