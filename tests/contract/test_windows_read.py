"""Reading a Windows host's files: content, ranges, what changes meanwhile, what is locked, and what is no file."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.entries import Directory, FileEnd, KnownRange, Piece, Skipped, WalkRequest
from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost
from tests.support.helper_host import contents
from tests.support.windows_helper import windows_host
from tests.support.wine import POWERSHELL, WinePrefix, run_command_line

MIB = 1024 * 1024
ROOT = b"/C/t"


@pytest.fixture(scope="module")
def host(windows: WinePrefix) -> Iterator[RemoteHost]:
    with windows_host(windows) as host:
        yield host


@pytest.fixture
def folder(windows: WinePrefix) -> Iterator[Path]:
    """A folder of the drive, ``C:\\t`` to Windows."""
    path = windows.drive / "t"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def test_content_of_every_size(host: RemoteHost, folder: Path) -> None:
    chance = random.Random(3)
    sizes = (0, 1, 4096, MIB - 1, MIB, MIB + 1, 3 * MIB, 9 * MIB + 17)
    expected = {ROOT + b"/%d" % size: chance.randbytes(size) for size in sizes}
    for path, content in expected.items():
        (folder / os.path.basename(path.decode())).write_bytes(content)
    data, ends, skips = contents(host.source().read(list(expected)))
    assert skips == []
    assert data == expected
    assert list(ends) == list(expected)
    for path, end in ends.items():
        entry = os.lstat(folder / os.path.basename(path.decode()))
        assert end.size == len(expected[path])
        assert end.sha256 == hashlib.sha256(expected[path]).digest()
        assert end.before == end.after
        assert (end.before.size, end.before.mtime_ns) == (entry.st_size, entry.st_mtime_ns // 100 * 100)
        assert (end.before.ctime_ns, end.before.inode) == (entry.st_ctime_ns // 100 * 100, entry.st_ino)
        assert end.live


def test_what_a_listing_says_is_what_reading_says(host: RemoteHost, folder: Path) -> None:
    # Otherwise a second run would take each file for changed.
    (folder / "file").write_bytes(b"x")
    os.utime(folder / "file", ns=(1, 1_234_567_891_234_567_890))
    listed = [item for item in host.source().entries(WalkRequest((ROOT,))) if item.path == ROOT]
    assert isinstance(listed[0], Directory)
    node = listed[0].children[0]
    end = contents(host.source().read([ROOT + b"/file"]))[1][ROOT + b"/file"]
    assert (end.before.size, end.before.mtime_ns, end.before.ctime_ns, end.before.inode) == (
        node.size,
        node.mtime_ns,
        node.ctime_ns,
        node.inode,
    )


def test_several_reads_under_way_are_each_whole(host: RemoteHost, folder: Path) -> None:
    chance = random.Random(4)
    expected = {ROOT + b"/%d" % number: chance.randbytes(9 * MIB + number) for number in range(4)}
    for path, content in expected.items():
        (folder / os.path.basename(path.decode())).write_bytes(content)
    source = host.source()
    under_way = [source.read([path]) for path in expected]
    found = [contents(items) for items in under_way]
    assert [next(iter(data.values())) for data, _, _ in found] == list(expected.values())
    for path, (_, ends, _) in zip(expected, found, strict=True):
        assert ends[path].sha256 == hashlib.sha256(expected[path]).digest()


def test_memory_stays_bounded_while_others_wait_behind_a_large_read(host: RemoteHost, folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * 24 * MIB)
    reading = host.source().read([ROOT + b"/large"])
    next(reading)
    assert host.sink().stat([ROOT])[0] is not None
    waiting = sum(len(frame.payload) for answer in host._session._answers.values() for frame in answer._frames)
    assert waiting <= 10 * MIB
    assert contents(reading)[1][ROOT + b"/large"].size == 24 * MIB


def test_many_paths_go_in_several_requests(host: RemoteHost, folder: Path) -> None:
    paths = [ROOT + b"/" + b"%05d" % number + b"n" * 200 for number in range(4000)]
    for path in paths[::500]:
        (folder / os.path.basename(path.decode())).write_bytes(path)
    data, _, skips = contents(host.source().read(paths))
    assert data == {path: path for path in paths[::500]}
    assert [skip.reason for skip in skips] == ["vanished"] * (len(paths) - len(data))


def test_awkward_paths(host: RemoteHost, folder: Path) -> None:
    names = ("trailing ", "trailing.", "🎒", "CON", "n" * 255, "Ünïcode")
    for name in names:
        (folder / name).write_text(name)
    deep = folder.joinpath(*["d" * 60] * 6)
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep down")
    long = ROOT + (b"/" + b"d" * 60) * 6 + b"/file"
    paths = [ROOT + b"/" + name.encode() for name in names]
    data, _, skips = contents(host.source().read([*paths, long, ROOT + b"/TRAILING "]))
    assert skips == []
    expected = {path: name.encode() for path, name in zip(paths, names, strict=True)}
    assert data == {**expected, long: b"deep down", ROOT + b"/TRAILING ": b"trailing "}


def test_what_is_no_file_is_skipped(host: RemoteHost, folder: Path) -> None:
    (folder / "file").write_text("x")
    (folder / "dir").mkdir()
    names = (
        b"/C/t/dir",
        b"/C/t/missing",
        b"/C/t/file/below",
        b"/C/t/f*",
        b"/C/t/?ile",
        b"/C",
        b"/",
        b"/Q/x",
        b"/tmp/x",
    )
    items = list(host.source().read(list(names)))
    assert [item.reason for item in items if isinstance(item, Skipped)] == ["vanished"] * len(names)
    for path in (b"/C/t/file:stream", b"/C/t\\file", b"/C/t/./file"):
        with pytest.raises(HelperFailed, match="bad-request"):
            list(host.source().read([path]))


def test_no_link_on_the_way_is_followed(host: RemoteHost, folder: Path) -> None:
    # Wine shows a symbolic link of Linux as a folder; to Windows the file lies elsewhere then, as behind a junction.
    (folder / "real").mkdir()
    (folder / "real" / "file").write_text("secret")
    (folder / "alias").symlink_to("real")
    (item,) = list(host.source().read([ROOT + b"/alias/file"]))
    if isinstance(item, Piece):
        pytest.skip("this Wine does not tell where a file really is")
    assert isinstance(item, Skipped)
    assert item.reason == "vanished"


def test_a_locked_file_is_told_and_the_others_are_read(host: RemoteHost, windows: WinePrefix, folder: Path) -> None:
    (folder / "mail.pst").write_text("mail")
    (folder / "open.docx").write_text("lesson")
    script = (
        "$a=[IO.File]::Open('C:\\t\\mail.pst','Open','ReadWrite','None');"
        "$b=[IO.File]::Open('C:\\t\\open.docx','Open','ReadWrite','Read');"
        "[Console]::Out.WriteLine('locked');[Console]::Out.Flush();$null=[Console]::In.ReadLine()"
    )
    line = f'{POWERSHELL} -NoLogo -NoProfile -NonInteractive -InputFormat None -Command "{script}"'
    with run_command_line(windows, line) as program:
        assert program.stdout is not None
        assert program.stdout.readline().strip() == b"locked"
        data, _, skips = contents(host.source().read([ROOT + b"/mail.pst", ROOT + b"/open.docx"]))
        program.communicate(b"\n", timeout=60)
    assert data == {ROOT + b"/open.docx": b"lesson"}
    assert [(skip.path, skip.reason) for skip in skips] == [(ROOT + b"/mail.pst", "unreadable")]
    assert "another program" in skips[0].detail
    assert contents(host.source().read([ROOT + b"/mail.pst"]))[0] == {ROOT + b"/mail.pst": b"mail"}


def test_a_growing_file_is_read_to_the_size_it_had(host: RemoteHost, folder: Path) -> None:
    path = ROOT + b"/log"
    (folder / "log").write_bytes(b"a" * 24 * MIB)
    reading = host.source().read([path])
    # Two pages of 4 MiB are under way; the helper waits with the rest until we take them.
    first = next(reading)
    with open(folder / "log", "ab") as file:
        file.write(b"b" * MIB)
    data, ends, _ = contents(reading)
    assert isinstance(first, Piece)
    end = ends[path]
    assert end.size == 24 * MIB
    assert bytes(first.data) + data[path][len(first.data) :] == b"a" * 24 * MIB
    assert end.before.size == 24 * MIB
    assert end.after.size == 25 * MIB


def test_a_file_that_is_cut_short_gives_what_there_was(host: RemoteHost, folder: Path) -> None:
    path = ROOT + b"/log"
    (folder / "log").write_bytes(b"a" * 24 * MIB)
    reading = host.source().read([path, path])
    next(reading)
    os.truncate(folder / "log", 20 * MIB)
    ends = [item for item in reading if isinstance(item, FileEnd)]
    assert [end.size for end in ends] == [20 * MIB, 20 * MIB]
    assert ends[0].before.size == 24 * MIB
    assert ends[0].after.size == 20 * MIB
    assert ends[1].before == ends[1].after


def test_a_read_that_is_given_up_disturbs_nobody(host: RemoteHost, folder: Path) -> None:
    (folder / "large").write_bytes(b"a" * 14 * MIB)
    (folder / "small").write_bytes(b"b")
    source = host.source()
    for _ in range(3):
        reading = source.read([ROOT + b"/large"])
        next(reading)
        reading.close()
    assert contents(source.read([ROOT + b"/small"]))[0] == {ROOT + b"/small": b"b"}


# ---- ranges


def known_of(content: bytes, size: int) -> list[KnownRange]:
    return [
        KnownRange(
            offset, len(content[offset : offset + size]), hashlib.sha256(content[offset : offset + size]).digest()
        )
        for offset in range(0, len(content), size)
    ]


def patch(content: bytes, items: Iterator[Piece | FileEnd | Skipped]) -> tuple[bytes, FileEnd, int]:
    """Return the new version by the old one and what differs, its end, and how many bytes came."""
    new = bytearray(content)
    came = 0
    for item in items:
        if isinstance(item, Piece):
            data = bytes(item.data) or bytes(item.zero)
            new[item.offset : item.offset + len(data)] = data
            came += len(data)
        else:
            assert isinstance(item, FileEnd)
            return bytes(new[: item.size]), item, came
    raise AssertionError("no end came")


@pytest.mark.parametrize("change", ["nothing", "middle", "longer", "shorter", "empty", "none known"])
def test_only_what_differs_comes(host: RemoteHost, folder: Path, change: str) -> None:
    old = random.Random(5).randbytes(14 * MIB)
    known = known_of(old, 3 * MIB + 5)
    new = bytearray(old)
    most = 0
    if change == "middle":
        new[7 * MIB] ^= 1
        most = 3 * MIB + 5
    elif change == "longer":
        new += b"more"
        most = 3 * MIB + 9
    elif change == "shorter":
        del new[8 * MIB :]
        most = 3 * MIB
    elif change == "empty":
        new = bytearray()
    elif change == "none known":
        known, most = [], len(old)
    (folder / "file").write_bytes(new)
    found, end, came = patch(old if known else b"", host.source().ranges(ROOT + b"/file", known))
    assert found == bytes(new)
    assert end.sha256 == hashlib.sha256(new).digest()
    assert end.size == len(new)
    assert came <= most


def test_ranges_that_are_none_are_refused(host: RemoteHost, folder: Path) -> None:
    (folder / "file").write_bytes(b"x" * 100)
    gap = [KnownRange(0, 10, bytes(32)), KnownRange(20, 10, bytes(32))]
    for known in (gap, [KnownRange(5, 10, bytes(32))], [KnownRange(0, 17 * MIB, bytes(32))]):
        with pytest.raises(HelperFailed, match="bad-request"):
            list(host.source().ranges(ROOT + b"/file", known))
    (skip,) = list(host.source().ranges(ROOT + b"/missing", []))
    assert isinstance(skip, Skipped)


# ---- stat and hash, as the restorer asks


def test_stat_and_hash(host: RemoteHost, folder: Path) -> None:
    (folder / "file").write_bytes(b"content")
    (folder / "large").write_bytes(b"x" * 9 * MIB)
    sink = host.sink()
    paths = [ROOT + b"/file", ROOT + b"/missing", ROOT + b"/FILE", ROOT, ROOT + b"/file/below", b"/C", b"/Q"]
    found = sink.stat(paths)
    assert [node.type if node else None for node in found] == ["file", None, "file", "dir", None, "dir", None]
    assert [node.name for node in found if node] == [b"file", b"FILE", b"t", b"C"]
    hashes = list(sink.hash([ROOT + b"/file", ROOT + b"/missing", ROOT, ROOT + b"/large"]))
    digests = [hashlib.sha256(content).digest() for content in (b"content", b"x" * 9 * MIB)]
    assert [item.sha256 for item in hashes] == [digests[0], None, None, digests[1]]
    assert hashes[0].size == 7
    assert hashes[0].mtime_ns == os.lstat(folder / "file").st_mtime_ns // 100 * 100
    assert hashes[1].detail


def test_many_paths_are_asked_in_several_requests(host: RemoteHost, folder: Path) -> None:
    paths = [ROOT + b"/" + b"%05d" % number + b"n" * 200 for number in range(3000)]
    (folder / os.path.basename(paths[1234].decode())).write_bytes(b"x")
    sink = host.sink()
    assert [index for index, node in enumerate(sink.stat(paths)) if node] == [1234]
    assert [index for index, item in enumerate(sink.hash(paths)) if item.sha256] == [1234]
