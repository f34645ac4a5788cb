"""Parts of the transports that need no host: redaction, the tail of errors, the registry, settings, the wire."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paramiko.buffered_pipe import PipeTimeout
from paramiko.common import MSG_CHANNEL_DATA
from paramiko.packet import Packetizer
from paramiko.ssh_exception import SSHException
from pydantic import SecretStr

from tasks.errors import InventoryError
from tasks.transports.local import LocalTransport
from tasks.transports.redact import MASK, RedactingFilter, Redactor
from tasks.transports.registry import TRANSPORTS, make_transport
from tasks.transports.ssh import SshSettings, SshTransport
from tasks.transports.ssh_wire import BufferingPacketizer, ChannelData, ChunkPipe, StalledError
from tasks.transports.tail import KEPT, Tail

if TYPE_CHECKING:
    from paramiko.channel import Channel

SECRET = "pa'ss\\w\"ört"


def test_secrets_are_masked_in_each_spelling() -> None:
    redactor = Redactor([SECRET, "abcd", "abcdef", "", "abc"])
    for spelling in (SECRET, repr(SECRET), repr([SECRET]), repr(SECRET.encode()), f"{{'p': {SECRET!r}}}"):
        masked = redactor.text(f"before {spelling} after")
        assert MASK in masked
        assert "ört" not in masked
        assert "w\\xc3" not in masked
    # The longer of two that begin alike leaves no rest; what is too short to be a secret is left alone.
    assert redactor.text("abcdef abc") == f"{MASK} abc"
    assert SECRET not in repr(redactor)


def test_log_records_are_masked_with_their_arguments(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tests.redaction")
    redacting = RedactingFilter(Redactor([SECRET]))
    logger.addFilter(redacting)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("login of %s with %s failed", "a.ito", SECRET)
    finally:
        logger.removeFilter(redacting)
    assert f"login of a.ito with {MASK} failed" in caplog.text
    assert SECRET not in caplog.text


def test_the_tail_keeps_the_end() -> None:
    tail = Tail(Redactor([SECRET]))
    assert tail.text() == ""
    tail.add(b"x" * KEPT)
    tail.add(f"the password is {SECRET}\n".encode())
    text = tail.text()
    assert text.endswith(f"the password is {MASK}\n")
    assert text.startswith("x")
    tail.add(b"y" * 3 * KEPT)
    assert tail.text() == "y" * KEPT


def test_settings_show_no_secret() -> None:
    inner = SshSettings("gate", password=SecretStr("gate-secret"))
    settings = SshSettings("desk", password=SecretStr(SECRET), key_passphrase=SecretStr("phrase"), jump=inner)
    assert settings.secrets() == (SECRET, "phrase", "gate-secret")
    transport = SshTransport("lab3-07", settings)
    shown = repr(settings) + repr(transport) + str(vars(transport))
    assert not [secret for secret in settings.secrets() if secret in shown]


def test_the_registry_knows_each_transport() -> None:
    assert isinstance(make_transport("local", "here"), LocalTransport)
    assert isinstance(make_transport("ssh", "lab3-07", SshSettings("10.0.0.7")), SshTransport)
    assert set(TRANSPORTS) == {"local", "ssh", "winrm"}
    with pytest.raises(InventoryError, match="there is no transport 'telnet'"):
        make_transport("telnet", "lab3-07")
    with pytest.raises(InventoryError, match="no address"):
        make_transport("ssh", "lab3-07")


def test_local_programs_get_the_environment_that_is_asked_for() -> None:
    transport = LocalTransport("here", environment={"ONLY": "this"})
    transport.open()
    stream = transport.start(["/usr/bin/env"])
    lines = b""
    while piece := stream.read(4096):
        lines += piece
    # The shell in between may add what it always does.
    names = {line.partition(b"=")[0] for line in lines.splitlines()}
    assert names - {b"PWD", b"SHLVL", b"_", b"OLDPWD", b"__CF_USER_TEXT_ENCODING"} == {b"ONLY"}
    transport.close()


# The wire


def test_a_chunk_pipe_gives_what_it_got_in_order() -> None:
    pipe = ChunkPipe()
    pipe.feed(b"")
    assert not pipe.read_ready()
    for piece in (b"abc", b"defgh", b"i"):
        pipe.feed(piece)
    assert len(pipe) == 9
    assert [pipe.read(2), pipe.read(3), pipe.read(100)] == [b"ab", b"cde", b"fghi"]
    with pytest.raises(PipeTimeout):
        pipe.read(1, 0.01)
    pipe.feed(b"last")
    pipe.close()
    assert [pipe.read(100), pipe.read(100)] == [b"last", b""]
    pipe.feed(b"left")
    assert pipe.empty() == b"left"


def test_a_chunk_pipe_wakes_its_reader() -> None:
    pipe = ChunkPipe()
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read(10, 10.0)))
    reader.start()
    pipe.feed(b"x")
    reader.join(10)
    assert found == [b"x"]


def test_reading_ahead_splits_where_packets_do() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        packetizer = BufferingPacketizer(ours)
        theirs.sendall(b"a banner\r\nSSH-2.0-x\n" + bytes(range(256)) * 300)
        assert packetizer.readline(5.0) == "a banner"
        assert packetizer.readline(5.0) == "SSH-2.0-x"
        data = packetizer.read_all(3) + packetizer.read_all(70_000) + packetizer.read_all(6797)
        assert data == bytes(range(256)) * 300
        with pytest.raises(TimeoutError):
            packetizer.readline(0.1)
        with pytest.raises(SSHException, match="more than SSH allows"):
            packetizer.read_all(1 << 30)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(EOFError):
            packetizer.read_all(1)


def test_more_than_the_buffer_passes_through_it() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        packetizer = BufferingPacketizer(ours)
        content = bytes(range(251)) * 20_000
        feeder = threading.Thread(target=theirs.sendall, args=(content,))
        feeder.start()
        received = b""
        size = 1
        while len(received) < len(content):
            size = min(size * 3, 300_000, len(content) - len(received))
            received += packetizer.read_all(size)
        feeder.join(10)
        assert received == content


def test_writing_gives_up_when_nothing_is_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        packetizer = BufferingPacketizer(ours)
        packetizer.stall_timeout = 0.2
        with pytest.raises(StalledError):
            packetizer.write_all(bytes(64 << 20))


@pytest.mark.parametrize("sealed", [True, False], ids=["aes-gcm", "aes-ctr"])
def test_content_is_sent_as_paramiko_sends_it(sealed: bool) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in (ours, theirs):
            end.settimeout(5)
        # The stubs want other types than paramiko gives itself.
        sender, receiver = cast("Any", BufferingPacketizer(ours)), cast("Any", Packetizer(theirs))
        key, iv = os.urandom(16), os.urandom(4)
        if sealed:
            # The counter's lower half runs over on the way.
            iv += (2**32 - 3).to_bytes(8, "big")
            sender.set_outbound_cipher(AESGCM(key), 16, None, 16, None, aead=True, iv_out=iv)
            receiver.set_inbound_cipher(AESGCM(key), 16, None, 16, None, aead=True, iv_in=iv)
        else:
            cipher = Cipher(algorithms.AES(key), modes.CTR(os.urandom(16)))
            sender.set_outbound_cipher(cipher.encryptor(), 16, hashlib.sha256, 32, key, sdctr=True, etm=True)
            receiver.set_inbound_cipher(cipher.decryptor(), 16, hashlib.sha256, 32, key, etm=True)
        content = os.urandom(99_000)
        channel = cast("Channel", SimpleNamespace(closed=False, remote_chanid=7))

        def send(start: int, end: int) -> None:
            sender.send_message(ChannelData(channel, memoryview(content)[start:end], 32_704))

        def send_all() -> None:
            send(0, 99)
            channel.closed = True
            send(0, len(content))
            channel.closed = False
            send(99, len(content))

        feeder = threading.Thread(target=send_all)
        feeder.start()
        got: list[bytes] = []
        while sum(map(len, got)) < len(content):
            kind, message = receiver.read_message()
            assert kind == MSG_CHANNEL_DATA
            assert message.get_int() == 7
            got.append(message.get_binary())
        feeder.join(5)
        assert b"".join(got) == content
        assert [len(piece) for piece in got] == [99, 32_704, 32_704, 32_704, 789]


def test_key_files_by_their_usual_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.transports.ssh_keys import default_key_files

    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_key_files() == ()
    (tmp_path / ".ssh").mkdir()
    for name in ("id_rsa", "id_ed25519", "other"):
        (tmp_path / ".ssh" / name).write_text("")
    assert [path.name for path in default_key_files()] == ["id_ed25519", "id_rsa"]
