"""What every Transport promises (tasks/transports/base.py): on this machine, over a real sshd, over a WinRM server.

The WinRM server is one of our own, and what runs behind it are programs of this machine.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from tasks.errors import HelperFailed, Timeout, Unreachable
from tasks.transports.base import Stream, Transport
from tasks.transports.local import LocalTransport
from tasks.transports.ssh import SshSettings, SshTransport
from tasks.transports.winrm import WinRmSettings, WinRmTransport
from tests.support import posix_command_line
from tests.support.winrm_server import WinRmServer

Make = Callable[..., Transport]


@pytest.fixture(scope="module")
def winrm_server() -> Iterator[WinRmServer]:
    with WinRmServer(posix_command_line.run) as server:
        yield server


@pytest.fixture(params=["local", pytest.param("ssh", marks=pytest.mark.ssh), "winrm"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A maker of open transports to this machine; ``idle_timeout`` in seconds."""
    opened: list[Transport] = []

    def factory(idle_timeout: float = 30.0) -> Transport:
        transport: Transport
        if request.param == "local":
            transport = LocalTransport("lab3-07", idle_timeout=idle_timeout)
        elif request.param == "winrm":
            server = request.getfixturevalue("winrm_server")
            account = WinRmSettings(
                server.address,
                server.port,
                "http",
                user=server.user,
                password=SecretStr(server.password),
                idle_timeout=idle_timeout,
                close_grace=0.1,
            )
            transport = WinRmTransport("lab3-07", account)
        else:
            sshd = request.getfixturevalue("sshd")
            settings = SshSettings(
                sshd.address,
                sshd.port,
                sshd.user,
                key_files=(sshd.client_key,),
                known_hosts=sshd.known_hosts,
                idle_timeout=idle_timeout,
            )
            transport = SshTransport("lab3-07", settings)
        opened.append(transport)
        transport.open()
        return transport

    yield factory
    for transport in opened:
        transport.close()


@pytest.fixture
def transport(make: Make) -> Transport:
    return make()


def read_all(stream: Stream) -> bytes:
    pieces = []
    while piece := stream.read(65536):
        pieces.append(piece)
    return b"".join(pieces)


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.02)


def test_all_bytes_pass_both_ways(transport: Transport) -> None:
    data = bytes(range(256)) * 3 + b"\r\n\x00\x1a\xff"
    stream = transport.start(["cat"])
    stream.write(data)
    stream.write(memoryview(bytearray(b"tail")))
    stream.write(b"")
    stream.finish_input()
    assert read_all(stream) == data + b"tail"
    assert stream.wait(60) == 0


def test_arguments_arrive_as_given(transport: Transport, tmp_path: Path) -> None:
    arguments = [
        "a b",
        "",
        "'",
        '"',
        "$HOME `id` !x",
        "back\\slash",
        "new\nline",
        "*",
        "~",
        "é🎒",
        "-n",
        "\udce9\udcff",
    ]
    if isinstance(transport, WinRmTransport):
        # No command line of Windows can hold these.
        arguments = [one for one in arguments if "\n" not in one and one.isprintable()]
        arguments += [
            '\\\\"',
            "%PATH%",
            "^%",
            "a^b",
            "100%",
            '"a & b" | c',
            "(x)",
            "<>",
            "tab\there",
            "C:\\Users\\",
            "a b\\",
        ]
    stream = transport.start(["sh", "-c", 'for a in "$@"; do printf "%s\\0" "$a"; done', "sh", *arguments])
    assert read_all(stream).split(b"\0")[:-1] == [os.fsencode(argument) for argument in arguments]


@pytest.mark.parametrize("code", [0, 1, 97, 255])
def test_exit_code(transport: Transport, code: int) -> None:
    assert transport.start(["sh", "-c", f"exit {code}"]).wait(60) == code


