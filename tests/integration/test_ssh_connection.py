"""The connection: jump hosts, ssh_config, new keys under way, and everything that can go wrong with a network."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.errors import IdentityRefused, Timeout, Unreachable
from tasks.transports.ssh import SshSettings, SshTransport
from tasks.transports.ssh_wire import BufferingPacketizer
from tests.support.sshd import SshServer, free_port

pytestmark = pytest.mark.ssh


def settings_of(sshd: SshServer, **changes: object) -> SshSettings:
    plain = SshSettings(sshd.address, sshd.port, sshd.user, key_files=(sshd.client_key,), known_hosts=sshd.known_hosts)
    return replace(plain, **changes)  # type: ignore[arg-type]


def says(settings: SshSettings, text: str) -> None:
    """Check that a program on the host can say ``text``."""
    transport = SshTransport("lab3-07", settings)
    try:
        transport.open()
        assert transport.start(["printf", "%s", text]).read(1000) == text.encode()
    finally:
        transport.close()


def failure(settings: SshSettings, kind: type[Exception], within: float) -> Exception:
    """Return the error of ``open``, which must come in time and leave nothing behind."""
    transport = SshTransport("lab3-07", settings)
    started = time.monotonic()
    with pytest.raises(kind) as caught:
        transport.open()
    assert time.monotonic() - started < within
    transport.close()
    return caught.value


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SshServer]:
    """An sshd that this test may stop."""
    with SshServer(tmp_path / "sshd") as server:
        yield server


# Ways to a host


def test_through_a_jump_host(sshd: SshServer, own: SshServer) -> None:
    transport = SshTransport("lab3-07", settings_of(sshd, jump=settings_of(own)))
    transport.open()
    assert transport.identity().fingerprint == sshd.host_key_fingerprint
    stream = transport.start(["cat"])
    data = os.urandom(3 << 20)
    threading.Thread(target=lambda: (stream.write(data), stream.finish_input())).start()
    received = b""
    while piece := stream.read(1 << 20):
        received += piece
    assert received == data
    assert len(own.sessions()) == 1
    transport.close()


def test_the_jump_host_must_be_known_itself(sshd: SshServer, own: SshServer, tmp_path: Path) -> None:
    jump = settings_of(own, known_hosts=tmp_path / "empty")
    transport = SshTransport("lab3-07", settings_of(sshd, jump=jump))
    with pytest.raises(IdentityRefused, match=f"{own.port}"):
        transport.open(lambda _: True)


def test_a_jump_host_that_cannot_reach_the_host(sshd: SshServer, own: SshServer) -> None:
    target = settings_of(sshd, port=free_port(), jump=settings_of(own))
    assert "the jump host cannot reach 127.0.0.1" in str(failure(target, Unreachable, within=5))


def test_an_alias_of_ssh_config(
    sshd: SshServer, own: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    known = tmp_path / ".ssh" / "known"
    known.write_text(sshd.known_hosts.read_text() + own.known_hosts.read_text())
    (tmp_path / ".ssh" / "config").write_text(
        f"""
        Host gate
            HostName {own.address}
            Port {own.port}
            IdentityFile {own.client_key}
        Host desk-*
            HostName {sshd.address}
            Port {sshd.port}
            IdentityFile {sshd.client_key}
            ProxyJump {own.user}@gate
        Host *
            User {sshd.user}
            UserKnownHostsFile ~/.ssh/known
        """
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    alias = SshSettings("desk-7", use_ssh_config=True)
    transport = SshTransport("lab3-07", alias)
    transport.open()
    assert transport.settings.jump is not None
    assert transport.settings.jump.port == own.port
    assert transport.start(["echo", "hi"]).read(10) == b"hi\n"
    assert len(own.sessions()) == 1
    transport.close()
    # What the inventory says wins, and without leave the file is not read.
    says(replace(alias, port=own.port, key_files=(own.client_key,)), "own")
    assert "'desk-7' is unknown" in str(failure(SshSettings("desk-7", user="x"), Unreachable, within=30))


def test_a_proxy_command_is_refused_not_ignored(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"Host desk\n  HostName {sshd.address}\n  ProxyCommand nc %h %p\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    error = failure(SshSettings("desk", use_ssh_config=True), Unreachable, within=5)
    assert "ProxyCommand is not supported" in str(error)


def test_a_jump_to_itself_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host desk\n  ProxyJump desk\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "ProxyJump" in str(failure(SshSettings("desk", use_ssh_config=True), Unreachable, within=5))


# Ciphers and keys


def test_aes_gcm_is_chosen(sshd: SshServer) -> None:
    transport = SshTransport("lab3-07", settings_of(sshd))
    transport.open()
    assert transport.link.remote_cipher == transport.link.local_cipher == "aes128-gcm@openssh.com"
    transport.close()


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "aes128-ctr", "aes256-cbc"])
def test_other_ciphers(tmp_path: Path, cipher: str) -> None:
    with SshServer(tmp_path / "sshd", config=[f"Ciphers {cipher}"]) as server:
        transport = SshTransport("lab3-07", settings_of(server))
        transport.open()
        assert transport.link.remote_cipher == cipher
        stream = transport.start(["head", "-c", "3000000", "/dev/zero"])
        length = 0
        while piece := stream.read(1 << 20):
            assert not any(piece)
            length += len(piece)
        assert length == 3_000_000
        transport.close()


@pytest.mark.parametrize("side", ["host", "worker"])
def test_new_keys_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    # Each side asks for new keys again and again while much is under way in both directions.
    config = ["RekeyLimit 1M"] if side == "host" else []
    if side == "worker":
        monkeypatch.setattr(BufferingPacketizer, "REKEY_BYTES", 1 << 20)
    block = os.urandom(1 << 20)
    count = 24
    with SshServer(tmp_path / "sshd", config=config) as server:
        transport = SshTransport("lab3-07", settings_of(server))
        transport.open()
        keys = {transport.link.H}
        stream = transport.start(["cat"])
        feeder = threading.Thread(target=lambda: [*map(stream.write, [block] * count), stream.finish_input()])
        feeder.start()
        received = hashlib.sha256()
        while piece := stream.read(1 << 20):
            received.update(piece)
        feeder.join(30)
        assert received.digest() == hashlib.sha256(block * count).digest()
        assert stream.wait(60) == 0
        keys.add(transport.link.H)
        assert len(keys) == 2
        transport.close()


# Networks


def test_nobody_listens(tmp_path: Path) -> None:
    settings = SshSettings("127.0.0.1", free_port(), "x", known_hosts=tmp_path / "none")
    error = failure(settings, Unreachable, within=5)
    assert str(error).startswith(f"lab3-07: port {settings.port} of 127.0.0.1 cannot be reached (127.0.0.1: Connection")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_host_that_takes_the_connection_and_never_speaks(listener: socket.socket, tmp_path: Path) -> None:
    port = listener.getsockname()[1]
    settings = SshSettings("127.0.0.1", port, "x", known_hosts=tmp_path / "none", connect_timeout=0.6)
    error = failure(settings, Timeout, within=3)
    assert f"127.0.0.1 port {port} took the connection" in str(error)
    assert "0.6 s" in str(error)


@pytest.mark.parametrize(
    ("greeting", "stays", "kind"),
    [
        (b"SSH-2.0-Asleep\r\n", True, Timeout),
        (b"SSH-2.0-Gone\r\n", False, Unreachable),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False, Unreachable),
        (b"x" * 100_000, False, Unreachable),
        (b"", False, Unreachable),
    ],
)
def test_what_is_no_ssh_server(
    listener: socket.socket, tmp_path: Path, greeting: bytes, stays: bool, kind: type[Exception]
) -> None:
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(greeting)
            if stays:
                done.wait(10)

    server = threading.Thread(target=serve)
    server.start()
    port = listener.getsockname()[1]
    settings = SshSettings("127.0.0.1", port, "x", known_hosts=tmp_path / "none", connect_timeout=1.0)
    failure(settings, kind, within=4)
    done.set()
    server.join(10)


def test_a_connection_that_is_cut_while_it_is_read(own: SshServer, caplog: pytest.LogCaptureFixture) -> None:
    transport = SshTransport("lab3-07", settings_of(own))
    transport.open()
    stream = transport.start(["yes"])
    assert stream.read(1000)
    own.kill_sessions()
    started = time.monotonic()
    with pytest.raises(Unreachable, match="lab3-07: the SSH connection was cut"):
        while stream.read(1 << 20):
            pass
    with pytest.raises(Unreachable):
        stream.write(b"x")
    with pytest.raises(Unreachable):
        stream.wait(5)
    with pytest.raises(Unreachable):
        transport.start(["true"])
    stream.close()
    transport.close()
    assert time.monotonic() - started < 10
    # Nor do paramiko's threads complain on their own.
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_a_connection_that_is_cut_while_a_reader_waits(own: SshServer) -> None:
    transport = SshTransport("lab3-07", settings_of(own))
    transport.open()
    stream = transport.start(["cat"])
    cutter = threading.Timer(0.2, own.kill_sessions)
    cutter.start()
    started = time.monotonic()
    with pytest.raises(Unreachable):
        stream.read(1)
    assert time.monotonic() - started < 10
    cutter.join()
    transport.close()


def test_a_connection_that_is_cut_while_it_is_written(own: SshServer) -> None:
    transport = SshTransport("lab3-07", settings_of(own))
    transport.open()
    stream = transport.start(["sleep", "20"])
    cutter = threading.Timer(0.3, own.kill_sessions)
    cutter.start()
    with pytest.raises(Unreachable):
        stream.write(bytes(64 << 20))
    cutter.join()
    transport.close()


def test_a_host_that_freezes(own: SshServer) -> None:
    transport = SshTransport("lab3-07", settings_of(own, idle_timeout=0.7, connect_timeout=0.7))
    transport.open()
    stream = transport.start(["cat"])
    frozen = own.sessions()
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(Timeout):
            stream.read(1)
        with pytest.raises(Timeout):
            stream.write(bytes(256 << 20))
        with pytest.raises((Timeout, Unreachable)):
            transport.start(["true"])
        transport.close()
        assert time.monotonic() - started < 30
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)


def test_the_host_comes_back_on_the_same_port(own: SshServer) -> None:
    says(settings_of(own), "before")
    own.stop()
    failure(settings_of(own), Unreachable, within=5)
    own.start()
    says(settings_of(own), "after")
