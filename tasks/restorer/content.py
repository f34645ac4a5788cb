"""The contents of many files, one after the other, from one sequence of blobs.

One sequence for many files lets the repository read ahead across files and join neighbours, so that packs are fetched
once and the network is busy while the host writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from typing import Final

from tasks.entries import Zeros
from tasks.errors import Damaged, NotFound
from tasks.repository.blob import BlobType
from tasks.repository.blob_reader import Reading
from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.tree import Node
from tasks.restorer.hashes import EMPTY

#: Runs of zeros of this many bytes are not sent but named: the host makes a hole of them.
ZERO_RUN: Final = 64 * 1024
_ZEROS: Final = bytes(ZERO_RUN)


class Contents:
    """Gives the contents of ``nodes``, which must be asked for in their order; some may be left out."""

    def __init__(self, repository: Repository, nodes: Sequence[Node], *, hashed: bool = True) -> None:
        """Give what the repository has; ``hashed=False`` when others compare the hash of each file with ``sha256``."""
        self._repository = repository
        self._hashed = hashed
        self._nodes = nodes
        self._blobs: Reading | None = None
        self._next = 0
        self._stale = False
        #: SHA-256 of the file that was read last, once it was read to its end.
        self.sha256: bytes | None = None

    def read(self, index: int, *, known: bytes | None = None) -> Generator[bytes | Zeros]:
        """Yield the content of one file; ``known`` is its SHA-256 if the caller trusts one, so that none is computed.

        Raises ``Damaged`` or ``NotFound`` when some of it cannot be had.
        """
        self.sha256 = None
        content = self._nodes[index].content or ()
        if not content:
            if index == self._next:
                # Without a blob in the sequence.
                self._next += 1
            self.sha256 = EMPTY
            return
        self._go_to(index)
        digest = hashlib.sha256() if len(content) > 1 and known is None else None
        last, pieces = b"", list[bytes | Zeros]()
        for id_ in content:
            blob = self._blob(id_)
            if id_ != last:
                last, pieces = id_, split_zeros(blob)
            if digest is not None:
                digest.update(blob)
            yield from pieces
        self._stale = False
        self.sha256 = content[0] if len(content) == 1 else digest.digest() if digest is not None else known

    def small(self, index: int) -> bytes | None:
        """Return the content of a file of one blob below ``ZERO_RUN``, None for others: then ``read`` it.

        Raises as that does.
        """
        node = self._nodes[index]
        if node.content is None or len(node.content) != 1 or node.size >= ZERO_RUN:
            return None
        self.sha256 = None
        self._go_to(index)
        blob = self._blob(node.content[0])
        self._stale = False
        self.sha256 = node.content[0]
        return blob

    def digest(self) -> bytes:
        """Return the SHA-256 of the file that was just read to its end."""
        if self.sha256 is None:
            raise RuntimeError("the file was not read to its end")
        return self.sha256

    def close(self) -> None:
        """Give up reading ahead."""
        blobs, self._blobs = self._blobs, None
        if blobs is not None:
            blobs.close()

    def begin(self) -> None:
        """Begin to read, from the first file on: it will be asked for soon."""
        self._blobs = self._blobs_from(0)

    def _blobs_from(self, index: int) -> Reading:
        ids = [id_ for node in self._nodes[index:] for id_ in node.content or ()]
        return self._repository.iter_blobs(ids, hashed=self._hashed)

    def _go_to(self, index: int) -> None:
        if self._blobs is None or self._stale or index != self._next:
            self.close()
            self._blobs = self._blobs_from(index)
        self._next = index + 1
        # Until the end is reached, the sequence stands in the middle of this file.
        self._stale = True

    def _blob(self, id_: ID) -> bytes:
        """Return the next blob of the sequence.

        Reading ahead fails for a blob that lies close to a damaged one; alone it can be read.
        """
        if self._blobs is not None:
            try:
                return next(self._blobs)
            except (Damaged, NotFound):
                self._blobs = None
        return self._repository.load_blob(BlobType.DATA, id_)


def split_zeros(blob: bytes) -> list[bytes | Zeros]:
    """Return a blob in pieces, long runs of zeros as ``Zeros``."""
    size = len(blob)
    if size < ZERO_RUN:
        return [blob]
    pieces: list[bytes | Zeros] = []
    start = at = 0
    while at + ZERO_RUN <= size:
        if not blob.startswith(_ZEROS, at):
            at += ZERO_RUN
            continue
        if at > start:
            pieces.append(blob[start:at])
        start = at
        while at < size and blob.startswith(_ZEROS[: size - at], at):
            at = min(at + ZERO_RUN, size)
        pieces.append(Zeros(at - start))
        start = at
    if start == 0:
        return [blob]
    if start < size:
        pieces.append(blob[start:])
    return pieces
