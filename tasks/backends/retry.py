"""A backend that tries again what may succeed later; everything else passes through at once."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from tasks.backends.base import Backend, Buffer, FileInfo
from tasks.backends.names import check_prefix

_T = TypeVar("_T")
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to insist; all times in seconds.

    The wait before attempt n + 1 is random between 0 and ``min(longest, first * 2**(n - 1))`` ("full jitter", which
    spreads many workers best: AWS Architecture Blog, "Exponential Backoff And Jitter", 2015). No new attempt begins
    later than ``deadline`` after the first, or ``unproven`` while the store has never answered: that is more often a
    wrong address than an outage, and somebody waits for the answer. Nor later than that after the store last answered
    any call: else a run that gave up would insist as long again for each thing that it has to put in order at its end.
    """

    first: float = 0.5
    longest: float = 20.0
    deadline: float = 300.0
    unproven: float = 20.0


@dataclass(frozen=True, slots=True)
class Retrying:
    """What is about to be tried again, after ``delay`` seconds; ``attempt`` counts the failed ones from 1."""

    call: str
    error: Exception
    attempt: int
    delay: float


def log_retry(retrying: Retrying) -> None:
    """Write a warning to the log: the default report."""
    _LOG.warning("%s: %s; trying again in %.1f s", retrying.call, retrying.error, retrying.delay)


class RetryBackend(Backend):
    """Wraps a backend; calls are repeated only where the inner ``is_transient`` says so.

    A repeated ``save`` is harmless: the first attempt, if it did arrive, stored the same bytes. ``close`` from another
    thread ends every wait at once, with the error that was being waited out.
    """

    def __init__(
        self,
        inner: Backend,
        policy: RetryPolicy | None = None,
        *,
        report: Callable[[Retrying], None] = log_retry,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wrap ``inner``; ``wait`` replaces the wait between attempts (the default wakes on ``close``)."""
        self.inner = inner
        self.location = inner.location
        self._policy = policy or RetryPolicy()
        self._report = report
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._clock = clock
        self._random = random.Random()  # noqa: S311 - jitter, not a secret
        self._proven = False
        #: When the call began that failed first since the store last answered.
        self._away_since: float | None = None

    def ensure_location(self) -> None:
        """Create the place that the files live in."""
        self._run("create the location", self.inner.ensure_location)

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        """Store a file; with ``overwrite=False`` our own earlier attempt does not count as somebody else's file."""
        uncertain = False

        def attempt() -> None:
            nonlocal uncertain
            try:
                self.inner.save(name, data, overwrite=overwrite)
            except FileExistsError:
                if not (uncertain and self.inner.load(name) == bytes(data)):
                    raise
            except Exception:  # whatever broke, it may have been saved before
                uncertain = True
                raise

        self._run(f"save {name}", attempt)

    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return the bytes asked for."""
        return self._run(f"load {name}", lambda: self.inner.load(name, offset=offset, length=length))

    def stat(self, name: str) -> FileInfo:
        """Return the size of a file."""
        return self._run(f"stat {name}", lambda: self.inner.stat(name))

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        """Yield the files of one whole listing: a repeated one starts over, so nothing comes twice."""
        check_prefix(prefix)
        return iter(self._run(f"list {prefix or 'all files'}", lambda: [*self.inner.list(prefix)]))

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._run(f"remove {name}", lambda: self.inner.remove(name))

    def close(self) -> None:
        """End all waits and close the inner backend."""
        self._closed.set()
        self.inner.close()

    def is_transient(self, error: BaseException) -> bool:
        """Return what the inner backend says: another deadline's worth of attempts may be a caller's choice."""
        return self.inner.is_transient(error)

    def _run(self, call: str, function: Callable[[], _T]) -> _T:
        started = self._clock()
        attempt = 0
        while True:
            attempt += 1
            try:
                result = function()
            except Exception as error:  # the backend itself says which of them pass
                if not self.inner.is_transient(error):
                    # That, too, was an answer.
                    self._away_since = None
                    raise
                away = self._away_since = started if self._away_since is None else self._away_since
                delay = self._next_delay(attempt, min(started, away))
                if delay is None:
                    raise
                self._report(Retrying(call, error, attempt, delay))
                self._wait(delay)
                if self._closed.is_set():
                    raise
            else:
                self._proven = True
                self._away_since = None
                return result

    def _next_delay(self, attempt: int, started: float) -> float | None:
        """Return how long to wait, or None when the deadline would pass meanwhile or the backend was closed."""
        policy = self._policy
        # 2**63 is beyond every ceiling, and keeps the power a small number.
        delay = self._random.uniform(0.0, min(policy.longest, policy.first * 2.0 ** min(attempt - 1, 63)))
        deadline = policy.deadline if self._proven else policy.unproven
        late = self._clock() + delay - started > deadline
        return None if late or self._closed.is_set() else delay
