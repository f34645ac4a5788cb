"""The stock client on repositories that we wrote."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tasks.backends.local import LocalBackend
from tasks.repository.blob import BlobType
from tasks.repository.ids import hash_of
from tasks.repository.opened import opened
from tasks.repository.repository import Repository
from tests.support.plain_folder import describe, make_folder, make_socket, take
from tests.support.stock_restic import PASSWORD, StockRestic

pytestmark = pytest.mark.restic


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    make_folder(folder, target_utf8_only=True)
    return folder


def create(tmp_path: Path, version: int = 2) -> tuple[Path, StockRestic]:
    location = tmp_path / "repository"
    # A cheap key: every command of restic derives it anew.
    Repository.init(LocalBackend(location), PASSWORD, version=version, scrypt_n=1024).close()
    return location, StockRestic(location, tmp_path)


@pytest.mark.parametrize("version", [1, 2])
def test_check_ls_and_restore(tmp_path: Path, home: Path, version: int) -> None:
    location, restic = create(tmp_path, version)
    restic.check()
    make_socket(home)
    with opened(LocalBackend(location), PASSWORD) as repository:
        snapshot = take(repository, home)
    restic.check()
    assert snapshot.id is not None
    listed = restic.snapshots()
    assert [(entry["id"], entry["hostname"], entry["tags"]) for entry in listed] == [
        (snapshot.id.hex(), "lab3-07", ["test"])
    ]
    assert b"\xff\xfe" in restic.run("ls", "latest")
    restic.run("restore", "latest", "--target", str(tmp_path / "restored"))
    assert describe(tmp_path / "restored" / home.relative_to("/")) == describe(home)


def test_a_link_target_that_is_not_utf8_is_kept_for_newer_clients(tmp_path: Path) -> None:
    make_folder(tmp_path / "home")
    location, restic = create(tmp_path)
    with opened(LocalBackend(location), PASSWORD) as repository:
        snapshot = take(repository, tmp_path / "home")
        tree = repository.load_tree(snapshot.tree)
        while [node.name for node in tree.nodes] != [b"home"]:
            tree = repository.load_tree(tree.nodes[0].subtree or b"")
        nodes = repository.load_tree(tree.nodes[0].subtree or b"").nodes
    restic.check()
    assert next(node.linktarget for node in nodes if node.name == b"broken link") == b'\xff<&>\n"'


def test_backup_forget_and_prune_by_restic_and_then_we_go_on(tmp_path: Path, home: Path) -> None:
    location, restic = create(tmp_path)
    with opened(LocalBackend(location), PASSWORD) as repository:
        first = take(repository, home)
    os.chmod(home / "no entry", 0o700)
    restic.run("backup", "--quiet", "--host", "stock", str(home))
    (home / "only in the second").write_bytes(os.urandom(5_000_000))
    with opened(LocalBackend(location), PASSWORD) as repository:
        second = take(repository, home)
        assert [snapshot.hostname for snapshot in repository.snapshots()] == ["lab3-07", "stock", "lab3-07"]
    assert first.id is not None
    restic.run("forget", "--prune", "--quiet", "--max-unused", "0", first.id.hex())
    restic.check()
    (home / "plain.txt").write_bytes(b"changed since")
    with opened(LocalBackend(location), PASSWORD) as repository:
        third = take(repository, home)
        assert second.id is not None
        assert {snapshot.id for snapshot in repository.snapshots()} >= {second.id, third.id}
    restic.check()
    for snapshot in (second, third):
        assert snapshot.id is not None
        restic.run("restore", snapshot.id.hex(), "--target", str(tmp_path / snapshot.id.hex()))
    assert third.id is not None
    assert describe(tmp_path / third.id.hex() / home.relative_to("/")) == describe(home)


def test_we_know_the_blobs_that_restic_stored(tmp_path: Path) -> None:
    location, restic = create(tmp_path)
    (tmp_path / "small").write_bytes(b"the same small file")
    restic.run("backup", "--quiet", str(tmp_path / "small"))
    with opened(LocalBackend(location), PASSWORD) as repository:
        assert repository.save_blob(BlobType.DATA, b"the same small file").known


def test_both_write_at_the_same_time(tmp_path: Path, home: Path) -> None:
    location, restic = create(tmp_path)
    os.chmod(home / "no entry", 0o700)
    (home / "more").write_bytes(os.urandom(30_000_000))
    with (
        opened(LocalBackend(location), PASSWORD) as repository,
        restic.start("backup", "--quiet", "--host", "stock", str(home)) as process,
    ):
        threads = [
            threading.Thread(target=take, args=(repository, home), kwargs={"hostname": f"lab3-{n}"}) for n in "12"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (out, err)
    restic.check()
    assert sorted(entry["hostname"] for entry in restic.snapshots()) == ["lab3-1", "lab3-2", "stock"]


_SAVER = """
import os, random, sys
from pathlib import Path
from tasks.backends.local import LocalBackend
from tasks.repository import blob_writer
from tasks.repository.blob import BlobType
from tasks.repository.opened import opened
blob_writer._INDEX_MIN = 0.2
generator = random.Random(7)
with opened(LocalBackend(Path(sys.argv[1])), sys.argv[2]) as repository:
    while True:
        repository.save_blob(BlobType.DATA, generator.randbytes(1_000_000))
"""


def test_a_writer_killed_at_any_moment_leaves_a_sound_repository(tmp_path: Path) -> None:
    location, restic = create(tmp_path)
    with subprocess.Popen([sys.executable, "-c", _SAVER, str(location), PASSWORD], cwd=Path.cwd()) as process:
        pause = threading.Event()
        while len(list((location / "index").iterdir())) < 2 and process.poll() is None:
            pause.wait(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    first = hash_of(random.Random(7).randbytes(1_000_000))
    # The lock of the dead process is in nobody's way, and what it stored is known.
    with opened(LocalBackend(location), PASSWORD) as repository:
        assert repository.has_blob(BlobType.DATA, first)
        assert repository.snapshots() == []
    restic.check()
