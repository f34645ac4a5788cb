"""Files in the memory of this process: for tests, and for trying things out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from tasks.backends.base import Backend, Buffer, FileInfo, check_name
from tasks.backends.names import check_prefix, check_range, resolve_range
from tasks.errors import BackendError, NotFound

#: ``memory:name`` means the same files wherever this process opens it, as a directory would. Memory belongs to the
#: process, and so does this table; nothing but ``open_location`` uses it.
_STORES: Final[dict[str, MemoryBackend]] = {}
_STORES_LOCK: Final = threading.Lock()


def open_location(rest: str, options: object, connections: int) -> MemoryBackend:
    """Return an open backend on the files of ``memory:<rest>``."""
    with _STORES_LOCK:
        store = _STORES.setdefault(rest, MemoryBackend(f"memory:{rest}"))
    return store.share()


class MemoryBackend(Backend):
    """A backend that keeps every file as ``bytes``; gone when it is."""

    def __init__(self, location: str = "memory:") -> None:
        self.location = location
        self._lock = threading.Lock()
        self._files: dict[str, bytes] = {}
        self._closed = False

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        """Store a copy of ``data``."""
        check_name(name)
        content = bytes(data)
        with self._lock:
            self._check_open()
            if not overwrite and name in self._files:
                raise FileExistsError(name)
            self._files[name] = content

    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return the bytes asked for."""
        check_range(offset, length)
        content = self._find(name)
        start, count = resolve_range(name, len(content), offset, length)
        return content[start : start + count]

    def stat(self, name: str) -> FileInfo:
        """Return the size of a file."""
        return FileInfo(name, len(self._find(name)))

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        """Yield the files as they were when this was called."""
        check_prefix(prefix)
        with self._lock:
            self._check_open()
            found = [FileInfo(name, len(data)) for name, data in self._files.items() if name.startswith(prefix)]
        return iter(found)

    def remove(self, name: str) -> None:
        """Forget a file."""
        check_name(name)
        with self._lock:
            self._check_open()
            self._files.pop(name, None)

    def close(self) -> None:
        """Refuse further calls; the files stay for whoever holds them through ``share``."""
        self._closed = True

    def is_transient(self, error: BaseException) -> bool:
        """Nothing in memory gets better by waiting."""
        return False

    def share(self) -> MemoryBackend:
        """Return another, open backend on the same files, as if the location were opened once more."""
        other = MemoryBackend(self.location)
        other._lock = self._lock
        other._files = self._files
        return other

    def _find(self, name: str) -> bytes:
        check_name(name)
        with self._lock:
            self._check_open()
            try:
                return self._files[name]
            except KeyError:
                raise NotFound(f"{self.location}: no file {name}") from None

    def _check_open(self) -> None:
        if self._closed:
            raise BackendError(f"{self.location}: the backend is closed")
