"""Our WinRM server as pywinrm alone sees it: what the reference says of Windows and of pywinrm."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from winrm.exceptions import InvalidCredentialsError, WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from winrm.protocol import Protocol

from tests.support import posix_command_line, winrm_soap
from tests.support.winrm_server import WinRmServer


@pytest.fixture
def server() -> Iterator[WinRmServer]:
    with WinRmServer(posix_command_line.run) as server:
        yield server


def client(server: WinRmServer, *, password: str = "", auth: str = "ntlm", operation: int = 20) -> Protocol:
    return Protocol(
        f"http://127.0.0.1:{server.port}/wsman",
        transport=auth,
        username=server.user,
        password=password or server.password,
        proxy=None,
        ca_trust_path=None,
        operation_timeout_sec=operation,
    )


def fault_code(action) -> int | None:
    with pytest.raises(WSManFaultError) as caught:
        action()
    return caught.value.wsman_fault_code


def test_a_session_from_end_to_end(server: WinRmServer) -> None:
    protocol = client(server)
    shell = protocol.open_shell(codepage=65001, idle_timeout="PT600S")
    command = protocol.run_command(shell, "sh", ["-c", '"cat; echo complaint >&2; exit 7"'], console_mode_stdin=False)
    protocol.send_command_input(shell, command, b"abc\n", end=True)
    assert protocol.get_command_output(shell, command) == (b"abc\n", b"complaint\n", 7)
    protocol.cleanup_command(shell, command)
    protocol.close_shell(shell)
    assert len(server.shells) == 0
    assert server.in_clear == server.stale == 0


def test_a_seal_is_stale_on_a_new_connection_until_the_session_is_closed(server: WinRmServer) -> None:
    protocol = client(server)
    shell = protocol.open_shell()
    server.drop_connections()
    for _ in range(2):
        with pytest.raises(WinRMTransportError) as caught:
            protocol.run_command(shell, "cat")
        assert (caught.value.code, caught.value.response_text) == (400, "")
    assert server.stale == 2
    protocol.transport.close_session()
    assert protocol.run_command(shell, "cat")
    protocol.close_shell(shell)


def test_what_is_not_sealed_is_refused(server: WinRmServer) -> None:
    # pywinrm alone sends in clear after a login that was cut.
    protocol = client(server)
    server.faults.drop_logins = 1
    with pytest.raises(OSError):
        protocol.open_shell()
    with pytest.raises(WinRMTransportError):
        protocol.open_shell()
    assert server.in_clear == 1
    protocol.transport.close_session()
    with pytest.raises(InvalidCredentialsError):
        client(server, auth="basic").open_shell()


def test_a_wrong_password_is_refused_and_noted(server: WinRmServer) -> None:
    protocol = client(server, password="wrong")
    with pytest.raises(InvalidCredentialsError):
        protocol.open_shell()
    assert server.accounts.logins == [(server.user, False)]
    protocol.transport.close_session()


def test_time_runs_out_without_output(server: WinRmServer) -> None:
    protocol = client(server, operation=1)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "cat")
    started = time.monotonic()
    with pytest.raises(WinRMOperationTimeoutError):
        protocol.get_command_output_raw(shell, command)
    assert time.monotonic() - started >= 1
    protocol.close_shell(shell)


def test_output_is_bounded_by_the_envelope_and_held_back(server: WinRmServer) -> None:
    protocol = client(server)
    shell = protocol.open_shell()
    command = protocol.run_command(shell, "head", ["-c", "3000000", "/dev/zero"])
    sizes = []
    done = False
    while not done:
        output, _, _, done = protocol.get_command_output_raw(shell, command)
        sizes.append(len(output))
    assert sum(sizes) == 3_000_000
    # 153600 less the envelope, in base64.
    assert 100_000 < max(sizes) < 153_600 * 3 // 4
    protocol.close_shell(shell)


def test_refusals(server: WinRmServer) -> None:
    protocol = client(server)
    shell = protocol.open_shell()
    assert fault_code(lambda: protocol.run_command("00000000-0000-0000-0000-000000000000", "cat")) == 2150858843
    assert fault_code(lambda: protocol.open_shell(idle_timeout=7200)) == 2150858817
    assert fault_code(lambda: protocol.run_command(shell, "echo", ["x" * 8192])) == 206
    assert fault_code(lambda: protocol.cleanup_command(shell, "nobody")) == winrm_soap.INVALID_PARAMETER
    server.quotas.max_shells = 1
    assert fault_code(protocol.open_shell) == 2150859173
    with pytest.raises(WinRMTransportError) as caught:
        protocol.send_command_input(shell, "any", bytes(400_000))
    assert caught.value.code == 413
    protocol.close_shell(shell)


def test_an_idle_shell_is_closed_with_its_programs(server: WinRmServer) -> None:
    server.quotas.idle_timeout = 0.2
    protocol = client(server)
    shell = protocol.open_shell()
    protocol.run_command(shell, "cat")
    (command,) = server.shells.commands()
    assert command.process.wait(10) != 0
    deadline = time.monotonic() + 60
    while len(server.shells):
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    assert fault_code(lambda: protocol.run_command(shell, "cat")) == 2150858843
    protocol.transport.close_session()


@pytest.mark.parametrize(
    "line", ["echo a & echo b", "echo a | cat", "echo > x", '"echo" "x', "echo x\necho y", "(echo x)", "x" * 8192]
)
def test_a_command_line_that_is_more_than_one_program(line: str) -> None:
    try:
        passed = posix_command_line.through_cmd(line, {})
    except posix_command_line.NotOneCommand:
        return
    # An open quote hides the rest, as in cmd.exe; a quote at the beginning is lost.
    assert line == '"echo" "x'
    assert passed == 'echo" x'


def test_cmd_replaces_variables_also_in_quotes() -> None:
    variables = {"Path": "C:\\x"}
    assert posix_command_line.through_cmd('echo "%PATH%" %no% 100%', variables) == 'echo "C:\\x" %no% 100%'
    assert posix_command_line.through_cmd("echo %PATH^%", variables) == "echo %PATH%"
    assert posix_command_line.split(r'a.exe "b c" d\"e "f\\" g\h ""') == ["a.exe", "b c", 'd"e', "f\\", r"g\h", ""]
