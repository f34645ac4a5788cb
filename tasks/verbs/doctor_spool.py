"""Whether a host reaches the spool: ``doctor`` has it send and take a little that is too large for the link itself."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final

from tasks.backends.base import Buffer
from tasks.backends.spool import SpoolStore
from tasks.errors import FirstbellError
from tasks.remote.filesystem import RemoteHost
from tasks.verbs.check import Check

#: So many rows of one folder make an answer of about 130 KB: it goes through the spool.
_ROWS: Final = [b"/C/Windows"] * 1000
#: So many paths of something that is not there make a question of as much.
_PATHS: Final = [b"/C/firstbell is not there/" + b"%0100d" % number for number in range(1000)]
#: What has arrived is discarded in the background, in seconds at the most.
_DISCARDED: Final = 15.0


class WatchedSpool:
    """A spool that counts what passes. Threads may share it."""

    def __init__(self, store: SpoolStore) -> None:
        self._store = store
        self.location = store.location
        self._changed = threading.Condition()
        #: Objects that the host has put and we have taken; that we have put for it.
        self.taken = self.given = 0
        self._there: set[str] = set()

    def offer_put(self, name: str) -> str:
        """Pass it on."""
        return self._store.offer_put(name)

    def offer_get(self, name: str) -> str:
        """Pass it on."""
        return self._store.offer_get(name)

    def put(self, name: str, data: Buffer) -> None:
        """Store an object, and count it."""
        with self._changed:
            self._there.add(name)
        self._store.put(name, data)
        with self._changed:
            self.given += 1

    def take(self, name: str) -> bytes:
        """Return an object, and count it."""
        content = self._store.take(name)
        with self._changed:
            self.taken += 1
            self._there.add(name)
        return content

    def discard(self, name: str) -> None:
        """Remove an object."""
        self._store.discard(name)
        with self._changed:
            self._there.discard(name)
            self._changed.notify_all()

    def list(self, older_than: float) -> Iterator[str]:
        """Pass it on."""
        return self._store.list(older_than)

    def left(self, timeout: float) -> int:
        """Return how many objects are still there, at the latest after ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._there, timeout)
            return len(self._there)


class SpoolTrial:
    """Tries the spool of one link: ``watch`` is for ``connect``, ``run`` sends, ``check`` tells how it went."""

    def __init__(self) -> None:
        self.spool: WatchedSpool | None = None
        #: What the link says when the host cannot use the spool.
        self.notes: list[str] = []
        self._seconds = 0.0

    def watch(self, store: SpoolStore) -> SpoolStore:
        """Return ``store``, watched."""
        self.spool = WatchedSpool(store)
        return self.spool

    def run(self, remote: RemoteHost) -> None:
        """Have the host answer, and be asked, at such a length that it goes through the spool."""
        if self.spool is None:
            return
        started = time.monotonic()
        with contextlib.suppress(FirstbellError):  # a broken link is told elsewhere, a broken spool by the notes
            remote.sink().stat(_ROWS)
            remote.sink().stat(_PATHS)
        self._seconds = time.monotonic() - started

    def check(self) -> Check:
        """Return the line, once the link is closed."""
        if self.spool is None:
            return Check(
                "spool",
                "warn",
                "there is none: all content goes through WinRM itself, which is slow",
                "Set 'spool.location' in the configuration to a place in a bucket that holds nothing else.",
            )
        if self.notes:
            return Check(
                "spool",
                "fail",
                self.notes[0],
                "Can that computer open the store's address? 'spool.public_endpoint' is its name there, 'spool.proxy' "
                "the way; its clock and the certificates that it trusts matter, too: docs/windows.md, section 6.",
            )
        if not self.spool.taken or not self.spool.given:
            ways = [name for name, count in (("PUT", self.spool.taken), ("GET", self.spool.given)) if not count]
            return Check(
                "spool",
                "warn",
                f"not known: nothing went through it by {' and '.join(ways)}",
                "Please report this line.",
            )
        if left := self.spool.left(_DISCARDED):
            return Check(
                "spool",
                "warn",
                f"the computer reaches {self.spool.location}, but {left} objects could not be removed",
                "Allow the worker's account to delete objects there.",
            )
        return Check(
            "spool",
            "ok",
            f"the computer puts and gets objects of {self.spool.location} ({self._seconds:.1f} s); all removed",
        )
