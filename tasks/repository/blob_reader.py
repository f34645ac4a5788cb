"""Load blobs: one, or many in order with neighbours of a pack joined into one range read and read ahead on threads."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tasks.backends.base import Backend, Buffer
from tasks.errors import BackendError, Damaged, Denied, NotFound
from tasks.repository.blob import BlobType
from tasks.repository.compression import Zstd
from tasks.repository.crypto import Key, NotAuthentic
from tasks.repository.file_store import damaged
from tasks.repository.file_type import FileType
from tasks.repository.ids import ID, hash_of, short
from tasks.repository.index import Index, Place
from tasks.repository.pack_file import PackedBlob

#: Blobs of one pack with at most so many bytes between them are read as one range: reading on is cheaper than asking.
GAP: Final = 64 * 1024
#: Limits of one range read, in stored and in plain bytes.
_RUN_STORED: Final = 8 * 1024 * 1024
_RUN_PLAIN: Final = 16 * 1024 * 1024
_THREADS: Final = 6
#: Trees are small and lie in the order of the walk, so they are read by blocks, and some blocks are kept, in bytes.
_BLOCK: Final = 512 * 1024
_BLOCKS: Final = 32


@dataclass(slots=True)
class _Run:
    """Blobs of one pack that one range read brings, each with how often it is wanted in a row."""

    pack: ID
    blobs: list[PackedBlob] = field(default_factory=list)
    repeats: list[int] = field(default_factory=list)
    plain: int = 0

    @property
    def start(self) -> int:
        return self.blobs[0].offset

    @property
    def end(self) -> int:
        return self.blobs[-1].offset + self.blobs[-1].length

    @property
    def weight(self) -> int:
        """Bytes of memory that loading it takes."""
        return self.plain + self.end - self.start

    def add(self, blob: PackedBlob) -> None:
        self.blobs.append(blob)
        self.repeats.append(1)
        self.plain += blob.plain_length

    def takes(self, place: Place) -> bool:
        """Return whether a blob lies close behind what is in this run."""
        return (
            place.pack == self.pack
            and 0 <= place.blob.offset - self.end <= GAP
            and place.blob.offset + place.blob.length - self.start <= _RUN_STORED
            and self.plain + place.blob.plain_length <= _RUN_PLAIN
        )


class BlobReader:
    """The reading half of a repository. Thread-safe."""

    def __init__(self, backend: Backend, key: Key, index: Index, zstd: Zstd) -> None:
        self._backend = backend
        self._key = key
        self._index = index
        self._zstd = zstd
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="firstbell-read")
        self._blocks: OrderedDict[tuple[ID, int], bytes] = OrderedDict()
        self._blocks_guard = threading.Lock()

    def load(self, kind: BlobType | None, id_: ID) -> bytes:
        """Return a blob's content from the first place that has it whole. Raises ``NotFound`` or ``Damaged``."""
        problem: Damaged | None = None
        for place in self._index.find_all(kind, id_):
            try:
                if place.blob.type is BlobType.TREE:
                    return self._open(place, self._read_block(place))
                return self._open(place, self._read(place.pack, place.blob.offset, place.blob.length))
            except Damaged as error:
                problem = problem or error
        if problem:
            raise problem
        raise self._not_found(id_)

    def iterate(self, ids: Sequence[ID], window: int, *, hashed: bool = True) -> Generator[bytes]:
        """Yield blobs in the order asked, holding about ``window`` bytes in memory; see ``Repository.iter_blobs``."""
        runs = self._runs(ids)
        following = next(runs, None)
        running: deque[tuple[_Run, Future[list[bytes]]]] = deque()
        held = 0
        try:
            while following or running:
                while following and (not running or held + following.weight <= window):
                    held += following.weight
                    running.append((following, self._pool.submit(self._load_run, following, hashed)))
                    following = next(runs, None)
                run, future = running.popleft()
                contents = future.result()
                # Not kept by the future: each content is let go once the caller has gone on.
                del future
                for position, repeat in enumerate(run.repeats):
                    content, contents[position] = contents[position], b""
                    for _ in range(repeat):
                        yield content
                    del content
                held -= run.weight
        finally:
            for _, future in running:
                future.cancel()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _runs(self, ids: Sequence[ID]) -> Iterator[_Run]:
        run: _Run | None = None
        for id_ in ids:
            if run and run.blobs[-1].id == id_:
                run.repeats[-1] += 1
                continue
            place = self._index.find(None, id_)
            if place is None:
                raise self._not_found(id_)
            if run and not run.takes(place):
                yield run
                run = None
            if run is None:
                run = _Run(place.pack)
            run.add(place.blob)
        if run:
            yield run

    def _load_run(self, run: _Run, hashed: bool) -> list[bytes]:
        try:
            data = memoryview(self._read(run.pack, run.start, run.end - run.start))
            return [
                self._open(
                    Place(run.pack, blob, 0),
                    data[blob.offset - run.start : blob.offset - run.start + blob.length],
                    hashed,
                )
                for blob in run.blobs
            ]
        except Damaged:
            # One by one: then the error names the blob, and another copy serves where there is one.
            return [self.load(None, blob.id) for blob in run.blobs]

    def _open(self, place: Place, sealed: Buffer, hashed: bool = True) -> bytes:
        blob = place.blob
        try:
            plain = self._key.open(sealed)
            if blob.uncompressed:
                plain = self._zstd.decompress(plain, blob.uncompressed)
        except (NotAuthentic, ValueError) as error:
            raise self._damaged(place, error) from error
        if hashed and hash_of(plain) != blob.id:
            raise self._damaged(place, "its content has another hash")
        return plain

    def _read(self, pack: ID, offset: int, length: int) -> bytes:
        try:
            return self._backend.load(FileType.PACK.name_of(pack), offset=offset, length=length)
        except NotFound as error:
            raise damaged(f"{self._backend.location}: pack {short(pack)}", "the file is missing") from error
        except BackendError as error:
            if error.transient or isinstance(error, Denied) or self._backend.is_transient(error):
                raise
            raise damaged(f"{self._backend.location}: pack {short(pack)}", error) from error

    def _read_block(self, place: Place) -> Buffer:
        """Return a sealed tree blob by way of the block that it lies in."""
        start, length = place.blob.offset, place.blob.length
        first, last = start // _BLOCK, (start + length - 1) // _BLOCK
        if last - first > 1:
            return self._read(place.pack, start, length)
        try:
            data = b"".join(self._block(place, number) for number in range(first, last + 1))
        except Damaged:
            # A pack that was cut short: the blob may still be there.
            return self._read(place.pack, start, length)
        return memoryview(data)[start - first * _BLOCK :][:length]

    def _block(self, place: Place, number: int) -> bytes:
        name = (place.pack, number)
        with self._blocks_guard:
            block = self._blocks.get(name)
            if block is not None:
                self._blocks.move_to_end(name)
        end = min((number + 1) * _BLOCK, place.pack_end)
        # A pack that grew in the index since has a longer last block now.
        if block is None or len(block) < end - number * _BLOCK:
            block = self._read(place.pack, number * _BLOCK, end - number * _BLOCK)
            with self._blocks_guard:
                self._blocks[name] = block
                while len(self._blocks) > _BLOCKS:
                    self._blocks.popitem(last=False)
        return block

    def _damaged(self, place: Place, why: object) -> Damaged:
        pack = f"{self._backend.location}: pack {short(place.pack)}"
        return damaged(f"{pack}, {place.blob.type.value} blob {short(place.blob.id)} at {place.blob.offset}", why)

    def _not_found(self, id_: ID) -> NotFound:
        return NotFound(
            f"{self._backend.location}: no index lists blob {short(id_)}",
            hint="Run `firstbell check`; if an index file was lost, `restic repair index` (or rebuild-index) finds it.",
        )
