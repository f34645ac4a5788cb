"""Our locks and the stock client's respect each other."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.backends.local import LocalBackend
from tasks.errors import Locked
from tasks.repository.file_type import FileType
from tasks.repository.lock_file import LockFile
from tasks.repository.repository import Repository
from tests.support.stock_restic import PASSWORD, StockRestic

pytestmark = pytest.mark.restic


@pytest.fixture
def location(tmp_path: Path) -> Path:
    Repository.init(LocalBackend(tmp_path / "repository"), PASSWORD, scrypt_n=1024).close()
    return tmp_path / "repository"


@pytest.fixture
def restic(location: Path, tmp_path: Path) -> StockRestic:
    return StockRestic(location, tmp_path)


@contextmanager
def suspended(restic: StockRestic, location: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run restic and stop it once it holds its lock: it looks for others 0.2 s after it wrote it."""
    with restic.start(*command) as process:
        try:
            pause = threading.Event()
            deadline = time.monotonic() + 30
            # It writes under a temporary name first.
            while not any(len(path.name) == 64 for path in (location / "locks").iterdir()):
                assert process.poll() is None and time.monotonic() < deadline, process.communicate()
                pause.wait(0.002)
            process.send_signal(signal.SIGSTOP)
            yield process
        finally:
            process.kill()


def test_restic_prune_refuses_while_we_hold_a_lock(location: Path, restic: StockRestic) -> None:
    repository = Repository.open(LocalBackend(location), PASSWORD)
    with repository.lock():
        refused = restic.attempt("prune")
        assert refused.returncode != 0
        assert b"already locked" in refused.stderr
        # Sharing is fine: a listing does not want to be alone.
        restic.run("snapshots")
        (lock,) = restic.run("list", "--no-lock", "locks").split()
        assert f"PID {os.getpid()} on {socket.gethostname()} (firstbell)".encode() in refused.stderr
        assert b'"exclusive": false' in restic.run("cat", "--no-lock", "lock", lock)
    restic.run("prune", "--quiet")
    with repository.lock(exclusive=True):
        refused = restic.attempt("snapshots")
        assert refused.returncode != 0
        assert b"locked exclusively" in refused.stderr
    restic.run("snapshots")
    repository.close()


def test_we_refuse_while_restic_is_alone_in_it(location: Path, restic: StockRestic) -> None:
    repository = Repository.open(LocalBackend(location), PASSWORD)
    with suspended(restic, location, "check") as process:
        for exclusive in (False, True):
            with pytest.raises(Locked) as caught:
                repository.lock(exclusive=exclusive)
            owner = f"exclusively locked by {getpass.getuser()} on {socket.gethostname()}, process {process.pid}"
            assert owner in str(caught.value)
            assert "restic unlock" in caught.value.hint
        process.kill()
        process.wait()
        # Its process is gone, so its lock is stale, and we go on.
        with repository.lock(exclusive=True):
            assert len(list((location / "locks").iterdir())) == 1
    repository.close()


def test_we_share_with_a_backup_but_cannot_be_alone(location: Path, restic: StockRestic) -> None:
    repository = Repository.open(LocalBackend(location), PASSWORD)
    with suspended(restic, location, "backup", "--quiet", "/etc/hostname"):
        with repository.lock():
            pass
        with pytest.raises(Locked, match="is locked by"):
            repository.lock(exclusive=True)
    repository.close()


def test_restic_unlock_leaves_a_live_lock_and_its_process_alone(location: Path, restic: StockRestic) -> None:
    repository = Repository.open(LocalBackend(location), PASSWORD)
    with repository.lock():
        # To find out whether the owner lives it sends SIGHUP to processes of this computer: to us, had it the name.
        restic.run("unlock")
        assert len(list((location / "locks").iterdir())) == 1
    old = LockFile.mine(exclusive=False, now_ns=time.time_ns() - 31 * 60 * 10**9)
    repository._files.save(FileType.LOCK, old.encode())
    restic.run("unlock")
    assert not any((location / "locks").iterdir())
    lock = repository.lock()
    restic.run("unlock", "--remove-all")
    with pytest.raises(Locked, match="removed by somebody else"):
        lock.verify()
    with pytest.raises(Locked):
        lock.release()
    repository.close()
