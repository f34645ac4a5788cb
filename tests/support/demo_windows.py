"""``make demo-windows``: a Windows teacher's computer is saved, wiped and brought back over WinRM.

The computer is PowerShell 7 for Windows under Wine, with a Windows registry and Windows paths, behind a WinRM server
of our own on loopback: not Windows. S3 server, Prefect server, worker and deployments are those of ``make demo``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import windows_teacher, wine
from tests.support.demo import TEACHER, Demo, main
from tests.support.loopback_site import LoopbackSite
from tests.support.windows_site import ServerProcess, WindowsSite


class WindowsDemo(Demo):
    """Save, wipe and bring back a Windows teacher's computer (PowerShell 7 under Wine) over WinRM, on real parts."""

    command = "make demo-windows"
    host = "lab4-01"
    awkward = "read-only and hidden ones, names with emoji and trailing dots, a path of 390 characters"
    equal = "equal in content, attributes and 100 ns times, as PowerShell tells them"

    def __init__(self, folder: Path, *, keep: bool) -> None:
        super().__init__(folder, keep=keep)
        self.prefix: wine.WinePrefix | None = None
        self.server: ServerProcess | None = None

    def make_site(self) -> LoopbackSite:
        return WindowsSite(self.folder, tied=not self.keep)

    def make_computer(self) -> str:
        assert isinstance(self.site, WindowsSite)
        self.prefix = wine.new_prefix(self.folder / "windows")
        windows_teacher.make_people(self.prefix, [TEACHER])
        self.home = windows_teacher.fill(self.prefix, TEACHER)
        self.server = ServerProcess(self.prefix, self.folder / "winrm", self.site.winrm_password, tied=not self.keep)
        self.site.add_winrm(self.host, self.server.port, self.server.user, self.server.fingerprint)
        return "a WinRM server, before PowerShell 7 under Wine (it is not Windows)"

    def look(self) -> dict[Any, Any]:
        assert self.prefix is not None
        return windows_teacher.fingerprint(self.prefix, TEACHER)

    def lost(self, before: dict[Any, Any], after: dict[Any, Any]) -> list[str]:
        return windows_teacher.differences(before, after)

    def wipe(self) -> int:
        assert self.prefix is not None
        return windows_teacher.wipe(self.prefix, TEACHER)

    def pids(self) -> list[int]:
        return [*super().pids(), *([self.server.pid] if self.server else [])]

    def last_words(self) -> str:
        assert self.prefix is not None
        return f"WINEPREFIX='{self.prefix.folder}' wineserver -k 2>/dev/null\n"

    def close(self) -> None:
        if self.prefect is not None:
            self.prefect.stop()
            self.prefect = None
        if self.server is not None:
            self.server.stop()
        if self.prefix is not None:
            self.prefix.stop()
        super().close()


def run(argv: Sequence[str] | None = None) -> int:
    """Run the demo, or say in one line what it needs."""
    if what := wine.missing():
        sys.stderr.write(f"make demo-windows needs {what}: {wine.CURE}\n")
        return 2
    return main(argv, WindowsDemo)


if __name__ == "__main__":
    raise SystemExit(run())
