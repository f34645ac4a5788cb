"""Reading a real host's files: content, holes, what changes meanwhile, and what is no file."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.entries import FileEnd, KnownRange, Piece, Skipped
from tasks.remote.filesystem import RemoteHost
from tasks.repository.tree import Node
from tests.support.helper_host import contents, helper_host, interpreters, make_deep, remove_deep

MIB = 1024 * 1024


@pytest.fixture(scope="module", params=interpreters(), ids=lambda path: path.parent.parent.name)
def host(request: pytest.FixtureRequest) -> Iterator[RemoteHost]:
    with helper_host(request.param) as host:
        yield host


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    return os.fsencode(tmp_path)


def write(path: bytes, content: bytes = b"x") -> None:
    with open(path, "wb") as file:
        file.write(content)


def test_content_of_every_size(host: RemoteHost, root: bytes) -> None:
    chance = random.Random(3)
    sizes = (0, 1, 4096, MIB - 1, MIB, MIB + 1, 3 * MIB, 9 * MIB + 17)
    expected = {root + b"/%d" % size: chance.randbytes(size) for size in sizes}
    for path, content in expected.items():
        write(path, content)
    data, ends, skips = contents(host.source().read(list(expected)))
    assert skips == []
    assert data == expected
    assert list(ends) == list(expected)
    for path, end in ends.items():
        entry = os.lstat(path)
        assert end.size == len(expected[path])
        assert end.sha256 == hashlib.sha256(expected[path]).digest()
        assert end.before == end.after
        assert (end.before.size, end.before.mtime_ns) == (entry.st_size, entry.st_mtime_ns)
        assert (end.before.ctime_ns, end.before.inode) == (entry.st_ctime_ns, entry.st_ino)


def test_several_reads_under_way_are_each_whole(host: RemoteHost, root: bytes) -> None:
    chance = random.Random(4)
    expected = {root + b"/%d" % number: chance.randbytes(9 * MIB + number) for number in range(4)}
    for path, content in expected.items():
        write(path, content)
    source = host.source()
    under_way = [source.read([path]) for path in expected]
    found = [contents(items) for items in under_way]
    assert [next(iter(data.values())) for data, _, _ in found] == list(expected.values())
    assert all(
        ends[path].sha256 == hashlib.sha256(expected[path]).digest()
        for path, (_, ends, _) in zip(expected, found, strict=True)
    )


def test_memory_stays_bounded_while_a_walk_waits_behind_a_large_read(host: RemoteHost, root: bytes) -> None:
    write(root + b"/large", b"x" * 24 * MIB)
    source = host.source()
    reading = source.read([root + b"/large"])
    next(reading)
    # The answer to stat comes behind what is under way of the read, which is pages and not the whole file.
    assert host.sink().stat([root])[0] is not None
    waiting = sum(len(frame.payload) for answer in host._session._answers.values() for frame in answer._frames)
    assert waiting <= 10 * MIB
    _, ends, _ = contents(reading)
    assert ends[root + b"/large"].size == 24 * MIB


def test_many_paths_go_in_several_requests(host: RemoteHost, root: bytes) -> None:
    paths = [root + b"/" + b"%05d" % number + b"n" * 200 for number in range(4000)]
    for path in paths[::500]:
        write(path, path)
    data, _, skips = contents(host.source().read(paths))
    assert data == {path: path for path in paths[::500]}
    assert [skip.reason for skip in skips] == ["vanished"] * (len(paths) - len(data))


def test_holes_come_as_zeros(host: RemoteHost, root: bytes) -> None:
    path = root + b"/sparse"
    with open(path, "wb") as file:
        file.write(b"begin")
        file.seek(140 * MIB)
        file.write(b"middle")
        file.truncate(280 * MIB)
    if os.lstat(path).st_blocks * 512 > MIB:
        pytest.skip("this file system has no holes")
    digest = hashlib.sha256()
    zeros = size = 0
    for item in host.source().read([path]):
        if isinstance(item, Piece):
            assert item.offset == size
            size += item.zero or len(item.data)
            zeros += item.zero
            digest.update(item.data or bytes(item.zero))
        else:
            assert isinstance(item, FileEnd)
            assert item.sha256 == digest.digest()
    assert size == 280 * MIB
    assert zeros > 279 * MIB


def test_awkward_paths(host: RemoteHost, root: bytes) -> None:
    names = (b"new\nline", b'"', b"trailing ", b"\xf0\x9f\x8e\x92", b"\xff\xfe", b"n" * 255)
    for name in names:
        write(root + b"/" + name, name)
    deep = make_deep(root, 25)
    try:
        paths = [root + b"/" + name for name in names]
        data, _, skips = contents(host.source().read([*paths, deep]))
        assert skips == []
        assert data == {**dict(zip(paths, names, strict=True)), deep: b"deep down"}
    finally:
        remove_deep(root)


def test_what_is_no_file_is_skipped_without_waiting(host: RemoteHost, root: bytes) -> None:
    write(root + b"/file")
    os.mkfifo(root + b"/fifo")
    os.mkdir(root + b"/dir")
    os.symlink(b"file", root + b"/link")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(root)
        server.bind("socket")
        os.chdir(here)
    names = (b"fifo", b"socket", b"dir", b"link", b"missing", b"file/below")
    items = list(host.source().read([*(root + b"/" + name for name in names), b"/dev/null"]))
    assert [item.reason for item in items if isinstance(item, Skipped)] == [
        "special",
        "special",
        "vanished",
        "vanished",
        "vanished",
        "vanished",
        "special",
    ]


def test_no_symlink_on_the_way_is_followed(host: RemoteHost, root: bytes) -> None:
    os.mkdir(root + b"/real")
    write(root + b"/real/file", b"secret")
    os.symlink(b"real", root + b"/alias")
    deep = os.path.dirname(make_deep(root, 22))
    try:
        sink = host.sink()
        sink.allow("digest", [root])
        sink.make(deep + b"/alias", Node(b"alias", "symlink", linktarget=root + b"/real"))
        assert [result.ok for result in sink.commit()] == [True]
        paths = [root + b"/alias/file", deep + b"/alias/file"]
        items = list(host.source().read(paths))
        assert [item.reason for item in items if isinstance(item, Skipped)] == ["vanished", "vanished"]
        assert [item.sha256 for item in sink.hash(paths)] == [None, None]
    finally:
        remove_deep(root)


def test_a_growing_file_is_read_to_the_size_it_had(host: RemoteHost, root: bytes) -> None:
    path = root + b"/log"
    write(path, b"a" * 16 * MIB)
    reading = host.source().read([path])
    # Two pages of 4 MiB are under way; the helper waits with the rest until we take them.
    first = next(reading)
    with open(path, "ab") as file:
        file.write(b"b" * MIB)
    data, ends, _ = contents(reading)
    assert isinstance(first, Piece)
    end = ends[path]
    assert end.size == 16 * MIB
    assert bytes(first.data) + data[path][len(first.data) :] == b"a" * 16 * MIB
    assert end.before.size == 16 * MIB
    assert end.after.size == 17 * MIB
    assert end.before != end.after


def test_a_file_that_is_cut_short_gives_what_there_was(host: RemoteHost, root: bytes) -> None:
    path = root + b"/log"
    write(path, b"a" * 16 * MIB)
    reading = host.source().read([path, path])
    next(reading)
    os.truncate(path, 12 * MIB)
    ends = [item for item in reading if isinstance(item, FileEnd)]
    assert [end.size for end in ends] == [12 * MIB, 12 * MIB]
    assert ends[0].before.size == 16 * MIB
    assert ends[0].after.size == 12 * MIB
    assert ends[1].before == ends[1].after


def test_a_read_that_is_given_up_disturbs_nobody(host: RemoteHost, root: bytes) -> None:
    write(root + b"/large", b"a" * 14 * MIB)
    write(root + b"/small", b"b")
    source = host.source()
    for _ in range(3):
        reading = source.read([root + b"/large"])
        next(reading)
        reading.close()
    assert contents(source.read([root + b"/small"]))[0] == {root + b"/small": b"b"}


def test_two_threads_read_at_once(host: RemoteHost, root: bytes) -> None:
    write(root + b"/one", b"1" * 12 * MIB)
    write(root + b"/two", b"2" * 12 * MIB)
    source = host.source()
    found: dict[bytes, bytes] = {}

    def read(path: bytes) -> None:
        found.update(contents(source.read([path]))[0])

    threads = [threading.Thread(target=read, args=(root + b"/" + name,)) for name in (b"one", b"two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {root + b"/one": b"1" * 12 * MIB, root + b"/two": b"2" * 12 * MIB}


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


@pytest.mark.parametrize("change", ["nothing", "middle", "longer", "shorter", "empty", "zeros", "none known"])
def test_only_what_differs_comes(host: RemoteHost, root: bytes, change: str) -> None:
    old = random.Random(5).randbytes(14 * MIB)
    new = bytearray(old)
    known = known_of(old, 3 * MIB + 11)
    expected = 0
    if change == "middle":
        new[7 * MIB] ^= 1
        expected = 3 * MIB + 11
    elif change == "longer":
        new += b"more"
        expected = 4
    elif change == "shorter":
        del new[10 * MIB :]
        expected = 10 * MIB - 3 * (3 * MIB + 11)
    elif change == "empty":
        new.clear()
    elif change == "zeros":
        new[: 3 * MIB] = bytes(3 * MIB)
        expected = 3 * MIB + 11
    elif change == "none known":
        known = []
        expected = len(new)
    path = root + b"/file"
    write(path, bytes(new))
    found, end, came = patch(old, host.source().ranges(path, known))
    assert found == bytes(new)
    assert end.sha256 == hashlib.sha256(new).digest()
    assert came == expected


def test_more_ranges_than_fit_one_frame(host: RemoteHost, root: bytes) -> None:
    old = random.Random(6).randbytes(700_000)
    path = root + b"/file"
    write(path, old[:350_005] + b"!" + old[350_006:])
    found, _, came = patch(old, host.source().ranges(path, known_of(old, 50)))
    assert found == old[:350_005] + b"!" + old[350_006:]
    assert came == 50


def test_ranges_of_what_is_no_file(host: RemoteHost, root: bytes) -> None:
    os.mkfifo(root + b"/fifo")
    (skip,) = list(host.source().ranges(root + b"/fifo", []))
    assert isinstance(skip, Skipped)
    assert skip.reason == "special"


# ---- stat and hash, as the restorer asks


def test_stat_and_hash(host: RemoteHost, root: bytes) -> None:
    write(root + b"/file", b"content")
    os.symlink(b"file", root + b"/link")
    sink = host.sink()
    paths = [root + b"/file", root + b"/missing", root + b"/link", root, root + b"/file/below"]
    found = sink.stat(paths)
    assert [node.type if node else None for node in found] == ["file", None, "symlink", "dir", None]
    assert [node.name for node in found if node] == [b"file", b"link", os.path.basename(root)]
    hashes = list(sink.hash([root + b"/file", root + b"/missing", root + b"/link"]))
    assert [item.sha256 for item in hashes] == [hashlib.sha256(b"content").digest(), None, None]
    assert hashes[0].size == 7
    assert hashes[0].mtime_ns == os.lstat(root + b"/file").st_mtime_ns
    assert hashes[1].detail


def test_many_paths_are_asked_in_several_requests(host: RemoteHost, root: bytes) -> None:
    paths = [root + b"/" + b"%05d" % number + b"n" * 200 for number in range(3000)]
    write(paths[1234], b"x")
    sink = host.sink()
    assert [index for index, node in enumerate(sink.stat(paths)) if node] == [1234]
    assert [index for index, item in enumerate(sink.hash(paths)) if item.sha256] == [1234]
