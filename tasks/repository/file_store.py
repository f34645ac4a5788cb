"""Sealed files of a repository (all but packs): saved under the hash of what is stored, checked when loaded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from tasks.backends.base import Backend, Buffer
from tasks.errors import Damaged, NotFound
from tasks.repository.compression import Zstd
from tasks.repository.crypto import Key, NotAuthentic
from tasks.repository.file_type import FileType
from tasks.repository.ids import ID, hash_of, short

_T = TypeVar("_T")

#: What to do about a damaged file, for people.
CHECK_HINT: Final = "Run `firstbell check` to see all damage; docs/errors.md says how to repair it."
#: Small files are fetched by so many threads: the time goes to the way there and back.
_PARALLEL: Final = 8


def damaged(what: str, why: object, hint: str = CHECK_HINT) -> Damaged:
    """Return the error for a file or blob that is not what it should be."""
    return Damaged(f"{what} is damaged: {why}", hint=hint)


class FileStore:
    """Loads and saves sealed files through a backend. Thread-safe."""

    def __init__(self, backend: Backend, key: Key, *, version: int, zstd: Zstd) -> None:
        self._backend = backend
        self._key = key
        self._version = version
        self._zstd = zstd

    def save(self, kind: FileType, data: Buffer) -> ID:
        """Store a file and return its ID."""
        sealed = self._key.seal(data if self._version == 1 else self._zstd.wrap_file(data))
        id_ = hash_of(sealed)
        self._backend.save(kind.name_of(id_), sealed)
        return id_

    def load(self, kind: FileType, id_: ID) -> bytes:
        """Return the content of a file. Raises ``Damaged`` or ``NotFound``."""
        sealed = self._backend.load(kind.name_of(id_))
        what = f"{self._backend.location}: {kind.value}/{short(id_)}"
        if hash_of(sealed) != id_:
            raise damaged(what, f"its {len(sealed)} bytes have another hash than its name says")
        try:
            return self._zstd.unwrap_file(self._key.open(sealed))
        except (NotAuthentic, ValueError) as error:
            raise damaged(what, error) from error

    def remove(self, kind: FileType, id_: ID) -> None:
        """Remove a file; one that is not there is no error."""
        self._backend.remove(kind.name_of(id_))

    def ids(self, kind: FileType) -> list[ID]:
        """Return the IDs of all files of a kind."""
        found = ((kind.id_of(info.name), info.size) for info in self._backend.list(kind.prefix))
        # An empty lock is no lock: some stores show a file before its content (restic ignores it, too).
        return [id_ for id_, size in found if id_ is not None and (size or kind is not FileType.LOCK)]

    def load_all(
        self, kind: FileType, ids: Iterable[ID], decode: Callable[[bytes, ID], _T], *, ignore_missing: bool = False
    ) -> Iterator[_T]:
        """Yield the decoded files in the order of ``ids``, fetched in parallel.

        ``decode`` runs in the caller's thread and may raise ``ValueError``, which becomes ``Damaged``. With
        ``ignore_missing`` a file that was removed in the meantime is left out.
        """
        waiting = deque(ids)
        running: deque[tuple[ID, Future[bytes]]] = deque()
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="firstbell-load") as pool:
            try:
                while waiting or running:
                    # Only a few at a time: index files are megabytes, and there may be hundreds.
                    while waiting and len(running) < _PARALLEL:
                        running.append((waiting[0], pool.submit(self.load, kind, waiting.popleft())))
                    id_, future = running.popleft()
                    try:
                        data = future.result()
                    except NotFound:
                        if ignore_missing:
                            continue
                        raise
                    try:
                        item = decode(data, id_)
                    except ValueError as error:
                        raise damaged(f"{self._backend.location}: {kind.value}/{short(id_)}", error) from error
                    yield item
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
