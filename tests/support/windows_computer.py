"""One Windows computer of the school for one test: a Windows under Wine, a teacher's files, a WinRM server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import windows_teacher
from tests.support.certificate import make_certificate
from tests.support.command_run import host_result, json_lines, wait_until
from tests.support.windows_site import WindowsSite
from tests.support.wine import WinePrefix, new_prefix, run_command_line
from tests.support.winrm_server import WinRmServer

TEACHER = "a.ito"


class WindowsComputer:
    """``name`` in the inventory; ``lines`` are the command lines that it was given."""

    def __init__(self, name: str, folder: Path, site: WindowsSite) -> None:
        self.name = name
        self.site = site
        self.lines: list[str] = []
        folder.mkdir()
        self.prefix: WinePrefix = new_prefix(folder / "windows")
        windows_teacher.make_people(self.prefix, [TEACHER])
        self.server = WinRmServer(self._run, password=site.winrm_password, certificate=make_certificate(folder))

    def _run(self, line: str) -> subprocess.Popen[bytes]:
        self.lines.append(line)
        return run_command_line(self.prefix, line)

    @property
    def home(self) -> Path:
        """Where the teacher's profile lies on this machine."""
        return windows_teacher.home_of(self.prefix, TEACHER)

    def snapshot(self) -> dict[str, Any]:
        """Save it and return what the command line says of it."""
        return host_result(self.site.run("snapshot", self.name, "--json", check=False).stdout)

    def restore(self, *arguments: str, check: bool = True) -> dict[str, Any]:
        """Restore it and return what the command line says at the end."""
        done = self.site.run("restore", self.name, "--yes", "--json", *arguments, check=check)
        return json_lines(done.stdout)[-1]

    def expect_nothing_left(self) -> None:
        """Wait until nothing of ours is on its disk and nothing of ours runs there; fail when that is never so."""
        wait_until(lambda: not self.left_behind(), what=f"the end of {self.left_behind()}")

    def left_behind(self) -> list[str]:
        """Return what lies on its disk that is ours, and what still runs there."""
        names = [os.path.join(at, one) for at, _, files in os.walk(self.prefix.drive) for one in files]
        return [name for name in names if "firstbell" in os.path.basename(name).lower()] + self.programs()

    def programs(self) -> list[str]:
        """Return the command lines of PowerShells that run there."""
        mark = f"WINEPREFIX={self.prefix.folder}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue  # it ended meanwhile
        return [line for line in found if "powershell.exe" in line.lower()]


@contextmanager
def windows_computer(name: str, folder: Path, site: WindowsSite, **entry: Any) -> Iterator[WindowsComputer]:
    """Give a computer over WinRM; ``entry`` are further keys of the inventory."""
    computer = WindowsComputer(name, folder, site)
    try:
        with computer.server:
            site.add_windows(name, computer.server, **entry)
            yield computer
    finally:
        site.hosts.pop(name, None)
        computer.prefix.close()
