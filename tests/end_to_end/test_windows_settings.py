"""A Windows teacher's settings through the command line: saved by the catalog, wiped, put back, and told of later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.windows_computer import WindowsComputer, windows_computer
from tests.support.windows_site import WindowsSite
from tests.support.wine import POWERSHELL, run_command_line

pytestmark = [pytest.mark.wine, pytest.mark.s3]

DESKTOP = r"HKCU\Control Panel\Desktop"
PRINTERS = r"HKCU\Printers\Connections"
PRINTER = rf"{PRINTERS}\,,north-print,Room 12"
RUN_ONCE = r"HKCU\Software\Microsoft\Windows\CurrentVersion\RunOnce"


@pytest.fixture
def computer(windows_site: WindowsSite, tmp_path: Path) -> Iterator[WindowsComputer]:
    with windows_computer(tmp_path.name.replace("_", "-"), tmp_path / "pc", windows_site) as computer:
        yield computer


def _value(computer: WindowsComputer, key: str, name: str) -> str:
    """Return what reg.exe says of a value: its kind and data."""
    found = [line.split() for line in computer.prefix.run("reg", "query", key, "/v", name).splitlines()]
    (words,) = [words for words in found if words[:1] == [name]]
    return " ".join(words[1:])


def test_settings_come_back_by_themselves_and_at_the_first_sign_in(computer: WindowsComputer) -> None:
    prefix, site = computer.prefix, computer.site
    prefix.registry(DESKTOP, "WallPaper", r"C:\Users\a.ito\Pictures\sea.jpg")
    prefix.registry(PRINTER, "Server", r"\\north-print")
    signature = computer.home / "AppData/Roaming/Microsoft/Signatures/School.htm"
    signature.parent.mkdir(parents=True)
    signature.write_bytes(b"<p>A. Ito</p>")
    saved = computer.snapshot()
    assert saved["state"] in ("complete", "complete-with-acknowledged-skips"), saved

    # A new image: another installation, with defaults of its own.
    prefix.registry(r"HKLM\SOFTWARE\Microsoft\Cryptography", "MachineGuid", "11111111-2222-3333-4444-555555555555")
    prefix.registry(DESKTOP, "WallPaper", r"C:\Windows\img0.jpg")
    prefix.run("reg", "delete", PRINTERS, "/f")
    signature.unlink()
    told = site.run("restore", computer.name, "--yes").stdout
    assert _value(computer, DESKTOP, "WallPaper") == r"REG_SZ C:\Users\a.ito\Pictures\sea.jpg"
    assert signature.read_bytes() == b"<p>A. Ito</p>"
    assert "coming back when they first sign in" in told, told
    assert "Printers\\Connections" not in prefix.run("reg", "query", r"HKCU", "/s")
    again = site.run("restore", computer.name, "--settings-only", "--yes").stdout
    assert "settings as they were" in again
    assert "put back" not in again, again

    line = _value(computer, RUN_ONCE, "firstbell").removeprefix("REG_SZ ")
    assert line.startswith(POWERSHELL)
    # Windows takes the line away and runs it, when the teacher signs in.
    prefix.run("reg", "delete", RUN_ONCE, "/v", "firstbell", "/f")
    with run_command_line(prefix, line.replace("-WindowStyle Hidden ", "")) as process:
        assert process.communicate(timeout=180) == (b"", b"")
    assert _value(computer, PRINTER, "Server") == r"REG_SZ \\north-print"
    second = site.run("snapshot", computer.name)
    assert "settings were put back: " in second.stdout + second.stderr
