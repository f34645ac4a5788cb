"""The worker's side of the spool: large pieces of an envelope's byte stream as sealed objects in a ``SpoolStore``.

Segments of the host lie there because it has put them, under URLs that this side offered; they are fetched ahead,
checked, and discarded. Segments for the host are sealed and put from here. Each host run has a prefix and a key of its
own, and numbers each direction from 1, so no name is ever used twice.
"""

from __future__ import annotations

import contextlib
import datetime
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, NamedTuple

from tasks.backends.spool import SpoolStore
from tasks.errors import FirstbellError, ProtocolError
from tasks.remote.channels.segment import FROM_HELPER, FROM_WORKER, SegmentSeal

#: Segments under way at once, each direction, and connections in use.
THREADS: Final = 4
#: Offers ahead of what has been taken: they bound what a host may have in the spool.
OFFERED: Final = 8
#: What a close spends on clearing up, in seconds; the sweep does the rest.
_GRACE: Final = 5.0


class Stored(NamedTuple):
    """A segment for the host: its size in the spool, and where the host gets it."""

    size: int
    url: str


class HostSpool:
    """The spool of one host run. Threads may share it."""

    def __init__(self, store: SpoolStore, key: bytes) -> None:
        self._store = store
        self._seal = SegmentSeal(key)
        self._prefix = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(12)}"
        self._pool = ThreadPoolExecutor(THREADS, "spool")
        self._lock = threading.Lock()
        #: What may lie in the spool.
        self._names: set[str] = set()
        #: What is being stored: what is removed before that has ended comes to lie there afterwards.
        self._puts: set[Future[Stored]] = set()
        self._closed = False

    def offer(self, number: int) -> str:
        """Return the URL where the host is to put its segment ``number``."""
        return self._store.offer_put(self._name(FROM_HELPER, number))

    def offer_again(self, number: int) -> str:
        """Return a fresh URL where the host gets segment ``number`` of ours."""
        return self._store.offer_get(self._name(FROM_WORKER, number))

    def fetch(self, number: int, size: int, plain: int) -> Future[bytes]:
        """Begin to take a segment of the host; its content is the result."""
        return self._pool.submit(self._fetch, number, size, plain)

    def _fetch(self, number: int, size: int, plain: int) -> bytes:
        name = self._name(FROM_HELPER, number)
        sealed = self._store.take(name)
        if len(sealed) != size:
            raise ProtocolError(f"spool segment {number} has {len(sealed)} bytes where the helper has put {size}")
        content = self._seal.open(number, FROM_HELPER, sealed, plain)
        self._submit(lambda: self._discard(name))
        return content

    def store(self, number: int, content: bytes) -> Future[Stored]:
        """Begin to store a segment for the host."""
        put = self._pool.submit(self._put, number, content)
        with self._lock:
            self._puts.add(put)
        put.add_done_callback(self._forget)
        return put

    def _forget(self, put: Future[Stored]) -> None:
        with self._lock:
            self._puts.discard(put)

    def _put(self, number: int, content: bytes) -> Stored:
        sealed = self._seal.seal(number, FROM_WORKER, content)
        name = self._name(FROM_WORKER, number)
        try:
            self._store.put(name, sealed)
        finally:
            if self._closed:
                self._discard(name)
        return Stored(len(sealed), self._store.offer_get(name))

    def discard(self, number: int) -> None:
        """Remove a segment for the host, which has it now; without waiting."""
        name = self._name(FROM_WORKER, number)
        self._submit(lambda: self._discard(name))

    def close(self) -> None:
        """Give up what is under way and remove what may be left, as far as that is quick."""
        pool, self._pool = self._pool, ThreadPoolExecutor(THREADS, "spool")
        self._closed = True
        pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            left, puts = list(self._names), list(self._puts)
        wait(puts, _GRACE)
        wait([self._pool.submit(self._discard, name) for name in left], _GRACE)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _name(self, direction: int, number: int) -> str:
        name = f"{self._prefix}/{'from-worker' if direction == FROM_WORKER else 'from-host'}-{number:08d}"
        with self._lock:
            self._names.add(name)
        return name

    def _discard(self, name: str) -> None:
        # What is not removed now, the sweep finds.
        with contextlib.suppress(FirstbellError):
            self._store.discard(name)
            with self._lock:
                self._names.discard(name)

    def _submit(self, action: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # closed meanwhile: that clears up, too
            self._pool.submit(action)
