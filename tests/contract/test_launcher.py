"""Starting the helper: through noise, past old interpreters, with advice when it cannot be."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.errors import HelperFailed
from tasks.remote.launcher import launch
from tasks.transports.local import LocalStream, LocalTransport
from tests.support.helper_host import LocalAs, interpreters


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class Bare(LocalTransport):
    """A host whose programs are those of one folder, and the shell; ``places`` are where its interpreters may be."""

    def __init__(self, folder: Path, *, places: str = "python3 /usr/bin/python3") -> None:
        super().__init__("lab-1", idle_timeout=10.0, environment={"PATH": str(folder)})
        self._places = places

    def start(self, argv: Sequence[str]) -> LocalStream:
        return super().start([re.sub(r"^for p in [^;]*;", f"for p in {self._places};", part) for part in argv])


@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda path: path.parent.parent.name)
def test_hello(interpreter: Path) -> None:
    transport = LocalAs(interpreter)
    transport.open()
    channel, hello = launch(transport)
    assert hello.uid == os.geteuid()
    assert hello.platform == ("darwin" if sys.platform == "darwin" else "linux")
    assert hello.hostname
    assert hello.pid > 0
    channel.close()
    transport.close()


@pytest.mark.parametrize(
    "noise",
    [
        "echo 'Welcome to lab-1!'",
        "printf 'no newline at the end'",
        'printf \'firstbell-helper 0123456789abcdef\\n{"t":"hello"}\\n\'',
        "head -c 60000 /dev/zero",
        "echo on-stderr >&2",
    ],
)
def test_noise_before_the_helper_is_borne(noise: str) -> None:
    transport = LocalAs(shell_noise=noise)
    transport.open()
    try:
        assert launch(transport)[1].uid == os.geteuid()
    finally:
        transport.close()


def test_endless_noise_is_not() -> None:
    transport = LocalAs(shell_noise="head -c 200000 /dev/zero | tr '\\0' A")
    transport.open()
    try:
        with pytest.raises(HelperFailed, match=r"^here: instead of the helper, the host sent 'AAAA") as caught:
            launch(transport)
        assert ".bashrc" in caught.value.hint
    finally:
        transport.close()


def test_a_host_without_python_is_told(tmp_path: Path) -> None:
    transport = Bare(tmp_path, places="python3")
    transport.open()
    try:
        with pytest.raises(HelperFailed, match=r"^lab-1: there is no Python 3.6 or newer") as caught:
            launch(transport)
        assert "apt install python3" in caught.value.hint
    finally:
        transport.close()


def test_an_interpreter_that_is_too_old_or_broken_is_passed_over(tmp_path: Path) -> None:
    # Stands for a Python 3.5: it runs, and says that the version does not do.
    script(tmp_path / "python3", "#!/bin/sh\nexit 1\n")
    os.symlink("/bin/sh", tmp_path / "sh")
    if not Path("/usr/bin/python3").exists():
        pytest.skip("needs a python3 in /usr/bin")
    transport = Bare(tmp_path)
    transport.open()
    try:
        assert launch(transport)[1].pid > 0
    finally:
        transport.close()


def test_the_stub_of_macos_is_not_started_without_its_tools(tmp_path: Path) -> None:
    script(tmp_path / "uname", "#!/bin/sh\necho Darwin\n")
    script(tmp_path / "xcode-select", "#!/bin/sh\nexit 2\n")
    transport = Bare(tmp_path)
    transport.open()
    try:
        with pytest.raises(HelperFailed, match="there is no Python"):
            launch(transport)
    finally:
        transport.close()


def test_sudo_that_asks_for_a_password_is_told(tmp_path: Path) -> None:
    script(tmp_path / "id", "#!/bin/sh\necho 1000\n")
    script(tmp_path / "sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    transport = Bare(tmp_path)
    transport.open()
    try:
        with pytest.raises(HelperFailed, match=r"^lab-1: sudo refused") as caught:
            launch(transport, become="sudo")
        assert "NOPASSWD" in caught.value.hint
    finally:
        transport.close()


def test_a_host_without_sudo_is_told(tmp_path: Path) -> None:
    script(tmp_path / "id", "#!/bin/sh\necho 1000\n")
    transport = Bare(tmp_path)
    transport.open()
    try:
        with pytest.raises(HelperFailed, match="sudo is not installed"):
            launch(transport, become="sudo")
    finally:
        transport.close()


def test_sudo_starts_the_helper(tmp_path: Path) -> None:
    script(tmp_path / "id", "#!/bin/sh\necho 1000\n")
    # What sudo does with these arguments, without asking for rights.
    script(tmp_path / "sudo", '#!/bin/sh\n[ "$1 $2" = "-n --" ] || exit 9\nshift 2\nexec "$@"\n')
    transport = Bare(tmp_path)
    transport.open()
    try:
        assert launch(transport, become="sudo")[1].pid > 0
    finally:
        transport.close()


def test_a_host_without_a_shell_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoShell(LocalTransport):
        def start(self, argv: Sequence[str]) -> LocalStream:
            return super().start(["/no/such/shell", *argv[1:]])

    transport = NoShell("lab-1")
    transport.open()
    try:
        with pytest.raises(HelperFailed, match="no such command") as caught:
            launch(transport)
        assert "/bin/sh" in caught.value.hint
    finally:
        transport.close()


def test_other_ways_to_become_root_are_refused() -> None:
    with pytest.raises(ValueError, match="doas"):
        launch(LocalTransport("lab-1"), become="doas")
