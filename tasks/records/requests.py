"""Restore requests: the same request twice, or on two workers at once, is carried out once.

A worker *claims* a request by creating ``records/restore-claim/<digest>/<attempt>-claim.json``, which the backend does
for one of several workers only. While it works it writes ``<attempt>-beat.json`` again and again; at the end it writes
``<attempt>-end.json``. When the heart has not beaten for the lease time, or the worker was a process of this computer
that is no more, it is taken for dead and the next one may create the claim of the next attempt; should the first live
after all, it notices that at its next beat.

Clocks of workers may differ by less than the lease. Nothing is lost where they differ by more: a restore that runs
twice finds its own files there already.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, timedelta
from types import TracebackType
from typing import Any, Final

from tasks.errors import BackendError, RestoreRefused
from tasks.records.model import CLAIM, RESTORE_REQUEST, Record, RequestState, RequestStatus
from tasks.records.store import FOLDER, RecordStore
from tasks.repository.owner import host_name, is_running

LEASE: Final = timedelta(minutes=5)
#: An identical request counts as done for so long; afterwards it is a new wish.
REPEAT_AFTER: Final = timedelta(hours=24)

_DIGEST: Final = re.compile(r"[0-9a-f]{16,64}")
_PART: Final = re.compile(r"(\d{6})-(claim|beat|end)\.json")


class RestoreRequests:
    """The restore requests of one repository, by the digest of what they ask for. Thread-safe."""

    def __init__(self, store: RecordStore, *, lease: timedelta = LEASE, repeat_after: timedelta = REPEAT_AFTER) -> None:
        self._store = store
        self._lease = lease
        self._repeat_after = repeat_after

    def submit(self, digest: str, request: Mapping[str, Any]) -> Record:
        """Note that somebody asked: ``request`` is the canonical request, as JSON values."""
        return self._store.append(RESTORE_REQUEST, {"digest": _checked(digest), "request": dict(request)})

    def status(self, digest: str) -> RequestStatus:
        """Return where a request stands now."""
        attempt, parts = self._last_attempt(digest)
        if attempt == 0:
            return RequestStatus(digest, RequestState.REQUESTED)
        end = self._store.load(_name(digest, attempt, "end")) if "end" in parts else None
        if end is not None:
            state = RequestState.DONE if end.data.get("state") == RequestState.DONE.value else RequestState.FAILED
            summary = end.data.get("summary")
            return RequestStatus(digest, state, end.time, attempt, summary if isinstance(summary, dict) else None)
        record = self._last_sign(digest, attempt, parts)
        seen = None if record is None else record.time
        alive = record is not None and self._store.clock() - record.time < self._lease and not _has_ended(record)
        return RequestStatus(digest, RequestState.RUNNING if alive else RequestState.REQUESTED, seen, attempt)

    def claim(self, digest: str, *, again: bool = False) -> Claim | RequestStatus:
        """Return the claim that lets the caller carry out the request, or else where the request stands.

        It stands in the way when it runs somewhere, or was done within ``repeat_after`` and is not asked for ``again``.
        One that failed, or whose worker died, may be claimed at once.
        """
        status = self.status(digest)
        if status.state is RequestState.RUNNING:
            return status
        if status.state is RequestState.DONE and not again and not self._is_old(status):
            return status
        resumes = self._first_unfinished(status)
        claim = Claim(self._store, digest, status.attempts + 1, self._lease, resumes=resumes)
        if claim.take():
            return claim
        # Somebody was quicker, a moment ago.
        return self.status(digest)

    def _is_old(self, status: RequestStatus) -> bool:
        return status.since is None or self._store.clock() - status.since >= self._repeat_after

    def _first_unfinished(self, status: RequestStatus) -> int | None:
        """Return the first of the attempts since the last that was done, None when that is the last one."""
        if status.attempts == 0 or status.state is RequestState.DONE:
            return None
        first = status.attempts
        while first > 1:
            end = self._store.load(_name(status.request, first - 1, "end"))
            if end is not None and end.data.get("state") == RequestState.DONE.value:
                break
            first -= 1
        return first

    def _last_attempt(self, digest: str) -> tuple[int, set[str]]:
        prefix = f"{FOLDER}{CLAIM}/{_checked(digest)}/"
        attempts: dict[int, set[str]] = {}
        for info in self._store.backend.list(prefix):
            match = _PART.fullmatch(info.name.removeprefix(prefix))
            if match:
                attempts.setdefault(int(match[1]), set()).add(match[2])
        last = max((number for number, parts in attempts.items() if "claim" in parts), default=0)
        return last, attempts.get(last, set())

    def _last_sign(self, digest: str, attempt: int, parts: set[str]) -> Record | None:
        for part in ("beat", "claim"):
            record = self._store.load(_name(digest, attempt, part)) if part in parts else None
            if record is not None:
                return record
        return None


class Claim:
    """The right to carry out one request, for as long as its heart beats.

    As a context manager it beats by itself, and notes a failure when the block raises.
    """

    def __init__(
        self, store: RecordStore, digest: str, attempt: int, lease: timedelta, *, resumes: int | None = None
    ) -> None:
        self.digest = digest
        self.attempt = attempt
        #: The attempts from this one on have begun the same and were not done; None when there is none.
        self.resumes = resumes
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
            self._store.save(_name(self.digest, self.attempt, "claim"), self._record(), overwrite=False)
        except FileExistsError:
            return False
        return True

    def beat(self) -> bool:
        """Show that the work goes on; False, now and from now on, when another worker has taken over."""
        if self._lost or self._ended:
            return not self._lost
        now = self._store.clock()
        try:
            if self._store.load(_name(self.digest, self.attempt + 1, "claim")) is not None:
                self._lost = True
                return False
            self._store.save(_name(self.digest, self.attempt, "beat"), self._record(), overwrite=True)
        except BackendError:
            # The store may come back before the lease is over.
            self._lost = now - self._last_beat >= self._lease
            return not self._lost
        self._last_beat = now
        return True

    def check(self) -> None:
        """Raise ``RestoreRefused`` when another worker has taken over."""
        if self._lost or (self._store.clock() - self._last_beat >= self._lease and not self.beat()):
            raise RestoreRefused(
                "another worker has taken over this restore",
                hint="This one was out of reach for too long. The other one goes on where this one stopped.",
            )

    def done(self, summary: Mapping[str, Any]) -> None:
        """Note that the request was carried out, and how: JSON values without paths of people's files."""
        self._end(RequestState.DONE, summary)

    def failed(self, reason: str) -> None:
        """Note that the request failed; it may be claimed again at once."""
        self._end(RequestState.FAILED, {"reason": reason[:1000]})

    def __enter__(self) -> Claim:
        self._thread = threading.Thread(target=self._keep_beating, name="firstbell-claim", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if error is not None and not self._ended:
            # What went wrong is raised already; that the store is gone as well must not hide it.
            with contextlib.suppress(BackendError):
                self.failed(str(error) or type(error).__name__)
        elif not self._ended:
            self.failed("it ended without a result")

    def _keep_beating(self) -> None:
        while not self._stop.wait(self._lease.total_seconds() / 4):
            if not self.beat():
                return

    def _end(self, state: RequestState, summary: Mapping[str, Any]) -> None:
        if self._ended:
            raise ValueError("the claim has ended already")
        self._ended = True
        self._stop.set()
        record = self._record({"state": state.value, "summary": dict(summary)})
        with contextlib.suppress(FileExistsError):
            self._store.save(_name(self.digest, self.attempt, "end"), record, overwrite=False)

    def _record(self, data: Mapping[str, Any] | None = None) -> Record:
        by = {"computer": host_name(), "process": os.getpid()}
        return Record(CLAIM, self._holder, self._store.clock().astimezone(UTC), {**by, **(data or {})})


def _has_ended(record: Record) -> bool:
    """Return whether the worker was a process of this computer that is no more: then nobody waits for the lease."""
    process = record.data.get("process")
    return isinstance(process, int) and record.data.get("computer") == host_name() and not is_running(process)


def _name(digest: str, attempt: int, part: str) -> str:
    return f"{CLAIM}/{_checked(digest)}/{attempt:06d}-{part}.json"


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"not a digest of a request: {digest!r}")
    return digest
