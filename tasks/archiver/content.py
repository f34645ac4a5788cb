"""From a stream of bytes to a list of blobs."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future

from tasks.archiver.blob_pool import BlobPool
from tasks.backends.base import Buffer
from tasks.repository.ids import ID
from tasks.repository.repository import Repository


class ContentWriter:
    """Cuts a stream where its content says, and hands the blobs to the pool.

    ``content`` fills with the blobs' IDs in order; they are all there when the ``jobs`` are done. Several writers may
    add to the same lists one after the other.
    """

    def __init__(
        self,
        repository: Repository,
        pool: BlobPool,
        content: list[ID] | None = None,
        jobs: list[Future[None]] | None = None,
        *,
        hashing: bool = True,
    ) -> None:
        self.content: list[ID] = [] if content is None else content
        self.jobs: list[Future[None]] = [] if jobs is None else jobs
        self._chunker = repository.chunker()
        self._pool = pool
        # Here and not on a worker: it needs the chunks in order, it frees the interpreter, and this thread has time
        # while the workers compress.
        self._hash = hashlib.sha256() if hashing else None

    def feed(self, data: Buffer) -> None:
        """Take the next bytes; the buffer must not change afterwards."""
        if self._hash is not None:
            self._hash.update(data)
        for chunk in self._chunker.feed(data):
            self._emit(chunk)

    def zeros(self, count: int) -> None:
        """Take so many zero bytes."""
        if self._hash is not None:
            _hash_zeros(self._hash, count)
        for chunk in self._chunker.zeros(count):
            self._emit(chunk)

    def finish(self) -> bytes | None:
        """Hand over what remains, and return the SHA-256 of all, if it was wanted."""
        for chunk in self._chunker.finish():
            self._emit(chunk)
        return self._hash.digest() if self._hash is not None else None

    def _emit(self, chunk: Buffer) -> None:
        self.content.append(b"")
        self.jobs.append(self._pool.save(((self.content, len(self.content) - 1, chunk),), len(chunk)))


def _hash_zeros(hasher: hashlib._Hash, count: int) -> None:
    block = bytes(min(count, 1024**2))
    for _ in range(count // len(block) if block else 0):
        hasher.update(block)
    hasher.update(block[: count % len(block)] if block else b"")
