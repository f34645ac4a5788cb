"""What the archiver needs of a host. ``remote.filesystem.RemoteSource`` satisfies it structurally."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from tasks.entries import Directory, FileEnd, KnownRange, Piece, Rule, Skipped, Stat, WalkRequest

__all__ = ["Directory", "FileEnd", "KnownRange", "Piece", "Rule", "Skipped", "Source", "Stat", "WalkRequest"]


class Source(Protocol):
    """Files of one host, for reading."""

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        """Yield folders depth first, each before what is in it, names in byte order, starting at ``/``.

        Each path comes once. What cannot be read is yielded as ``Skipped``, never raised. The iterator is lazy and may
        be interleaved with ``read`` and ``ranges``; it fetches ahead by a bounded amount.
        """

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        """Yield for each file in the order asked its pieces in order and one ``FileEnd``, or one ``Skipped``.

        A ``Skipped`` may also come after pieces: reading broke off, and what came is worthless.

        The request is sent at once, before the first item is taken, so that several may be under way; they must be
        consumed in the order they were made.
        """

    def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        """Yield only what differs from ``known``, and everything behind the last known range, then ``FileEnd``.

        A known range that is not yielded is unchanged on the host. Known ranges at or beyond the size in ``FileEnd``
        are not there any more; one that reaches beyond it is yielded, shortened.
        """
