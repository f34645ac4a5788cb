"""The archiver over real files of this machine, into a repository in memory."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan, SnapshotResult
from tasks.archiver.excludes import default_rules, site_rules
from tasks.archiver.manifest import read_manifest
from tasks.archiver.parent import select_parent
from tasks.backends.memory import MemoryBackend
from tasks.entries import Directory, Skipped
from tasks.events import FileSaved, ItemSkipped, Progress
from tasks.policy.snapshot_state import SnapshotState
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tests.support.memory_source import DirectorySource
from tests.support.stored_files import stored_content, stored_nodes

NOW = datetime(2026, 8, 24, 18, 0, tzinfo=UTC)


@pytest.fixture
def repository() -> Repository:
    return Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)


@pytest.fixture
def home(tmp_path: Path) -> bytes:
    folder = tmp_path / "home" / "a.ito"
    folder.mkdir(parents=True)
    return os.fsencode(folder)


def plan_of(*roots: bytes, **fields: object) -> CapturePlan:
    return replace(CapturePlan("lab3-07", "lab3-07", roots, ()), **fields)  # type: ignore[arg-type]


def save(
    repository: Repository, plan: CapturePlan, source: DirectorySource | None = None, parent: Snapshot | None = None
) -> SnapshotResult:
    return Archiver(repository, source or DirectorySource()).snapshot(plan, parent=parent, now=NOW)


def write(path: bytes, data: bytes = b"x") -> bytes:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


def skips_of(result: SnapshotResult) -> set[tuple[bytes, str, str]]:
    return {(skip.path, skip.reason, skip.rule) for skip in result.skips}


def raising(path: bytes, error: Callable[[], OSError]) -> Callable[[bytes], None]:
    def check(opened: bytes) -> None:
        if opened == path:
            raise error()

    return check


def test_everything_is_in_the_tree(repository: Repository, home: bytes) -> None:
    names = [
        b"plain.txt",
        b"new\nline",
        b'quote"s and \\ back',
        b"trailing ",
        b" leading",
        "emoji \N{SCHOOL}.txt".encode(),
        b"invalid \xff\xfe\x80",
        b"n" * 255,
        b"'; rm -rf ~",
        b"-dash",
    ]
    for index, name in enumerate(names):
        write(home + b"/" + name, b"content %d" % index)
        write(home + b"/dir " + name[:250] + b"/" + name, b"deep %d" % index)
    os.mkdir(home + b"/empty folder")
    write(home + b"/empty file", b"")
    os.symlink(b"loop", home + b"/loop")
    os.symlink(b"../a.ito", home + b"/up")
    os.symlink(b"nowhere \xff", home + b"/dangling")
    os.utime(home + b"/plain.txt", ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    os.chmod(home + b"/plain.txt", 0o640)

    result = save(repository, plan_of(home))

    assert result.state is SnapshotState.COMPLETE
    assert result.snapshot is not None
    nodes = stored_nodes(repository, result.snapshot)
    for folder, dirs, files in os.walk(home):
        for name in dirs + files:
            path = os.path.join(folder, name)
            node, found = nodes.pop(path), os.lstat(path)
            assert (node.mode, node.mtime_ns, node.uid) == (found.st_mode, found.st_mtime_ns, found.st_uid)
            if os.path.islink(path):
                assert node.linktarget == os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    assert stored_content(repository, node) == file.read()
                assert node.size == found.st_size
    left = set(nodes)
    assert left == {
        b"/.firstbell",
        b"/.firstbell/manifest.jsonl",
        *(home[: index or len(home)] for index in range(1, len(home)) if home[index : index + 1] == b"/"),
        home,
    }


def test_a_second_run_reads_nothing_and_gives_the_same_tree(repository: Repository, home: bytes) -> None:
    for index in range(300):
        write(home + b"/%d/file %d" % (index % 7, index), b"text %d" % index)
    write(home + b"/large", os.urandom(3_000_000))
    first = save(repository, plan_of(home, documents={"facts.json": b"{}"}))
    assert first.snapshot is not None
    source = DirectorySource()

    second = save(repository, plan_of(home, documents={"facts.json": b"{}"}), source, first.snapshot)

    assert second.snapshot is not None
    assert source.read_paths == []
    assert source.ranged_paths == []
    before, after = stored_nodes(repository, first.snapshot), stored_nodes(repository, second.snapshot)
    assert after[home].subtree == before[home].subtree
    assert after[b"/.firstbell"] == before[b"/.firstbell"]
    # Only the trees above may differ: other people work in /tmp too.
    assert second.bytes_added < 2000
    assert (second.files, second.files_unchanged) == (301, 301)
    assert second.snapshot.parent == first.snapshot.id
    assert list(read_manifest(repository, second.snapshot)) == list(read_manifest(repository, first.snapshot))
    assert second.snapshot.summary is not None
    assert second.snapshot.summary["files_unmodified"] == 301
    assert second.snapshot.summary["data_blobs"] == 0


def test_only_what_changed_is_read(repository: Repository, home: bytes) -> None:
    for index in range(30):
        write(home + b"/%d/file" % index, b"text %d" % index)
    first = save(repository, plan_of(home))
    assert first.snapshot is not None
    write(home + b"/3/file", b"text X")  # another time, and maybe size
    write(home + b"/4/new", b"new")
    os.rename(home + b"/5/file", home + b"/5/renamed")
    os.remove(home + b"/6/file")
    # The same size and mtime: only the inode and the ctime tell.
    before = os.stat(home + b"/7/file")
    write(home + b"/7/other", b"TEXT 7")
    os.utime(home + b"/7/other", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(home + b"/7/other", home + b"/7/file")
    source = DirectorySource()

    second = save(repository, plan_of(home), source, first.snapshot)

    assert source.read_paths == [home + b"/3/file", home + b"/4/new", home + b"/5/renamed", home + b"/7/file"]
    assert second.snapshot is not None
    nodes = stored_nodes(repository, second.snapshot)
    assert stored_content(repository, nodes[home + b"/3/file"]) == b"text X"
    assert stored_content(repository, nodes[home + b"/7/file"]) == b"TEXT 7"
    assert home + b"/6/file" not in nodes
    assert second.snapshot.summary is not None
    counts = {key: second.snapshot.summary[f"files_{key}"] for key in ("new", "changed", "unmodified")}
    assert counts == {"new": 2, "changed": 2, "unmodified": 26}


def test_a_file_without_its_blob_is_read_again(repository: Repository, home: bytes) -> None:
    write(home + b"/file", b"text")
    first = save(repository, plan_of(home))
    assert first.snapshot is not None
    other = Repository.init(MemoryBackend(), "another", scrypt_n=1024)
    nodes = stored_nodes(repository, first.snapshot)
    # The other repository has the parent's trees, but not the file's content.
    for node in nodes.values():
        if node.subtree is not None:
            other.save_tree(repository.load_tree(node.subtree))
    other.save_tree(repository.load_tree(first.snapshot.tree))
    other.flush()

    second = save(other, plan_of(home), parent=first.snapshot)

    assert second.snapshot is not None
    assert second.files_unchanged == 0
    assert stored_content(other, stored_nodes(other, second.snapshot)[home + b"/file"]) == b"text"


def test_hard_links_are_read_once(repository: Repository, home: bytes) -> None:
    write(home + b"/a/one", b"shared content")
    os.mkdir(home + b"/b")
    os.link(home + b"/a/one", home + b"/b/two")
    os.link(home + b"/a/one", home + b"/b/three")
    source = DirectorySource()

    result = save(repository, plan_of(home), source)

    assert source.read_paths == [home + b"/a/one"]
    assert result.snapshot is not None
    assert result.files == 3
    nodes = stored_nodes(repository, result.snapshot)
    assert len({nodes[home + name].content for name in (b"/a/one", b"/b/two", b"/b/three")}) == 1
    hashes = {entry.sha256 for entry in read_manifest(repository, result.snapshot) if entry.type == "file"}
    assert len(hashes) == 1


def test_a_hard_link_is_read_when_its_first_name_vanished(repository: Repository, home: bytes) -> None:
    one = write(home + b"/one", b"shared content")
    os.link(one, home + b"/two")
    source = DirectorySource(on_open=lambda path: os.remove(one) if path == one and os.path.exists(one) else None)

    result = save(repository, plan_of(home), source)

    assert result.snapshot is not None
    assert skips_of(result) == {(one, "vanished", "")}
    assert stored_content(repository, stored_nodes(repository, result.snapshot)[home + b"/two"]) == b"shared content"


def test_holes_are_cheap_and_exact(repository: Repository, home: bytes) -> None:
    with open(home + b"/sparse", "wb") as file:
        file.seek(20_000_000)
        file.write(b"end")
        file.truncate(40_000_000)
    source = DirectorySource()

    result = save(repository, plan_of(home), source)

    assert source.sent <= 2 * 1024**2
    assert result.bytes_added < 100_000
    assert result.snapshot is not None
    content = stored_content(repository, stored_nodes(repository, result.snapshot)[home + b"/sparse"])
    assert len(content) == 40_000_000
    assert content.strip(b"\0") == b"end"
    assert content.index(b"end") == 20_000_000


def test_what_cannot_be_read_is_told_and_left_out(repository: Repository, home: bytes) -> None:
    denied = write(home + b"/denied")
    broken = write(home + b"/broken")
    write(home + b"/closed folder/inside")
    write(home + b"/fine")

    def open_(path: bytes) -> None:
        if path == denied:
            raise PermissionError(13, "Permission denied")
        if path == broken:
            raise OSError(5, "Input/output error")

    source = DirectorySource(
        on_open=open_, on_list=raising(home + b"/closed folder", lambda: PermissionError(13, "Permission denied"))
    )

    result = save(repository, plan_of(home), source)

    assert result.state is SnapshotState.PARTIAL
    assert result.snapshot is not None
    assert "state:partial" in result.snapshot.tags
    assert skips_of(result) == {
        (denied, "denied", ""),
        (broken, "unreadable", ""),
        (home + b"/closed folder", "denied", ""),
    }
    nodes = stored_nodes(repository, result.snapshot)
    assert {path for path in nodes if path.startswith(home + b"/")} == {home + b"/fine"}
    manifest = {entry.path: entry for entry in read_manifest(repository, result.snapshot)}
    assert (manifest[broken].status, manifest[broken].reason) == ("skipped", "unreadable")
    assert manifest[broken].detail == "Input/output error"
    assert manifest[home + b"/closed folder"].type == "dir"
    assert manifest[home + b"/fine"].status == "saved"


def test_what_vanishes_meanwhile_is_told(repository: Repository, home: bytes) -> None:
    file = write(home + b"/b/file")
    write(home + b"/c/file")

    def on_list(path: bytes) -> None:
        if path == home + b"/c":
            os.remove(home + b"/c/file")
            os.rmdir(home + b"/c")

    source = DirectorySource(on_list=on_list, on_open=lambda path: os.remove(file) if path == file else None)

    result = save(repository, plan_of(home), source)

    assert result.state is SnapshotState.PARTIAL
    assert skips_of(result) == {(file, "vanished", ""), (home + b"/c", "vanished", "")}


def test_a_file_that_settles_is_saved_as_it_settled(repository: Repository, home: bytes) -> None:
    log = write(home + b"/log", b"line\n")
    reads = []

    def on_piece(path: bytes, offset: int) -> None:
        reads.append(path)
        if len(reads) < 3:
            with open(log, "ab") as file:
                file.write(b"more\n")

    result = save(repository, plan_of(home), DirectorySource(on_piece=on_piece))

    assert result.state is SnapshotState.COMPLETE
    assert result.snapshot is not None
    nodes = stored_nodes(repository, result.snapshot)
    assert stored_content(repository, nodes[log]) == b"line\nmore\nmore\n"
    assert (nodes[log].size, nodes[log].mtime_ns) == (15, os.stat(log).st_mtime_ns)


@pytest.mark.parametrize("size", [5, 700_000, 9_000_000])
def test_a_file_that_always_changes_is_saved_and_told(repository: Repository, home: bytes, size: int) -> None:
    log = write(home + b"/log", b"l" * size)

    def on_piece(path: bytes, offset: int) -> None:
        with open(log, "ab") as file:
            file.write(b"m")

    result = save(repository, plan_of(home), DirectorySource(on_piece=on_piece))

    assert result.state is SnapshotState.PARTIAL
    assert skips_of(result) == {(log, "changed", "")}
    assert result.snapshot is not None
    content = stored_content(repository, stored_nodes(repository, result.snapshot)[log])
    assert content.startswith(b"l" * size + b"m")
    assert content.strip(b"lm") == b""
    entry = next(entry for entry in read_manifest(repository, result.snapshot) if entry.path == log)
    assert (entry.status, entry.reason, entry.size) == ("changed", "changed", len(content))
    # It is not taken for unchanged, even if nothing changed since.
    source = DirectorySource()
    second = save(repository, plan_of(home), source, result.snapshot)
    assert source.read_paths + source.ranged_paths == [log]
    assert second.state is SnapshotState.COMPLETE


def test_special_files_are_left_out_by_rule(repository: Repository, home: bytes, tmp_path: Path) -> None:
    os.mkfifo(home + b"/fifo")
    write(home + b"/file")
    with socket.socket(socket.AF_UNIX) as listener:
        # By a short name: the address of a socket has room for 108 bytes.
        short = tmp_path / "s"
        listener.bind(str(short))
        short.rename(os.fsdecode(home + b"/socket"))
        result = save(repository, plan_of(home))

    assert result.state is SnapshotState.ACKNOWLEDGED
    assert skips_of(result) == {(home + b"/fifo", "special", "special"), (home + b"/socket", "special", "special")}
    assert result.snapshot is not None
    assert home + b"/fifo" not in stored_nodes(repository, result.snapshot)


def test_rules_are_told_once_and_covered(repository: Repository, home: bytes) -> None:
    write(home + b"/.cache/a/b")
    write(home + b"/project/node_modules/x/index.js")
    write(home + b"/project/main.js")
    write(home + b"/tagged/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n")
    write(home + b"/lecture.iso")
    rules = (*default_rules("linux"), *site_rules(["*.iso"]))

    result = save(repository, plan_of(home, rules=rules))

    assert result.state is SnapshotState.ACKNOWLEDGED
    assert skips_of(result) == {
        (home + b"/.cache", "excluded", "cache"),
        (home + b"/project/node_modules", "excluded", "node-modules"),
        (home + b"/tagged", "excluded", "cache-tag"),
        (home + b"/lecture.iso", "excluded", "site:*.iso"),
    }
    assert result.files == 1


def test_a_missing_root_makes_it_partial(repository: Repository, home: bytes) -> None:
    write(home + b"/file")

    result = save(repository, plan_of(home, home + b"-nobody"))

    assert result.state is SnapshotState.PARTIAL
    assert skips_of(result) == {(home + b"-nobody", "vanished", "")}
    assert result.files == 1


def test_no_root_at_all_still_tells_so(repository: Repository, home: bytes) -> None:
    result = save(repository, plan_of(home + b"-nobody"))

    assert result.state is SnapshotState.PARTIAL
    assert result.snapshot is not None
    assert [entry.path for entry in read_manifest(repository, result.snapshot)] == [home + b"-nobody"]


@pytest.mark.parametrize("case", ["denied", "ruled out", "all ruled out", "empty", "absent", "full"])
def test_a_desktop_must_not_come_out_empty_handed(repository: Repository, home: bytes, case: str) -> None:
    desktop = home + b"/Desktop"
    write(home + b"/notes")
    rules = ()
    on_list = None
    if case != "absent":
        os.mkdir(desktop)
    if case not in ("absent", "empty"):
        write(desktop + b"/folder/lesson.odt")
    if case == "denied":
        on_list = raising(desktop, lambda: PermissionError(13, "Permission denied"))
    if case == "ruled out":
        rules = site_rules(["Desktop/"])
    if case == "all ruled out":
        rules = site_rules(["*.odt"])

    result = save(repository, plan_of(home, rules=rules, must_exist=(desktop,)), DirectorySource(on_list=on_list))

    sound = case in ("empty", "absent", "full")
    assert result.state is (SnapshotState.COMPLETE if sound else SnapshotState.PARTIAL)


def test_a_before_image_takes_just_the_paths_asked_for(repository: Repository, home: bytes) -> None:
    write(home + b"/a/wanted", b"old")
    write(home + b"/a/other")
    write(home + b"/b/other")
    first = save(repository, plan_of(home))
    source = DirectorySource()
    plan = plan_of(home, only=(home + b"/a/wanted", home + b"/gone"), tags=("before-restore",))

    result = save(repository, plan, source, first.snapshot)

    assert result.snapshot is not None
    assert source.read_paths == []
    assert "before-restore" in result.snapshot.tags
    nodes = stored_nodes(repository, result.snapshot)
    assert {path for path in nodes if path.startswith(home + b"/")} == {home + b"/a", home + b"/a/wanted"}
    assert skips_of(result) == {(home + b"/gone", "vanished", "")}
    assert first.snapshot is not None
    assert select_parent(repository.snapshots(), "lab3-07", (os.fsdecode(home),)) == first.snapshot


def test_documents_are_beside_the_manifest(repository: Repository, home: bytes) -> None:
    write(home + b"/file")

    result = save(repository, plan_of(home, documents={"facts.json": b'{"version": 1}\n'}))

    assert result.snapshot is not None
    nodes = stored_nodes(repository, result.snapshot)
    assert stored_content(repository, nodes[b"/.firstbell/facts.json"]) == b'{"version": 1}\n'
    assert oct(nodes[b"/.firstbell"].mode) == "0o40700"
    assert oct(nodes[b"/.firstbell/manifest.jsonl"].mode) == "0o100600"


@pytest.mark.parametrize("name", ["", "..", "a/b", "manifest.jsonl"])
def test_documents_cannot_leave_their_folder(repository: Repository, home: bytes, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a document"):
        save(repository, plan_of(home, documents={name: b""}))
    assert repository.snapshots() == []


def test_events_tell_what_happens(repository: Repository, home: bytes) -> None:
    for index in range(20):
        write(home + b"/%02d" % index, b"x" * index)
    os.mkfifo(home + b"/fifo")
    events: list[object] = []

    result = Archiver(repository, DirectorySource(), events.append).snapshot(plan_of(home), parent=None, now=NOW)

    saved = [event for event in events if isinstance(event, FileSaved)]
    assert [(event.path, event.size, event.unchanged) for event in saved] == [
        (home + b"/%02d" % index, index, False) for index in range(20)
    ]
    assert [event.path for event in events if isinstance(event, ItemSkipped)] == [home + b"/fifo"]
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.files_done, last.files_total, last.bytes_done, last.bytes_total) == (20, 20, 190, 190)
    assert last.bytes_added == result.bytes_added > 0


def test_snapshot_says_who_when_and_what(repository: Repository, home: bytes) -> None:
    write(home + b"/file", b"12345")

    result = save(repository, plan_of(home, tags=("reason:nightly",), rules=default_rules("linux")))

    assert repository.snapshots() == [result.snapshot]
    snapshot = repository.snapshots()[0]
    assert (snapshot.time, snapshot.hostname, snapshot.username) == (NOW, "lab3-07", "firstbell")
    assert snapshot.tags == ("firstbell", "state:complete", "reason:nightly")
    assert snapshot.paths == (os.fsdecode(home),)
    assert snapshot.summary is not None
    assert snapshot.summary["total_bytes_processed"] == 5
    assert snapshot.summary["backup_start"] == "2026-08-24T18:00:00Z"
    assert result.bytes == 5


def test_a_folder_of_another_snapshots_own_is_not_mixed_in(repository: Repository, tmp_path: Path) -> None:
    """A root that is / itself may hold a folder with our name."""

    class Rooted(DirectorySource):
        def entries(self, request):  # type: ignore[no-untyped-def]
            yield Directory(b"/", [Node(b".firstbell", "dir"), Node(b"etc", "dir")])
            yield Directory(b"/.firstbell", [Node(b"evil", "file")])
            yield Skipped(b"/.firstbell/x", "denied")
            yield Directory(b"/etc", [])

    result = save(repository, plan_of(b"/"), Rooted())

    assert result.snapshot is not None
    assert set(stored_nodes(repository, result.snapshot)) == {b"/.firstbell", b"/.firstbell/manifest.jsonl", b"/etc"}
    assert skips_of(result) == {(b"/.firstbell", "name", "")}
    assert result.state is SnapshotState.PARTIAL


def test_skips_come_before_their_folder_and_may_be_of_a_part(repository: Repository) -> None:
    """The helper tells what it leaves out of a folder while it looks at it, and the folder after that."""

    class Helper(DirectorySource):
        def entries(self, request):  # type: ignore[no-untyped-def]
            yield Skipped(b"/nobody", "vanished")
            yield Directory(b"/", [Node(b"home", "dir")])
            yield Skipped(b"/home/.cache", "excluded", "cache")
            yield Skipped(b"/home/notes", "too-large", detail="extended attribute user.x of 70000 bytes")
            yield Skipped(b"/home/gone", "vanished")
            yield Directory(b"/home", [Node(b"closed", "dir"), Node(b"notes", "symlink", linktarget=b"x")])
            yield Skipped(b"/home/closed", "denied")

    result = save(repository, plan_of(b"/home", b"/nobody", rules=default_rules("linux")), Helper())

    assert result.snapshot is not None
    assert b"/home/notes" in stored_nodes(repository, result.snapshot)
    lines = [(entry.path, entry.type, entry.status) for entry in read_manifest(repository, result.snapshot)]
    assert lines == [
        (b"/nobody", "", "skipped"),
        (b"/home", "dir", "saved"),
        (b"/home/.cache", "", "skipped"),
        (b"/home/notes", "part", "skipped"),
        (b"/home/gone", "", "skipped"),
        (b"/home/notes", "symlink", "saved"),
        (b"/home/closed", "dir", "skipped"),
    ]
    assert len(result.skips) == 5


def test_two_hosts_at_once_share_what_is_the_same(repository: Repository, home: bytes) -> None:
    for index in range(200):
        write(home + b"/%d" % index, b"text %d" % index * 50)
    results: list[SnapshotResult] = []

    def run(host: str) -> None:
        plan = replace(plan_of(home), host=host, hostname=host)
        results.append(Archiver(repository, DirectorySource()).snapshot(plan, parent=None, now=NOW))

    threads = [threading.Thread(target=run, args=(host,)) for host in ("lab3-07", "lab3-08")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert [result.state for result in results] == [SnapshotState.COMPLETE] * 2
    for snapshot in repository.snapshots():
        nodes = stored_nodes(repository, snapshot)
        assert stored_content(repository, nodes[home + b"/199"]) == b"text 199" * 50
    added = [result.snapshot.summary["data_added"] for result in results if result.snapshot and result.snapshot.summary]
    assert sum(added) < 1.2 * (200 * 400 + 100_000)


def test_no_ctime_and_a_recent_mtime_is_not_trusted(repository: Repository, home: bytes) -> None:
    """Over SFTP a change within the same second shows nowhere."""

    class Blind(DirectorySource):
        def entries(self, request):  # type: ignore[no-untyped-def]
            for listed in super().entries(request):
                for node in getattr(listed, "children", ()):
                    node.ctime_ns = node.inode = 0
                    node.mtime_ns = node.mtime_ns // 10**9 * 10**9
                yield listed

    fresh, old = write(home + b"/fresh"), write(home + b"/old")
    for path, age in ((fresh, 1), (old, 3600)):
        time_ns = int((NOW - timedelta(seconds=age)).timestamp()) * 10**9
        os.utime(path, ns=(time_ns, time_ns))
    first = save(repository, plan_of(home), Blind())
    source = Blind()

    save(repository, plan_of(home), source, first.snapshot)

    assert source.read_paths == [fresh]
