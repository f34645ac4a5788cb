"""Restores of and onto Windows: case, names, placeholders of the cloud, known folders, and POSIX both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node, NodeType, Tree
from tasks.restorer.compare import IN_CLOUD
from tasks.restorer.foreign import Crossing, folded
from tasks.restorer.plan import PlanItem, RestorePlan, RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.undo import build_undo, undo_document
from tasks.restorer.verify import verify
from tests.support.snapshot_fixture import new_repository
from tests.support.windows_sink import CLOUD, NORMAL, WindowsSink

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
OLD = 1_700_000_000_123_456_700
HOME = "/C/Users/a.ito"


@dataclass
class Saved:
    """One node of a snapshot, and what it holds."""

    content: bytes = b""
    type: NodeType = "file"
    mode: int = 0o100666
    attributes: int | None = NORMAL
    mtime_ns: int = OLD


@pytest.fixture
def repository() -> Iterator[Repository]:
    opened = new_repository()
    yield opened
    opened.close()


def snapshot_of(repository: Repository, files: Mapping[str | bytes, bytes | Saved], root: str = HOME) -> Snapshot:
    """Save a snapshot with these files."""
    tree: dict[bytes, Any] = {}
    for path, value in files.items():
        *folders, name = (path if isinstance(path, bytes) else path.encode()).strip(b"/").split(b"/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value if isinstance(value, Saved) else Saved(value)
    saved = repository.save_tree(Tree(_nodes(repository, tree))).id
    repository.flush()
    return repository.save_snapshot(Snapshot(time=NOW, tree=saved, paths=(root,), hostname="lab4-01", tags=()))


def _nodes(repository: Repository, folder: Mapping[bytes, Any]) -> list[Node]:
    nodes: list[Node] = []
    for name, value in sorted(folder.items()):
        if not isinstance(value, Saved):
            subtree = repository.save_tree(Tree(_nodes(repository, value))).id
            nodes.append(Node(name, "dir", 0o40777, OLD, OLD, subtree=subtree))
            continue
        node = Node(name, value.type, value.mode, value.mtime_ns, value.mtime_ns)
        if value.attributes is not None:
            node.generic_attributes = {"windows.file_attributes": value.attributes}
        if value.type == "file":
            node.size = len(value.content)
            node.content = (repository.save_blob(BlobType.DATA, value.content).id,) if value.content else ()
        else:
            node.linktarget = value.content
        nodes.append(node)
    return nodes


def plan_of(repository: Repository, snapshot: Snapshot, sink: WindowsSink, **more: Any) -> RestorePlan:
    fields = {"mode": "apply", "of": "windows", "onto": "windows", "set_owners": False, **more}
    return build_plan(repository, sink, RestoreRequest(snapshot, **fields), now=NOW)


def item(plan: RestorePlan, path: str) -> PlanItem:
    return next(one for one in plan.items if one.path == path.encode())


def actions(plan: RestorePlan) -> dict[str, str]:
    return {one.path.decode(): one.action for one in plan.items if one.node.type != "dir"}


def test_a_fresh_profile_gets_its_files_and_a_second_time_nothing(repository: Repository) -> None:
    snapshot = snapshot_of(
        repository,
        {
            f"{HOME}/Desktop/Stundenplan.docx": b"plan",
            f"{HOME}/Desktop/read only.txt": Saved(b"ro", mode=0o100444, attributes=0x21),
            f"{HOME}/Desktop/trailing dot.": b"dot",
            f"{HOME}/Documents/{'ü' * 200}.txt": b"long",
        },
    )
    sink = WindowsSink({HOME: None})
    result = Restorer(repository, sink).apply(plan_of(repository, snapshot, sink))
    assert result.complete
    assert result.restored == 4
    assert sink.files()[f"{HOME}/Desktop/trailing dot.".upper()] == b"dot"
    again = plan_of(repository, snapshot, sink)
    assert set(actions(again).values()) == {"same"}
    assert again.writes == 0


def test_what_onedrive_brought_back_is_not_doubled(repository: Repository) -> None:
    files: dict[str | bytes, bytes | Saved] = {
        f"{HOME}/Desktop/same.docx": b"same content",
        f"{HOME}/Desktop/touched.docx": b"same content, another time",
        f"{HOME}/Desktop/newer.docx": b"as it was",
    }
    snapshot = snapshot_of(repository, files)
    sink = WindowsSink()
    sink.put(f"{HOME}/Desktop/same.docx", b"same content", mtime_ns=OLD)
    sink.put(f"{HOME}/Desktop/touched.docx", b"same content, another time", mtime_ns=OLD + 10**12)
    sink.put(f"{HOME}/Desktop/newer.docx", b"new work!", mtime_ns=OLD + 10**12)
    plan = plan_of(repository, snapshot, sink)
    assert actions(plan) == {
        f"{HOME}/Desktop/newer.docx": "keep-newer",
        f"{HOME}/Desktop/same.docx": "same",
        f"{HOME}/Desktop/touched.docx": "metadata",
    }
    assert plan.bytes == 0
    Restorer(repository, sink).apply(plan)
    assert len(sink.files()) == 3
    assert sink.files()[f"{HOME}/Desktop/newer.docx".upper()] == b"new work!"


def test_a_placeholder_is_neither_read_nor_replaced_and_it_is_told(repository: Repository) -> None:
    names = ("alike", "other size", "newer", "older")
    snapshot = snapshot_of(repository, {f"{HOME}/Desktop/{name}.pptx": b"12345678" for name in names})
    sink = WindowsSink()
    sink.put(f"{HOME}/Desktop/alike.pptx", b"", size=8, mtime_ns=OLD, attributes=CLOUD)
    sink.put(f"{HOME}/Desktop/other size.pptx", b"", size=9, mtime_ns=OLD, attributes=CLOUD)
    sink.put(f"{HOME}/Desktop/newer.pptx", b"", size=8, mtime_ns=OLD + 10**12, attributes=CLOUD)
    sink.put(f"{HOME}/Desktop/older.pptx", b"", size=8, mtime_ns=OLD - 10**12, attributes=CLOUD | 0x1000)
    told = tuple(f"{HOME}/Desktop/{name}.pptx".encode() for name in names)
    plan = plan_of(repository, snapshot, sink, overwrite_newer=told, check_content=True)
    assert actions(plan) == {
        f"{HOME}/Desktop/alike.pptx": "same",
        f"{HOME}/Desktop/newer.pptx": "keep-newer",
        f"{HOME}/Desktop/older.pptx": "conflict",
        f"{HOME}/Desktop/other size.pptx": "conflict",
    }
    assert item(plan, f"{HOME}/Desktop/alike.pptx").reason == IN_CLOUD
    assert any("1 file is there already as placeholders of the cloud" in note for note in plan.notes)
    assert "placeholder" in str(plan.to_json()["items"])
    result = Restorer(repository, sink).apply(plan)
    assert (result.unchanged, result.conflicts, result.kept_newer) == (1, 2, 1)
    assert {problem.path for problem in result.problems} == set(told) - {told[0]}
    # Nothing of this has been read: the sink fails when it is.
    assert verify(repository, sink, plan).checked == 0
    assert not verify(repository, sink, snapshot).good
    assert sink.hashed == []


def test_case_does_not_count_on_windows(repository: Repository) -> None:
    snapshot = snapshot_of(repository, {f"{HOME}/desktop/PLAN.TXT": b"plan", f"{HOME}/desktop/Ärger.txt": b"x"})
    sink = WindowsSink()
    sink.put(f"{HOME}/Desktop/plan.txt", b"plan", mtime_ns=OLD)
    sink.put(f"{HOME}/Desktop/ÄRGER.TXT", b"newer", mtime_ns=OLD + 10**12)
    plan = plan_of(repository, snapshot, sink)
    assert actions(plan) == {f"{HOME}/desktop/PLAN.TXT": "same", f"{HOME}/desktop/Ärger.txt": "keep-newer"}
    told = plan_of(repository, snapshot, sink, overwrite_newer=(f"{HOME.lower()}/DESKTOP/ärger.txt".encode(),))
    assert actions(told)[f"{HOME}/desktop/Ärger.txt"] == "overwrite"


def test_names_that_differ_only_in_case_are_told_and_none_is_lost_silently(repository: Repository) -> None:
    snapshot = snapshot_of(
        repository,
        {
            f"{HOME}/Makefile": b"one",
            f"{HOME}/makefile": b"two",
            f"{HOME}/Data/a.txt": b"three",
            f"{HOME}/data/a.txt": b"four",
            f"{HOME}/data/b.txt": b"five",
        },
    )
    sink = WindowsSink({HOME: None})
    plan = plan_of(repository, snapshot, sink)
    assert item(plan, f"{HOME}/makefile").reason == (
        "its name differs from Makefile only in capitals: Windows takes them for one"
    )
    result = Restorer(repository, sink).apply(plan)
    assert sink.files() == {f"{HOME}/Makefile".upper(): b"one", f"{HOME}/Data/a.txt".upper(): b"three"}
    assert not result.complete
    assert {problem.path.decode() for problem in result.problems} == {
        f"{HOME}/{name}" for name in ("makefile", "data", "data/a.txt", "data/b.txt")
    }


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"what?.txt", "the character ?"),
        (b"10:30.txt", "the character :"),
        (b"a\\b", "the character \\"),
        (b"tab\there", "the character \\t"),
        (b"\xff\xfe", "the name is no text"),
        (b"x" * 256, "more than the 255 possible on Windows"),
    ],
)
def test_a_name_that_windows_cannot_hold_is_told(repository: Repository, name: bytes, why: str) -> None:
    home = "/home/a.ito"
    snapshot = snapshot_of(
        repository,
        {
            f"{home}/good.txt".encode(): Saved(b"good", mode=0o100640, attributes=None),
            home.encode() + b"/" + name: Saved(b"bad", attributes=None),
            home.encode() + b"/D" + name + b"/inside.txt": Saved(b"inside", attributes=None),
        },
        root=home,
    )
    sink = WindowsSink({HOME: None})
    plan = plan_of(repository, snapshot, sink, of="linux", target={home.encode(): HOME.encode()})
    refused = [one for one in plan.items if one.action == "skip"]
    assert [why in one.reason for one in refused] == [True, True]
    assert [one.source.endswith(b"inside.txt") for one in plan.items if one.action == "conflict"] == [True]
    result = Restorer(repository, sink).apply(plan)
    assert sink.files() == {f"{HOME}/good.txt".upper(): b"good"}
    assert len(result.problems) == 3


def test_linux_onto_windows_settles(repository: Repository) -> None:
    home = "/home/a.ito"
    snapshot = snapshot_of(
        repository,
        {
            f"{home}/a.txt": Saved(b"a", mode=0o100640, attributes=None, mtime_ns=OLD + 55),
            f"{home}/locked.txt": Saved(b"b", mode=0o100400, attributes=None),
            f"{home}/link": Saved(b"/home/x", type="symlink", mode=0o120777, attributes=None),
        },
        root=home,
    )
    sink = WindowsSink({HOME: None})
    request = {"of": "linux", "target": {home.encode(): HOME.encode()}}
    plan = plan_of(repository, snapshot, sink, **request)
    assert item(plan, f"{HOME}/link").action == "skip"
    assert "leads nowhere here" in item(plan, f"{HOME}/link").reason
    assert any("have no place on this computer" in note for note in plan.notes)
    Restorer(repository, sink).apply(plan)
    assert sink.there[f"{HOME}/locked.txt".strip("/").upper()].node.mode == 0o100444
    assert plan_of(repository, snapshot, sink, **request).writes == 0


def test_windows_onto_linux_lets_nobody_else_write(repository: Repository) -> None:
    crossing = Crossing("windows", "linux")
    assert crossing.node(Node(b"x", "file", 0o100666)).mode == 0o100644
    assert crossing.node(Node(b"x", "dir", 0o40777)).mode == 0o40755
    marked = Node(b"x", "file", 0o100666, generic_attributes={"windows.file_attributes": 2, "firstbell.streams": {}})
    assert crossing.node(marked).generic_attributes == {}
    assert crossing.problem(Node("ü".encode() * 200, "file")) == (
        "the name has 400 bytes, more than the 255 possible here"
    )
    assert crossing.problem(Node(b"what?", "file")) == ""
    assert crossing.key(b"/A") == b"/A"
    # A snapshot of the same kind of computer is not touched.
    node = Node(b"x", "file", 0o100666)
    assert Crossing("linux", "darwin").node(node) is node


def test_known_folders_go_where_the_new_profile_has_them(repository: Repository) -> None:
    old, new = HOME, "/C/Users/a.ito.NORTH"
    cloud = f"{old}/OneDrive - North"
    snapshot = snapshot_of(
        repository,
        {
            f"{cloud}/Desktop/plan.docx": b"plan",
            f"{cloud}/Desktop/Exams/7b.docx": b"7b",
            f"{old}/Documents/letter.docx": b"letter",
            f"{old}/.gitconfig": b"git",
        },
    )
    target = {
        old.encode(): new.encode(),
        f"{cloud}/Desktop".encode(): f"{new}/Bureaublad".encode(),
        f"{old}/Documents".encode(): "/D/Homes/a.ito/Documenten".encode(),  # noqa: UP012
    }
    sink = WindowsSink({f"{new}/Bureaublad": None, "/D/Homes/a.ito/Documenten": None})
    desktop = plan_of(repository, snapshot, sink, target=target, include=(f"{cloud}/desktop",))
    # The folder on the way there is not made for nothing.
    assert [one.path.decode() for one in desktop.items] == [
        f"{new}/Bureaublad",
        f"{new}/Bureaublad/Exams",
        f"{new}/Bureaublad/Exams/7b.docx",
        f"{new}/Bureaublad/plan.docx",
    ]
    result = Restorer(repository, sink).apply(plan_of(repository, snapshot, sink, target=target))
    assert result.complete
    assert sink.files() == {
        f"{new}/Bureaublad/plan.docx".upper(): b"plan",
        f"{new}/Bureaublad/Exams/7b.docx".upper(): b"7b",
        "/D/Homes/a.ito/Documenten/letter.docx".upper(): b"letter",
        f"{new}/.gitconfig".upper(): b"git",
    }


def test_a_leftover_folder_of_that_name_is_merged_and_twins_are_told(repository: Repository) -> None:
    cloud = f"{HOME}/OneDrive"
    snapshot = snapshot_of(
        repository,
        {
            f"{HOME}/Desktop/only here.txt": b"1",
            f"{HOME}/Desktop/both.txt": b"2",
            f"{cloud}/Desktop/BOTH.TXT": b"3",
        },
    )
    target = {HOME.encode(): HOME.encode(), f"{cloud}/Desktop".encode(): f"{HOME}/Desktop".encode()}
    sink = WindowsSink({HOME: None})
    plan = plan_of(repository, snapshot, sink, target=target)
    assert actions(plan) == {
        f"{HOME}/Desktop/both.txt": "create",
        f"{HOME}/Desktop/only here.txt": "create",
        f"{HOME}/Desktop/BOTH.TXT": "conflict",
    }


@pytest.mark.parametrize("pattern", ["desktop\\plan*", "DESKTOP/Plan.Docx", "c:\\users\\A.ITO\\Desktop", "~\\desktop"])
def test_patterns_as_people_write_them_on_windows(repository: Repository, pattern: str) -> None:
    snapshot = snapshot_of(repository, {f"{HOME}/Desktop/plan.docx": b"plan", f"{HOME}/other.txt": b"x"})
    sink = WindowsSink({HOME: None})
    plan = plan_of(repository, snapshot, sink, include=(pattern,), homes=(HOME.encode(),))
    assert not plan.unmatched
    assert list(actions(plan)) == [f"{HOME}/Desktop/plan.docx"]


def test_an_undo_leaves_what_onedrive_moved_to_the_cloud_since(repository: Repository) -> None:
    snapshot = snapshot_of(repository, {f"{HOME}/Desktop/{name}.txt": name.encode() for name in ("a", "b")})
    sink = WindowsSink({f"{HOME}/Desktop": None})
    plan = plan_of(repository, snapshot, sink)
    Restorer(repository, sink).apply(plan)
    sink.put(f"{HOME}/Desktop/b.txt", b"", size=1, mtime_ns=OLD, attributes=CLOUD)
    undo = build_undo(repository, sink, undo_document(plan, host="pc"), snapshot)
    assert {one.path.decode(): one.action for one in undo.items if one.path.endswith(b".txt")} == {
        f"{HOME}/Desktop/a.txt": "remove",
        f"{HOME}/Desktop/b.txt": "keep-newer",
    }


def test_folding_as_windows_does() -> None:
    assert folded("/C/Straße/ÄÖ".encode()) == folded("/c/straße/äö".encode())
    assert folded("/C/Straße".encode()) != folded(b"/C/STRASSE")
    assert folded(b"/\xed\xa0\x80a") == b"/\xed\xa0\x80A"


def test_a_link_of_windows_is_followed_in_our_spelling(repository: Repository) -> None:
    crossing = Crossing("windows", "windows")
    for told, leads in (
        (b"D:\\Homes\\a.ito", b"/D/Homes/a.ito"),
        (b"\\??\\d:\\Homes", b"/D/Homes"),
        (b"..\\x", b"../x"),
        (b"\\\\server\\share", b""),
    ):
        node = crossing.link(Node(b"x", "symlink", linktarget=told))
        assert node is not None
        assert node.linktarget == leads
    snapshot = snapshot_of(repository, {f"{HOME}/a.txt": b"a"})
    sink = WindowsSink({"/D/Homes/a.ito": None, "/C/Users": None})
    link = Node(b"a.ito", "symlink", linktarget=b"D:\\Homes\\a.ito")
    sink.there[HOME.strip("/").upper()] = type(next(iter(sink.there.values())))(link)
    assert "/D/Homes/a.ito/a.txt" in actions(plan_of(repository, snapshot, sink))
