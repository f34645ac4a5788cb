"""Writing a real host's files: whole, checked, only where the plan allows, and never over what it did not see."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tasks.entries import Expected, WriteResult, Zeros
from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost, RemoteSink
from tasks.remote.frames import Buffer
from tasks.repository.tree import Node
from tests.support.helper_host import NOBODY, can_be_nobody, helper_host, interpreters, make_deep, remove_deep

MIB = 1024 * 1024
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module", params=interpreters(), ids=lambda path: path.parent.parent.name)
def host(request: pytest.FixtureRequest) -> Iterator[RemoteHost]:
    with helper_host(request.param) as host:
        yield host


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    (tmp_path / "root").mkdir()
    return os.fsencode(tmp_path / "root")


@pytest.fixture
def sink(host: RemoteHost, root: bytes) -> RemoteSink:
    sink = host.sink()
    sink.allow("digest", [root])
    return sink


def file_node(**fields: object) -> Node:
    values: dict[str, object] = {"mode": stat.S_IFREG | 0o640, "mtime_ns": 1_500_000_000_123_456_789}
    values |= {"uid": os.geteuid(), "gid": os.getegid()}
    return Node(b"name", "file", **(values | fields))  # type: ignore[arg-type]


def folder_node(mode: int = 0o755, **fields: object) -> Node:
    own = {"uid": os.geteuid(), "gid": os.getegid(), "mtime_ns": 1_400_000_000_000_000_001}
    return Node(b"name", "dir", mode=stat.S_IFDIR | mode, **(own | fields))  # type: ignore[arg-type]


def seen(path: bytes) -> Expected:
    entry = os.lstat(path)
    kind = {stat.S_IFREG: "file", stat.S_IFLNK: "symlink", stat.S_IFDIR: "dir"}[stat.S_IFMT(entry.st_mode)]
    return Expected(kind, entry.st_size if kind == "file" else 0, entry.st_mtime_ns)


def read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write(path: bytes, content: bytes = b"x") -> None:
    with open(path, "wb") as file:
        file.write(content)


def the(results: list[WriteResult]) -> WriteResult:
    (result,) = results
    return result


def names(root: bytes) -> list[bytes]:
    return sorted(os.listdir(root))


def test_files_of_every_size_are_written(sink: RemoteSink, root: bytes) -> None:
    chance = random.Random(1)
    contents = [chance.randbytes(size) for size in (0, 1, MIB, MIB + 1, 5 * MIB + 3, 12 * MIB)]
    for number, content in enumerate(contents):
        pieces = [content[at : at + 3 * MIB] for at in range(0, len(content), 3 * MIB)]
        sink.write_file(root + b"/%d" % number, file_node(), None, pieces)
    results = sink.commit()
    for number, (content, result) in enumerate(zip(contents, results, strict=True)):
        path = root + b"/%d" % number
        assert result == WriteResult(path, True, sha256=hashlib.sha256(content).digest(), read_back=True)
        assert read(path) == content
        assert stat.S_IMODE(os.lstat(path).st_mode) == 0o640
        assert os.lstat(path).st_mtime_ns == 1_500_000_000_123_456_789
    assert len(names(root)) == len(contents)


def test_nothing_is_in_place_before_the_commit(sink: RemoteSink, root: bytes) -> None:
    sink.write_file(root + b"/file", file_node(), None, [b"content"])
    # The helper answers in order: what it was told before has happened by now.
    assert sink.stat([root + b"/file"]) == [None]
    assert all(name.startswith(b".firstbell-") for name in names(root))
    assert the(sink.commit()).ok
    assert names(root) == [b"file"]


def test_zeros_become_holes(sink: RemoteSink, root: bytes) -> None:
    content = [b"begin", Zeros(30 * MIB), b"middle" + bytes(4 * MIB) + b"end", Zeros(10 * MIB)]
    sink.write_file(root + b"/sparse", file_node(), None, content)
    assert the(sink.commit()).ok
    entry = os.lstat(root + b"/sparse")
    plain = b"begin" + bytes(30 * MIB) + b"middle" + bytes(4 * MIB) + b"end" + bytes(10 * MIB)
    assert entry.st_size == len(plain)
    assert read(root + b"/sparse") == plain
    assert entry.st_blocks * 512 < MIB


def test_awkward_names_and_long_paths(sink: RemoteSink, root: bytes) -> None:
    chosen = (b"new\nline", b'"', b"trailing ", b"\xf0\x9f\x8e\x92", b"\xff\xfe", b"n" * 255)
    for name in chosen:
        sink.write_file(root + b"/" + name, file_node(), None, [name])
    assert all(result.ok for result in sink.commit())
    assert names(root) == sorted(chosen)
    assert [read(root + b"/" + name) for name in chosen] == list(chosen)
    folder = os.path.dirname(make_deep(root, 25))
    try:
        sink.make(folder + b"/new", folder_node())
        sink.write_file(folder + b"/new/file", file_node(), None, [b"deep"])
        sink.make(folder + b"/new/link", Node(b"link", "symlink", linktarget=b"\xff"))
        sink.make(folder + b"/new/hard", file_node(), hardlink_to=folder + b"/new/file")
        assert [result.ok for result in sink.commit()] == [True] * 4
        assert all(result.ok for result in sink.set_metadata([(folder + b"/new", folder_node(0o700))]))
        found = sink.stat([folder + b"/new/file", folder + b"/new/hard", folder + b"/new/link", folder + b"/new"])
        assert [node.type if node else None for node in found] == ["file", "file", "symlink", "dir"]
        assert found[0] is not None
        assert found[0].links == 2
        assert found[3] is not None
        assert stat.S_IMODE(found[3].mode) == 0o700
        for name in (b"link", b"hard", b"file"):
            node = sink.stat([folder + b"/new/" + name])[0]
            assert node is not None
            sink.remove(folder + b"/new/" + name, Expected(node.type, node.size, node.mtime_ns))
        sink.remove(folder + b"/new", Expected("dir", 0, 0))
        assert [result.ok for result in sink.commit()] == [True] * 4
        assert sink.stat([folder + b"/new"]) == [None]
    finally:
        remove_deep(root)


def test_existing_files_are_replaced_only_as_the_plan_saw_them(sink: RemoteSink, root: bytes) -> None:
    for name in (b"same", b"newer", b"longer", b"there", b"kind", b"folder"):
        write(root + b"/" + name, b"old")
    os.chmod(root + b"/same", 0o400)
    expected = {name: seen(root + b"/" + name) for name in names(root)}
    os.utime(root + b"/newer", ns=(1, expected[b"newer"].mtime_ns + 1))
    write(root + b"/longer", b"older")
    os.utime(root + b"/longer", ns=(1, expected[b"longer"].mtime_ns))
    os.unlink(root + b"/kind")
    os.symlink(b"same", root + b"/kind")
    os.unlink(root + b"/folder")
    os.mkdir(root + b"/folder")
    for name, expect in expected.items():
        sink.write_file(root + b"/" + name, file_node(), None if name == b"there" else expect, [b"new"])
    sink.write_file(root + b"/gone", file_node(), Expected("file", 3, 5), [b"new"])
    results = {result.path[len(root) + 1 :]: result.reason for result in sink.commit()}
    assert results.pop(b"same") == ""
    assert set(results.values()) == {"conflict"}
    assert len(results) == 6
    assert read(root + b"/same") == b"new"
    assert [read(root + b"/" + name) for name in (b"newer", b"longer", b"there")] == [b"old", b"older", b"old"]
    assert names(root) == [b"folder", b"kind", b"longer", b"newer", b"same", b"there"]


def test_a_file_that_comes_into_being_meanwhile_is_left_alone(sink: RemoteSink, root: bytes) -> None:
    sink.write_file(root + b"/file", file_node(), None, [b"restored"])
    sink.stat([root])
    write(root + b"/file", b"just saved by the teacher")
    result = the(sink.commit())
    assert (result.ok, result.reason) == (False, "conflict")
    assert read(root + b"/file") == b"just saved by the teacher"
    assert names(root) == [b"file"]


def test_a_symlink_as_seen_is_replaced_by_a_file(sink: RemoteSink, root: bytes) -> None:
    write(root + b"/target", b"untouched")
    os.symlink(b"target", root + b"/link")
    sink.write_file(root + b"/link", file_node(), seen(root + b"/link"), [b"new"])
    assert the(sink.commit()).ok
    assert not os.path.islink(root + b"/link")
    assert read(root + b"/target") == b"untouched"


def test_nothing_outside_the_roots_is_touched(sink: RemoteSink, root: bytes) -> None:
    outside = os.path.dirname(root) + b"/outside"
    os.mkdir(outside)
    write(outside + b"/victim", b"untouched")
    os.symlink(outside, root + b"/out")
    os.symlink(b"../outside", root + b"/relative")
    os.symlink(b"/", root + b"/slash")
    bad = [
        outside + b"/file",
        root + b"/out/file",
        root + b"/out/victim",
        root + b"/relative/file",
        root + b"/slash/tmp/file",
        root + b"/../outside/file",
        root + b"/./../outside/file",
        root + b"x",
        b"/file",
        b"relative",
        root + b"/nul\0",
    ]
    for path in bad:
        sink.write_file(path, file_node(), None, [b"bad"])
    results = sink.commit()
    assert [(result.path, result.reason) for result in results] == [(path, "outside") for path in bad]
    for path in bad[:4]:
        sink.make(path + b"dir", folder_node())
        sink.make(path + b"link", Node(b"l", "symlink", linktarget=b"x"))
        sink.make(path + b"hard", file_node(), hardlink_to=root + b"/out/victim")
        sink.remove(path, Expected("file", 9, 0))
    sink.make(root + b"/stolen", file_node(), hardlink_to=outside + b"/victim")
    assert {result.reason for result in sink.commit()} == {"outside"}
    results = sink.set_metadata([(outside + b"/victim", file_node(mode=0o777)), (root + b"/out/victim", file_node())])
    assert [result.reason for result in results] == ["outside", "outside"]
    assert names(outside) == [b"victim"]
    assert read(outside + b"/victim") == b"untouched"
    assert names(root) == [b"out", b"relative", b"slash"]


def test_metadata_of_a_symlink_does_not_reach_its_target(sink: RemoteSink, root: bytes) -> None:
    outside = os.path.dirname(root) + b"/victim"
    write(outside)
    os.chmod(outside, 0o600)
    before = os.lstat(outside)
    os.symlink(outside, root + b"/link")
    result = the(sink.set_metadata([(root + b"/link", Node(b"l", "symlink", mode=0o120777, uid=1, mtime_ns=7))]))
    assert result.ok
    after = os.lstat(outside)
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (before.st_mode, before.st_uid, before.st_mtime_ns)
    assert os.lstat(root + b"/link").st_mtime_ns == 7


def test_symlinks_inside_the_roots_may_be_passed(sink: RemoteSink, root: bytes) -> None:
    os.mkdir(root + b"/real")
    os.symlink(root + b"/real", root + b"/alias")
    os.symlink(b"loop", root + b"/loop")
    sink.write_file(root + b"/alias/file", file_node(), None, [b"in"])
    sink.write_file(root + b"/loop/file", file_node(), None, [b"in"])
    sink.write_file(root + b"/missing/file", file_node(), None, [b"in"])
    assert [result.reason for result in sink.commit()] == ["", "outside", "vanished"]
    assert read(root + b"/real/file") == b"in"


def test_a_root_may_be_a_symlink_or_not_be_there_yet(host: RemoteHost, root: bytes) -> None:
    os.mkdir(root + b"/real")
    os.symlink(b"real", root + b"/home")
    sink = host.sink()
    sink.allow("digest", [root + b"/home", root + b"/new", root + b"/none/new"])
    for name in (b"/home", b"/new", b"/none/new"):
        sink.make(root + name, folder_node())
    sink.write_file(root + b"/home/file", file_node(), None, [b"1"])
    sink.write_file(root + b"/new/file", file_node(), None, [b"2"])
    results = {result.path[len(root) :]: result.reason for result in sink.commit()}
    assert results == {b"/home": "", b"/new": "", b"/none/new": "vanished", b"/home/file": "", b"/new/file": ""}
    assert (read(root + b"/real/file"), read(root + b"/new/file")) == (b"1", b"2")
    assert the(sink.set_metadata([(root + b"/new", folder_node(0o711))])).ok
    assert stat.S_IMODE(os.lstat(root + b"/new").st_mode) == 0o711


def test_nothing_is_written_before_it_is_allowed(root: bytes) -> None:
    with helper_host() as host:
        sink = host.sink()
        sink.write_file(root + b"/file", file_node(), None, [b"x"])
        sink.make(root + b"/dir", folder_node())
        with pytest.raises(HelperFailed, match="not allowed"):
            sink.commit()
    assert names(root) == []


def test_content_other_than_announced_is_refused(host: RemoteHost, sink: RemoteSink, root: bytes) -> None:
    session = host._session
    session.stream("write", {"file": 901, "path": os.fsdecode(root + b"/file")}, b"damaged on the way")
    digest = hashlib.sha256(b"as it was").hexdigest().encode()
    session.stream("finish", {"file": 901}, b'{"sha256":"' + digest + b'","meta":{},"expect":null}')
    (frame,) = list(session.request("commit"))
    assert b'"ok":false' in bytes(frame.payload)
    assert b"SHA-256" in bytes(frame.payload)
    assert names(root) == []


def test_content_that_breaks_off_leaves_nothing(sink: RemoteSink, root: bytes) -> None:
    class Damaged(Exception):
        pass

    def broken(pieces: int) -> Iterator[bytes]:
        for _ in range(pieces):
            yield b"x" * MIB
        raise Damaged

    for pieces in (0, 1, 5):
        with pytest.raises(Damaged):
            sink.write_file(root + b"/broken", file_node(), None, broken(pieces))
    sink.write_file(root + b"/good", file_node(), None, [b"good"])
    assert the(sink.commit()).path == root + b"/good"
    assert names(root) == [b"good"]


def test_folders_links_and_fifos(sink: RemoteSink, root: bytes) -> None:
    sink.make(root + b"/dir", folder_node(0o555))
    sink.make(root + b"/dir/inner", folder_node(0o700))
    sink.write_file(root + b"/dir/inner/file", file_node(), None, [b"first"])
    sink.make(root + b"/dir/hard", file_node(), hardlink_to=root + b"/dir/inner/file")
    sink.make(root + b"/dir/link", Node(b"l", "symlink", mode=0o120777, linktarget=b"no\xffwhere", mtime_ns=12345))
    sink.make(root + b"/dir/fifo", Node(b"f", "fifo", mode=stat.S_IFIFO | 0o604, mtime_ns=54321))
    sink.make(root + b"/dir/socket", Node(b"s", "socket", mode=stat.S_IFSOCK | 0o600))
    results = {result.path[len(root) :]: result for result in sink.commit()}
    assert results.pop(b"/dir/socket").reason == "unsupported"
    assert all(result.ok and not result.detail for result in results.values()), results
    results_meta = sink.set_metadata([(root + b"/dir/inner", folder_node(0o500)), (root + b"/dir", folder_node(0o555))])
    assert all(result.ok for result in results_meta)
    assert os.lstat(root + b"/dir/hard").st_ino == os.lstat(root + b"/dir/inner/file").st_ino
    assert os.readlink(root + b"/dir/link") == b"no\xffwhere"
    assert os.lstat(root + b"/dir/link").st_mtime_ns == 12345
    fifo = os.lstat(root + b"/dir/fifo")
    assert (fifo.st_mode, fifo.st_mtime_ns) == (stat.S_IFIFO | 0o604, 54321)
    folder = os.lstat(root + b"/dir")
    assert (folder.st_mode, folder.st_mtime_ns) == (stat.S_IFDIR | 0o555, 1_400_000_000_000_000_001)
    # Again: what stands there alike is left as it is, also when it is asked for otherwise.
    sink.make(root + b"/dir", folder_node(0o700))
    sink.make(root + b"/dir/link", Node(b"l", "symlink", linktarget=b"no\xffwhere"))
    sink.make(root + b"/dir/hard", file_node(), hardlink_to=root + b"/dir/inner/file")
    sink.make(root + b"/dir/link2", Node(b"l", "symlink", linktarget=b"a"))
    assert all(result.ok for result in sink.commit())
    assert stat.S_IMODE(os.lstat(root + b"/dir").st_mode) == 0o555
    # Something else stands there.
    sink.make(root + b"/dir/link2", Node(b"l", "symlink", linktarget=b"b"))
    sink.make(root + b"/dir/link", folder_node())
    sink.make(root + b"/dir/fifo", file_node(), hardlink_to=root + b"/dir/inner/file")
    assert [result.reason for result in sink.commit()] == ["conflict"] * 3
    # As expected, it is replaced.
    expected = seen(root + b"/dir/link2")
    sink.make(root + b"/dir/link2", Node(b"l", "symlink", linktarget=b"b"), expected=expected)
    sink.make(
        root + b"/dir/link", file_node(), hardlink_to=root + b"/dir/inner/file", expected=seen(root + b"/dir/link")
    )
    assert [result.reason for result in sink.commit()] == ["", ""]
    assert os.readlink(root + b"/dir/link2") == b"b"
    assert os.lstat(root + b"/dir/inner/file").st_nlink == 3
    assert names(root + b"/dir") == [b"fifo", b"hard", b"inner", b"link", b"link2"]


def test_only_what_is_as_expected_is_removed(sink: RemoteSink, root: bytes) -> None:
    for name in (b"ours", b"edited", b"full/file"):
        os.makedirs(os.path.dirname(root + b"/" + name), exist_ok=True)
        write(root + b"/" + name, b"ours")
    os.mkdir(root + b"/empty")
    expected = {name: seen(root + b"/" + name) for name in names(root)}
    write(root + b"/edited", b"edited since")
    for name, expect in expected.items():
        sink.remove(root + b"/" + name, expect)
    sink.remove(root + b"/gone", Expected("file", 1, 1))
    results = {result.path[len(root) + 1 :]: result.reason for result in sink.commit()}
    assert results == {b"ours": "", b"empty": "", b"edited": "conflict", b"full": "conflict", b"gone": "vanished"}
    assert names(root) == [b"edited", b"full"]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="os.setxattr is Linux only")
def test_extended_attributes_are_set(sink: RemoteSink, root: bytes) -> None:
    xattrs = (("user.one", b"\0\xff"), ("user.empty", b""))
    node = file_node(mode=stat.S_IFREG | 0o440, xattrs=xattrs)
    sink.write_file(root + b"/small", node, None, [b"x"])
    sink.write_file(root + b"/large", file_node(xattrs=(("user.big", b"v" * 3500),)), None, [b"x"] * 3)
    sink.write_file(root + b"/odd", file_node(xattrs=(("nonsense.name", b"v"),)), None, [b"x"])
    small, large, odd = sink.commit()
    assert (small.ok, small.detail, large.ok, large.detail) == (True, "", True, "")
    assert (odd.ok, odd.detail) == (True, "not set: extended attribute nonsense.name")
    assert {name: os.getxattr(root + b"/small", name) for name in os.listxattr(root + b"/small")} == dict(xattrs)
    assert os.getxattr(root + b"/large", "user.big") == b"v" * 3500
    assert stat.S_IMODE(os.lstat(root + b"/small").st_mode) == 0o440


def test_no_hard_link_is_made_to_what_was_not_written(sink: RemoteSink, root: bytes) -> None:
    write(root + b"/first", b"newer work")
    sink.write_file(root + b"/first", file_node(), None, [b"old"])
    sink.make(root + b"/second", file_node(), hardlink_to=root + b"/first")
    sink.write_file(root + b"/third", file_node(), None, [b"old"])
    sink.make(root + b"/fourth", file_node(), hardlink_to=root + b"/third")
    results = {result.path[len(root) + 1 :]: result.reason for result in sink.commit()}
    assert results == {b"first": "conflict", b"second": "conflict", b"third": "", b"fourth": ""}
    assert names(root) == [b"first", b"fourth", b"third"]


@pytest.mark.parametrize("size", [10, 3 * MIB])
def test_what_is_damaged_on_the_way_is_not_put_in_place(
    host: RemoteHost, sink: RemoteSink, root: bytes, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    stream = host._session.stream

    def damage(kind: str, fields: Mapping[str, Any], payload: Buffer = b"") -> None:
        if kind in ("put", "write"):
            payload = b"!" + bytes(payload)[1:]
        stream(kind, fields, payload)

    monkeypatch.setattr(host._session, "stream", damage)
    sink.write_file(root + b"/file", file_node(), None, [b"x" * size])
    content = hashlib.sha256(b"y" * size).digest()
    sink.write_file(root + b"/given", file_node(), None, [b"y" * size], sha256=lambda: content)
    assert [(result.ok, "SHA-256" in result.detail) for result in sink.commit()] == [(False, True)] * 2
    assert names(root) == []


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="os.setxattr is Linux only")
def test_access_lists_are_restored_and_not_inherited(sink: RemoteSink, root: bytes) -> None:
    # acl(5) in the form of the system: version 2, then (tag, permissions, id) of owner, user, group, mask, others.
    entries = ((1, 7, 2**32 - 1), (2, 7, 12345), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 0, 2**32 - 1))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(root, "system.posix_acl_default", acl)
    except OSError:
        pytest.skip("this file system has no access lists")
    sink.write_file(root + b"/plain", file_node(), None, [b"x"])
    sink.write_file(root + b"/shared", file_node(xattrs=(("system.posix_acl_access", acl),)), None, [b"x"])
    sink.make(root + b"/folder", folder_node(0o750))
    assert [(result.ok, result.detail) for result in sink.commit()] == [(True, "")] * 3
    assert the(sink.set_metadata([(root + b"/folder", folder_node(0o750))])).ok
    assert os.listxattr(root + b"/plain") == os.listxattr(root + b"/folder") == []
    assert os.getxattr(root + b"/shared", "system.posix_acl_access")[:4] == acl[:4]
    assert stat.S_IMODE(os.lstat(root + b"/plain").st_mode) == 0o640
    assert stat.S_IMODE(os.lstat(root + b"/folder").st_mode) == 0o750


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_owners_are_set_by_name_then_by_number(sink: RemoteSink, root: bytes) -> None:
    sink.write_file(
        root + b"/named", file_node(user="nobody", uid=12345, group="no such group", gid=54321), None, [b"x"]
    )
    sink.write_file(root + b"/setuid", file_node(mode=stat.S_IFREG | 0o4755, uid=12345, gid=54321), None, [b"x"])
    sink.make(root + b"/link", Node(b"l", "symlink", linktarget=b"x", uid=12345, gid=54321))
    assert [(result.ok, result.detail) for result in sink.commit()] == [(True, "")] * 3
    named, setuid, link = (os.lstat(root + b"/" + name) for name in (b"named", b"setuid", b"link"))
    assert (named.st_uid, named.st_gid) == (NOBODY, 54321)
    assert (setuid.st_uid, setuid.st_gid, setuid.st_mode) == (12345, 54321, stat.S_IFREG | 0o4755)
    assert (link.st_uid, link.st_gid) == (12345, 54321)


@pytest.mark.skipif(not can_be_nobody(), reason="needs setpriv")
def test_an_ordinary_user_writes_what_he_may() -> None:
    with tempfile.TemporaryDirectory() as folder, helper_host(uid=NOBODY) as host:
        root = os.fsencode(folder)
        os.chmod(root, 0o755)
        uid = host.hello.uid
        for name in (b"own", b"foreign", b"readonly", b"closed"):
            os.mkdir(root + b"/" + name)
            if ROOT and name != b"foreign":
                os.chown(root + b"/" + name, uid, uid)
        os.chmod(root + b"/readonly", 0o555)
        os.chmod(root + b"/closed", 0o000)
        os.chmod(root + b"/foreign", 0o755 if ROOT else 0)
        sink = host.sink()
        sink.allow("digest", [root])
        node = file_node(uid=0, mode=stat.S_IFREG | 0o4711)
        for name in (b"own", b"readonly", b"closed", b"foreign") if ROOT else (b"own", b"readonly", b"closed"):
            sink.write_file(root + b"/" + name + b"/file", node, None, [b"x"])
        results = {result.path[len(root) + 1 :]: result for result in sink.commit()}
        if ROOT:
            assert results.pop(b"foreign/file").reason == "denied"
            assert results[b"own/file"].detail == "not set: owner, group, set-user-id"
            assert stat.S_IMODE(os.lstat(root + b"/own/file").st_mode) == 0o711
        assert all(result.ok for result in results.values()), results
        assert stat.S_IMODE(os.lstat(root + b"/readonly").st_mode) == 0o555
        assert stat.S_IMODE(os.lstat(root + b"/closed").st_mode) == 0
        os.chmod(root + b"/closed", 0o700)
        assert [read(root + b"/" + name + b"/file") for name in (b"own", b"readonly", b"closed")] == [b"x"] * 3


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.mkdir()
    if not ROOT or os.system(f"mount -t tmpfs -o size=4m none '{path}' 2>/dev/null") != 0:
        pytest.skip("mounting is not permitted here")
    try:
        with helper_host() as host:
            sink = host.sink()
            sink.allow("digest", [os.fsencode(path)])
            sink.write_file(os.fsencode(path) + b"/large", file_node(), None, [b"x" * MIB] * 9)
            sink.write_file(os.fsencode(path) + b"/small", file_node(), None, [b"x"])
            assert [result.reason for result in sink.commit()] == ["no-space", ""]
            assert names(os.fsencode(path)) == [b"small"]
    finally:
        os.system(f"umount '{path}'")


def test_thousands_of_small_files(sink: RemoteSink, root: bytes) -> None:
    for folder in range(20):
        sink.make(root + b"/%d" % folder, folder_node())
        for number in range(100):
            sink.write_file(root + b"/%d/%d" % (folder, number), file_node(), None, [b"%d" % number])
    results = sink.commit()
    assert len(results) == 2020
    assert all(result.ok for result in results)
    assert read(root + b"/19/99") == b"99"
    assert len(list(sink.hash([result.path for result in results if result.sha256]))) == 2000
