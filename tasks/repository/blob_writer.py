"""Save blobs: each once, whoever brings it, in packs that an index file lists soon after.

A blob goes through: *claimed* by the thread that seals it, *pending* in a pack that is not stored yet, *unindexed* in
a stored pack, *listed* in a stored index file. ``flush`` takes everything to the end of that way. A pack whose upload
failed stays in memory and is tried again by the next flush; until then nothing more is taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from tasks.backends.base import Backend, Buffer
from tasks.errors import BackendError, FirstbellError, RepositoryError
from tasks.repository.blob import BlobType, SavedBlob
from tasks.repository.compression import Zstd
from tasks.repository.crypto import Key
from tasks.repository.file_store import FileStore
from tasks.repository.file_type import FileType
from tasks.repository.ids import ID
from tasks.repository.index import Index
from tasks.repository.index_file import IndexedPack, encode_index
from tasks.repository.packer import Pack, PackUploader

_log = logging.getLogger(__name__)

#: An index file is written once so many blobs wait for it (restic's limit).
INDEX_BLOBS: Final = 50_000
#: Or after this share of the run so far, but at least and at most so many seconds: what a cut-off run loses is what no
#: index lists, and a fixed short time would leave hundreds of index files of a long run.
_INDEX_SHARE: Final = 0.2
_INDEX_MIN: Final = 1.0
_INDEX_MAX: Final = 300.0
#: Seconds after a failed upload before a saver tries again instead of failing at once.
_TRY_AGAIN: Final = 30.0
#: Waits look up this often, in seconds, so that none is endless.
_LOOK: Final = 60.0

_Handle = tuple[BlobType, ID]


class BlobWriter:
    """The writing half of a repository. Thread-safe."""

    def __init__(
        self,
        backend: Backend,
        files: FileStore,
        key: Key,
        index: Index,
        zstd: Zstd,
        *,
        version: int,
        check_locks: Callable[[], None],
    ) -> None:
        self._files = files
        self._key = key
        self._index = index
        self._zstd = zstd
        self._compress = version > 1
        self._check_locks = check_locks
        self._uploader = PackUploader(backend, key, self._uploaded)
        self._state = threading.Condition()
        self._claims: set[_Handle] = set()
        self._pending: dict[_Handle, int] = {}
        self._open: dict[BlobType, Pack] = {}
        self._uploading: set[Pack] = set()
        self._failed: list[Pack] = []
        self._failed_at = 0.0
        self._unindexed: list[IndexedPack] = []
        self._index_writing = threading.Lock()
        self._began = self._indexed_at = time.monotonic()

    def save(self, kind: BlobType, data: Buffer, id_: ID) -> SavedBlob:
        """Take a blob; see ``Repository.save_blob``."""
        # Before a pack goes up, the last look for others must be over.
        self._check_locks()
        handle = (kind, id_)
        with self._state:
            retry = bool(self._failed) and time.monotonic() - self._failed_at > _TRY_AGAIN
        if retry:
            self._upload_all()
        with self._state:
            while True:
                self._raise_failure()
                if handle in self._pending or self._index.has(kind, id_):
                    return SavedBlob(id_, known=True, stored=0)
                if handle not in self._claims:
                    break
                # Whoever seals it may still fail; then it is ours.
                self._state.wait(_LOOK)
            self._claims.add(handle)
        try:
            sealed, uncompressed = self._seal(kind, data)
            self._append(handle, sealed, uncompressed, len(data))
        finally:
            with self._state:
                self._claims.discard(handle)
                self._state.notify_all()
        return SavedBlob(id_, known=False, stored=len(sealed))

    def pending_length(self, kind: BlobType | None, id_: ID) -> int | None:
        """Return the plain length of a blob that is taken but not stored, or None."""
        with self._state:
            for candidate in (kind,) if kind else BlobType:
                length = self._pending.get((candidate, id_))
                if length is not None:
                    return length
        return None

    @property
    def is_clean(self) -> bool:
        """Whether everything that was taken is stored and listed."""
        with self._state:
            return not (self._pending or self._unindexed or self._failed)

    def flush(self) -> None:
        """Store and list everything taken so far; raises when that fails, and may be called again then."""
        self._upload_all()
        with self._state:
            self._raise_failure()
        self._write_index()

    def settle(self) -> None:
        """Flush at the end of a run; does not try again what failed, for that took its time already."""
        with self._state:
            self._raise_failure()
        if not self.is_clean:
            self.flush()

    def close(self) -> None:
        """Wait for uploads under way; what was not flushed is given up."""
        self._uploader.close()

    def _seal(self, kind: BlobType, data: Buffer) -> tuple[bytearray, int]:
        if self._compress:
            compressed = self._zstd.compress(data)
            # Trees are always compressed: the stock prune repacks version 2 trees that are not.
            if len(compressed) < len(data) or kind is BlobType.TREE:
                return self._key.seal(compressed), len(data)
        return self._key.seal(data), 0

    def _append(self, handle: _Handle, sealed: bytearray, uncompressed: int, plain_length: int) -> None:
        kind, id_ = handle
        full = None
        with self._state:
            pack = self._open.get(kind)
            if pack is None:
                pack = self._open[kind] = Pack()
            pack.add(kind, id_, sealed, uncompressed)
            self._pending[handle] = plain_length
            if pack.is_full:
                full = self._open.pop(kind)
                self._uploading.add(full)
        if full:
            self._uploader.submit([full])

    def _upload_all(self) -> None:
        with self._state:
            packs = [*self._failed, *self._open.values()]
            self._failed.clear()
            self._open.clear()
            self._uploading.update(packs)
            waiting = set(self._uploading)
        self._uploader.submit(packs)
        with self._state:
            while waiting & self._uploading:
                self._state.wait(_LOOK)

    def _uploaded(self, pack: Pack) -> None:
        """Take note of an upload; runs in the thread that made it."""
        with self._state:
            self._uploading.discard(pack)
            if pack.error is not None:
                self._failed.append(pack)
                self._failed_at = time.monotonic()
            else:
                self._index.add(pack.id, pack.blobs)
                for blob in pack.blobs:
                    self._pending.pop((blob.type, blob.id), None)
                self._unindexed.append(IndexedPack(pack.id, pack.blobs))
            self._state.notify_all()
            due = self._is_index_due()
        if due and not self._index_writing.locked():
            try:
                self._write_index()
            except FirstbellError as error:
                # It stays unindexed, so the next flush tries again and raises.
                _log.warning("an index file could not be stored yet: %s", error)

    def _is_index_due(self) -> bool:
        now = time.monotonic()
        pause = min(max((now - self._began) * _INDEX_SHARE, _INDEX_MIN), _INDEX_MAX)
        return sum(len(pack.blobs) for pack in self._unindexed) >= INDEX_BLOBS or now - self._indexed_at >= pause

    def _write_index(self) -> None:
        with self._index_writing:
            with self._state:
                packs = list(self._unindexed)
                self._indexed_at = time.monotonic()
            while packs:
                # Packs that somebody's prune may have removed must not be listed.
                self._check_locks()
                count = _group_size(packs)
                self._files.save(FileType.INDEX, encode_index(packs[:count]))
                del packs[:count]
                with self._state:
                    # Only now: who asks meanwhile whether all is listed must hear no. Others only append.
                    del self._unindexed[:count]

    def _raise_failure(self) -> None:
        if not self._failed:
            return
        cause = self._failed[0].error
        message = f"a pack could not be stored: {cause}"
        hint = "Nothing that was stored before is lost; run it again once the store can be written to."
        if isinstance(cause, BackendError):
            raise type(cause)(message, hint=cause.hint or hint) from cause
        raise RepositoryError(message, hint=hint) from cause


def _group_size(packs: list[IndexedPack]) -> int:
    """Return how many of the packs go into the next index file."""
    blobs = 0
    for count, pack in enumerate(packs, 1):
        blobs += len(pack.blobs)
        if blobs >= INDEX_BLOBS:
            return count
    return len(packs)
