"""Holding a lock: take it as restic does, keep it fresh, notice when it is lost, give it back.

Source: restic's ``internal/restic/lock.go`` and ``internal/repository/lock.go``. Taking one is: look for locks in the
way, write ours, wait a moment, look again; whoever then sees the other gives way. So two may both give way, but never
both stay. The wait and the second look are the keeper thread's: who only reads meanwhile may go on, and nothing is
written before.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final

from tasks.errors import BackendError, FirstbellError, Locked, RepositoryError
from tasks.repository.file_store import FileStore
from tasks.repository.file_type import FileType
from tasks.repository.ids import ID, short
from tasks.repository.lock_file import STALE_AGE, LockFile, decode_lock

_log = logging.getLogger(__name__)

#: Seconds between refreshes, and between tries of one that failed (restic's).
REFRESH: Final = 5 * 60
_RETRY: Final = 30
#: Seconds to wait before the second look, for a store that shows files late (restic's).
_SETTLE: Final = 0.2
#: A lock that could not be refreshed for so long counts as lost, well before others call it stale.
_GIVE_UP: Final = STALE_AGE - 3 * 60

_HINT: Final = (
    "Wait until it is done. If that process is gone, `restic unlock` removes its lock; one that is not refreshed for"
    " 30 minutes is removed by itself."
)


class Lock:
    """A lock that this process holds; a context manager. Use ``acquire`` to make one."""

    def __init__(
        self,
        files: FileStore,
        mine: LockFile,
        on_release: Callable[[], None],
        *,
        refresh: float = REFRESH,
        settle: float = _SETTLE,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._files = files
        self._mine = mine
        self._on_release = on_release
        self._refresh_every = refresh
        self._settle = settle
        self._clock = clock
        self._lost = ""
        self._old: list[ID] = []
        self._guard = threading.Lock()
        self._stop = threading.Event()
        #: Set once the second look is over, and why it was in vain.
        self._looked = threading.Event()
        self._refused: FirstbellError | None = None
        self._thread = threading.Thread(target=self._keep, name="firstbell-lock", daemon=True)

    @classmethod
    def acquire(
        cls,
        files: FileStore,
        on_release: Callable[[], None],
        *,
        exclusive: bool,
        refresh: float = REFRESH,
        settle: float = _SETTLE,
        wait: bool = True,
        clock: Callable[[], int] = time.time_ns,
    ) -> Lock:
        """Take a lock and keep it fresh. Raises ``Locked`` when somebody is in the way.

        With ``wait=False`` the second look may still be to come: ``check`` waits for it, and raises what it found.
        """
        _refuse_if_held(files, exclusive=exclusive, now_ns=clock(), own=b"")
        mine = LockFile.mine(exclusive=exclusive, now_ns=clock())
        mine = replace(mine, id=files.save(FileType.LOCK, mine.encode()))
        lock = cls(files, mine, on_release, refresh=refresh, settle=settle, clock=clock)
        lock._thread.start()
        if wait:
            try:
                lock.check()
            except BaseException:
                lock._give_back()
                raise
        return lock

    @property
    def id(self) -> ID:
        """ID of the lock file; changes with each refresh."""
        return self._mine.id

    @property
    def released(self) -> bool:
        """Whether the lock was given back."""
        return self._stop.is_set()

    @property
    def lost(self) -> bool:
        """Whether somebody else removed the lock, or it could not be kept fresh."""
        return bool(self._lost)

    def check(self) -> None:
        """Raise ``Locked`` when the lock was lost: then somebody else may have removed what we rely on.

        Waits for the second look, and raises what that found: ``Locked`` or a ``BackendError``.
        """
        if not self._looked.is_set():
            # It ends for certain: the backend has its own deadlines.
            self._looked.wait()
        if self._refused is not None:
            raise self._refused
        if self._lost:
            raise Locked(
                f"the lock on the repository was lost: {self._lost}",
                hint="Start the run again; what it stored is used again. Look for `restic unlock --remove-all` in use.",
            )

    def verify(self) -> None:
        """Look whether the lock file is still there, and raise ``Locked`` when it is not."""
        self.check()
        with self._guard:
            if not self._lost and not self.released and self._mine.id not in self._files.ids(FileType.LOCK):
                self._lost = f"lock {short(self._mine.id)} was removed by somebody else"
        self.check()

    def refresh(self) -> None:
        """Write a new lock file, then remove the old one. Raises ``Locked`` when it was lost, or ``BackendError``."""
        self.verify()
        with self._guard:
            if self.released:
                return
            renewed = replace(self._mine, time_ns=self._clock())
            renewed = replace(renewed, id=self._files.save(FileType.LOCK, renewed.encode()))
            self._old.append(self._mine.id)
            self._mine = renewed
            self._remove_old()

    def release(self) -> None:
        """Give the lock back; a second time does nothing."""
        if self.released:
            return
        try:
            if self._refused is None:
                self._on_release()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._guard:
            self._old.append(self._mine.id)
            self._remove_old()

    def _remove_old(self) -> None:
        # One that could not be removed stays in the list for the next time.
        while self._old:
            self._files.remove(FileType.LOCK, self._old[0])
            del self._old[0]

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.release()
        except FirstbellError as problem:
            # What broke the run says more than that the lock could not be removed either.
            if error is None:
                raise
            _log.warning("while giving back the lock: %s", problem)

    def _keep(self) -> None:
        try:
            # Also when it was released meanwhile: somebody may wait to hear that all is well.
            self._stop.wait(self._settle)
            _refuse_if_held(self._files, exclusive=self._mine.exclusive, now_ns=self._clock(), own=self._mine.id)
        except FirstbellError as error:
            self._refused = error
        except BaseException as error:
            self._refused = RepositoryError(f"the lock on the repository could not be looked at: {error!r}")
            raise
        finally:
            if self._refused is not None:
                # Out of the way of others at once, and not only once our side has noticed.
                with contextlib.suppress(FirstbellError):
                    self._files.remove(FileType.LOCK, self._mine.id)
            self._looked.set()
        if self._refused is None:
            self._keep_fresh()

    def _keep_fresh(self) -> None:
        pause = self._refresh_every
        while not self._stop.wait(pause):
            pause = self._refresh_every
            try:
                self.refresh()
            except Locked:
                return
            except BackendError as error:
                age = (self._clock() - self._mine.time_ns) / 1e9
                if age > _GIVE_UP:
                    self._lost = f"it could not be refreshed for {age / 60:.0f} minutes: {error}"
                    return
                pause = min(_RETRY, self._refresh_every)


def _refuse_if_held(files: FileStore, *, exclusive: bool, now_ns: int, own: ID) -> None:
    others = [id_ for id_ in files.ids(FileType.LOCK) if id_ != own]
    for lock in files.load_all(FileType.LOCK, others, decode_lock, ignore_missing=True):
        if lock.is_stale(now_ns):
            # Also those that are not in our way: they are in the way of the stock client's prune.
            _log.warning("removing a stale lock: %s", lock.describe(now_ns))
            files.remove(FileType.LOCK, lock.id)
            continue
        if not (exclusive or lock.exclusive):
            continue
        how = "exclusively locked" if lock.exclusive else "locked"
        raise Locked(f"the repository is {how} by {lock.describe(now_ns)}", hint=_HINT)
