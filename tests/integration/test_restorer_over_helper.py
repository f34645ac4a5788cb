"""Snapshot, wipe, restore and undo through the real helper, over this computer's own pipes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.archiver.manifest import read_manifest
from tasks.backends.local import LocalBackend
from tasks.remote.filesystem import RemoteHost
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer import file_writer
from tasks.restorer.plan import RestorePlan, RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.undo import (
    BEFORE_RESTORE,
    UNDO_DOCUMENT,
    apply_undo,
    needs_before_image,
    undo_document,
)
from tasks.restorer.verify import verify
from tests.support.helper_host import NOBODY, can_be_nobody, helper_host
from tests.support.teacher_home import differences, fingerprint, make_home


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    opened = Repository.init(LocalBackend(tmp_path / "repository"), "first bell", scrypt_n=2**4)
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "a.ito"
    make_home(folder, files=50, large_mib=9)
    return folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Give a folder that every account may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def save(repository: Repository, host: RemoteHost, home: Path, plan: RestorePlan | None = None) -> Snapshot:
    """Save a home; with ``plan``, the before-image of that."""
    capture = CapturePlan("lab3-07", "lab3-07", (os.fsencode(home),), ())
    if plan is not None:
        document = undo_document(plan, host="lab3-07")
        capture = CapturePlan(
            "lab3-07",
            "lab3-07",
            plan.roots,
            (),
            only=needs_before_image(plan),
            tags=(BEFORE_RESTORE,),
            documents={UNDO_DOCUMENT: document.encode()},
        )
    result = Archiver(repository, host.source()).snapshot(capture, parent=None, now=datetime.now(UTC))
    assert result.snapshot is not None
    assert result.skips == ()
    return result.snapshot


def plan_of(repository: Repository, host: RemoteHost, snapshot: Snapshot) -> RestorePlan:
    known = {entry.path: entry.sha256 for entry in read_manifest(repository, snapshot) if entry.sha256}
    request = RestoreRequest(snapshot, mode="apply", set_owners=os.geteuid() == 0)
    return build_plan(repository, host.sink(), request, now=datetime.now(UTC), known_hashes=known)


def mess_up(home: Path) -> None:
    shutil.rmtree(home / "Pictures")
    old = home / "Desktop" / "start lesson.sh"
    old.write_text("an older version")
    os.utime(old, ns=(1, 1))
    (home / "Desktop" / "empty.txt").write_text("new work")
    link = home / "Desktop" / "Biology"
    link.unlink()
    link.symlink_to("elsewhere")
    os.utime(link, ns=(1, 1), follow_symlinks=False)
    for name in ("Documents", "Desktop"):  # one file with two names, older
        (home / name / "plan.odt").unlink()
    (home / "Documents" / "plan.odt").write_bytes(b"old plan")
    os.utime(home / "Documents" / "plan.odt", ns=(1, 1))
    os.link(home / "Documents" / "plan.odt", home / "Desktop" / "plan.odt")
    home.chmod(0o711)


def test_a_wiped_home_comes_back_just_as_it_was(repository: Repository, home: Path) -> None:
    before = fingerprint(home)
    with helper_host() as host:
        snapshot = save(repository, host, home)
        shutil.rmtree(home)
        result = Restorer(repository, host.sink()).apply(plan_of(repository, host, snapshot))
        assert result.complete, result.problems
        assert differences(before, fingerprint(home)) == []
        assert result.problems == ()
        assert verify(repository, host.sink(), snapshot).good
        again = plan_of(repository, host, snapshot)
        assert set(again.counts) == {"same"}, [item for item in again.items if item.action != "same"]


def test_a_restore_is_undone(repository: Repository, home: Path) -> None:
    saved = fingerprint(home)
    with helper_host() as host:
        snapshot = save(repository, host, home)
        mess_up(home)
        messy = fingerprint(home)
        plan = plan_of(repository, host, snapshot)
        image = save(repository, host, home, plan)
        result = Restorer(repository, host.sink()).apply(plan)
        assert result.verified
        assert (result.failed, result.conflicts, result.kept_newer) == (0, 0, 1)
        restored = fingerprint(home)
        saved[b"Desktop/empty.txt"] = messy[b"Desktop/empty.txt"]
        assert differences(saved, restored) == []

        undone = apply_undo(repository, host.sink(), image)
        assert undone.complete, undone.problems
        assert differences(messy, fingerprint(home)) == []


def test_a_home_that_is_a_link_on_the_host_is_followed(repository: Repository, home: Path, tmp_path: Path) -> None:
    before = fingerprint(home)
    with helper_host() as host:
        snapshot = save(repository, host, home)
        shutil.rmtree(home)
        (tmp_path / "real").mkdir()
        home.symlink_to(tmp_path / "real")
        plan = plan_of(repository, host, snapshot)
        image = save(repository, host, home, plan)
        result = Restorer(repository, host.sink()).apply(plan)
        assert result.complete, result.problems
        changed = differences(before, fingerprint(tmp_path / "real"))
        assert [line for line in changed if not line.startswith("b'.': m")] == []
        assert apply_undo(repository, host.sink(), image).complete
        assert os.listdir(tmp_path / "real") == []


def test_a_dated_folder_is_filled_and_undone(repository: Repository, home: Path) -> None:
    before = fingerprint(home)
    with helper_host() as host:
        snapshot = save(repository, host, home)
        request = RestoreRequest(snapshot, mode="stage", homes=(os.fsencode(home),), include=("Documents",))
        plan = build_plan(repository, host.sink(), request, now=datetime(2026, 11, 25, 8, 30, tzinfo=UTC))
        image = save(repository, host, home, plan)
        assert Restorer(repository, host.sink()).apply(plan).complete
        folder = home / "Desktop" / "Restored 2026-11-25"
        part = {path: entry for path, entry in before.items() if path.startswith(b"Documents")}
        found = fingerprint(folder)
        assert [line for line in differences(part, found) if "links was" not in line] == ["new: b'.'"]
        assert apply_undo(repository, host.sink(), image).complete
        assert not folder.exists()
        changed = differences(before, fingerprint(home))
        assert [line for line in changed if not line.startswith("b'Desktop': mtime_ns")] == []


def test_damage_in_the_middle_of_a_large_file_leaves_nothing_of_it(
    repository: Repository, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_writer, "_WHOLE", 0)
    film = home / "Pictures" / "class film.mp4"
    before = fingerprint(home)
    with helper_host() as host:
        snapshot = save(repository, host, home)
        shutil.rmtree(home)
        plan = plan_of(repository, host, snapshot)
        node = next(item.node for item in plan.items if item.path == os.fsencode(film))
        assert node.content is not None
        place = repository.blob_place(node.content[-1])
        assert place is not None
        pack = tmp_path / "repository" / "data" / place.pack.hex()[:2] / place.pack.hex()
        pack.chmod(0o600)
        with pack.open("r+b") as file:
            file.seek(place.blob.offset + 40)
            file.write(b"rot")
        result = Restorer(repository, host.sink()).apply(plan)
        assert [(one.path, one.reason) for one in result.problems] == [(os.fsencode(film), "damaged")]
        assert differences(before, fingerprint(home)) == ["missing: b'Pictures/class film.mp4'"]


@pytest.mark.skipif(not can_be_nobody(), reason="the helper cannot run as somebody without rights here")
def test_an_account_without_rights_restores_what_it_may_and_tells_the_rest(
    repository: Repository, open_folder: Path
) -> None:
    home = open_folder / "home"
    (home / "sealed").mkdir(parents=True)
    (home / "sealed" / "inside.txt").write_text("inside")
    (home / "read only.txt").write_text("the contract")
    (home / "locked away").mkdir()
    (home / "locked away" / "x.txt").write_text("x")
    (home / "read only.txt").chmod(0o444)
    (home / "sealed").chmod(0o555)
    nobody = NOBODY if os.geteuid() == 0 else os.getuid()
    if os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, nobody, nobody)
    before = fingerprint(home)
    with helper_host() as host:
        snapshot = save(repository, host, home)

    (home / "sealed").chmod(0o755)
    (home / "sealed" / "inside.txt").unlink()
    (home / "sealed").chmod(0o555)
    (home / "read only.txt").chmod(0o644)
    (home / "read only.txt").write_text("scribble")
    os.utime(home / "read only.txt", ns=(1, 1))
    (home / "read only.txt").chmod(0o444)
    with helper_host(Path("/usr/bin/python3"), uid=nobody) as host:
        result = Restorer(repository, host.sink()).apply(plan_of(repository, host, snapshot))
        assert result.complete, result.problems
    assert differences(before, fingerprint(home)) == []

    if os.geteuid() != 0:
        return  # nobody can lock us out of what is ours
    shutil.rmtree(home / "locked away")
    (home / "locked away").mkdir()
    (home / "read only.txt").unlink()
    with helper_host(Path("/usr/bin/python3"), uid=nobody) as host:
        result = Restorer(repository, host.sink()).apply(plan_of(repository, host, snapshot))
    assert (home / "read only.txt").read_text() == "the contract"
    assert not (home / "locked away" / "x.txt").exists()
    assert not result.complete
    assert {(one.path, one.reason) for one in result.problems if one.kind == "failed"} >= {
        (os.fsencode(home / "locked away" / "x.txt"), "denied")
    }
