"""The helper through a real sshd: started, read from, written by, cut off, and left out where there is no Python."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tasks.entries import FileEnd, Piece, WalkRequest
from tasks.errors import TransportError
from tasks.remote.filesystem import RemoteHost
from tasks.remote.launcher import launch
from tasks.repository.tree import Node
from tasks.transports.ssh import SshStream, SshTransport
from tasks.transports.ssh_settings import SshSettings
from tests.support.helper_host import contents, walk
from tests.support.sshd import SshServer

MIB = 1024 * 1024


def settings(server: SshServer) -> SshSettings:
    return SshSettings(
        address=server.address,
        port=server.port,
        user=server.user,
        key_files=(server.client_key,),
        known_hosts=server.known_hosts,
        use_agent=False,
    )


@pytest.fixture
def transport(sshd: SshServer) -> Iterator[SshTransport]:
    transport = SshTransport("lab-1", settings(sshd))
    transport.open()
    yield transport
    transport.close()


@pytest.fixture
def host(transport: SshTransport) -> Iterator[RemoteHost]:
    host = RemoteHost(*launch(transport))
    yield host
    host.close()


def file_node() -> Node:
    return Node(b"name", "file", mode=0o100640, uid=os.geteuid(), gid=os.getegid(), mtime_ns=5)


def test_walk_read_and_write(host: RemoteHost, tmp_path: Path) -> None:
    chance = random.Random(8)
    root = os.fsencode(tmp_path)
    expected = {root + b"/%d" % size: chance.randbytes(size) for size in (0, 10, MIB, 12 * MIB + 5)}
    sink = host.sink()
    sink.allow("digest", [root])
    for path, content in expected.items():
        sink.write_file(path, file_node(), None, [content[at : at + MIB] for at in range(0, len(content), MIB)])
    assert all(result.ok for result in sink.commit())
    folders, skips = walk(host.source(), WalkRequest((root,)))
    assert {root + b"/" + node.name for node in folders[root].children} == set(expected)
    assert skips == []
    data, ends, _ = contents(host.source().read(list(expected)))
    assert data == expected
    assert all(end.sha256 == hashlib.sha256(expected[path]).digest() for path, end in ends.items())


def test_many_requests_under_way_do_not_block_each_other(host: RemoteHost, tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    (tmp_path / "large").write_bytes(bytes(range(256)) * 4096 * 12)
    names = [root + b"/%05d" % number + b"n" * 200 for number in range(10_000)]
    source = host.source()
    # More answers than the connection holds, and requests larger than its window, before the first is taken.
    under_way = [source.read([root + b"/large"]) for _ in range(6)] + [source.read(names)]
    sizes = [sum(item.size for item in items if isinstance(item, FileEnd)) for items in under_way]
    assert sizes == [12 * MIB] * 6 + [0]


@pytest.mark.parametrize("how", ["connection", "sshd"])
def test_a_cut_connection_is_told_and_leaves_nothing_behind(
    transport: SshTransport, sshd: SshServer, tmp_path: Path, how: str
) -> None:
    channel, hello = launch(transport)
    host = RemoteHost(channel, hello)
    process = psutil.Process(hello.pid)
    (tmp_path / "out").mkdir()
    root = os.fsencode(tmp_path / "out")
    (tmp_path / "large").write_bytes(bytes(40 * MIB))
    sink = host.sink()
    sink.allow("digest", [root])
    sink.write_file(root + b"/file", file_node(), None, [b"x" * MIB] * 3)
    assert sink.stat([root + b"/file"]) == [None]
    assert [name[:11] for name in os.listdir(root)] == [b".firstbell-"]
    reading = host.source().read([os.fsencode(tmp_path / "large")])
    assert isinstance(next(reading), Piece)
    if how == "connection":
        transport.link.close()
    else:
        # The process that serves this connection, not the server.
        for parent in process.parents():
            if parent.name().startswith("sshd") and parent.pid != os.getpid():
                parent.kill()
                break
    with pytest.raises(TransportError) as caught:
        for _ in reading:
            pass
    assert "lab-1" in str(caught.value)
    process.wait(60)
    assert os.listdir(root) == []
    host.close()


def test_closing_while_the_helper_is_sending_ends_it(transport: SshTransport, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(30 * MIB))
    channel, hello = launch(transport)
    host = RemoteHost(channel, hello)
    process = psutil.Process(hello.pid)
    reading = host.source().read([os.fsencode(tmp_path / "large")])
    next(reading)
    host.close()
    process.wait(60)
    assert not [thread for thread in threading.enumerate() if thread.name == "frames to the helper"]


class NoPython(SshTransport):
    """A host on which no interpreter is found."""

    def start(self, argv: Sequence[str]) -> SshStream:
        return super().start(["/bin/sh", "-c", "echo 'no python3' >&2; exit 97"])


def test_a_host_without_python_is_served_over_sftp(sshd: SshServer, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    root = os.fsencode(tmp_path)
    transport = NoPython("lab-1", settings(sshd))
    transport.open()
    try:
        host = RemoteHost(*launch(transport))
        folders, skips = walk(host.source(), WalkRequest((root,)))
        assert [node.name for node in folders[root + b"/folder"].children] == [b"file"]
        assert skips == []
        assert contents(host.source().read([root + b"/folder/file"]))[0] == {root + b"/folder/file": b"content"}
        sink = host.sink()
        sink.allow("digest", [root])
        sink.write_file(root + b"/new", file_node(), None, [b"new"])
        assert [result.ok for result in sink.commit()] == [True]
        assert (tmp_path / "new").read_bytes() == b"new"
        host.close()
    finally:
        transport.close()


def test_a_host_that_starts_no_programs_is_served_over_sftp(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    path = os.fsencode(tmp_path / "file")
    (tmp_path / "sshd").mkdir()
    with SshServer(tmp_path / "sshd", config=["ForceCommand internal-sftp"]) as server:
        transport = SshTransport("lab-1", settings(server))
        transport.open()
        try:
            host = RemoteHost(*launch(transport))
            assert contents(host.source().read([path]))[0] == {path: b"content"}
            host.close()
        finally:
            transport.close()


def test_a_host_that_gives_neither_programs_nor_files_is_told(tmp_path: Path) -> None:
    with SshServer(tmp_path, config=["ForceCommand echo 'This account is not available.'; exit 1"]) as server:
        transport = SshTransport("lab-1", settings(server))
        transport.open()
        try:
            with pytest.raises(TransportError, match=r"exit code 1; it said: This account is not available\."):
                launch(transport)
        finally:
            transport.close()


def test_without_python_nobody_becomes_root(sshd: SshServer) -> None:
    transport = NoPython("lab-1", settings(sshd))
    transport.open()
    try:
        with pytest.raises(TransportError, match="no Python"):
            launch(transport, become="sudo")
    finally:
        transport.close()
