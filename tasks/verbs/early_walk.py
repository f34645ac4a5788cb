"""Lets a host begin its walk before anybody has the time to follow it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.archiver.source import Directory, FileEnd, KnownRange, Piece, Skipped, Source, WalkRequest


class EarlyWalk:
    """A source whose walk has been asked for already; its first pages wait on the way."""

    def __init__(self, source: Source, request: WalkRequest) -> None:
        self._source = source
        self._request = request
        self._walk: Iterator[Directory | Skipped] | None = iter(source.entries(request))

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        """Return the walk that has begun, if it is the one asked for, and only once."""
        if self._walk is not None and request == self._request:
            walk, self._walk = self._walk, None
            return walk
        return iter(self._source.entries(request))

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        """Read files."""
        return self._source.read(paths)

    def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        """Read what differs of a file."""
        return self._source.ranges(path, known)
