"""The archiver on what the real helper says, over this computer's own pipes."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan, SnapshotResult
from tasks.archiver.excludes import default_rules, site_rules
from tasks.archiver.manifest import read_manifest
from tasks.backends.memory import MemoryBackend
from tasks.policy.snapshot_state import SnapshotState
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tests.support.helper_host import NOBODY, can_be_nobody, helper_host
from tests.support.plain_folder import make_folder
from tests.support.stored_files import stored_content, stored_nodes

MIB = 1024**2


@pytest.fixture
def repository() -> Repository:
    return Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)


def save(
    repository: Repository, home: Path, *, parent: Snapshot | None = None, uid: int | None = None
) -> SnapshotResult:
    rules = (*default_rules("linux"), *site_rules(["*.iso", "Games/"]))
    plan = CapturePlan("lab3-07", "lab3-07", (os.fsencode(home),), rules, must_exist=(os.fsencode(home / "Desktop"),))
    with helper_host(uid=uid) as host:
        return Archiver(repository, host.source()).snapshot(plan, parent=parent, now=datetime.now(UTC))


def check(repository: Repository, result: SnapshotResult, home: Path) -> None:
    """Check that every regular file is stored as it is."""
    assert result.snapshot is not None
    nodes = stored_nodes(repository, result.snapshot)
    count = 0
    for parent, folders, names in os.walk(os.fsencode(home)):
        folders[:] = [name for name in folders if name not in (b".cache", b"Games")]
        for name in names:
            path = os.path.join(parent, name)
            if name.endswith(b".iso") or not os.path.isfile(path) or os.path.islink(path):
                continue
            with open(path, "rb") as file:
                assert stored_content(repository, nodes[path]) == file.read(), path
            count += 1
    assert count == result.files


def test_first_and_second_run(repository: Repository, tmp_path: Path) -> None:
    home = tmp_path / "home"
    make_folder(home)
    (home / "Desktop").mkdir()
    dice = random.Random(5)
    for index in range(1500):
        folder = home / "Desktop" / f"class {index % 13}"
        folder.mkdir(exist_ok=True)
        (folder / f"{index}.odt").write_bytes(dice.randbytes(dice.choice([0, 10, 5000, 40_000])))
    database = home / "Desktop" / "school.mdb"
    database.write_bytes(dice.randbytes(30 * MIB))
    for name in (".cache/thing", "Games/big", "Desktop/image.iso"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(b"left out")

    first = save(repository, home)

    assert {(skip.path.rsplit(b"/", 1)[1], skip.rule) for skip in first.skips} == {
        (b"fifo", "special"),
        (b".cache", "cache"),
        (b"Games", "site:Games/"),
        (b"image.iso", "site:*.iso"),
    }
    assert first.state is SnapshotState.ACKNOWLEDGED
    check(repository, first, home)
    assert first.snapshot is not None
    manifest = list(read_manifest(repository, first.snapshot))
    assert sum(entry.type == "file" and entry.status == "saved" for entry in manifest) == first.files

    second = save(repository, home, parent=first.snapshot)

    assert second.files == second.files_unchanged == first.files
    assert second.snapshot is not None
    # Not the whole tree: the folders above, such as /tmp, may have changed.
    trees = [stored_nodes(repository, taken)[os.fsencode(home)].subtree for taken in (first.snapshot, second.snapshot)]
    assert trees[0] == trees[1]
    assert second.bytes_added < 2000

    content = bytearray(database.read_bytes())
    content[11 * MIB : 11 * MIB + 300_000] = dice.randbytes(300_000)
    database.write_bytes(content + b"and more")
    (home / "Desktop" / "class 3" / "new.odt").write_bytes(b"new")

    third = save(repository, home, parent=second.snapshot)

    assert third.files - third.files_unchanged == 2
    assert third.bytes_added < 6 * MIB
    check(repository, third, home)


@pytest.mark.skipif(not can_be_nobody(), reason="needs setpriv, to run the helper as somebody else")
def test_a_desktop_that_may_not_be_read_is_partial(
    repository: Repository, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path / "home"
    (home / "Desktop").mkdir(parents=True)
    (home / "Desktop" / "lesson.odt").write_bytes(b"closed")
    (home / "open").write_bytes(b"open")
    (home / "shut").write_bytes(b"shut")
    # All folders of pytest's own: where tests run side by side, one more than else.
    base = tmp_path_factory.getbasetemp()
    mine = base.parents[1] if base.name.startswith("popen-") else base.parent
    for path in (home, *home.parents):
        if path.is_relative_to(mine):
            path.chmod(0o755)
    (home / "shut").chmod(0o600)
    (home / "Desktop").chmod(0o700)
    if os.geteuid() != 0:
        (home / "shut").chmod(0)
        (home / "Desktop").chmod(0)

    result = save(repository, home, uid=NOBODY)

    assert result.state is SnapshotState.PARTIAL
    assert {(skip.path, skip.reason) for skip in result.skips} == {
        (os.fsencode(home / "Desktop"), "denied"),
        (os.fsencode(home / "shut"), "denied"),
    }
    assert result.files == 1
    (home / "Desktop").chmod(0o700)
