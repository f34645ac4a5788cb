"""Content-defined chunks: FastCDC 2020 from pyfastcdc, with restic's size limits and a secret seed.

The limits are restic's (``restic/chunker``): 512 KiB to 8 MiB, about 1 MiB in the mean. pyfastcdc's ``avg_size`` is
where normal chunking turns from the strict to the lax mask, not the mean: 768 KiB with level 2 gave a mean of 0.98 MiB
and a largest chunk of 2.3 MiB over 1 GiB of random data [measured].

The seed changes where cuts fall, so that the sizes of chunks do not tell which known file is stored; it is derived from
the repository's secret polynomial and so is the same for every client of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Final

from tasks.backends.base import Buffer
from tasks.repository.ids import ID, hash_of

if TYPE_CHECKING:
    from pyfastcdc import FastCDC

MIN_SIZE: Final = 512 * 1024
MAX_SIZE: Final = 8 * 1024 * 1024
_TURN_SIZE: Final = 768 * 1024
_NORMALIZATION: Final = 2
#: Bytes that are gathered before the first look for a cut: nearly every chunk ends within.
_FIRST_LOOK: Final = 2 * 1024 * 1024


def seed_of(polynomial: str) -> int:
    """Return the seed for a repository: 62 bits and never 0, which would be the public table."""
    digest = hashlib.sha256(b"firstbell chunker seed\0" + polynomial.encode()).digest()
    # pyfastcdc computes ``seed << 1`` in 64 bits.
    return int.from_bytes(digest[:8], "little") >> 2 | 1


class Chunker:
    """Cuts one file into chunks. The cuts depend on the content and the seed, never on how it is split into pieces.

    Holds at most 8 MiB and one piece. One thread at a time; ``ChunkerFactory`` makes it.
    """

    def __init__(self, cutter: FastCDC, zero_chunk: Callable[[], bytes]) -> None:
        self._cutter = cutter
        self._zero_chunk = zero_chunk
        self._pieces: list[bytes | memoryview] = []
        self._size = 0
        self._look_at = _FIRST_LOOK

    def feed(self, data: Buffer) -> Iterator[bytes | memoryview]:
        """Yield the chunks that end within ``data``. It must be consumed before the next call.

        A buffer that may change later is copied; ``bytes`` and views of ``bytes`` are kept as they are.
        """
        if not _immutable(data):
            data = bytes(data)
        view = memoryview(data)
        while view:
            # Never past the largest chunk, so that memory is bounded whatever the size of the piece.
            taken = view[: MAX_SIZE - self._size]
            view = view[len(taken) :]
            self._pieces.append(taken)
            self._size += len(taken)
            if self._size >= self._look_at:
                yield from self._cut()

    def zeros(self, n: int) -> Iterator[bytes | memoryview]:
        """Yield the chunks that end within a run of ``n`` zero bytes; mostly one object again and again."""
        chunk = self._zero_chunk()
        while n > 0:
            if not self._size and n >= MAX_SIZE:
                n -= len(chunk)
                yield chunk
            else:
                step = min(n, len(chunk), MAX_SIZE - self._size)
                n -= step
                yield from self.feed(memoryview(chunk)[:step])

    def finish(self) -> Iterator[bytes | memoryview]:
        """Yield what is left; the chunker is then ready for another file."""
        buffer = self._join()
        self._pieces, self._size, self._look_at = [], 0, _FIRST_LOOK
        if 0 < len(buffer) <= MIN_SIZE:
            yield buffer
            return
        for chunk in self._cutter.cut_buf(buffer):
            yield buffer if chunk.length == len(buffer) else chunk.data

    def _cut(self) -> Iterator[bytes | memoryview]:
        buffer = self._join()
        rest = memoryview(buffer)
        found = []
        for chunk in self._cutter.cut_buf(buffer):
            # A chunk that reaches the end of what we have may only end there because nothing follows yet. One that
            # ends before would end there in any case: the search only looks back.
            if chunk.offset + chunk.length == len(buffer) and chunk.length < MAX_SIZE:
                break
            found.append(chunk.data)
            rest = rest[chunk.length :]
        self._pieces = [rest] if rest else []
        self._size = len(rest)
        self._look_at = min(max(2 * self._size, _FIRST_LOOK), MAX_SIZE)
        yield from found

    def _join(self) -> bytes | memoryview:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class ChunkerFactory:
    """Makes the chunkers of one repository. They share the chunk of zeros and the table, which cutting only reads."""

    def __init__(self, polynomial: str) -> None:
        self._polynomial = polynomial
        self._zeros: bytes | None = None

    @cached_property
    def _cutter(self) -> FastCDC:
        # Imported here, for who only reads cuts nothing.
        from pyfastcdc import FastCDC

        return FastCDC(
            _TURN_SIZE,
            min_size=MIN_SIZE,
            max_size=MAX_SIZE,
            normalized_chunking=_NORMALIZATION,
            seed=seed_of(self._polynomial),
        )

    def zero_chunk(self) -> bytes:
        """Return the chunk that a long run of zeros is cut into: 8 MiB, or less if the seed happens to cut there."""
        if self._zeros is None:
            # Fresh zero pages: they take no memory until written to, and they never are.
            zeros = bytes(MAX_SIZE)
            length = next(iter(self._cutter.cut_buf(zeros))).length
            self._zeros = zeros[:length]
        return self._zeros

    def is_zero_chunk(self, data: Buffer) -> bool:
        """Return whether ``data`` is that very object, so that it need not be hashed each time."""
        return data is self._zeros

    @cached_property
    def zero_id(self) -> ID:
        """ID of the chunk of zeros."""
        return hash_of(self.zero_chunk())

    def chunker(self) -> Chunker:
        """Return a chunker for one file."""
        return Chunker(self._cutter, self.zero_chunk)


def _immutable(data: Buffer) -> bool:
    return isinstance(data.obj if isinstance(data, memoryview) else data, bytes)
