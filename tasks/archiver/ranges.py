"""A large file that changed: which blobs of its previous version are still in it.

The host is told the previous version's blobs as ranges with their hashes and sends only what differs, and what lies
behind the last of them. Everything it does not send is taken over by blob, so the arithmetic here must be exact: what
does not line up raises ``Misaligned``, and the file is read in full.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from tasks.archiver.source import KnownRange
from tasks.repository.blob import BlobType
from tasks.repository.ids import ID
from tasks.repository.repository import Repository

#: Files smaller than this are read in full: hashing them on the host saves less than the question costs.
MIN_SIZE: Final = 4 * 1024**2


class Misaligned(Exception):
    """What the host left out is not made of whole known ranges."""


class KnownContent:
    """The previous version of a file as ranges that follow each other from offset 0."""

    def __init__(self, ranges: Sequence[KnownRange]) -> None:
        self.ranges = ranges
        self._starts = [known.offset for known in ranges]

    def between(self, start: int, stop: int) -> list[ID]:
        """Return the blobs that hold the bytes from ``start`` to ``stop``. Raises ``Misaligned``."""
        if start == stop:
            return []
        index = bisect_left(self._starts, start)
        found: list[ID] = []
        while start < stop and index < len(self.ranges):
            known = self.ranges[index]
            if known.offset != start:
                break
            found.append(known.sha256)
            start += known.length
            index += 1
        if start != stop:
            raise Misaligned
        return found


def known_content(repository: Repository, content: Sequence[ID]) -> KnownContent | None:
    """Return the ranges of a stored content list, or None when one of its blobs is lost or it has too few to gain.

    The last blob is left out: it ended where the file did and not where its content said, so what was appended since
    is cut together with it, as a full read would.
    """
    ranges: list[KnownRange] = []
    offset = 0
    for id_ in content[:-1]:
        length = repository.blob_length(id_)
        if length is None or not repository.has_blob(BlobType.DATA, id_):
            return None
        ranges.append(KnownRange(offset, length, id_))
        offset += length
    return KnownContent(ranges) if ranges else None
