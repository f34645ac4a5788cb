"""Threads that hash, compress, encrypt and store blobs while the main thread goes on reading."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from tasks.archiver.tally import Tally
from tasks.backends.base import Buffer
from tasks.repository.blob import BlobType
from tasks.repository.ids import ID
from tasks.repository.repository import Repository

#: Bytes that may wait for a worker: what bounds the memory of a run, whatever the size of a file.
IN_FLIGHT: Final = 24 * 1024**2

#: Blobs smaller than this go through one thread, one after the other: storing them is mostly Python, and two threads
#: only fight for its lock (20,000 files of 4 KB: 82 us of CPU a file on one, 131 us on two [measured]).
SMALL: Final = 16 * 1024

#: Where the ID goes (a list and the index in it), and the blob.
Item = tuple[list[ID], int, Buffer]


class BlobPool:
    """Saves blobs on threads, with a bound on the bytes under way. For use by one thread."""

    def __init__(self, repository: Repository, tally: Tally, *, workers: int, in_flight: int = IN_FLIGHT) -> None:
        self._repository = repository
        self._tally = tally
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="save")
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="save-small")
        self._limit = in_flight
        self._used = 0
        self._room = threading.Condition()
        self._error: BaseException | None = None

    def save(self, items: Sequence[Item], size: int) -> Future[None]:
        """Save data blobs of ``size`` bytes together, and put each one's ID in its place.

        Waits while too many bytes are under way. Raises what an earlier job raised, so that a broken store stops the
        run at the next blob and not at its end.
        """
        return self._submit(lambda: self._save(items), size, small=size < SMALL * len(items))

    def save_tree(self, data: bytes, id_: ID) -> Future[None]:
        """Save a tree blob whose ID is known already; waits and raises as ``save``."""
        return self._submit(lambda: self._save_tree(data, id_), len(data), small=len(data) < SMALL)

    def close(self) -> None:
        """Store what was handed over, unless storing fails, and end the threads.

        Also when the run failed, for what was read from a host that is gone now need not be read again.
        """
        for executor in (self._executor, self._lane):
            executor.shutdown(wait=True, cancel_futures=self._error is not None)

    def _submit(self, job: Callable[[], None], size: int, *, small: bool) -> Future[None]:
        with self._room:
            while self._used and self._used + size > self._limit and self._error is None:
                self._room.wait()
            if self._error is not None:
                raise self._error
            self._used += size
        return (self._lane if small else self._executor).submit(self._run, job, size)

    def _run(self, job: Callable[[], None], size: int) -> None:
        try:
            job()
        except BaseException as error:
            self._error = error
            raise
        finally:
            with self._room:
                self._used -= size
                self._room.notify()

    def _save(self, items: Sequence[Item]) -> None:
        for content, index, data in items:
            saved = self._repository.save_blob(BlobType.DATA, data)
            content[index] = saved.id
            if not saved.known:
                self._tally.add_blob(BlobType.DATA, len(data), saved)

    def _save_tree(self, data: bytes, id_: ID) -> None:
        self._tally.add_blob(BlobType.TREE, len(data), self._repository.save_blob(BlobType.TREE, data, id_))
