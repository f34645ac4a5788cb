"""WinRM on a bad day: cut connections, lost answers, restarts, refusals, quotas; over a real server with real NTLM."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tasks.errors import AuthFailed, HelperFailed, IdentityRefused, InventoryError, Timeout, Unreachable
from tasks.transports.registry import make_transport
from tasks.transports.winrm import WinRmSettings, WinRmStream, WinRmTransport
from tests.support import posix_command_line
from tests.support.winrm_faults import Faults
from tests.support.winrm_server import WinRmServer

Make = Callable[..., WinRmTransport]

#: Says back each line that it reads.
_PARROT = 'while read line; do echo "got $line"; done; echo end'


@pytest.fixture
def server() -> Iterator[WinRmServer]:
    with WinRmServer(posix_command_line.run) as server:
        yield server


@pytest.fixture
def make(server: WinRmServer) -> Iterator[Make]:
    """A maker of transports to the server, not open; any setting may be changed."""
    made: list[WinRmTransport] = []

    def factory(**changes: Any) -> WinRmTransport:
        settings = WinRmSettings(
            server.address, server.port, "http", user=server.user, password=SecretStr(server.password), close_grace=0.1
        )
        made.append(WinRmTransport("lab3-07", replace(settings, **changes)))
        return made[-1]

    yield factory
    for transport in made:
        transport.close()


@pytest.fixture
def transport(make: Make) -> WinRmTransport:
    transport = make()
    transport.open()
    return transport


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        threading.Event().wait(0.01)


def read_line(stream: WinRmStream) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = stream.read(1)
        assert piece, line
        line += piece
    return line


def read_all(stream: WinRmStream) -> bytes:
    pieces = []
    while piece := stream.read(65536):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(("every", "when"), [(1, "before"), (1, "answered"), (3, "answered")])
def test_cut_connections_lose_nothing_that_was_not_on_its_way(
    server: WinRmServer, transport: WinRmTransport, when: Any, every: int
) -> None:
    server.faults.drop_when = when
    server.faults.drop_every = every
    # Before each request there would be no end of it.
    server.faults.drop_at_most = 5 * every
    stream = transport.start(["sh", "-c", _PARROT])
    for number in range(30):
        stream.write(b"%d\n" % number)
        assert read_line(stream) == b"got %d\n" % number
    stream.finish_input()
    assert read_all(stream) == b"end\n"
    assert stream.wait(60) == 0
    assert server.faults.dropped == 5 * every
    assert server.in_clear == 0
    transport.close()
    assert len(server.shells) == 0


def test_a_lost_receive_is_told_and_the_stream_goes_on(server: WinRmServer, transport: WinRmTransport) -> None:
    stream = transport.start(["sh", "-c", _PARROT])
    told: list[int] = []
    stream.on_recovered = lambda: told.append(1)
    assert not stream.reliable
    stream.write(b"1\n")
    assert read_line(stream) == b"got 1\n"
    assert stream.recovered == 0
    server.faults.lose_receives = 1
    stream.write(b"2\n")
    wait_until(lambda: bool(told))
    assert stream.recovered == 1
    stream.write(b"3\n")
    assert read_line(stream) == b"got 3\n"


def test_a_send_without_an_answer_is_sent_again(server: WinRmServer, transport: WinRmTransport) -> None:
    stream = transport.start(["sh", "-c", _PARROT])
    server.faults.drop_only = frozenset({"Send"})
    server.faults.drop_when = "unanswered"
    server.faults.drop_every = server.faults.drop_at_most = 1
    stream.write(b"1\n")
    stream.write(b"2\n")
    stream.finish_input()
    assert read_all(stream) == b"got 1\ngot 1\ngot 2\nend\n"
    assert stream.recovered == 1


def test_a_program_that_may_have_been_started_is_ended_and_started_again(
    server: WinRmServer, transport: WinRmTransport, tmp_path: Path
) -> None:
    server.faults.drop_only = frozenset({"Command"})
    server.faults.drop_when = "unanswered"
    server.faults.drop_every = server.faults.drop_at_most = 1
    stream = transport.start(["sh", "-c", f"echo $$ >> {tmp_path}/started; echo up; cat"])
    assert stream.read(10) == b"up\n"
    assert server.operations["Command"] == 2
    assert len(server.shells) == 1
    assert len(server.shells.commands()) == 1


@pytest.mark.parametrize("when", ["before", "unanswered", "answered"])
@pytest.mark.parametrize("every", [2, 3])
def test_a_start_over_a_connection_that_is_cut_again_and_again(make: Make, when: Any, every: int) -> None:
    for first in range(every):
        with WinRmServer(posix_command_line.run) as server:
            server.faults = Faults(drop_every=every, drop_when=when)
            for _ in range(first):
                server.faults.drops("")
            transport = make(port=server.port, password=SecretStr(server.password))
            transport.open()
            stream = transport.start(["sh", "-c", "echo up; cat"])
            # One program, and no shell that could run another; but for shells whose names were never told.
            assert len(server.shells.commands()) == 1
            assert not stream.ended
            transport.close()
            assert len(server.shells) <= (2 if when == "unanswered" else 0)
            assert not server.shells.commands()


def test_a_second_program_that_may_have_been_started_is_a_failure(
    server: WinRmServer, transport: WinRmTransport
) -> None:
    # Another program runs in the shell, so that it cannot be closed.
    first = transport.start(["sh", "-c", _PARROT])
    server.faults.drop_only = frozenset({"Command"})
    server.faults.drop_when = "unanswered"
    server.faults.drop_every = server.faults.drop_at_most = 1
    with pytest.raises(Unreachable, match=r"starting a program: the connection to .* was cut"):
        transport.start(["cat"])
    first.write(b"1\n")
    assert read_line(first) == b"got 1\n"


def test_a_restarted_service_is_a_clear_error(server: WinRmServer, make: Make) -> None:
    transport = make()
    transport.open()
    stream = transport.start(["sh", "-c", "echo up; cat"])
    assert stream.read(10) == b"up\n"
    server.restart()
    with pytest.raises(Unreachable, match="lab3-07: receiving output: the host has closed our shell") as caught:
        stream.read(1)
    assert caught.value.transient
    assert "try again" in caught.value.hint
    with pytest.raises(Unreachable, match="closed our shell"):
        stream.write(b"x")
    with pytest.raises(Unreachable, match="closed our shell"):
        stream.wait(1)
    transport.close()
    again = make()
    again.open()
    assert read_all(again.start(["echo", "back"])) == b"back\n"


def test_a_wrong_password_is_tried_once(server: WinRmServer, make: Make) -> None:
    transport = make(password=SecretStr("not the password"))
    for _ in range(2):
        with pytest.raises(AuthFailed, match=r"lab3-07: the host refused the login of a\.ito") as caught:
            transport.open()
    assert server.accounts.logins == [("a.ito", False)]
    assert not caught.value.transient
    assert "not the password" not in f"{caught.value} {caught.value.hint} {transport!r} {transport.settings!r}"


def test_a_changed_password_is_tried_once(server: WinRmServer, transport: WinRmTransport) -> None:
    stream = transport.start(["sh", "-c", _PARROT])
    stream.write(b"1\n")
    assert read_line(stream) == b"got 1\n"
    server.accounts.set_password(server.user, "a new one")
    # Who is logged in stays so.
    stream.write(b"2\n")
    assert read_line(stream) == b"got 2\n"
    server.drop_connections()
    with pytest.raises(AuthFailed, match="refused the login"):
        stream.read(1)
    with pytest.raises(AuthFailed):
        stream.write(b"3\n")
    started = time.monotonic()
    transport.close()
    assert time.monotonic() - started < 5
    assert [ok for _, ok in server.accounts.logins].count(False) == 1


@pytest.mark.parametrize("auth", ["basic", "certificate"])
def test_what_would_be_readable_is_never_sent(server: WinRmServer, make: Make, auth: Any) -> None:
    transport = make(auth=auth)
    with pytest.raises(InventoryError, match=r"lab3-07: .* readable, so nothing was sent"):
        transport.open()
    with pytest.raises(InventoryError, match="readable"):
        make_transport("winrm", "lab3-07", transport.settings)
    assert server.connections == 0


def test_a_login_cut_half_way_sends_nothing_readable(server: WinRmServer, make: Make) -> None:
    # What pywinrm alone would do: tests/unit/test_winrm_server.py.
    transport = make()
    server.faults.drop_logins = 1
    with pytest.raises(Unreachable, match="cut"):
        transport.open()
    transport.open()
    stream = transport.start(["sh", "-c", _PARROT])
    server.faults.drop_logins = 2
    server.drop_connections()
    stream.write(b"1\n")
    assert read_line(stream) == b"got 1\n"
    assert server.in_clear == 0


@pytest.mark.parametrize("way", ["openly", "disguised"])
def test_an_answer_in_clear_is_not_believed(server: WinRmServer, transport: WinRmTransport, way: Any) -> None:
    server.faults.answer_in_clear = way
    with pytest.raises(IdentityRefused, match="came in clear"):
        transport.start(["cat"])
    server.faults.answer_in_clear = ""


def test_a_stale_seal_is_replaced(server: WinRmServer, transport: WinRmTransport) -> None:
    stream = transport.start(["sh", "-c", _PARROT])
    server.faults.stale_seals = 2
    stream.write(b"1\n")
    assert read_line(stream) == b"got 1\n"
    stream.finish_input()
    assert read_all(stream) == b"end\n"


def test_a_seal_that_stays_stale_is_given_up(server: WinRmServer, transport: WinRmTransport) -> None:
    server.faults.stale_seals = 1000
    with pytest.raises(Unreachable, match=r"HTTP status 400 \(tried again for"):
        transport.start(["cat"])
    assert 900 < server.faults.stale_seals < 1000
    server.faults.stale_seals = 0


def test_receives_are_issued_again_while_nothing_happens(server: WinRmServer, make: Make) -> None:
    transport = make(operation_timeout=1)
    transport.open()
    stream = transport.start(["sh", "-c", "sleep 1.3; echo late"])
    assert read_all(stream) == b"late\n"
    assert server.operations["Receive"] >= 2
    assert stream.recovered == 0


def test_input_is_sent_in_pieces_that_windows_takes(server: WinRmServer, transport: WinRmTransport) -> None:
    data = bytes(1_000_000)
    stream = transport.start(["wc", "-c"])
    stream.write(data)
    stream.finish_input()
    assert read_all(stream).split() == [b"1000000"]
    assert server.operations["Send"] == 4  # the last one is the end


def test_input_that_is_taken_late_arrives(server: WinRmServer, make: Make) -> None:
    # The host's time for a Send runs out while the program does something else; what was sent is not sent twice.
    transport = make(operation_timeout=1)
    transport.open()
    stream = transport.start(["sh", "-c", "sleep 1.5; wc -c"])
    stream.write(bytes(700_000))
    stream.finish_input()
    assert read_all(stream).split() == [b"700000"]
    assert stream.recovered >= 1


def test_a_busy_host_is_a_timeout(server: WinRmServer, make: Make) -> None:
    transport = make()
    server.faults.late = frozenset({"Create"})
    with pytest.raises(Timeout, match="lab3-07: opening a shell: the host was not done within 20 s"):
        transport.open()
    server.faults.late = frozenset({"Command"})
    transport.open()
    with pytest.raises(Timeout, match="lab3-07: starting a program: the host was not done within 20 s"):
        transport.start(["cat"])


def test_a_quota_is_a_clear_error(server: WinRmServer, make: Make) -> None:
    server.quotas.max_shells = 1
    first, second = make(), make()
    first.open()
    with pytest.raises(
        HelperFailed, match="opening a shell: the host allows no further shell for this account"
    ) as caught:
        second.open()
    assert "MaxShellsPerUser" in caught.value.hint
    first.close()
    second.open()
    assert read_all(second.start(["echo", "x"])) == b"x\n"


def test_too_many_programs_are_a_clear_error(server: WinRmServer, transport: WinRmTransport) -> None:
    server.quotas.max_commands_per_shell = 1
    transport.start(["cat"])
    with pytest.raises(HelperFailed, match="a quota of the host's WinRM service"):
        transport.start(["cat"])


def test_each_program_is_cleaned_up(server: WinRmServer, transport: WinRmTransport) -> None:
    server.quotas.max_commands_per_shell = 1
    for number in range(3):
        stream = transport.start(["echo", str(number)])
        assert read_all(stream) == b"%d\n" % number
        stream.close()
    assert server.operations["Signal"] == 3


def test_a_long_command_line_is_refused(server: WinRmServer, transport: WinRmTransport) -> None:
    assert read_all(transport.start(["printf", "%s", "x" * 8170])) == b"x" * 8170
    with pytest.raises(HelperFailed, match=r"cmd\.exe takes 8191"):
        transport.start(["printf", "%s", "x" * 8180])
    with pytest.raises(HelperFailed, match=r"'\\n' cannot be in a command line"):
        transport.start(["printf", "a\nb"])
    assert server.operations["Command"] == 1


def test_a_shell_that_the_host_gave_up(server: WinRmServer, make: Make) -> None:
    server.quotas.idle_timeout = 0.2
    transport = make()
    transport.open()
    wait_until(lambda: len(server.shells) == 0)
    with pytest.raises(Unreachable, match="closed our shell"):
        transport.start(["cat"])


def test_nobody_at_the_port(server: WinRmServer, make: Make) -> None:
    server.stop()
    with pytest.raises(Unreachable, match=r"nothing answers at 127\.0\.0\.1 port") as caught:
        make().open()
    assert "winrm quickconfig" in caught.value.hint


def test_the_host_goes_away(server: WinRmServer, make: Make) -> None:
    transport = make(recovery_timeout=0.5)
    transport.open()
    stream = transport.start(["sh", "-c", "echo up; cat"])
    assert stream.read(10) == b"up\n"
    server.stop()
    with pytest.raises(Unreachable, match="nothing answers"):
        stream.read(1)
    started = time.monotonic()
    transport.close()
    assert time.monotonic() - started < 10


def test_closing_is_quick_when_the_host_is_silent(server: WinRmServer, transport: WinRmTransport) -> None:
    stream = transport.start(["sh", "-c", "echo up; cat"])
    assert stream.read(10) == b"up\n"
    server.faults.silent = True
    started = time.monotonic()
    transport.close()
    assert time.monotonic() - started < 10


def test_a_silent_host_is_a_timeout(server: WinRmServer, make: Make) -> None:
    server.faults.silent = True
    transport = make(operation_timeout=1, answer_timeout=0.3)
    with pytest.raises(Timeout, match="does not answer in time"):
        transport.open()


def test_closing_ends_a_write_that_waits(server: WinRmServer, transport: WinRmTransport) -> None:
    stream = transport.start(["sh", "-c", "echo up; exec sleep 20"])
    assert stream.read(10) == b"up\n"
    outcome: list[BaseException] = []

    def write() -> None:
        try:
            stream.write(bytes(2_000_000))
        except BaseException as error:
            outcome.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: server.operations["Send"] >= 1)
    started = time.monotonic()
    stream.close()
    writer.join(15)
    assert time.monotonic() - started < 10
    assert isinstance(outcome[0], Unreachable)
    # The transport is as good as before.
    assert read_all(transport.start(["echo", "x"])) == b"x\n"
