"""Fill packs and upload them on a few threads; savers wait while all threads are busy, so memory is bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tasks.backends.base import Backend, Buffer
from tasks.repository.blob import BlobType
from tasks.repository.crypto import Key
from tasks.repository.file_type import FileType
from tasks.repository.ids import ID, hash_of
from tasks.repository.pack_file import PackedBlob, encode_header

#: A pack is closed once it has this many bytes (restic's default pack size).
PACK_SIZE: Final = 16 * 1024 * 1024
#: Or so many blobs: restic refuses headers above 16 MiB, and the index is easier on small packs.
PACK_BLOBS: Final = 10_000
#: Packs under way at the same time: each takes 16 to 24 MiB of memory.
UPLOADS: Final = 4


class Pack:
    """A pack that is being filled, then uploaded. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self.blobs: list[PackedBlob] = []
        self.id: ID = b""
        self.error: BaseException | None = None
        self._data: bytearray | bytes = bytearray()

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be added."""
        return len(self._data) >= PACK_SIZE or len(self.blobs) >= PACK_BLOBS

    def add(self, kind: BlobType, id_: ID, sealed: Buffer, uncompressed: int) -> None:
        """Append a sealed blob; ``uncompressed`` is its plain length if it is compressed, else 0."""
        self.blobs.append(PackedBlob(kind, id_, len(self._data), len(sealed), uncompressed))
        self._data += sealed

    def seal(self, key: Key) -> bytes:
        """Append the header, set ``id``, and return the file; done once however often it is called."""
        if not isinstance(self._data, bytes):
            # A bytearray has room to grow, and the store would copy it: this is the only copy that stays.
            self._data = b"".join((self._data, encode_header(self.blobs, key)))
            self.id = hash_of(self._data)
        return self._data


class PackUploader:
    """Uploads packs on threads and tells ``on_done`` in that thread; ``pack.error`` says whether it went well."""

    def __init__(self, backend: Backend, key: Key, on_done: Callable[[Pack], None]) -> None:
        self._backend = backend
        self._key = key
        self._on_done = on_done
        self._slots = threading.BoundedSemaphore(UPLOADS)
        self._pool = ThreadPoolExecutor(UPLOADS, thread_name_prefix="firstbell-pack")

    def submit(self, packs: Iterable[Pack]) -> None:
        """Upload packs; blocks while all threads are busy. Every pack ends in ``on_done``, whatever happens."""
        waiting = list(packs)
        try:
            while waiting:
                # An upload ends for certain: the backend has its own deadlines.
                self._slots.acquire()
                try:
                    self._pool.submit(self._run, waiting[0])
                except BaseException:
                    self._slots.release()
                    raise
                del waiting[0]
        except BaseException as error:
            for pack in waiting:
                pack.error = error
                self._on_done(pack)
            raise

    def close(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown(wait=True)

    def _run(self, pack: Pack) -> None:
        try:
            data = pack.seal(self._key)
            self._backend.save(FileType.PACK.name_of(pack.id), data)
            pack.error = None
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that flushes
            pack.error = error
        finally:
            self._slots.release()
            self._on_done(pack)