@pytest.mark.parametrize(("name", "number"), [("TERM", 15), ("KILL", 9), ("SEGV", 11)])
def test_a_signal_is_128_and_its_number(transport: Transport, name: str, number: int) -> None:
    if isinstance(transport, WinRmTransport):
        pytest.skip("Windows has no signals")
    assert transport.start(["sh", "-c", f"kill -{name} $$"]).wait(60) == 128 + number


def test_a_missing_program_is_127_and_named(transport: Transport) -> None:
    stream = transport.start(["no-such-program", "x"])
    assert read_all(stream) == b""
    assert stream.wait(60) == 127
    assert "no-such-program" in stream.error_text()


def test_large_amounts_both_ways_at_once(transport: Transport) -> None:
    # More than all buffers and windows together, so that it only works when both directions move.
    block = os.urandom(1 << 20)
    count = 12 if isinstance(transport, WinRmTransport) else 48
    stream = transport.start(["cat"])
    failed: list[BaseException] = []

    def feed() -> None:
        try:
            for _ in range(count):
                stream.write(block)
            stream.finish_input()
        except BaseException as error:
            failed.append(error)

    feeder = threading.Thread(target=feed)
    feeder.start()
    received = hashlib.sha256()
    length = 0
    while piece := stream.read(300_000):
        assert len(piece) <= 300_000
        received.update(piece)
        length += len(piece)
    feeder.join(30)
    assert not failed
    assert length == count * len(block)
    expected = hashlib.sha256()
    for _ in range(count):
        expected.update(block)
    assert received.digest() == expected.digest()
    assert stream.wait(60) == 0


def test_small_reads_lose_nothing(transport: Transport) -> None:
    stream = transport.start(["sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done"])
    text = b""
    while piece := stream.read(7):
        assert 1 <= len(piece) <= 7
        text += piece
    assert text == b"".join(b"%d\n" % number for number in range(2000))


def test_a_slow_reader_holds_the_program_back(transport: Transport) -> None:
    stream = transport.start(["sh", "-c", "yes | tee /dev/stderr 2>/dev/null"])
    assert stream.read(10)
    with pytest.raises(Timeout):
        stream.wait(0.3)


def test_error_text_keeps_the_last_64_kib_of_a_flood(transport: Transport) -> None:
    # 12 MiB of complaints before the first word: more than any window.
    stream = transport.start(["sh", "-c", "head -c 12582912 /dev/zero | tr '\\0' x >&2; echo END >&2; echo done"])
    assert read_all(stream) == b"done\n"
    assert stream.wait(60) == 0
    text = stream.error_text()
    assert text.endswith("xEND\n")
    assert len(text) == 65536


def test_error_text_of_bytes_that_are_no_text(transport: Transport) -> None:
    stream = transport.start(["sh", "-c", "printf 'caf\\351' >&2"])
    assert stream.wait(60) == 0
    assert stream.error_text() == "caf\N{REPLACEMENT CHARACTER}"


def test_two_programs_at_once(transport: Transport) -> None:
    one, two = transport.start(["cat"]), transport.start(["cat"])
    one.write(b"1")
    two.write(b"2")
    assert (two.read(10), one.read(10)) == (b"2", b"1")


def test_read_has_a_deadline(make: Make) -> None:
    stream = make(idle_timeout=0.4).start(["sleep", "20"])
    started = time.monotonic()
    with pytest.raises(Timeout, match=r"lab3-07: .*0\.4 s"):
        stream.read(1)
    assert 0.3 < time.monotonic() - started < 5


def test_write_has_a_deadline(make: Make) -> None:
    stream = make(idle_timeout=0.4).start(["sleep", "20"])
    started = time.monotonic()
    with pytest.raises(Timeout, match=r"lab3-07: .*0\.4 s"):
        stream.write(bytes(64 << 20))
    assert time.monotonic() - started < 20


def test_wait_has_a_deadline(transport: Transport) -> None:
    stream = transport.start(["sleep", "20"])
    with pytest.raises(Timeout, match="did not end"):
        stream.wait(0.2)


