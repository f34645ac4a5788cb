"""The Windows helper through a real sshd whose shell is the cmd.exe of a Windows under Wine."""

from __future__ import annotations

import random
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.entries import WalkRequest
from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost
from tasks.remote.launcher import launch
from tasks.transports.ssh import SshTransport
from tasks.transports.ssh_settings import SshSettings
from tests.support.helper_host import contents, walk
from tests.support.sshd import SshServer
from tests.support.wine import WinePrefix

pytestmark = pytest.mark.ssh


#: sshd gives a program sockets, and Wine wants pipes; the exit code is that of the program between them.
_SHELL = """#!/bin/sh
exec 4>&1
run() { exec env -i ENVIRONMENT PROGRAM "$SSH_ORIGINAL_COMMAND" 3>&- 4>&-; }
status=$( { { cat | (run); echo $? >&3; } | cat >&4; } 3>&1 )
exit "$status"
"""


def shell(windows: WinePrefix, path: Path) -> Path:
    """Write a program that runs what an SSH client asks for in this Windows, as sshd does there: ``cmd.exe /c``."""
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in windows.environment().items())
    program = " ".join(shlex.quote(part) for part in windows.argv("")[:-1])
    path.write_text(_SHELL.replace("ENVIRONMENT", variables).replace("PROGRAM", program))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def server(windows: WinePrefix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    folder = tmp_path_factory.mktemp("windows-sshd")
    program = shell(windows, folder / "shell")
    with SshServer(folder / "sshd", config=(f'ForceCommand "{program}"',), sftp=False) as server:
        yield server


def transport_to(server: SshServer) -> SshTransport:
    settings = SshSettings(
        address=server.address,
        port=server.port,
        user=server.user,
        key_files=(server.client_key,),
        known_hosts=server.known_hosts,
        use_agent=False,
    )
    return SshTransport("pc", settings)


def test_a_windows_is_found_walked_and_read(server: SshServer, windows: WinePrefix) -> None:
    folder = windows.drive / "t"
    folder.mkdir()
    content = bytes(range(256)) * 30_000 + random.Random(1).randbytes(3_000_001)
    (folder / "Übung.bin").write_bytes(content)
    transport = transport_to(server)
    transport.open()
    try:
        assert transport.platform == ""
        host = RemoteHost(*launch(transport))
        assert host.hello.platform == "windows"
        folders, skips = walk(host.source(), WalkRequest((b"/C/t",)))
        assert skips == []
        name = "Übung.bin".encode()
        assert [node.name for node in folders[b"/C/t"].children] == [name]
        assert contents(host.source().read([b"/C/t/" + name]))[0] == {b"/C/t/" + name: content}
        host.close()
    finally:
        transport.close()


def test_openssh_for_windows_is_known_by_its_name(tmp_path: Path) -> None:
    with SshServer(tmp_path / "sshd", config=("VersionAddendum for_Windows_9.5",), sftp=False) as server:
        transport = transport_to(server)
        transport.open()
        try:
            assert transport.platform == "windows"
        finally:
            transport.close()


def test_powershell_as_the_shell_is_told(tmp_path: Path) -> None:
    program = tmp_path / "shell"
    # What PowerShell says to a POSIX shell's command line, and to the question who is there.
    program.write_text(
        '#!/bin/sh\ncase "$SSH_ORIGINAL_COMMAND" in echo*) echo "%OS% Windows_NT";;'
        " *) echo \"The term '/bin/sh' is not recognized\" >&2; exit 1;; esac\n"
    )
    program.chmod(0o755)
    with SshServer(tmp_path / "sshd", config=(f'ForceCommand "{program}"',), sftp=False) as server:
        transport = transport_to(server)
        transport.open()
        try:
            with pytest.raises(HelperFailed, match="PowerShell is the shell of the SSH server") as caught:
                launch(transport)
            assert "DefaultShell" in caught.value.hint
        finally:
            transport.close()
