"""Large files: changed ranges, and memory."""

from __future__ import annotations

import hashlib
import os
import random
import resource
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.archiver.archiver import Archiver, CapturePlan, SnapshotResult
from tasks.archiver.blob_pool import BlobPool
from tasks.archiver.file_saver import FileSaver
from tasks.archiver.manifest import read_manifest
from tasks.archiver.pending import PendingFile
from tasks.archiver.ranges import KnownContent, Misaligned
from tasks.archiver.tally import Tally
from tasks.backends.memory import MemoryBackend
from tasks.entries import Directory, FileEnd, KnownRange, Piece, Skipped, Stat, WalkRequest
from tasks.events import silent
from tasks.policy.snapshot_state import SnapshotState
from tasks.repository.blob import BlobType
from tasks.repository.ids import hash_of
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tests.support.memory_source import DirectorySource
from tests.support.stored_files import stored_content, stored_nodes

NOW = datetime(2026, 8, 24, 18, 0, tzinfo=UTC)
MIB = 1024**2


@pytest.fixture
def repository() -> Repository:
    return Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)


@pytest.fixture
def path(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path / "course.mdb")


def save(
    repository: Repository, path: bytes, source: DirectorySource | None = None, parent: Snapshot | None = None
) -> SnapshotResult:
    plan = CapturePlan("lab3-07", "lab3-07", (path,), ())
    return Archiver(repository, source or DirectorySource()).snapshot(plan, parent=parent, now=NOW)


def check(repository: Repository, result: SnapshotResult, path: bytes) -> None:
    """Check that a snapshot has the file as it is now, and its hash in the manifest."""
    assert result.state is SnapshotState.COMPLETE
    assert result.snapshot is not None
    with open(path, "rb") as file:
        now = file.read()
    node = stored_nodes(repository, result.snapshot)[path]
    assert node.size == len(now)
    assert stored_content(repository, node) == now
    entry = next(entry for entry in read_manifest(repository, result.snapshot) if entry.path == path)
    assert (entry.size, entry.sha256) == (len(now), hash_of(now))


def write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def test_the_next_file_is_asked_for_before_a_large_one_has_come(repository: Repository, tmp_path: Path) -> None:
    first, second = (os.fsencode(tmp_path / name) for name in ("a.mp4", "b.mp4"))
    for path in (first, second):
        write(path, os.urandom(MIB) * 48)
    asked: list[tuple[int, bool]] = []

    def on_piece(path: bytes, offset: int) -> None:
        if path == first:
            asked.append((offset, second in source.read_paths))

    source = DirectorySource(on_piece=on_piece)
    assert save(repository, os.fsencode(tmp_path), source).state is SnapshotState.COMPLETE
    ahead = [offset for offset, known in asked if known]
    # Neither at once, so that little is held here, nor at the end.
    assert 8 * MIB <= min(ahead) <= 24 * MIB


