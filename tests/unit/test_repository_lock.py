from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime

import pytest

from tasks.backends.base import FileInfo
from tasks.errors import Damaged, Locked, StoreUnavailable
from tasks.repository.blob import BlobType
from tasks.repository.file_type import FileType
from tasks.repository.ids import hash_of
from tasks.repository.lock import Lock
from tasks.repository.lock_file import LockFile, decode_lock
from tasks.repository.opened import opened
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Tree
from tests.support.flaky_backend import FlakyBackend

MINUTE = 60 * 10**9


@pytest.fixture
def backend() -> FlakyBackend:
    return FlakyBackend()


@pytest.fixture
def repository(backend: FlakyBackend) -> Repository:
    return Repository.init(backend, "x", scrypt_n=16)


def write_lock(
    repository: Repository, *, exclusive: bool = True, age: int = 0, hostname: str = "far-away", pid: int = 4711
) -> bytes:
    lock = LockFile(time.time_ns() - age, exclusive, hostname, "anna", pid)
    return repository._files.save(FileType.LOCK, lock.encode())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline
        pause.wait(0.005)


def acquire(repository: Repository, **options: float) -> Lock:
    lock = Lock.acquire(repository._files, lambda: None, exclusive=False, settle=0, **options)  # type: ignore[arg-type]
    repository._locks.append(lock)
    return lock


def test_the_file_is_restics() -> None:
    lock = LockFile(1_700_000_000_000_000_001, False, "h<", "anna", 77, 1000, 0)
    assert lock.encode() == (
        b'{"time":"2023-11-14T22:13:20.000000001Z","exclusive":false,"hostname":"h\\u003c","username":"anna","pid":77,"uid":1000}'
    )
    assert decode_lock(lock.encode(), b"") == lock
    for text in (b"", b"[]", b"{}", b'{"time":"now","exclusive":true,"pid":1}'):
        with pytest.raises(ValueError):
            decode_lock(text, b"")


def test_shared_locks_live_together_and_go_with_their_block(repository: Repository, backend: FlakyBackend) -> None:
    with repository.lock(), repository.lock():
        assert len(backend.names("locks/")) == 2
    assert backend.names("locks/") == []


def test_an_exclusive_lock_excludes_and_is_excluded(repository: Repository, backend: FlakyBackend) -> None:
    with repository.lock(exclusive=True):
        for exclusive in (False, True):
            with pytest.raises(Locked, match="exclusively locked"):
                repository.lock(exclusive=exclusive)
        assert len(backend.names("locks/")) == 1
    with repository.lock():
        with pytest.raises(Locked, match="is locked by"):
            repository.lock(exclusive=True)
        assert len(backend.names("locks/")) == 1


def test_the_error_says_who_since_when_and_the_cure(repository: Repository) -> None:
    id_ = write_lock(repository, age=3 * MINUTE)
    with pytest.raises(Locked) as caught:
        repository.lock()
    text = str(caught.value)
    assert "anna on far-away, process 4711, since 20" in text
    assert "(180 s ago)" in text or "(181 s ago)" in text
    assert id_.hex()[:8] in text
    assert "restic unlock" in caught.value.hint
    assert caught.value.transient
    assert caught.value.exit_code == 11


def dead_process() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_stale_locks_are_removed(repository: Repository, backend: FlakyBackend) -> None:
    write_lock(repository, age=31 * MINUTE)
    for hostname in (socket.gethostname(), LockFile.mine(exclusive=True, now_ns=0).hostname):
        write_lock(repository, hostname=hostname, pid=dead_process())
    write_lock(repository, exclusive=False, age=31 * MINUTE)
    with repository.lock(exclusive=True):
        assert len(backend.names("locks/")) == 1


@pytest.mark.parametrize(
    ("age", "hostname", "pid"),
    [
        (29 * MINUTE, "far-away", 4711),
        pytest.param(0, socket.gethostname(), os.getpid(), id="our own"),
        pytest.param(0, f"{socket.gethostname()} (firstbell)", os.getpid(), id="our own, as firstbell writes it"),
        (-5 * MINUTE, "far-away", 1),
    ],
)
def test_locks_that_may_be_alive_are_respected(repository: Repository, age: int, hostname: str, pid: int) -> None:
    write_lock(repository, age=age, hostname=hostname, pid=pid)
    with pytest.raises(Locked):
        repository.lock()


