"""PowerShell for Windows behind the WinRM server: the whole way of a helper's bytes, also over a bad connection."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from tasks.transports.winrm import WinRmSettings, WinRmTransport
from tests.support.wine import POWERSHELL, WinePrefix, run_command_line
from tests.support.winrm_server import WinRmServer

_ARGV = [POWERSHELL, "-NoLogo", "-NoProfile", "-NonInteractive", "-InputFormat", "None", "-Command"]


@pytest.fixture
def server(windows: WinePrefix) -> Iterator[WinRmServer]:
    with WinRmServer(lambda line: run_command_line(windows, line)) as server:
        yield server


@pytest.fixture
def transport(server: WinRmServer) -> Iterator[WinRmTransport]:
    settings = WinRmSettings(server.address, server.port, "http", user=server.user, password=SecretStr(server.password))
    transport = WinRmTransport("lab3-07", settings)
    transport.open()
    yield transport
    transport.close()


def test_bytes_pass_through_powershell_and_cut_connections(server: WinRmServer, transport: WinRmTransport) -> None:
    script = (
        "$in = [Console]::OpenStandardInput(); $out = [Console]::OpenStandardOutput(); "
        "$in.CopyTo($out); $out.Flush(); exit 7"
    )
    stream = transport.start([*_ARGV, script])
    server.faults.drop_when = "answered"
    server.faults.drop_every = 3
    data = os.urandom(1_000_000)
    stream.write(data)
    stream.finish_input()
    received = b""
    while piece := stream.read(1 << 20):
        received += piece
    assert received == data
    assert stream.wait(60) == 7
    assert server.faults.dropped >= 2


def test_closing_lets_a_program_tidy_up(server: WinRmServer, transport: WinRmTransport, windows: WinePrefix) -> None:
    script = (
        "[IO.File]::WriteAllText('C:\\windows\\temp\\journal', 'x'); [Console]::Out.Write('up'); "
        "$in = [Console]::OpenStandardInput(); while ($in.ReadByte() -ge 0) { }; "
        "[IO.File]::Delete('C:\\windows\\temp\\journal')"
    )
    stream = transport.start([*_ARGV, script])
    assert stream.read(2) == b"up"
    journal = windows.local(r"C:\windows\temp\journal")
    assert journal.exists()
    transport.close()
    assert not journal.exists()
    assert not server.shells.commands()
