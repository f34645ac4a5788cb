"""Leases: one worker at a time does one thing, and another may go on with it once the first is dead.

A worker takes the lease of a subject by creating ``records/<kind>/<subject>/<attempt>-claim.json``, which the backend
does for one of several workers only. While it works it writes ``<attempt>-beat.json`` again and again; at the end it
writes ``<attempt>-end.json``. When the heart has not beaten for the lease time, or the worker was a process of this
computer that is no more, it is taken for dead and the next one may create the claim of the next attempt; should the
first live after all, it notices that at its next beat.

Clocks of workers may differ by less than the lease. What must hold where they differ by more needs more than a lease.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from types import TracebackType
from typing import Any, Final, Self

from tasks.errors import BackendError, FirstbellError, TakenOver
from tasks.records.model import Record
from tasks.records.store import FOLDER, RecordStore
from tasks.repository.owner import host_name, is_running

LEASE: Final = timedelta(minutes=5)

_PART: Final = re.compile(r"(\d{6})-(claim|beat|end)\.json")


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last attempt at a subject: its number (0 when there was none) and which of its files are there."""

    number: int = 0
    parts: frozenset[str] = field(default_factory=frozenset)


def last_attempt(store: RecordStore, kind: str, subject: str) -> Attempt:
    """Return the last attempt at a subject."""
    prefix = f"{FOLDER}{kind}/{subject}/"
    attempts: dict[int, set[str]] = {}
    for info in store.backend.list(prefix):
        match = _PART.fullmatch(info.name.removeprefix(prefix))
        if match:
            attempts.setdefault(int(match[1]), set()).add(match[2])
    last = max((number for number, parts in attempts.items() if "claim" in parts), default=0)
    return Attempt(last, frozenset(attempts.get(last, set())))


def last_sign(store: RecordStore, kind: str, subject: str, attempt: Attempt) -> Record | None:
    """Return the last sign of life of an attempt."""
    for part in ("beat", "claim"):
        record = store.load(part_name(kind, subject, attempt.number, part)) if part in attempt.parts else None
        if record is not None:
            return record
    return None


def is_alive(store: RecordStore, sign: Record | None, lease: timedelta) -> bool:
    """Return whether the worker that gave a sign of life counts as alive still."""
    return sign is not None and store.clock() - sign.time < lease and not _has_ended(sign)


def part_name(kind: str, subject: str, attempt: int, part: str) -> str:
    """Return the name of one file of an attempt, below ``records/``."""
    return f"{kind}/{subject}/{attempt:06d}-{part}.json"


def take_lease(store: RecordStore, kind: str, subject: str, *, lease: timedelta = LEASE) -> Lease | None:
    """Return the lease of a subject, or None while another worker has it."""
    last = last_attempt(store, kind, subject)
    if last.number and "end" not in last.parts and is_alive(store, last_sign(store, kind, subject, last), lease):
        return None
    taken = Lease(store, kind, subject, last.number + 1, lease)
    return taken if taken.take() else None


class Lease:
    """The right to do one thing, for as long as its heart beats. As a context manager it beats by itself."""

    def __init__(self, store: RecordStore, kind: str, subject: str, attempt: int, lease: timedelta) -> None:
        self.attempt = attempt
        self._kind = kind
        self._subject = subject
        self._store = store
        self._lease = lease
        self._holder = secrets.token_hex(8)
        self._last_beat = store.clock()
        self._lost = False
        self._ended = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def lost(self) -> bool:
        """Return whether another worker has taken over, or may have."""
        return self._lost

    def take(self) -> bool:
        """Create the claim; False when another worker did."""
        try:
            self._store.save(self._name("claim"), self._record(), overwrite=False)
        except FileExistsError:
            # Or it is our own, and only the answer to its first attempt was lost.
            found = self._store.load(self._name("claim"))
            return found is not None and found.id == self._holder
        return True

    def beat(self) -> bool:
        """Show that the work goes on; False, now and from now on, when another worker has taken over."""
        if self._lost or self._ended:
            return not self._lost
        now = self._store.clock()
        try:
            if self._store.load(part_name(self._kind, self._subject, self.attempt + 1, "claim")) is not None:
                self._lost = True
                return False
            self._store.save(self._name("beat"), self._record(), overwrite=True)
        except BackendError:
            # The store may come back before the lease is over.
            self._lost = now - self._last_beat >= self._lease
            return not self._lost
        self._last_beat = now
        return True

    def check(self) -> None:
        """Raise when another worker has taken over."""
        if self._lost or (self._store.clock() - self._last_beat >= self._lease and not self.beat()):
            raise self._overtaken()

    def release(self) -> None:
        """Let others work on it at once; what the attempt before left behind is removed."""
        self._end({"state": "released"})
        for part in ("claim", "beat", "end") if self.attempt > 1 else ():
            with contextlib.suppress(BackendError):
                self._store.backend.remove(FOLDER + part_name(self._kind, self._subject, self.attempt - 1, part))

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._keep_beating, name="firstbell-lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if not self._ended:
            # A store that is gone must not hide what went wrong; and nobody waits for longer than the lease.
            with contextlib.suppress(BackendError):
                self._close(error)

    def _close(self, error: BaseException | None) -> None:
        self.release()

    def _overtaken(self) -> FirstbellError:
        return TakenOver("another worker goes on with this", hint="This one was out of reach for too long.")

    def _keep_beating(self) -> None:
        while not self._stop.wait(self._lease.total_seconds() / 4):
            if not self.beat():
                return

    def _end(self, data: Mapping[str, Any]) -> None:
        if self._ended:
            raise ValueError("the lease has ended already")
        self._ended = True
        self._stop.set()
        with contextlib.suppress(FileExistsError):
            self._store.save(self._name("end"), self._record(data), overwrite=False)

    def _record(self, data: Mapping[str, Any] | None = None) -> Record:
        by = {"computer": host_name(), "process": os.getpid()}
        return Record(self._kind, self._holder, self._store.clock().astimezone(UTC), {**by, **(data or {})})

    def _name(self, part: str) -> str:
        return part_name(self._kind, self._subject, self.attempt, part)


def _has_ended(record: Record) -> bool:
    """Return whether the worker was a process of this computer that is no more: then nobody waits for the lease."""
    process = record.data.get("process")
    return isinstance(process, int) and record.data.get("computer") == host_name() and not is_running(process)
