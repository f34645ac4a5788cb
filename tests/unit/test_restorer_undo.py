"""Undoing a restore, with a before-image kept as the verb keeps it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tasks.entries import WriteResult
from tasks.errors import Damaged, RestoreRefused, Unreachable
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.plan import RestorePlan, RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.undo import (
    BEFORE_RESTORE,
    UNDO_DOCUMENT,
    UndoDocument,
    apply_undo,
    build_undo,
    needs_before_image,
    read_undo_document,
    undo_document,
)
from tests.support.directory_sink import DirectorySink
from tests.support.snapshot_fixture import new_repository, save_snapshot
from tests.support.teacher_home import differences, fingerprint, make_home

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.fixture
def repository() -> Iterator[Repository]:
    opened = new_repository()
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "a.ito"
    make_home(folder, files=30, large_mib=3)
    return folder


def plan_of(repository: Repository, snapshot: Snapshot, **more: object) -> RestorePlan:
    request = RestoreRequest(snapshot, **{"mode": "apply", **more})  # type: ignore[arg-type]
    return build_plan(repository, DirectorySink(), request, now=NOW)


def restore(repository: Repository, plan: RestorePlan) -> Snapshot:
    """Keep the before-image, restore, and return the before-image."""
    document = json.loads(undo_document(plan, host="lab3-07").encode())
    before = save_snapshot(
        repository,
        list(plan.roots),
        only=needs_before_image(plan),
        documents={UNDO_DOCUMENT: document},
        tags=[BEFORE_RESTORE],
    )
    result = Restorer(repository, DirectorySink()).apply(plan)
    assert result.verified
    return before


def older(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(1_500_000_000_000_000_001, 1_500_000_000_000_000_001))


def mess_up(home: Path) -> None:
    """Leave the home as a restore would find it: some gone, some older, some newer, some touched."""
    shutil.rmtree(home / "Pictures")
    (home / "Desktop" / "empty folder").rmdir()
    older(home / "Desktop" / "start lesson.sh", b"an older version")
    older(home / "Documents" / "sparse.img", b"\0" * (6 << 20))
    (home / "Desktop" / "empty.txt").write_text("new work")
    (home / "Desktop" / "brand new").mkdir()
    (home / "Desktop" / "brand new" / "x.txt").write_text("never saved")
    (home / "Documents" / "signed contract.pdf").chmod(0o640)
    link = home / "Desktop" / "Biology"
    link.unlink()
    link.symlink_to("elsewhere")
    os.utime(link, ns=(1, 1), follow_symlinks=False)
    for name in ("Documents", "Desktop"):  # one file with two names, older
        (home / name / "plan.odt").unlink()
    older(home / "Documents" / "plan.odt", b"old plan")
    os.link(home / "Documents" / "plan.odt", home / "Desktop" / "plan.odt")
    home.chmod(0o711)


def test_undo_goes_back_to_just_what_was_there(repository: Repository, home: Path) -> None:
    saved = fingerprint(home)
    snapshot = save_snapshot(repository, [home])
    mess_up(home)
    messy = fingerprint(home)

    before = restore(repository, plan_of(repository, snapshot))
    restored = fingerprint(home)
    assert restored[b"Desktop/empty.txt"] == messy[b"Desktop/empty.txt"]
    ours = {path for path in messy if path not in saved} | {b"Desktop/empty.txt"}
    assert differences(saved, {path: entry for path, entry in restored.items() if path not in ours}) == [
        "missing: b'Desktop/empty.txt'"
    ]

    result = apply_undo(repository, DirectorySink(), before)
    assert result.complete, result.problems
    assert differences(messy, fingerprint(home)) == []

    again = apply_undo(repository, DirectorySink(), before)
    assert (again.restored, again.removed, again.folders, again.complete) == (0, 0, 0, True)


def test_undo_of_a_wiped_home_leaves_nothing(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    shutil.rmtree(home)
    plan = plan_of(repository, snapshot)
    assert needs_before_image(plan) == ()
    before = restore(repository, plan)
    assert home.exists()
    assert apply_undo(repository, DirectorySink(), before).complete
    assert not home.exists()


def test_undo_of_a_dated_folder_removes_it(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    earlier = fingerprint(home)
    before = restore(repository, plan_of(repository, snapshot, mode="stage", homes=(os.fsencode(home),)))
    assert (home / "Desktop" / "Restored 2026-11-25").exists()
    assert apply_undo(repository, DirectorySink(), before).complete
    after = fingerprint(home)
    assert [line for line in differences(earlier, after) if "b'Desktop': mtime" not in line] == []


def test_undo_keeps_work_done_after_the_restore(repository: Repository, home: Path) -> None:
    film = home / "Pictures" / "class film.mp4"
    snapshot = save_snapshot(repository, [home])
    mess_up(home)
    before = restore(repository, plan_of(repository, snapshot))
    # All of these look older than what was restored: only the content tells.
    edited = [home / "Desktop" / "start lesson.sh", film, home / "Documents" / "sparse.img"]
    for path in edited:
        path.chmod(0o644)
        older(path, b"edited after the restore")
    (home / "Pictures" / "added later.txt").write_text("added")
    (home / "Desktop" / "Biology").unlink()
    (home / "Desktop" / "Biology").symlink_to("my own")

    result = apply_undo(repository, DirectorySink(), before)

    for path in edited:
        assert path.read_bytes() == b"edited after the restore"
    assert (home / "Pictures" / "added later.txt").read_text() == "added"
    assert os.readlink(home / "Desktop" / "Biology") == "my own"
    kept = {one.path for one in result.problems if one.kind == "kept-newer"}
    assert kept == {os.fsencode(path) for path in [*edited, home / "Desktop" / "Biology"]}
    # The folder that still holds work stays, and is told.
    assert {one.path for one in result.problems if one.kind == "conflict"} == {os.fsencode(home / "Pictures")}
    assert sorted(os.listdir(home / "Pictures")) == ["added later.txt", "class film.mp4"]
    assert (home / "Documents" / "plan.odt").read_bytes() == b"old plan"


def test_what_was_deleted_after_the_restore(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    mess_up(home)
    messy = fingerprint(home)
    before = restore(repository, plan_of(repository, snapshot))
    shutil.rmtree(home / "Pictures")
    (home / "Desktop" / "start lesson.sh").unlink()
    assert apply_undo(repository, DirectorySink(), before).complete
    assert differences(messy, fingerprint(home)) == []


def test_a_restore_that_was_cut_off_can_be_undone(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    mess_up(home)
    messy = fingerprint(home)
    plan = plan_of(repository, snapshot)
    document = undo_document(plan, host="lab3-07")
    before = save_snapshot(
        repository, [home], only=needs_before_image(plan), documents={UNDO_DOCUMENT: json.loads(document.encode())}
    )
    # As far as the restore came: one folder made, one file overwritten.
    (home / "Desktop" / "empty folder").mkdir()
    half = [item for item in plan.items if item.path == os.fsencode(home / "Desktop" / "start lesson.sh")]
    sink = DirectorySink()
    sink.allow(plan.digest, plan.roots)
    assert half[0].node.content is not None
    sink.write_file(half[0].path, half[0].node, half[0].expected, repository.iter_blobs(half[0].node.content))
    assert [result.ok for result in sink.commit()] == [True]

    assert apply_undo(repository, DirectorySink(), before).complete
    assert differences(messy, fingerprint(home)) == []


def cut_after(
    repository: Repository, home: Path, snapshot: Snapshot, count: int, begun: Snapshot | None = None
) -> Snapshot:
    """Restore with a link that is cut after so many writes; return the before-image, which continues ``begun``."""
    plan = plan_of(repository, snapshot, check_content=begun is not None)
    continues = begun.id.hex() if begun is not None and begun.id else ""
    document = undo_document(plan, host="lab3-07", continues=continues)
    before = save_snapshot(
        repository,
        [home],
        only=needs_before_image(plan),
        documents={UNDO_DOCUMENT: json.loads(document.encode())},
        tags=[BEFORE_RESTORE],
    )
    with pytest.raises(Unreachable):
        Restorer(repository, CutSink(count)).apply(plan)
    return before


class CutSink(DirectorySink):
    """A host whose link is cut when it is asked for results, after so many times that went well."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def made(self) -> list[WriteResult]:
        self._cut()
        return super().made()

    def commit(self) -> list[WriteResult]:
        self._cut()
        return super().commit()

    def _cut(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Unreachable("cut")


@pytest.mark.parametrize("count", [0, 1, 2])
def test_one_undo_takes_back_all_parts(repository: Repository, home: Path, count: int) -> None:
    snapshot = save_snapshot(repository, [home])
    mess_up(home)
    messy = fingerprint(home)
    first = cut_after(repository, home, snapshot, count)
    second = cut_after(repository, home, snapshot, 0, first)
    third = plan_of(repository, snapshot, check_content=True)
    assert second.id is not None
    document = undo_document(third, host="lab3-07", continues=second.id.hex())
    last = save_snapshot(
        repository,
        list(third.roots),
        only=needs_before_image(third),
        documents={UNDO_DOCUMENT: json.loads(document.encode())},
        tags=[BEFORE_RESTORE],
    )
    assert Restorer(repository, DirectorySink()).apply(third).complete or third.counts["keep-newer"]
    assert fingerprint(home) != messy

    assert apply_undo(repository, DirectorySink(), last).complete
    assert differences(messy, fingerprint(home)) == []


def test_what_was_changed_between_two_parts_comes_back_as_it_was_then(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    script = home / "Desktop" / "start lesson.sh"
    older(script, b"an older version")
    plan = plan_of(repository, snapshot)
    first = restore(repository, plan)
    older(script, b"written between the two")
    plan = plan_of(repository, snapshot)
    assert first.id is not None
    document = undo_document(plan, host="lab3-07", continues=first.id.hex())
    last = save_snapshot(
        repository,
        [home],
        only=needs_before_image(plan),
        documents={UNDO_DOCUMENT: json.loads(document.encode())},
    )
    Restorer(repository, DirectorySink()).apply(plan)
    assert apply_undo(repository, DirectorySink(), last).complete
    assert script.read_bytes() == b"written between the two"


def test_a_part_whose_before_image_is_gone_stays_and_is_told(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    plan = plan_of(repository, snapshot)
    document = undo_document(plan, host="lab3-07", continues="ab" * 32)
    before = save_snapshot(repository, [home], only=[], documents={UNDO_DOCUMENT: json.loads(document.encode())})
    undo = build_undo(repository, DirectorySink(), document, before)
    assert undo.writes == 0
    assert ["an earlier part" in note for note in undo.notes] == [True]


def test_what_nobody_knows_any_more_is_kept(repository: Repository, home: Path) -> None:
    film = home / "Pictures" / "class film.mp4"
    snapshot = save_snapshot(repository, [home])
    film.unlink()
    plan = plan_of(repository, snapshot)
    before = restore(repository, plan)
    assert snapshot.id is not None
    repository.backend.remove(f"snapshots/{snapshot.id.hex()}")
    result = apply_undo(repository, DirectorySink(), before)
    assert film.exists()
    assert [(one.path, one.kind) for one in result.problems] == [(os.fsencode(film), "kept-newer")]


def test_what_the_before_image_does_not_have_is_told(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    older(home / "Desktop" / "start lesson.sh", b"an older version")
    plan = plan_of(repository, snapshot)
    document = undo_document(plan, host="lab3-07")
    before = save_snapshot(repository, [home], only=[], documents={UNDO_DOCUMENT: json.loads(document.encode())})
    Restorer(repository, DirectorySink()).apply(plan)
    result = apply_undo(repository, DirectorySink(), before)
    assert os.fsencode(home / "Desktop" / "start lesson.sh") in {one.path for one in result.problems}
    assert not result.complete


def test_the_before_image_is_small(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    (home / "Desktop" / "empty.txt").unlink()
    older(home / "Desktop" / "start lesson.sh", b"an older version")
    assert needs_before_image(plan_of(repository, snapshot)) == (
        os.fsencode(home / "Desktop"),
        os.fsencode(home / "Desktop" / "start lesson.sh"),
    )


def test_a_folder_that_only_got_a_file_back_gets_its_old_time_again(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    (home / "Desktop" / "empty.txt").unlink()
    messy = fingerprint(home)
    plan = plan_of(repository, snapshot, include=("Desktop/empty.txt",))
    assert [item.path for item in plan.items] == [os.fsencode(home / "Desktop" / "empty.txt")]
    before = restore(repository, plan)
    assert apply_undo(repository, DirectorySink(), before).complete
    assert differences(messy, fingerprint(home)) == []


def test_the_document_survives_storing(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    mess_up(home)
    (home / "Desktop" / os.fsdecode(b"latin-1 caf\xe9.txt")).unlink()
    plan = plan_of(repository, snapshot)
    document = undo_document(plan, host="lab3-07")
    assert UndoDocument.decode(document.encode()) == document
    assert read_undo_document(repository, restore(repository, plan)) == document
    assert build_undo(repository, DirectorySink(), document, snapshot).roots == plan.roots


def test_not_a_before_image(repository: Repository, home: Path) -> None:
    with pytest.raises(RestoreRefused, match="nothing to undo"):
        apply_undo(repository, DirectorySink(), save_snapshot(repository, [home]))
    broken = save_snapshot(repository, [home / "Desktop"], documents={UNDO_DOCUMENT: {"version": 99}})
    with pytest.raises(Damaged, match="version 99"):
        read_undo_document(repository, broken)
    for text in (b"[]", b"{}", b"not json", b'{"version":1}'):
        with pytest.raises(ValueError):
            UndoDocument.decode(text)