def test_an_empty_lock_file_is_no_lock_and_a_damaged_one_is_told(repository: Repository, backend: FlakyBackend) -> None:
    backend.save(FileType.LOCK.name_of(bytes(32)), b"")
    with repository.lock():
        pass
    backend.save(FileType.LOCK.name_of(b"\1" * 32), b"junk")
    with pytest.raises(Damaged, match="locks/01010101"):
        repository.lock()


def test_of_two_that_come_at_once_never_both_stay(repository: Repository, backend: FlakyBackend) -> None:
    """The other writes its lock between our first look and our own file, the moment that the second look is for."""
    save = backend.save

    def save_after_the_other(name: str, data: bytes, *, overwrite: bool = True) -> None:
        backend.save = save  # type: ignore[method-assign]
        write_lock(repository)
        save(name, data, overwrite=overwrite)

    backend.save = save_after_the_other  # type: ignore[assignment, method-assign]
    with pytest.raises(Locked, match="far-away"):
        repository.lock()
    # Ours is gone, the other's is not.
    assert len(backend.names("locks/")) == 1


@pytest.fixture
def second_look(backend: FlakyBackend, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Hold back the second look, which comes from a thread of its own, until the event is set."""
    event = threading.Event()
    list_, ours = backend.list, threading.current_thread()

    def late(prefix: str = "") -> Iterator[FileInfo]:
        if prefix == FileType.LOCK.prefix and threading.current_thread() is not ours:
            assert event.wait(30)
        return list_(prefix)

    monkeypatch.setattr(backend, "list", late)
    yield event
    event.set()


def test_reading_need_not_wait_for_the_second_look_but_writing_does(
    repository: Repository, backend: FlakyBackend, second_look: threading.Event
) -> None:
    with repository.lock(wait=False):
        repository.load_index()
        assert repository.snapshots() == []
        with ThreadPoolExecutor(1) as pool:
            saving = pool.submit(repository.save_blob, BlobType.DATA, b"content")
            assert wait([saving], timeout=0.3).not_done
            second_look.set()
            saving.result(30)
    assert len(backend.names("data/")) == 1
    assert backend.names("locks/") == []


def test_who_came_at_the_same_time_is_noticed_before_anything_is_written(
    repository: Repository, backend: FlakyBackend, second_look: threading.Event
) -> None:
    tree = repository.save_tree(Tree([])).id
    repository.flush()

    def use() -> None:
        with repository.lock(wait=False) as lock:
            other = write_lock(repository)
            second_look.set()
            with pytest.raises(Locked, match="far-away"):
                lock.check()
            # Ours makes way at once.
            assert backend.names("locks/") == [FileType.LOCK.name_of(other)]
            for write in (repository.flush, lambda: repository.save_blob(BlobType.DATA, b"content")):
                with pytest.raises(Locked, match="far-away"):
                    write()
            repository.save_snapshot(Snapshot(datetime.now(UTC), tree, ("/",)))

    before = backend.names("")
    with pytest.raises(Locked, match="far-away"):
        use()
    assert len(backend.names("")) == len(before) + 1


def test_a_second_look_that_fails_counts_as_locked(
    repository: Repository, backend: FlakyBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_, ours = backend.list, threading.current_thread()

    def fail(prefix: str = "") -> Iterator[FileInfo]:
        if threading.current_thread() is not ours:
            raise StoreUnavailable("the store is down for the test")
        return list_(prefix)

    monkeypatch.setattr(backend, "list", fail)
    with pytest.raises(StoreUnavailable):
        repository.lock()
    lock = repository.lock(wait=False)
    with pytest.raises(StoreUnavailable):
        repository.save_blob(BlobType.DATA, b"content")
    lock.release()
    assert backend.names("locks/") == []


def test_a_lock_is_refreshed_by_a_new_file_before_the_old_one_goes(
    repository: Repository, backend: FlakyBackend
) -> None:
    fewest = [1]
    remove = backend.remove

    def watch(name: str) -> None:
        fewest.append(len(backend.names("locks/")))
        remove(name)

    backend.remove = watch  # type: ignore[method-assign]
    with acquire(repository, refresh=0.01) as lock:
        first = lock.id
        wait_until(lambda: lock.id != first and len(fewest) > 3)
    assert min(fewest[1:-1]) == 2
    assert backend.names("locks/") == []


def test_a_lock_that_somebody_removed_is_lost(repository: Repository, backend: FlakyBackend) -> None:
    tree = repository.save_tree(Tree([])).id
    lock = acquire(repository)
    repository.flush()
    backend.remove(FileType.LOCK.name_of(lock.id))
    with pytest.raises(Locked, match="removed by somebody else"):
        repository.save_snapshot(Snapshot(datetime.now(UTC), tree, ("/",)))
    assert backend.names("snapshots/") == []
    # From now on nothing is taken, nor listed in an index: prune may have run.
    with pytest.raises(Locked):
        repository.save_blob(BlobType.DATA, b"too late")
    with pytest.raises(Locked):
        repository.flush()
    assert len(backend.names("index/")) == 1
    with pytest.raises(Locked):
        lock.refresh()
    lock.release()
    assert backend.names("locks/") == []
    # What it knows of the index may be gone, so it is of no use any more.
    with pytest.raises(Locked):
        repository.lock()


def test_the_refresher_notices_too(repository: Repository, backend: FlakyBackend) -> None:
    lock = acquire(repository, refresh=0.01)
    for name in backend.names("locks/"):
        backend.remove(name)

    def lost() -> bool:
        try:
            lock.check()
        except Locked:
            return True
        for name in backend.names("locks/"):
            backend.remove(name)
        return False

    wait_until(lost)
    lock.release()


def test_a_lock_that_cannot_be_refreshed_for_too_long_is_lost(repository: Repository, backend: FlakyBackend) -> None:
    now = time.time_ns()
    lock = acquire(repository, refresh=0.01, clock=lambda: now)  # type: ignore[arg-type]
    tries = []

    def fail(name: str) -> bool:
        tries.append(name)
        return True

    backend.fails = fail
    wait_until(lambda: len(tries) > 3)
    lock.check()
    now += 28 * MINUTE
    with pytest.raises(Locked, match="could not be refreshed for 28 minutes: the store is down"):
        wait_until(lambda: lock.check() is not None)
    backend.fails = lambda name: False
    lock.release()
    assert backend.names("locks/") == []


def test_releasing_stores_what_was_saved(repository: Repository, backend: FlakyBackend) -> None:
    class Broken(Exception):
        pass

    with pytest.raises(Broken), repository.lock():
        repository.save_blob(BlobType.DATA, b"saved before it broke")
        raise Broken
    assert backend.names("locks/") == []
    with opened(backend, "x") as again:
        assert again.load_blob(BlobType.DATA, hash_of(b"saved before it broke"))


def test_a_failed_store_does_not_hide_what_broke_the_run(repository: Repository, backend: FlakyBackend) -> None:
    class Broken(Exception):
        pass

    with pytest.raises(Broken), repository.lock():
        repository.save_blob(BlobType.DATA, b"x")
        backend.fails = lambda name: name.startswith("data/")
        raise Broken
    assert backend.names("locks/") == []
    with pytest.raises(StoreUnavailable), repository.lock():
        pass
    assert backend.names("locks/") == []


def test_a_new_lock_after_a_time_without_reads_the_index_again(repository: Repository, backend: FlakyBackend) -> None:
    with repository.lock():
        repository.load_index()
        saved = repository.save_blob(BlobType.DATA, b"pruned meanwhile")
        with repository.lock():
            assert repository.has_blob(BlobType.DATA, saved.id)
    for name in (*backend.names("index/"), *backend.names("data/")):
        backend.remove(name)
    with repository.lock():
        assert not repository.save_blob(BlobType.DATA, b"pruned meanwhile").known
    assert backend.names("index/")


def test_opened_locks_loads_and_gives_back(repository: Repository, backend: FlakyBackend) -> None:
    saved = repository.save_blob(BlobType.DATA, b"there")
    repository.flush()
    with opened(backend, "x", exclusive=True) as again:
        assert again.has_blob(BlobType.DATA, saved.id)
        assert len(backend.names("locks/")) == 1
        held = backend
    assert held._closed
