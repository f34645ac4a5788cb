"""What the archiver does when the host, the store or the process fails in the middle."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.archiver.manifest import read_manifest
from tasks.backends.base import Buffer
from tasks.backends.memory import MemoryBackend
from tasks.entries import Directory, FileEnd, Piece, Skipped, WalkRequest
from tasks.errors import BackendError, HelperFailed, ProtocolError, Unreachable
from tasks.policy.snapshot_state import SnapshotState
from tasks.repository.repository import Repository
from tasks.repository.tree import Node
from tests.support.memory_source import DirectorySource
from tests.support.stored_files import stored_content, stored_nodes

NOW = datetime(2026, 8, 24, 18, 0, tzinfo=UTC)
MIB = 1024**2


class Failing(MemoryBackend):
    """Fails to save from the ``left``-th pack or index on."""

    left = 10**9

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        if name.startswith(("data/", "index/", "snapshots/")):
            if self.left <= 0:
                raise BackendError("the store is gone")
            self.left -= 1
        super().save(name, data, overwrite=overwrite)


@pytest.fixture
def home(tmp_path: Path) -> bytes:
    for index in range(120):
        folder = tmp_path / f"{index % 9}"
        folder.mkdir(exist_ok=True)
        (folder / f"{index}.bin").write_bytes(os.urandom(400_000))
    (tmp_path / "large").write_bytes(os.urandom(20 * MIB))
    return os.fsencode(tmp_path)


def plan_of(root: bytes) -> CapturePlan:
    return CapturePlan("lab3-07", "lab3-07", (root,), ())


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("save")]


@pytest.mark.parametrize("left", [0, 1, 3, 5])
def test_a_store_that_fails_leaves_no_snapshot_and_the_next_run_goes_on(home: bytes, left: int) -> None:
    backend = Failing()
    repository = Repository.init(backend, "correct horse", scrypt_n=1024)
    backend.left = left

    with pytest.raises(BackendError):
        Archiver(repository, DirectorySource()).snapshot(plan_of(home), parent=None, now=NOW)

    assert workers() == []
    backend.left = 10**9
    again = Repository.open(backend, "correct horse")
    again.load_index()
    assert again.snapshots() == []
    result = Archiver(again, DirectorySource()).snapshot(plan_of(home), parent=None, now=NOW)
    assert result.state is SnapshotState.COMPLETE
    assert result.snapshot is not None
    with open(home + b"/large", "rb") as file:
        assert stored_content(again, stored_nodes(again, result.snapshot)[home + b"/large"]) == file.read()


def test_what_a_killed_run_stored_is_not_stored_again(home: bytes) -> None:
    backend = Failing()
    repository = Repository.init(backend, "correct horse", scrypt_n=1024)

    class Cut(DirectorySource):
        """The connection is cut when nearly all has been read."""

        def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
            for item in super().read(paths):
                if item.path == home + b"/8/116.bin":
                    raise Unreachable("the connection was cut", host="lab3-07")
                yield item

    with pytest.raises(Unreachable):
        Archiver(repository, Cut()).snapshot(plan_of(home), parent=None, now=NOW)
    assert workers() == []
    # The worker process releases its lock, which lists what is stored; one that is killed has listed some before.
    repository.flush()
    again = Repository.open(backend, "correct horse")
    again.load_index()
    assert again.snapshots() == []

    result = Archiver(again, DirectorySource()).snapshot(plan_of(home), parent=None, now=NOW)

    assert result.state is SnapshotState.COMPLETE
    assert result.bytes == 120 * 400_000 + 20 * MIB
    assert result.bytes_added < 8 * MIB


def test_a_cut_while_walking_ends_the_run(home: bytes) -> None:
    class Cut(DirectorySource):
        def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
            for count, listed in enumerate(super().entries(request)):
                if count == 8:
                    raise Unreachable("the connection was cut", host="lab3-07")
                yield listed

    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    with pytest.raises(Unreachable):
        Archiver(repository, Cut()).snapshot(plan_of(home), parent=None, now=NOW)
    assert workers() == []
    assert repository.snapshots() == []


def test_a_cancelled_run_ends_its_threads(home: bytes) -> None:
    def interrupt(path: bytes, offset: int) -> None:
        if path.endswith(b"/large"):
            raise KeyboardInterrupt

    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    with pytest.raises(KeyboardInterrupt):
        Archiver(repository, DirectorySource(on_piece=interrupt)).snapshot(plan_of(home), parent=None, now=NOW)
    assert workers() == []
    assert repository.snapshots() == []


class Garbling(DirectorySource):
    """Spoils what it sends of some files, so many times."""

    def __init__(self, spoil: dict[bytes, int]) -> None:
        super().__init__()
        self.spoil = spoil

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        for item in super().read(paths):
            if isinstance(item, Piece) and item.offset == 0 and self.spoil.get(item.path, 0) > 0:
                self.spoil[item.path] -= 1
                yield replace(item, data=b"?" + bytes(item.data[1:]))
            else:
                yield item


def test_content_that_does_not_arrive_as_it_was_sent_is_read_again(home: bytes) -> None:
    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    small, large = home + b"/0/0.bin", home + b"/large"
    source = Garbling({small: 1, large: 1})

    result = Archiver(repository, source).snapshot(plan_of(home), parent=None, now=NOW)

    assert result.state is SnapshotState.COMPLETE
    assert result.snapshot is not None
    assert (source.read_paths.count(small), source.read_paths.count(large)) == (2, 2)
    nodes = stored_nodes(repository, result.snapshot)
    for path in (small, large):
        with open(path, "rb") as file:
            assert stored_content(repository, nodes[path]) == file.read()


def test_content_that_never_arrives_as_it_was_sent_is_left_out(home: bytes) -> None:
    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    small, large = home + b"/0/0.bin", home + b"/large"

    result = Archiver(repository, Garbling({small: 9, large: 9})).snapshot(plan_of(home), parent=None, now=NOW)

    assert result.state is SnapshotState.PARTIAL
    assert result.snapshot is not None
    assert {(skip.path, skip.reason) for skip in result.skips} == {(small, "unreadable"), (large, "unreadable")}
    assert {small, large}.isdisjoint(stored_nodes(repository, result.snapshot))
    entries = {entry.path: entry for entry in read_manifest(repository, result.snapshot)}
    assert entries[large].status == "skipped"


@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([Piece(b"/other", 0, b"x")], ProtocolError),
        ([Piece(b"/f", 1, b"x")], ProtocolError),
        ([Piece(b"/f", 0, b"x"), Piece(b"/f", 0, b"x")], ProtocolError),
        ([Piece(b"/f", 0, b"x")], HelperFailed),
        ([Skipped(b"/f", "denied"), Skipped(b"/f", "denied")], ProtocolError),
    ],
)
def test_a_host_that_breaks_the_contract_ends_the_run(items: list[Piece | Skipped], error: type[Exception]) -> None:
    class Odd(DirectorySource):
        def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
            yield Directory(b"/", [Node(b"f", "file", size=1)])

        def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
            return iter(items)

    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    with pytest.raises(error):
        Archiver(repository, Odd()).snapshot(plan_of(b"/f"), parent=None, now=NOW)
    assert repository.snapshots() == []


@pytest.mark.parametrize(
    "listed",
    [
        [Directory(b"/", []), Directory(b"/", [])],
        [Directory(b"/", []), Directory(b"/never/told", [])],
        [Directory(b"/", [Node(b"f", "file")]), Directory(b"/f", [])],
        [Directory(b"/home", [])],
    ],
)
def test_a_walk_that_makes_no_sense_ends_the_run(listed: list[Directory]) -> None:
    class Odd(DirectorySource):
        def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
            yield from listed

    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    with pytest.raises(ProtocolError):
        Archiver(repository, Odd()).snapshot(plan_of(b"/"), parent=None, now=NOW)


def test_names_that_could_lead_elsewhere_are_left_out() -> None:
    class Odd(DirectorySource):
        def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
            names = [b"..", b"a", b"../../etc/passwd", b"", b".", b"nul\0", b"a"]
            yield Directory(b"/", [Node(name, "symlink") for name in names])

    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    result = Archiver(repository, Odd()).snapshot(plan_of(b"/"), parent=None, now=NOW)

    assert result.state is SnapshotState.PARTIAL
    assert result.snapshot is not None
    assert set(stored_nodes(repository, result.snapshot)) == {b"/.firstbell", b"/.firstbell/manifest.jsonl", b"/a"}
    assert [skip.reason for skip in result.skips] == ["name"] * 6


def test_a_folder_of_which_nothing_is_told_is_told(home: bytes) -> None:
    class Forgetful(DirectorySource):
        def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
            return (item for item in super().entries(request) if item.path != home + b"/3")

    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    result = Archiver(repository, Forgetful()).snapshot(plan_of(home), parent=None, now=NOW)

    assert result.state is SnapshotState.PARTIAL
    assert [(skip.path, skip.reason) for skip in result.skips] == [(home + b"/3", "unreadable")]
    assert result.snapshot is not None
    assert home + b"/3" not in stored_nodes(repository, result.snapshot)


def test_a_lost_tree_of_the_parent_costs_only_reading(home: bytes) -> None:
    backend = MemoryBackend()
    repository = Repository.init(backend, "correct horse", scrypt_n=1024)
    first = Archiver(repository, DirectorySource()).snapshot(plan_of(home), parent=None, now=NOW)
    assert first.snapshot is not None
    parent = replace(first.snapshot, tree=bytes(32))

    second = Archiver(repository, DirectorySource()).snapshot(plan_of(home), parent=parent, now=NOW)

    assert second.state is SnapshotState.COMPLETE
    assert second.files_unchanged == 0
    assert second.bytes_added < 10_000
