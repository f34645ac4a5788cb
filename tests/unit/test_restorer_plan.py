"""What a plan says about a host, before anything is written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tasks.errors import RestoreRefused
from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node, Tree
from tasks.restorer.hard_links import HardLinks
from tasks.restorer.plan import PlanItem, RestorePlan, RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.roots import allowed_roots
from tests.support.directory_sink import DirectorySink
from tests.support.snapshot_fixture import new_repository, save_snapshot

NOW = datetime(2026, 11, 25, 0, 30, tzinfo=ZoneInfo("Europe/Berlin"))
OLD = 1_700_000_000_123_456_789


@pytest.fixture
def repository() -> Iterator[Repository]:
    opened = new_repository()
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "a.ito"
    for name in ("Desktop", "Documents/2026"):
        (folder / name).mkdir(parents=True)
    for name in ("Desktop/lesson.odt", "Desktop/notes.txt", "Documents/2026/exam.odt", "Documents/plan.odt"):
        write(folder / name, f"this is {name}".encode())
    return folder


def write(path: Path, data: bytes, mtime_ns: int = OLD) -> None:
    path.write_bytes(data)
    os.utime(path, ns=(mtime_ns, mtime_ns))


def plan_of(repository: Repository, snapshot: Snapshot, **more: object) -> RestorePlan:
    request = RestoreRequest(snapshot, **{"mode": "apply", **more})  # type: ignore[arg-type]
    return build_plan(repository, DirectorySink(), request, now=NOW)


def item(plan: RestorePlan, path: Path) -> PlanItem:
    return next(item for item in plan.items if item.path == os.fsencode(path))


def counts(plan: RestorePlan) -> dict[str, int]:
    return {action: count for action, count in plan.counts.items() if count}


def test_nothing_to_do_where_all_is_there(repository: Repository, home: Path) -> None:
    plan = plan_of(repository, save_snapshot(repository, [home]))
    assert counts(plan) == {"same": 8}
    assert plan.roots == ()
    assert plan.writes == plan.bytes == plan.blobs == 0


def test_each_way_a_file_can_differ(repository: Repository, home: Path) -> None:
    names = [
        "gone",
        "older",
        "newer",
        "newer but told",
        "touched",
        "mode",
        "folder now",
        "link now",
        "same size, newer",
    ]
    for name in names:
        write(home / "Desktop" / name, f"content of {name}".encode())
    snapshot = save_snapshot(repository, [home])
    desktop = home / "Desktop"
    (desktop / "gone").unlink()
    write(desktop / "older", b"an old version put back", OLD - 10**9)
    write(desktop / "newer", b"new work", OLD + 10**9)
    write(desktop / "newer but told", b"new work", OLD + 10**9)
    os.utime(desktop / "touched", ns=(OLD + 10**12, OLD + 10**12))
    (desktop / "mode").chmod(0o600)
    (desktop / "folder now").unlink()
    (desktop / "folder now").mkdir()
    (desktop / "link now").unlink()
    (desktop / "link now").symlink_to("older")
    write(desktop / "same size, newer", b"CONTENT of same size, newer", OLD + 10**9)

    plan = plan_of(repository, snapshot, overwrite_newer=(os.fsencode(desktop / "newer but told"),))

    assert {name: item(plan, desktop / name).action for name in names} == {
        "gone": "create",
        "older": "overwrite",
        "newer": "keep-newer",
        "newer but told": "overwrite",
        "touched": "metadata",
        "mode": "metadata",
        "folder now": "conflict",
        "link now": "conflict",
        "same size, newer": "keep-newer",
    }
    assert item(plan, desktop / "older").expected is not None
    assert item(plan, desktop / "gone").expected is None
    assert plan.bytes == sum(len(f"content of {name}") for name in ("gone", "older", "newer but told"))
    assert plan.blobs == 3
    assert plan.packs >= 1
    assert plan.roots == (os.fsencode(home),)


def test_a_file_that_looks_the_same_is_compared_when_asked(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    rotten = home / "Desktop" / "notes.txt"
    write(rotten, rotten.read_bytes().replace(b"this", b"thiz"))
    assert item(plan_of(repository, snapshot), rotten).action == "same"
    assert item(plan_of(repository, snapshot, check_content=True), rotten).action == "overwrite"


def test_a_large_touched_file_is_compared_by_known_or_by_stored_hash(repository: Repository, home: Path) -> None:
    film = home / "Desktop" / "film.mp4"
    write(film, os.urandom(50_000))
    snapshot = save_snapshot(repository, [home], piece=10_000)
    os.utime(film, ns=(OLD + 10**9, OLD + 10**9))
    assert item(plan_of(repository, snapshot), film).action == "metadata"
    known = {os.fsencode(film): bytes(32)}
    request = RestoreRequest(snapshot, mode="apply")
    plan = build_plan(repository, DirectorySink(), request, now=NOW, known_hashes=known)
    assert item(plan, film).action == "keep-newer"


def test_times_of_a_file_system_with_whole_seconds_are_the_same(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    for path in home.rglob("*"):
        whole = path.stat().st_mtime_ns // 10**9 * 10**9
        os.utime(path, ns=(whole, whole))
    whole = home.stat().st_mtime_ns // 10**9 * 10**9
    os.utime(home, ns=(whole, whole))
    assert counts(plan_of(repository, snapshot)) == {"same": 8}


def test_patterns_select_and_folders_on_the_way_are_only_made(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    shutil.rmtree(home / "Documents")
    (home / "Desktop").chmod(0o700)
    plan = plan_of(repository, snapshot, include=("*.odt", "nothing.*"), exclude=("Documents/plan.odt",))
    paths = {item.path.removeprefix(os.fsencode(home) + b"/"): item.action for item in plan.items}
    assert paths == {
        b"Desktop/lesson.odt": "same",
        b"Documents": "create",
        b"Documents/2026": "create",
        b"Documents/2026/exam.odt": "create",
    }
    assert plan.unmatched == ("nothing.*",)


def test_a_symlink_where_a_folder_was_blocks_all_below(repository: Repository, home: Path, tmp_path: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(home / "Documents")
    (home / "Documents").symlink_to(elsewhere)
    plan = plan_of(repository, snapshot)
    below = [item for item in plan.items if b"/Documents" in item.path]
    assert len(below) == 4
    assert {item.action for item in below} == {"conflict"}
    assert item(plan, home / "Desktop" / "notes.txt").action == "same"


@pytest.mark.parametrize("moved", [False, True])
def test_a_home_that_is_a_link_on_the_host_is_followed(
    repository: Repository, home: Path, tmp_path: Path, *, moved: bool
) -> None:
    snapshot = save_snapshot(repository, [home])
    shutil.rmtree(home)
    place = tmp_path / "b.ono" if moved else home
    (tmp_path / "real").mkdir()
    place.symlink_to(tmp_path / "real")
    target = {os.fsencode(home): os.fsencode(place)} if moved else {}
    assert Restorer(repository, DirectorySink()).apply(plan_of(repository, snapshot, target=target)).complete
    assert place.is_symlink()
    assert (tmp_path / "real" / "Desktop" / "notes.txt").read_bytes() == b"this is Desktop/notes.txt"
    assert set(plan_of(repository, snapshot, target=target).counts) == {"same"}


def test_the_snapshots_own_documents_stay_out(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home], documents={"facts.json": {"version": 1}})
    assert not [item for item in plan_of(repository, snapshot).items if b".firstbell" in item.path]


def test_another_home_gets_the_files_with_its_owner(repository: Repository, home: Path) -> None:
    other = home.parent / "b.ono"
    other.mkdir()
    raw, raw_other = os.fsencode(home), os.fsencode(other)
    snapshot = save_snapshot(repository, [home], owners={raw: 2001, raw + b"/Desktop/notes.txt": 2001})

    class Host(DirectorySink):
        """A host where the other home belongs to somebody else than to us."""

        def stat(self, paths: Sequence[bytes]) -> list[Node | None]:
            found = super().stat(paths)
            return [replace(node, uid=2002, gid=2003) if node and node.name == b"b.ono" else node for node in found]

    plan = build_plan(repository, Host(), RestoreRequest(snapshot, mode="apply", target={raw: raw_other}), now=NOW)
    assert {item.path for item in plan.items} == {
        os.fsencode(other / path.relative_to(home)) for path in (home, *home.rglob("*"))
    }
    assert plan.roots == (raw_other,)
    notes = item(plan, other / "Desktop" / "notes.txt")
    assert (notes.node.uid, notes.node.gid) == (2002, 2003)
    assert item(plan, other / "Desktop" / "lesson.odt").node.uid == os.getuid()
    assert notes.source == os.fsencode(home / "Desktop" / "notes.txt")


def test_what_no_old_root_covers_is_skipped_and_told(repository: Repository, home: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    write(share / "a", b"a")
    snapshot = save_snapshot(repository, [home, share])
    target = {os.fsencode(home): os.fsencode(tmp_path / "new"), b"/no/such": b"/x"}
    plan = plan_of(repository, snapshot, target=target)
    assert {item.action for item in plan.items if item.path.startswith(os.fsencode(share))} == {"skip"}
    assert plan.notes == ("the snapshot has nothing of what was asked for below /no/such",)
    assert not (tmp_path / "new").exists()


def test_the_whole_tree_can_go_below_a_new_folder(repository: Repository, home: Path, tmp_path: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    into = tmp_path / "deep" / "into"
    plan = plan_of(repository, snapshot, target={b"/": os.fsencode(into)})
    result = Restorer(repository, DirectorySink()).apply(plan)
    assert result.complete, result.problems
    assert plan.roots == (os.fsencode(tmp_path / "deep"),)
    assert Path(f"{into}{home}/Desktop/notes.txt").read_bytes() == b"this is Desktop/notes.txt"


def test_a_new_root_below_a_file_is_a_conflict(repository: Repository, home: Path, tmp_path: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    (tmp_path / "taken").write_text("a file")
    for into in (tmp_path / "taken", tmp_path / "taken" / "deep" / "er"):
        plan = plan_of(repository, snapshot, target={os.fsencode(home): os.fsencode(into)})
        assert set(counts(plan)) == {"conflict"}
        assert plan.roots == ()
        assert not plan.writes


def test_names_of_one_file_are_linked_only_with_the_same_content() -> None:
    links = HardLinks()
    first = Node(b"a", "file", links=3, inode=7, device_id=1, content=(bytes(32),))
    assert links.link_to(b"/kept", first, "keep-newer") is None
    assert links.link_to(b"/a", first, "create") is None
    assert links.link_to(b"/b", first, "create") == b"/a"
    assert links.link_to(b"/c", replace(first, content=(b"1" * 32,)), "create") is None
    assert links.link_to(b"/d", first, "same") is None
    assert links.link_to(b"/e", replace(first, device_id=2), "create") is None
    assert links.link_to(b"/f", replace(first, links=1), "create") is None


def test_writing_is_allowed_below_as_few_roots_as_will_do() -> None:
    def items(*paths: bytes) -> list[PlanItem]:
        return [PlanItem(path, Node(b"", "dir"), "create") for path in paths]

    roots = [b"/home/a/Desktop", b"/home/b"]
    assert allowed_roots(items(b"/home/b/x", b"/home/b/y"), roots) == (b"/home/b",)
    assert allowed_roots(items(b"/home/a/Desktop/x", b"/home/a"), roots) == (b"/home/a",)
    assert allowed_roots(items(b"/home/a", b"/home/a/Desktop"), roots) == (b"/home/a",)
    assert allowed_roots([PlanItem(b"/home/b/x", Node(b"", "dir"), "same")], roots) == ()


def test_stage_takes_a_fresh_dated_folder_on_the_desktop(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    fresh = home / "Desktop" / "Restored 2026-11-25"
    for expected in (fresh, fresh.with_name("Restored 2026-11-25 (2)")):
        plan = plan_of(repository, snapshot, mode="stage", homes=(os.fsencode(home),), include=("Documents",))
        assert plan.folders == (os.fsencode(expected),)
        assert plan.roots == (os.fsencode(expected),)
        assert set(counts(plan)) == {"create"}
        assert Restorer(repository, DirectorySink()).apply(plan).complete
        assert (expected / "Documents" / "2026" / "exam.odt").read_bytes() == b"this is Documents/2026/exam.odt"
        assert sorted(os.listdir(expected)) == ["Documents"]
        assert abs(expected.stat().st_mtime - NOW.timestamp()) < 1


def test_stage_of_roots_inside_a_home_is_laid_out_as_the_home(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home / "Desktop", home / "Documents"])
    plan = plan_of(repository, snapshot, mode="stage", homes=(os.fsencode(home),))
    assert Restorer(repository, DirectorySink()).apply(plan).complete
    folder = home / "Desktop" / "Restored 2026-11-25"
    assert sorted(os.listdir(folder)) == ["Desktop", "Documents"]


def test_stage_of_two_people_goes_to_each_ones_desktop(repository: Repository, home: Path) -> None:
    other = home.parent / "b.ono"
    (other / "Schreibtisch").mkdir(parents=True)
    write(other / "hers.txt", b"hers")
    snapshot = save_snapshot(repository, [home, other])
    homes = (os.fsencode(home), os.fsencode(other))
    desk = os.fsencode(other / "Schreibtisch")
    plan = plan_of(repository, snapshot, mode="stage", homes=homes, stage_in={homes[1]: desk})
    assert plan.folders == (homes[0] + b"/Desktop/Restored 2026-11-25", desk + b"/Restored 2026-11-25")
    assert Restorer(repository, DirectorySink()).apply(plan).complete
    assert (other / "Schreibtisch" / "Restored 2026-11-25" / "hers.txt").read_bytes() == b"hers"


def test_a_cut_off_stage_goes_on_in_its_own_folder_and_overwrites_nothing(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    folder = home / "Desktop" / "Restored 2026-11-24"
    (folder / "Desktop").mkdir(parents=True)
    write(folder / "Desktop" / "notes.txt", b"edited there")
    plan = plan_of(repository, snapshot, mode="stage", homes=(os.fsencode(home),), stage_folder=os.fsencode(folder))
    assert item(plan, folder / "Desktop" / "notes.txt").action == "conflict"
    Restorer(repository, DirectorySink()).apply(plan)
    assert (folder / "Desktop" / "notes.txt").read_bytes() == b"edited there"
    assert (folder / "Documents" / "plan.odt").exists()


def test_a_cut_off_stage_of_two_people_goes_on_in_the_folders_that_it_made(repository: Repository, home: Path) -> None:
    other = home.parent / "b.ono"
    (other / "Desktop").mkdir(parents=True)
    write(other / "hers.txt", b"hers")
    snapshot = save_snapshot(repository, [home, other])
    homes = (os.fsencode(home), os.fsencode(other))
    first = plan_of(repository, snapshot, mode="stage", homes=homes)
    Restorer(repository, DirectorySink()).apply(first)
    begun = frozenset(first.folders)
    plan = plan_of(repository, snapshot, mode="stage", homes=homes, stage_begun=begun, check_content=True)
    assert plan.folders == first.folders
    assert plan.writes == 0
    # Without that, it is somebody else's.
    assert not begun & set(plan_of(repository, snapshot, mode="stage", homes=homes).folders)


def test_stage_falls_back_to_the_home_when_the_desktop_is_gone(repository: Repository, home: Path) -> None:
    raw = os.fsencode(home)
    snapshot = save_snapshot(repository, [home])
    shutil.rmtree(home / "Desktop")
    plan = plan_of(repository, snapshot, mode="stage", homes=(raw,), stage_in={raw: raw + b"/Desktop"})
    assert plan.folders == (raw + b"/Restored 2026-11-25",)


def test_stage_without_a_home_on_the_host_is_refused(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    shutil.rmtree(home)
    with pytest.raises(RestoreRefused, match="there is no folder"):
        plan_of(repository, snapshot, mode="stage", homes=(os.fsencode(home),))


def test_a_plan_made_to_be_shown_is_not_applied(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    with pytest.raises(RestoreRefused):
        Restorer(repository, DirectorySink()).apply(plan_of(repository, snapshot, mode="plan"))


def test_the_digest_names_what_would_be_written_over_what(repository: Repository, home: Path) -> None:
    snapshot = save_snapshot(repository, [home])
    write(home / "Desktop" / "notes.txt", b"short", OLD - 10**9)
    first = plan_of(repository, snapshot)
    assert first.digest == plan_of(repository, snapshot).digest
    write(home / "Desktop" / "notes.txt", b"short", OLD - 2 * 10**9)
    assert first.digest != plan_of(repository, snapshot).digest


def test_a_plan_is_json(repository: Repository, home: Path) -> None:
    (home / "Desktop" / os.fsdecode(b"caf\xe9")).touch()
    snapshot = save_snapshot(repository, [home])
    shutil.rmtree(home)
    value = json.loads(json.dumps(plan_of(repository, snapshot).to_json()))
    assert value["create"] == len(value["items"]) == 9
    assert value["bytes"] == sum(entry["size"] for entry in value["items"] if entry["type"] == "file")


def test_what_a_snapshot_cannot_give_is_told(repository: Repository, tmp_path: Path) -> None:
    gone = repository.save_blob(BlobType.DATA, b"x")
    nodes = [
        Node(b"..", "file", 0o100644, content=()),
        Node(b"broken", "dir", 0o40755, subtree=bytes(32)),
        Node(b"evil/../../etc", "dir", 0o40755, subtree=bytes(32)),
        Node(b"fine", "file", 0o100644, size=1, content=(gone.id,)),
        Node(b"lost", "file", 0o100644, size=1, content=(bytes(32),)),
        Node(b"socket", "socket", 0o140755),
        Node(b"unsaid", "file", 0o100644, size=1),
    ]
    inner = repository.save_tree(Tree(nodes)).id
    root = repository.save_tree(Tree([Node(b"srv", "dir", 0o40755, subtree=inner)])).id
    snapshot = repository.save_snapshot(Snapshot(NOW, root, ("/srv",)))
    plan = plan_of(repository, snapshot, target={b"/srv": os.fsencode(tmp_path / "out")})
    actions = {item.path.rpartition(b"/")[2]: item.action for item in plan.items if item.action != "create"}
    assert actions == dict.fromkeys((b"..", b"broken", b"etc", b"lost", b"socket", b"unsaid"), "skip")
    result = Restorer(repository, DirectorySink()).apply(plan)
    assert os.listdir(tmp_path / "out") == ["fine"]
    assert result.skipped == 6
    assert not result.complete


def test_a_home_behind_a_symlink_is_found_by_both_names(repository: Repository, tmp_path: Path) -> None:
    real = tmp_path / "var" / "home" / "a.ito"
    real.mkdir(parents=True)
    write(real / "x.odt", b"x")
    (tmp_path / "home").symlink_to("var/home")
    top = os.fsencode(tmp_path)
    stored = save_snapshot(repository, [top + b"/home", top + b"/var/home/a.ito"])
    snapshot = Snapshot(stored.time, stored.tree, (os.fsdecode(top + b"/home/a.ito"),), id=stored.id)
    shutil.rmtree(tmp_path / "var")
    for pattern in ("x.odt", f"{tmp_path}/home/a.ito/*.odt", f"{tmp_path}/var/home/a.ito"):
        plan = plan_of(repository, snapshot, include=(pattern,), homes=(top + b"/home/a.ito",))
        assert item(plan, real / "x.odt").action == "create", pattern
    # Folders above what was saved are made, but never changed.
    (tmp_path / "var").mkdir(mode=0o700)
    plan = plan_of(repository, snapshot)
    assert os.fsencode(tmp_path / "var") not in {item.path for item in plan.items}
