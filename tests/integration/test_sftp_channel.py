"""The frame contract over SFTP: the worker answers for a real OpenSSH SFTP server, with names as raw bytes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.entries import Directory, Expected, FileEnd, KnownRange, Piece, Rule, Skipped, WalkRequest, Zeros
from tasks.errors import HelperFailed, Timeout, Unreachable
from tasks.remote.channels.sftp import SftpChannel
from tasks.remote.facts import hello_of
from tasks.remote.filesystem import RemoteHost, RemoteSink
from tasks.remote.frames import Frame
from tasks.remote.launcher import launch
from tasks.repository.tree import Node
from tasks.transports.ssh import SshSettings, SshTransport
from tests.support.helper_host import contents, walk
from tests.support.sshd import SshServer

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.skipif(sys.platform != "linux", reason="the tests look at the host as Linux shows it"),
]

MIB = 1024 * 1024
ROOT = os.geteuid() == 0


def transport_to(server: SshServer, idle_timeout: float = 30.0) -> SshTransport:
    settings = SshSettings(
        server.address,
        server.port,
        server.user,
        key_files=(server.client_key,),
        known_hosts=server.known_hosts,
        idle_timeout=idle_timeout,
    )
    transport = SshTransport("lab3-07", settings)
    transport.open()
    return transport


def host_over(channel: SftpChannel) -> RemoteHost:
    channel.send(Frame({"t": "hello", "id": 0, "v": 1}))
    return RemoteHost(channel, hello_of(channel.receive()))


@pytest.fixture(scope="module")
def host(sshd: SshServer) -> Iterator[RemoteHost]:
    transport = transport_to(sshd)
    host = host_over(SftpChannel(transport))
    yield host
    host.close()
    transport.close()


@pytest.fixture
def root(tmp_path: Path) -> bytes:
    folder = os.fsencode(tmp_path) + b"/root"
    os.mkdir(folder)
    return folder


@pytest.fixture
def sink(host: RemoteHost, root: bytes) -> RemoteSink:
    sink = host.sink()
    sink.allow("digest", [root])
    return sink


def write(path: bytes, content: bytes = b"x") -> None:
    with open(path, "wb") as file:
        file.write(content)


def read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def file_node(mode: int = stat.S_IFREG | 0o640, **fields: Any) -> Node:
    fields = {"mtime_ns": 1_500_000_000_000_000_000, "uid": os.getuid(), "gid": os.getgid(), **fields}
    return Node(b"name", "file", mode=mode, **fields)


# Start and end


def test_hello_tells_what_sftp_cannot_do(sshd: SshServer) -> None:
    transport = transport_to(sshd)
    channel = SftpChannel(transport)
    channel.send(Frame({"t": "hello", "id": 5, "v": 1}))
    hello = channel.receive()
    assert (hello.type, hello.header["id"], hello.header["seq"], hello.header["v"]) == ("hello", 5, 0, 1)
    assert (hello.header["helper"], hello.header["user"], hello.header["uid"]) == ("sftp", sshd.user, os.getuid())
    assert "times are whole seconds" in hello.header["limits"]
    channel.close()
    channel.close()
    with pytest.raises(HelperFailed):
        channel.send(Frame({"t": "bye", "id": 6}))
    with pytest.raises(HelperFailed):
        channel.receive()
    transport.close()


def test_facts(host: RemoteHost) -> None:
    facts = host.facts([host.hello.user, "nobody-of-that-name"])
    assert "times are whole seconds" in host.hello.limits
    assert (facts.platform, facts.python, facts.uid) == ("linux", "", os.getuid())
    assert facts.hostname == os.uname().nodename
    (user,) = facts.users
    assert (user.name, user.uid, user.exists) == (host.hello.user, os.getuid(), True)
    info = os.statvfs("/")
    assert facts.disk[0].total == info.f_blocks * info.f_frsize
    assert all(profile.uid >= 1000 for profile in host.facts(None).users)


def test_a_host_without_sftp(tmp_path: Path) -> None:
    with SshServer(tmp_path / "sshd", config=["Subsystem other /bin/true"], sftp=False) as server:
        transport = transport_to(server)
        with pytest.raises(HelperFailed, match="does not offer the subsystem sftp"):
            SftpChannel(transport)
        transport.close()


def test_an_sftp_server_that_breaks_off(tmp_path: Path) -> None:
    with SshServer(tmp_path / "sshd", config=["Subsystem sftp /bin/true"], sftp=False) as server:
        transport = transport_to(server)
        # It may end before it was asked, or before it answers.
        with pytest.raises(HelperFailed, match=r"the SFTP server ended|closed its input or ended"):
            SftpChannel(transport)
        transport.close()


def test_the_launcher_falls_back_to_sftp(tmp_path: Path) -> None:
    servers = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/libexec/sftp-server")
    found = next((path for path in servers if Path(path).exists()), None)
    if found is None:
        pytest.skip("no sftp-server program is installed")
    # A host without Python: what wants one fails as the launcher's own search would.
    script = tmp_path / "login"
    script.write_text(f'#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in internal-sftp) exec {found};; *) exit 97;; esac\n')
    script.chmod(0o755)
    with SshServer(tmp_path / "sshd", config=[f"ForceCommand {script}"]) as server:
        transport = transport_to(server)
        channel, hello = launch(transport)
        assert hello.helper == "sftp"
        host = RemoteHost(channel, hello)
        folder = os.fsencode(tmp_path)
        write(folder + b"/file", b"content")
        assert contents(host.source().read([folder + b"/file"]))[0] == {folder + b"/file": b"content"}
        host.close()
        transport.close()


def test_requests_that_are_wrong_end_by_themselves(sshd: SshServer, tmp_path: Path) -> None:
    transport = transport_to(sshd)
    channel = SftpChannel(transport)

    def ask(number: int, kind: str, document: Any, **fields: Any) -> list[Frame]:
        channel.send(Frame({"t": kind, "id": number, **fields}, json.dumps(document).encode()))
        frames = [channel.receive()]
        while frames[-1].type not in ("done", "error", "hello"):
            frames.append(channel.receive())
        assert all(frame.header["id"] == number for frame in frames)
        assert [frame.header["seq"] for frame in frames if frame.type != "error"] == list(range(len(frames)))[
            : len(frames) - (frames[-1].type == "error")
        ]
        return frames

    wrong = (("nonsense", None), ("read", {"a": 1}), ("read", [{"b64": "?"}]), ("list", []), ("stat", ["relative"]))
    for number, (kind, document) in enumerate(wrong):
        assert ask(number, kind, document)[-1].type == "error"
    for kind in ("make", "meta", "remove", "commit"):
        assert ask(20, kind, [])[-1].header["code"] == "refused"
    bad_rule = {"roots": [str(tmp_path)], "rules": [{"id": "r", "regex": "("}], "only": None}
    assert ask(21, "list", bad_rule)[-1].header["code"] == "bad-rule"
    # Pages of what nobody began, or what is complete: a plain done.
    assert ask(22, "more", None, of=12345, max=1)[0].header.get("more") is None
    frames = ask(23, "list", {"roots": [str(tmp_path)], "rules": [], "only": None}, max=1)
    assert frames[-1].header["more"] is True
    assert ask(24, "more", None, of=23, max=0)[0].type == "done"
    assert ask(25, "hello", None, v=2)[0].header["code"] == "version"
    with pytest.raises(HelperFailed):
        channel.receive()
    channel.close()
    transport.close()


# Reading


def test_a_walk_says_what_lstat_says(host: RemoteHost, root: bytes) -> None:
    names = [b"new\nline", b'"', b"trailing ", "🎒".encode(), b"\xff\xfe", b"n" * 255, b"B", b"a"]
    for name in names:
        write(root + b"/" + name, name)
        os.utime(root + b"/" + name, (1_600_000_000, 1_500_000_000))
    os.chmod(root + b"/a", 0o4755)
    os.mkdir(root + b"/folder\xff", 0o750)
    write(root + b"/folder\xff/inner")
    os.mkdir(root + b"/empty")
    os.symlink(b"to nowhere \xff", root + b"/link")
    os.symlink(b"folder\xff", root + b"/link to folder")
    os.mkfifo(root + b"/fifo")
    folders, skips = walk(host.source(), WalkRequest((root,)))
    assert skips == []
    assert next(iter(folders)) == b"/"
    assert list(folders)[-3:] == [root, root + b"/empty", root + b"/folder\xff"]
    listed = {node.name: node for node in folders[root].children}
    assert [node.name for node in folders[root].children] == sorted(os.listdir(root))
    for name, node in listed.items():
        entry = os.lstat(root + b"/" + name)
        assert (node.mode, node.uid, node.gid) == (entry.st_mode, entry.st_uid, entry.st_gid)
        assert node.mtime_ns == int(entry.st_mtime) * 1_000_000_000
        assert node.size == (entry.st_size if stat.S_ISREG(entry.st_mode) else 0)
        assert (node.user, node.ctime_ns, node.inode) == (host.hello.user, 0, 0)
    assert listed[b"link"].linktarget == b"to nowhere \xff"
    assert {name: listed[name].type for name in (b"fifo", b"link", b"empty")} == {
        b"fifo": "fifo",
        b"link": "symlink",
        b"empty": "dir",
    }
    assert [node.name for node in folders[root + b"/folder\xff"].children] == [b"inner"]


def test_rules_and_their_reasons(host: RemoteHost, root: bytes) -> None:
    for name in (b"keep", b"x.tmp", b"large"):
        write(root + b"/" + name, b"x" * (5000 if name == b"large" else 5))
    for folder in (b"cache", b"tagged", b"untagged"):
        os.mkdir(root + b"/" + folder)
        write(root + b"/" + folder + b"/file")
    write(root + b"/tagged/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55\n")
    write(root + b"/untagged/CACHEDIR.TAG", b"something else")
    rules = (
        Rule("temporary", "", regex=r".*\.tmp"),
        Rule("cache", "", regex=".*/cache", dirs_only=True),
        Rule("huge", "", min_size=1000),
        Rule("tag", "", tag="CACHEDIR.TAG"),
        Rule("all", "", regex=".*/root"),
    )
    folders, skips = walk(host.source(), WalkRequest((root,), rules))
    assert [node.name for node in folders[root].children] == [b"keep", b"untagged"]
    told = {skip.path[len(root) + 1 :]: (skip.reason, skip.rule) for skip in skips}
    assert told == {
        b"x.tmp": ("excluded", "temporary"),
        b"cache": ("excluded", "cache"),
        b"large": ("too-large", "huge"),
        b"tagged": ("excluded", "tag"),
    }


def test_roots_behind_symlinks_missing_ones_and_only(host: RemoteHost, root: bytes) -> None:
    os.makedirs(root + b"/real/home/in")
    os.symlink(b"real", root + b"/alias")
    os.symlink(b"loop", root + b"/loop")
    write(root + b"/real/home/file")
    folders, skips = walk(host.source(), WalkRequest((root + b"/alias/home", root + b"/missing", root + b"/loop/x")))
    assert [node.name for node in folders[root].children] == [b"alias", b"loop", b"real"]
    assert [node.name for node in folders[root + b"/real/home"].children] == [b"file", b"in"]
    assert {(skip.path[len(root) :], skip.reason) for skip in skips} == {
        (b"/missing", "vanished"),
        (b"/loop/x", "loop"),
    }
    only = (root + b"/real/home/file", root + b"/real/none")
    folders, skips = walk(host.source(), WalkRequest((), only=only))
    assert [node.name for node in folders[root + b"/real/home"].children] == [b"file"]
    assert [(skip.path, skip.reason) for skip in skips] == [(root + b"/real/none", "vanished")]


def test_virtual_file_systems_are_left_out(host: RemoteHost) -> None:
    source = host.source()
    found: dict[bytes, str] = {}
    entries = source.entries(WalkRequest((b"/",), (Rule("all", "", regex="/[^/]+"),)))
    for item in entries:
        if isinstance(item, Skipped):
            found[item.path] = item.rule
        elif item.path == b"/":
            break
    entries.close()  # type: ignore[attr-defined]
    assert found[b"/proc"] == "virtual-filesystem"
    assert found[b"/sys"] == "virtual-filesystem"


def test_a_folder_with_more_entries_than_a_page(host: RemoteHost, root: bytes) -> None:
    for number in range(3000):
        write(root + b"/%04d" % number)
    for number in range(40):
        os.mkdir(root + b"/folder%02d" % number)
        write(root + b"/folder%02d/x" % number)
    folders, _ = walk(host.source(), WalkRequest((root,)))
    assert len(folders[root].children) == 3040
    assert sum(path.startswith(root + b"/folder") for path in folders) == 40


def test_content_of_every_size(host: RemoteHost, root: bytes) -> None:
    chance = random.Random(3)
    sizes = (0, 1, 255 * 1024, 255 * 1024 + 1, 128 * 1024, MIB - 1, MIB, MIB + 1, 3 * MIB + 17, 9 * MIB)
    expected = {root + b"/%d \xff" % size: chance.randbytes(size) for size in sizes}
    for path, content in expected.items():
        write(path, content)
    data, ends, skips = contents(host.source().read(list(expected)))
    assert skips == []
    assert data == expected
    for path, end in ends.items():
        assert end.size == len(expected[path])
        assert end.before == end.after
        assert end.before.size == end.size
        # The host cannot hash: what the worker received is not given out as the host's word.
        assert end.sha256 is None


def test_many_small_files(host: RemoteHost, root: bytes) -> None:
    expected = {root + b"/%d" % number: b"%d" % number * (number % 50) for number in range(400)}
    for path, content in expected.items():
        write(path, content)
    data, _, skips = contents(host.source().read(list(expected)))
    assert (data, skips) == (expected, [])


def test_what_is_no_file_is_skipped_without_waiting(host: RemoteHost, root: bytes) -> None:
    write(root + b"/file")
    os.mkfifo(root + b"/fifo")
    os.mkdir(root + b"/dir")
    os.symlink(b"file", root + b"/link")
    os.symlink(b"dir", root + b"/alias")
    write(root + b"/dir/behind")
    paths = [root + b"/" + name for name in (b"fifo", b"dir", b"link", b"alias/behind", b"missing", b"file")]
    data, _, skips = contents(host.source().read(paths))
    assert [skip.reason for skip in skips] == ["special", "vanished", "vanished", "vanished", "vanished"]
    assert list(data) == [root + b"/file"]


def test_what_changes_while_it_is_read_shows_it(host: RemoteHost, root: bytes) -> None:
    path = root + b"/log"
    write(path, b"a" * 24 * MIB)
    reading = host.source().read([path])
    next(reading)
    with open(path, "ab") as file:
        file.write(b"more")
    end = list(reading)[-1]
    assert isinstance(end, FileEnd)
    assert end.size == 24 * MIB
    assert (end.before.size, end.after.size) == (24 * MIB, 24 * MIB + 4)


def test_what_is_given_up_leaves_nothing_open_on_the_host(sshd: SshServer, host: RemoteHost, root: bytes) -> None:
    for number in range(20):
        os.makedirs(root + b"/folder/%d" % number)
    write(root + b"/large", b"a" * 20 * MIB)
    write(root + b"/small", b"b")
    source = host.source()
    for _ in range(5):
        reading = source.read([root + b"/large", root + b"/small"])
        next(reading)
        reading.close()  # type: ignore[attr-defined]
        entries = source.entries(WalkRequest((root,)))
        next(entries)
        entries.close()  # type: ignore[attr-defined]
    assert contents(source.read([root + b"/small"]))[0] == {root + b"/small": b"b"}
    serving = [psutil.Process(pid) for pid in sshd.sessions()]
    serving += [child for process in serving for child in process.children(recursive=True)]
    links = [link for process in serving for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    assert not [link for link in links if os.fsdecode(root) in str(link.resolve())]


def test_only_ranges_that_differ_come(host: RemoteHost, root: bytes) -> None:
    chance = random.Random(4)
    old = [chance.randbytes(size) for size in (MIB, 500_000, 2 * MIB, 700_000)]
    known = []
    offset = 0
    for part in old:
        known.append(KnownRange(offset, len(part), hashlib.sha256(part).digest()))
        offset += len(part)
    new = [old[0], chance.randbytes(500_000), old[2], old[3][:600_000]]
    write(root + b"/file", b"".join(new))
    items = list(host.source().ranges(root + b"/file", known))
    pieces = [(item.offset, bytes(item.data)) for item in items if isinstance(item, Piece)]
    assert pieces == [(MIB, new[1]), (MIB + 500_000 + 2 * MIB, new[3])]
    end = items[-1]
    assert isinstance(end, FileEnd)
    assert end.sha256 == hashlib.sha256(b"".join(new)).digest()
    write(root + b"/file", b"".join(old) + b"tail")
    items = list(host.source().ranges(root + b"/file", known))
    assert [bytes(item.data) for item in items if isinstance(item, Piece)] == [b"tail"]


def test_stat_and_hash(host: RemoteHost, root: bytes) -> None:
    write(root + b"/file\xff", b"content")
    os.symlink(b"file\xff", root + b"/link")
    sink = host.sink()
    paths = [root + b"/file\xff", root + b"/missing", root + b"/link", root, root + b"/file\xff/below"]
    found = sink.stat(paths)
    assert [node.type if node else None for node in found] == ["file", None, "symlink", "dir", None]
    hashed = list(sink.hash(paths[:3]))
    assert [item.sha256 for item in hashed] == [hashlib.sha256(b"content").digest(), None, None]
    assert hashed[0].size == 7


# Writing


def test_files_of_every_size_are_written(sink: RemoteSink, root: bytes) -> None:
    chance = random.Random(5)
    sizes = (0, 1, 255 * 1024, 255 * 1024 + 1, MIB, MIB + 1, 5 * MIB + 3)
    expected = {root + b"/%d \xff" % size: chance.randbytes(size) for size in sizes}
    for path, content in expected.items():
        pieces = [content[start : start + 700_000] for start in range(0, len(content), 700_000)]
        sink.write_file(path, file_node(), None, pieces)
    assert [name for name in os.listdir(root) if not name.startswith(b".firstbell-")] == []
    results = sink.commit()
    assert [(result.path, result.ok, result.detail) for result in results] == [(path, True, "") for path in expected]
    for (path, content), result in zip(expected.items(), results, strict=True):
        assert read(path) == content
        assert result.sha256 == hashlib.sha256(content).digest()
        entry = os.lstat(path)
        assert stat.S_IMODE(entry.st_mode) == 0o640
        assert entry.st_mtime_ns == 1_500_000_000_000_000_000
    assert len(os.listdir(root)) == len(expected)


def test_zeros_become_holes(sink: RemoteSink, root: bytes) -> None:
    sink.write_file(root + b"/file", file_node(), None, [b"a", Zeros(30 * MIB), b"b", bytes(MIB), Zeros(10 * MIB)])
    (result,) = sink.commit()
    assert result.ok
    assert read(root + b"/file") == b"a" + bytes(30 * MIB) + b"b" + bytes(11 * MIB)
    assert os.lstat(root + b"/file").st_blocks * 512 < 2 * MIB


def test_existing_files_are_replaced_only_as_the_plan_saw_them(sink: RemoteSink, root: bytes) -> None:
    for name in (b"same", b"edited", b"new"):
        write(root + b"/" + name, b"old")
        os.utime(root + b"/" + name, (1_400_000_000, 1_400_000_000))
    seen = Expected("file", 3, 1_400_000_000_000_000_000)
    write(root + b"/edited", b"newer work")
    os.mkdir(root + b"/folder")
    sink.write_file(root + b"/same", file_node(), seen, [b"restored"])
    sink.write_file(root + b"/edited", file_node(), seen, [b"restored"])
    sink.write_file(root + b"/new", file_node(), None, [b"restored"])
    sink.write_file(root + b"/gone", file_node(), seen, [b"restored"])
    sink.write_file(root + b"/folder", file_node(), None, [b"restored"])
    reasons = {result.path[len(root) + 1 :]: result.reason for result in sink.commit()}
    assert reasons == {
        b"same": "",
        b"edited": "conflict",
        b"new": "conflict",
        b"gone": "conflict",
        b"folder": "conflict",
    }
    assert read(root + b"/same") == b"restored"
    assert read(root + b"/edited") == b"newer work"
    assert read(root + b"/new") == b"old"
    assert sorted(os.listdir(root)) == [b"edited", b"folder", b"new", b"same"]


def test_a_file_that_comes_into_being_meanwhile_is_kept(sink: RemoteSink, root: bytes) -> None:
    sink.write_file(root + b"/file", file_node(), None, [b"ours"])
    assert sink.stat([root + b"/file"]) == [None]  # all that was sent is written by now
    write(root + b"/file", b"theirs")
    (result,) = sink.commit()
    assert result.reason == "conflict"
    assert (read(root + b"/file"), os.listdir(root)) == (b"theirs", [b"file"])


def test_nothing_outside_the_roots_is_touched(host: RemoteHost, sink: RemoteSink, root: bytes) -> None:
    outside = os.path.dirname(root) + b"/outside"
    os.mkdir(outside)
    write(outside + b"/file", b"theirs")
    os.symlink(outside, root + b"/way out")
    for path in (outside + b"/new", root + b"/way out/new", root + b"x/new", b"/none/new"):
        sink.write_file(path, file_node(), None, [b"x"])
    sink.make(root + b"/way out/folder", Node(b"folder", "dir", mode=stat.S_IFDIR | 0o755))
    sink.remove(root + b"/way out/file", Expected("file", 6, os.lstat(outside + b"/file").st_mtime_ns))
    assert {result.reason for result in sink.commit()} == {"outside"}
    assert sink.set_metadata([(root + b"/way out/file", file_node(0o777))])[0].reason == "outside"
    assert os.listdir(outside) == [b"file"]
    fresh = host.sink()
    fresh.allow("digest", [])
    fresh.write_file(root + b"/file", file_node(), None, [b"x"])
    assert fresh.commit()[0].reason == "outside"


def test_a_root_may_be_a_symlink_or_not_be_there_yet(host: RemoteHost, root: bytes) -> None:
    os.mkdir(root + b"/real")
    os.symlink(b"real", root + b"/home")
    sink = host.sink()
    sink.allow("digest", [root + b"/home", root + b"/new"])
    sink.make(root + b"/new", Node(b"new", "dir", mode=stat.S_IFDIR | 0o711))
    sink.write_file(root + b"/home/file", file_node(), None, [b"1"])
    sink.write_file(root + b"/new/file", file_node(), None, [b"2"])
    sink.write_file(root + b"/other", file_node(), None, [b"3"])
    assert [result.reason for result in sink.commit()] == ["", "", "", "outside"]
    assert (read(root + b"/real/file"), read(root + b"/new/file")) == (b"1", b"2")


def test_folders_and_links(sink: RemoteSink, root: bytes) -> None:
    folder = Node(b"f", "dir", mode=stat.S_IFDIR | 0o550, mtime_ns=1_400_000_000_000_000_000)
    link = Node(b"l", "symlink", linktarget=b"\xff/../x", mtime_ns=1_300_000_000_000_000_000)
    sink.make(root + b"/folder", folder)
    sink.make(root + b"/folder/link", link)
    sink.write_file(root + b"/folder/file", file_node(), None, [b"content"])
    sink.make(root + b"/folder/twin", file_node(), hardlink_to=root + b"/folder/file")
    sink.make(root + b"/folder/fifo", Node(b"p", "fifo", mode=stat.S_IFIFO | 0o600))
    results = {result.path[len(root) :]: result for result in sink.commit()}
    assert {path: result.reason for path, result in results.items()} == {
        b"/folder": "",
        b"/folder/link": "",
        b"/folder/file": "",
        b"/folder/twin": "",
        b"/folder/fifo": "unsupported",
    }
    assert os.readlink(root + b"/folder/link") == b"\xff/../x"
    assert os.lstat(root + b"/folder/link").st_mtime == 1_300_000_000
    assert os.path.samefile(root + b"/folder/file", root + b"/folder/twin")
    assert sink.set_metadata([(root + b"/folder", folder)])[0].detail == ""
    entry = os.lstat(root + b"/folder")
    assert (stat.S_IMODE(entry.st_mode), entry.st_mtime) == (0o550, 1_400_000_000)
    # Again: what is there already, alike, is fine.
    sink.make(root + b"/folder", folder)
    sink.make(root + b"/folder/link", link)
    assert all(result.ok for result in sink.commit())


def test_metadata_of_a_symlink_does_not_reach_its_target(sink: RemoteSink, root: bytes) -> None:
    write(root + b"/target")
    os.chmod(root + b"/target", 0o600)
    before = os.lstat(root + b"/target")
    os.symlink(b"target", root + b"/link")
    node = Node(b"link", "symlink", mode=stat.S_IFLNK | 0o777, mtime_ns=1_200_000_000_000_000_000, linktarget=b"target")
    assert sink.set_metadata([(root + b"/link", node)])[0].ok
    after = os.lstat(root + b"/target")
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_what_cannot_be_set_is_told(sink: RemoteSink, root: bytes) -> None:
    sink.write_file(root + b"/file", file_node(xattrs=(("user.one", b"1"),)), None, [b"x"])
    sink.write_file(root + b"/old", file_node(mtime_ns=-1), None, [b"x"])
    assert [result.detail for result in sink.commit()] == ["not set: extended attribute user.one", "not set: time"]


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_owners_are_set_by_name_then_by_number(sink: RemoteSink, root: bytes) -> None:
    sink.write_file(root + b"/named", file_node(user="nobody", uid=12345, group="none", gid=54321), None, [b"x"])
    setuid = file_node(mode=stat.S_IFREG | 0o4755, uid=12345, gid=54321)
    sink.write_file(root + b"/setuid", setuid, None, [b"x"])
    assert [(result.ok, result.detail) for result in sink.commit()] == [(True, "")] * 2
    assert (os.lstat(root + b"/named").st_uid, os.lstat(root + b"/named").st_gid) == (65534, 54321)
    entry = os.lstat(root + b"/setuid")
    assert (entry.st_uid, entry.st_gid, stat.S_IMODE(entry.st_mode)) == (12345, 54321, 0o4755)


def test_only_what_is_as_expected_is_removed(sink: RemoteSink, root: bytes) -> None:
    for name in (b"ours", b"edited"):
        write(root + b"/" + name, b"x")
    os.mkdir(root + b"/empty")
    os.mkdir(root + b"/full")
    write(root + b"/full/theirs")
    seen = os.lstat(root + b"/ours").st_mtime_ns // 1_000_000_000 * 1_000_000_000
    sink.remove(root + b"/ours", Expected("file", 1, seen))
    sink.remove(root + b"/edited", Expected("file", 2, seen))
    sink.remove(root + b"/missing", Expected("file", 1, seen))
    sink.remove(root + b"/empty", Expected("dir", 0, 0))
    sink.remove(root + b"/full", Expected("dir", 0, 0))
    reasons = {result.path[len(root) + 1 :]: result.reason for result in sink.commit()}
    assert reasons == {b"ours": "", b"edited": "conflict", b"missing": "vanished", b"empty": "", b"full": "conflict"}
    assert sorted(os.listdir(root)) == [b"edited", b"full"]


def test_content_that_breaks_off_leaves_nothing(sink: RemoteSink, root: bytes) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * MIB
        yield b"y" * MIB
        raise OSError("the repository is damaged")

    with pytest.raises(OSError, match="damaged"):
        sink.write_file(root + b"/file", file_node(), None, broken())
    assert sink.commit() == []
    assert os.listdir(root) == []


# When the connection ends


def test_closing_leaves_no_temporary_file(sshd: SshServer, root: bytes) -> None:
    transport = transport_to(sshd)
    host = host_over(SftpChannel(transport))
    sink = host.sink()
    sink.allow("digest", [root])
    sink.write_file(root + b"/file", file_node(), None, [b"x" * MIB] * 3)
    assert sink.stat([root])[0] is not None
    assert len(os.listdir(root)) == 1
    host.close()
    assert os.listdir(root) == []
    transport.close()


def test_a_connection_that_is_cut_ends_every_wait(tmp_path: Path, root: bytes) -> None:
    with SshServer(tmp_path / "sshd") as server:
        transport = transport_to(server)
        host = host_over(SftpChannel(transport))
        write(root + b"/large", b"x" * 40 * MIB)
        reading = host.source().read([root + b"/large"])
        next(reading)
        server.kill_sessions()
        started = time.monotonic()
        with pytest.raises(Unreachable):
            for _ in reading:
                pass
        with pytest.raises((Unreachable, HelperFailed)):
            host.sink().stat([root])
        host.close()
        transport.close()
        assert time.monotonic() - started < 8


def test_requests_wait_while_nobody_takes_answers(sshd: SshServer, root: bytes) -> None:
    write(root + b"/large", b"x" * 30 * MIB)
    transport = transport_to(sshd)
    channel = SftpChannel(transport)
    document = json.dumps([os.fsdecode(root + b"/large")]).encode()
    channel.send(Frame({"t": "read", "id": 1}, document))
    first = channel.receive()
    assert first.type == "data"
    sent = threading.Event()

    def flood() -> None:
        try:
            for number in range(2, 100):
                channel.send(Frame({"t": "read", "id": number}, document + b" " * MIB))
        except HelperFailed:
            sent.set()

    sender = threading.Thread(target=flood)
    sender.start()
    assert not sent.wait(0.5)
    assert sender.is_alive()
    channel.close()
    sender.join(60)
    assert sent.is_set()
    transport.close()


def test_asking_for_nothing_has_a_deadline(sshd: SshServer) -> None:
    transport = transport_to(sshd, idle_timeout=0.5)
    channel = SftpChannel(transport)
    with pytest.raises(Timeout):
        channel.receive()
    channel.close()
    transport.close()


def test_entries_are_lazy(host: RemoteHost, root: bytes) -> None:
    for number in range(30):
        os.makedirs(root + b"/%02d/a/b" % number)
    entries = host.source().entries(WalkRequest((root,)))
    for item in entries:
        if isinstance(item, Directory) and item.path == root:
            break
    entries.close()  # type: ignore[attr-defined]
    shutil.rmtree(root + b"/00")
    folders, _ = walk(host.source(), WalkRequest((root,)))
    assert len([path for path in folders if path.startswith(root + b"/")]) == 29 * 3
