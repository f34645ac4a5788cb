"""Restore requests: the same request twice, or on two workers at once, is carried out once.

A worker *claims* a request, which is a lease (``records/lease.py``) in ``records/restore-claim/<digest>/`` whose end
tells what became of it.

Clocks of workers may differ by less than the lease. Nothing is lost where they differ by more: a restore that runs
twice finds its own files there already.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from tasks.errors import FirstbellError, RestoreRefused
from tasks.records.lease import LEASE, Attempt, Lease, is_alive, last_attempt, last_sign, part_name
from tasks.records.model import CLAIM, RESTORE_REQUEST, Record, RequestState, RequestStatus
from tasks.records.store import RecordStore

__all__ = ["LEASE", "REPEAT_AFTER", "Claim", "RestoreRequests"]

#: An identical request counts as done for so long; afterwards it is a new wish.
REPEAT_AFTER: Final = timedelta(hours=24)

_DIGEST: Final = re.compile(r"[0-9a-f]{16,64}")


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
        last = self._last_attempt(digest)
        attempt = last.number
        if attempt == 0:
            return RequestStatus(digest, RequestState.REQUESTED)
        end = self._store.load(_name(digest, attempt, "end")) if "end" in last.parts else None
        if end is not None:
            state = RequestState.DONE if end.data.get("state") == RequestState.DONE.value else RequestState.FAILED
            summary = end.data.get("summary")
            return RequestStatus(digest, state, end.time, attempt, summary if isinstance(summary, dict) else None)
        record = last_sign(self._store, CLAIM, digest, last)
        seen = None if record is None else record.time
        alive = is_alive(self._store, record, self._lease)
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

    def _last_attempt(self, digest: str) -> Attempt:
        return last_attempt(self._store, CLAIM, _checked(digest))


class Claim(Lease):
    """The right to carry out one request, for as long as its heart beats.

    As a context manager it beats by itself, and notes a failure when the block raises.
    """

    def __init__(
        self, store: RecordStore, digest: str, attempt: int, lease: timedelta, *, resumes: int | None = None
    ) -> None:
        super().__init__(store, CLAIM, _checked(digest), attempt, lease)
        self.digest = digest
        #: The attempts from this one on have begun the same and were not done; None when there is none.
        self.resumes = resumes

    def done(self, summary: Mapping[str, Any]) -> None:
        """Note that the request was carried out, and how: JSON values without paths of people's files."""
        self._end({"state": RequestState.DONE.value, "summary": dict(summary)})

    def failed(self, reason: str) -> None:
        """Note that the request failed; it may be claimed again at once."""
        self._end({"state": RequestState.FAILED.value, "summary": {"reason": reason[:1000]}})

    def _close(self, error: BaseException | None) -> None:
        self.failed("it ended without a result" if error is None else str(error) or type(error).__name__)

    def _overtaken(self) -> FirstbellError:
        return RestoreRefused(
            "another worker has taken over this restore",
            hint="This one was out of reach for too long. The other one goes on where this one stopped.",
        )


def _name(digest: str, attempt: int, part: str) -> str:
    return part_name(CLAIM, _checked(digest), attempt, part)


def _checked(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"not a digest of a request: {digest!r}")
    return digest