def test_one_percent_changed_in_place(repository: Repository, path: bytes) -> None:
    dice = random.Random(7)
    content = bytearray(dice.randbytes(64 * MIB))
    write(path, content)
    first = save(repository, path)
    check(repository, first, path)
    # A database writes whole pages, here in one place: 1 % of the file.
    start = 20 * MIB + 12_288
    content[start : start + 64 * MIB // 100] = dice.randbytes(64 * MIB // 100)
    write(path, content)
    source = DirectorySource()

    second = save(repository, path, source, first.snapshot)

    check(repository, second, path)
    assert source.ranged_paths == [path]
    assert source.read_paths == []
    assert source.sent < 6 * MIB
    assert second.bytes_added < 0.06 * 64 * MIB
    third = save(repository, path, DirectorySource(), second.snapshot)
    assert third.files_unchanged == 1
    check(repository, third, path)


@pytest.mark.parametrize(
    "change", ["appended", "truncated", "cut to nothing", "inserted at the front", "replaced", "touched"]
)
def test_other_changes(repository: Repository, path: bytes, change: str) -> None:
    dice = random.Random(8)
    content = dice.randbytes(12 * MIB)
    write(path, content)
    first = save(repository, path)
    changed = {
        "appended": content + dice.randbytes(3 * MIB),
        "truncated": content[: 7 * MIB + 3],
        "cut to nothing": b"",
        "inserted at the front": b"shifted" + content,
        "replaced": dice.randbytes(11 * MIB),
        "touched": content,
    }[change]
    write(path, changed)
    os.utime(path, ns=(1, 1))
    source = DirectorySource()

    second = save(repository, path, source, first.snapshot)

    check(repository, second, path)
    new = {"appended": 3.0, "inserted at the front": 0.0, "replaced": 11.0}.get(change, 0.0)
    # And at most the two chunks at the edges of what changed.
    assert second.bytes_added < (new + 5) * MIB
    assert len(source.ranged_paths) == (change != "cut to nothing")


@pytest.mark.parametrize("fault", ["gap", "behind the end", "backwards"])
def test_ranges_that_do_not_line_up_are_read_in_full(repository: Repository, path: bytes, fault: str) -> None:
    class Faulty(DirectorySource):
        def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
            for item in super().ranges(path, known):
                if isinstance(item, Piece) and fault == "gap":
                    yield Piece(item.path, item.offset + 1, item.data[1:])
                    continue
                if isinstance(item, FileEnd) and fault == "behind the end":
                    yield FileEnd(item.path, item.size + 17, item.sha256, item.before, item.after)
                    continue
                if isinstance(item, Piece) and fault == "backwards":
                    yield item
                yield item

    dice = random.Random(9)
    content = bytearray(dice.randbytes(8 * MIB))
    write(path, content)
    first = save(repository, path)
    content[3 * MIB] ^= 1
    write(path, content)
    source = Faulty()

    second = save(repository, path, source, first.snapshot)

    check(repository, second, path)
    assert source.ranged_paths == [path]
    assert source.read_paths == [path]


def test_a_large_file_that_changes_is_asked_for_by_ranges_again(repository: Repository, path: bytes) -> None:
    write(path, os.urandom(8 * MIB))
    opened = []

    def on_open(opening: bytes) -> None:
        opened.append(opening)

    def on_piece(reading: bytes, offset: int) -> None:
        if len(opened) == 1 and offset == 2 * MIB:
            with open(path, "r+b") as file:
                file.seek(7 * MIB + 5)
                file.write(b"meanwhile")

    source = DirectorySource(on_open=on_open, on_piece=on_piece)

    result = save(repository, path, source)

    check(repository, result, path)
    assert source.read_paths == [path]
    assert source.ranged_paths == [path]
    assert source.sent < 13 * MIB


def test_a_host_without_hashes(repository: Repository, path: bytes) -> None:
    write(path, os.urandom(5 * MIB))

    result = save(repository, path, DirectorySource(hashing=False))

    check(repository, result, path)


class Generated:
    """One file of ``size`` bytes, made as it is read."""

    def __init__(self, size: int) -> None:
        self._size = size

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        yield Directory(b"/", [Node(b"disk.img", "file", 0o100644, 5, 5, 5, inode=9, size=self._size, links=1)])

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        block = random.Random(4).randbytes(MIB)
        for offset in range(0, self._size, MIB):
            # New objects, as from a wire; the content repeats, so that compressing it does not take minutes.
            yield Piece(paths[0], offset, block[:-1] + b"!")
        stat = Stat(self._size, 5, 5, 9)
        yield FileEnd(paths[0], self._size, None, stat, stat)

    def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        return self.read([path])


def memory(*, restart: bool = False) -> int:
    """Return the peak of this process's memory in bytes; with ``restart`` what it has now, and begin a new peak."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if restart:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:" if restart else "VmHWM:"))
    return int(line.split()[1]) * 1024


def test_memory_is_bounded_whatever_the_size() -> None:
    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=1024)
    plan = CapturePlan("lab3-07", "lab3-07", (b"/disk.img",), ())
    before = memory(restart=True)

    result = Archiver(repository, Generated(2048 * MIB)).snapshot(plan, parent=None, now=NOW)

    assert result.bytes == 2048 * MIB
    assert memory() - before < 150 * MIB


@st.composite
def versions(draw: st.DrawFn) -> tuple[list[int], list[bool], int, int]:
    """Lengths of known ranges, which of them differ now, the bytes behind them, and the largest piece."""
    lengths = draw(st.lists(st.integers(1, 40_000), min_size=1, max_size=12))
    differ = draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    return lengths, differ, draw(st.integers(-60_000, 60_000)), draw(st.integers(1, 30_000))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions(), st.integers(0, 2**32))
def test_ranges_give_the_file_exactly(version: tuple[list[int], list[bool], int, int], seed: int) -> None:
    lengths, differ, tail, largest = version
    repository = Repository.init(MemoryBackend(), "correct horse", scrypt_n=2)
    dice = random.Random(seed)
    old = [dice.randbytes(length) for length in lengths]
    for part in old:
        repository.save_blob(BlobType.DATA, part)
    new = b"".join(dice.randbytes(len(part)) if changed else part for part, changed in zip(old, differ, strict=True))
    new = new + dice.randbytes(tail) if tail > 0 else new[: max(len(new) + tail, 0)]
    ranges, offset = [], 0
    for part in old:
        ranges.append(KnownRange(offset, len(part), hash_of(part)))
        offset += len(part)

    tally = Tally("lab3-07", silent)
    pool = BlobPool(repository, tally, workers=2)
    saver = FileSaver(repository, pool, tally)
    file = PendingFile(b"/f", Node(b"f", "file"), '{"path":"/f"', None)
    saver.begin(file, KnownContent(ranges))
    wanted = [known for known in ranges if known.offset < len(new)]
    for known in wanted:
        data = new[known.offset : known.offset + known.length]
        if hash_of(data) != known.sha256:
            for start in range(0, len(data), largest):
                saver.take(Piece(b"/f", known.offset + start, data[start : start + largest]))
    for start in range(offset, len(new), largest):
        saver.take(Piece(b"/f", start, new[start : start + largest]))
    stat = Stat(len(new), 0, 0, 0)
    saver.finish(FileEnd(b"/f", len(new), hashlib.sha256(new).digest(), stat, stat))
    for job in file.jobs:
        job.result()
    pool.close()
    repository.flush()

    assert b"".join(repository.iter_blobs(file.content)) == new
    assert file.size == len(new)
    assert file.sha256 == hash_of(new)
    repository.close()


def test_between_known_ranges() -> None:
    known = KnownContent([KnownRange(0, 10, b"a"), KnownRange(10, 5, b"b"), KnownRange(15, 5, b"c")])
    assert known.between(0, 20) == [b"a", b"b", b"c"]
    assert known.between(10, 15) == [b"b"]
    assert known.between(7, 7) == []
    for start, stop in ((0, 9), (1, 10), (10, 21), (20, 25), (15, 16)):
        with pytest.raises(Misaligned):
            known.between(start, stop)
