"""Load blobs: one, or many in order with neighbours of a pack joined into one range read and read ahead on threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
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
from tasks.repository.read_plan import Loaded, ReadPlan, Run, Wanted

_THREADS: Final = 6
#: More is read ahead when so much of what was read is used up, in bytes: not for each small blob.
_FREED: Final = 256 * 1024
#: Trees are small and lie in the order of the walk, so they are read by blocks, and some blocks are kept, in bytes.
_BLOCK: Final = 512 * 1024
_BLOCKS: Final = 32


class Reading(Iterator[bytes]):
    """Blobs in the order asked; reading ahead begins at once. It ends with the first blob that cannot be had."""

    def __init__(
        self,
        plan: ReadPlan,
        window: int,
        begin: Callable[[Run], Future[list[Loaded]]],
        not_found: Callable[[ID], NotFound],
    ) -> None:
        self._plan = plan
        self._window = window
        self._begin = begin
        self._not_found = not_found
        self._under_way: dict[Run, Future[list[Loaded]]] = {}
        self._held = 0
        #: Bytes of it that were given back since it was last looked whether more can be read.
        self._freed = 0
        self._closed = False
        self._read_ahead()

    def __next__(self) -> bytes:
        """Return the next blob. Raises ``NotFound`` or ``Damaged``, or what the backend raises."""
        if self._closed:
            raise StopIteration
        try:
            return self._next()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give up reading ahead."""
        self._closed = True
        for future in self._under_way.values():
            future.cancel()
        self._under_way.clear()

    def _next(self) -> bytes:
        if self._freed >= _FREED:
            self._read_ahead()
        due = self._plan.next_blob()
        if due is None:
            self._read_ahead()
            due = self._plan.next_blob()
            if due is None:
                raise StopIteration
        id_, wanted = due
        content = self._not_found(id_) if wanted is None else self._content(wanted)
        if isinstance(content, (Damaged, NotFound)):
            raise content
        return content

    def _content(self, wanted: Wanted) -> Loaded:
        if wanted.content is None:
            if wanted.run.key is not None:
                self._read(self._plan.close(wanted.run))
            run = wanted.run
            # Not kept by the future: each content is let go once the caller has gone on.
            for one, loaded in zip(run.wanted, self._under_way.pop(run).result(), strict=True):
                one.content = loaded
            self._held -= run.stored
            self._freed += run.stored
        content: Loaded | None = wanted.content
        if content is None:
            raise RuntimeError("a run did not bring a blob that it was planned for")
        if not wanted.times:
            wanted.content = None
            self._held -= wanted.size
            self._freed += wanted.size
        return content

    def _read_ahead(self) -> None:
        self._freed = 0
        self._plan.extend()
        while (run := self._plan.next_run(self._window - self._held)) is not None:
            self._read(run)
            self._plan.extend()

    def _read(self, run: Run) -> None:
        for part in run.ranges():
            self._under_way[part] = self._begin(part)
            self._held += part.weight


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

    def iterate(self, ids: Sequence[ID], window: int, *, hashed: bool = True) -> Reading:
        """Return blobs in the order asked, holding about ``window`` bytes in memory; see ``Repository.iter_blobs``."""
        return Reading(ReadPlan(self._index, ids), window, partial(self._begin, hashed=hashed), self._not_found)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self, run: Run, hashed: bool) -> Future[list[Loaded]]:
        return self._pool.submit(self._load_run, run, hashed)

    def _load_run(self, run: Run, hashed: bool) -> list[Loaded]:
        try:
            data = memoryview(self._read(run.pack, run.start, run.stored))
            return [
                self._open(Place(run.pack, blob, 0), data[blob.offset - run.start :][: blob.length], hashed)
                for blob in (wanted.blob for wanted in run.wanted)
            ]
        except Damaged:
            # One by one: then only those are lost that are damaged, and another copy serves where there is one.
            return [self._load_alone(wanted.blob.id) for wanted in run.wanted]

    def _load_alone(self, id_: ID) -> Loaded:
        try:
            return self.load(None, id_)
        except (Damaged, NotFound) as error:
            return error

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
