"""One set of connections for all who use the same location at the same time, such as a link and a repository.

Making a client for S3 costs a tenth of a second of CPU, and its connections a handshake each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from tasks.backends.base import Backend, Buffer, FileInfo
from tasks.errors import BackendError


class SharedBackends:
    """The backends of one run that are in use, by location. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._used: dict[str, tuple[Backend, int]] = {}

    def open(self, location: str, make: Callable[[], Backend]) -> Backend:
        """Return the backend of a location; ``make`` is called when nobody else uses it. Each user closes its own."""
        with self._guard:
            backend, users = self._used.get(location) or (make(), 0)
            self._used[location] = (backend, users + 1)
        return SharedBackend(self, location, backend)

    def give_back(self, location: str) -> None:
        """Close the backend of a location when nobody uses it any more."""
        with self._guard:
            backend, users = self._used[location]
            if users > 1:
                self._used[location] = (backend, users - 1)
                return
            del self._used[location]
        backend.close()


class SharedBackend(Backend):
    """One user's part of a backend that others may use, too."""

    def __init__(self, pool: SharedBackends, location: str, backend: Backend) -> None:
        self.location = backend.location
        self._pool = pool
        self._key = location
        self._backend = backend
        self._open = True
        self._guard = threading.Lock()

    def ensure_location(self) -> None:
        """As the backend behind it."""
        self._inner().ensure_location()

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        """As the backend behind it."""
        self._inner().save(name, data, overwrite=overwrite)

    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """As the backend behind it."""
        return self._inner().load(name, offset=offset, length=length)

    def stat(self, name: str) -> FileInfo:
        """As the backend behind it."""
        return self._inner().stat(name)

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        """As the backend behind it."""
        return self._inner().list(prefix)

    def remove(self, name: str) -> None:
        """As the backend behind it."""
        self._inner().remove(name)

    def close(self) -> None:
        """Need it no longer; the last one who does closes the backend behind it."""
        with self._guard:
            was_open, self._open = self._open, False
        if was_open:
            self._pool.give_back(self._key)

    def is_transient(self, error: BaseException) -> bool:
        """As the backend behind it."""
        return self._backend.is_transient(error)

    def _inner(self) -> Backend:
        if not self._open:
            raise BackendError(f"{self.location}: closed")
        return self._backend