def test_deadlines_count_silence_not_work(make: Make) -> None:
    stream = make(idle_timeout=1.0).start(["sh", "-c", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done"])
    assert read_all(stream) == b"1\n2\n3\n4\n5\n6\n"


def test_writing_to_a_program_that_has_ended(transport: Transport) -> None:
    stream = transport.start(["true"])
    assert stream.wait(60) == 0
    with pytest.raises(HelperFailed):
        for _ in range(64):
            stream.write(bytes(1 << 20))


def test_writing_after_finish_input(transport: Transport) -> None:
    stream = transport.start(["cat"])
    stream.finish_input()
    stream.finish_input()
    with pytest.raises(HelperFailed):
        stream.write(b"x")


@pytest.mark.parametrize("script", ["cat", "yes", "yes >&2", "exec sleep 20"])
def test_close_ends_the_program(transport: Transport, script: str) -> None:
    if script == "exec sleep 20" and isinstance(transport, SshTransport) and os.getuid() == 0:
        # It heeds neither its input nor its output, and sshd passes no signal on to root's programs.
        script = "cat"
    stream = transport.start(["sh", "-c", f"echo $$; {script}"])
    pid = int(stream.read(20).split()[0])
    assert psutil.pid_exists(pid)
    stream.close()
    stream.close()
    wait_until(lambda: not psutil.pid_exists(pid))
    with pytest.raises(Unreachable):
        stream.read(1)
    with pytest.raises(Unreachable):
        stream.write(b"x")


def test_closing_the_transport_ends_what_it_started(make: Make) -> None:
    transport = make()
    pids = [int(transport.start(["sh", "-c", "echo $$; cat"]).read(20)) for _ in range(2)]
    transport.close()
    transport.close()
    wait_until(lambda: not any(map(psutil.pid_exists, pids)))
    with pytest.raises(Unreachable):
        transport.start(["true"])


def test_close_wakes_who_waits_in_another_thread(transport: Transport) -> None:
    stream = transport.start(["sh", "-c", "exec sleep 20"])
    outcome: list[BaseException | bytes] = []

    def wait_for_output() -> None:
        try:
            outcome.append(stream.read(1))
        except BaseException as error:
            outcome.append(error)

    reader = threading.Thread(target=wait_for_output)
    reader.start()
    stream.close()
    reader.join(60)
    assert not reader.is_alive()
    assert isinstance(outcome[0], Unreachable)


def test_no_thread_and_no_descriptor_is_left(make: Make) -> None:
    make().close()
    process = psutil.Process()
    wait_until(lambda: threading.active_count() == len(threading.enumerate()))
    threads, descriptors = threading.active_count(), process.num_fds()
    for _ in range(3):
        transport = make()
        stream = transport.start(["sh", "-c", "echo x; cat"])
        stream.read(1)
        transport.close()
    wait_until(lambda: threading.active_count() <= threads)
    wait_until(lambda: process.num_fds() <= descriptors)


def test_identity_is_told(transport: Transport, request: pytest.FixtureRequest) -> None:
    identity = transport.identity()
    if isinstance(transport, LocalTransport):
        assert (identity.kind, identity.fingerprint) == ("local", "")
    elif isinstance(transport, WinRmTransport):
        assert (identity.kind, identity.algorithm, identity.fingerprint) == ("mutual-login", "ntlm", "")
    else:
        sshd = request.getfixturevalue("sshd")
        assert (identity.kind, identity.algorithm) == ("ssh-host-key", "ssh-ed25519")
        assert identity.fingerprint == sshd.host_key_fingerprint


def test_a_program_sees_no_secret_of_the_worker(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "do-not-pass-on")
    monkeypatch.setenv("RESTIC_PASSWORD", "do-not-pass-on")
    assert b"do-not-pass-on" not in read_all(make().start(["env"]))
