"""A school whose computers stand in one classroom, each behind an sshd of its own, and an imager that counts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from tasks.verbs.maintenance import HostStanding, advance_plan
from tests.support.classroom import Classroom
from tests.support.maintenance_site import MaintenanceSite

TEACHERS: Final = {
    "lab3-01": "a.ito",
    "lab3-02": "m.okafor",  # nothing of hers is where it should be
    "lab3-03": "j.lind",  # switched off
    "lab3-04": "s.roy",  # says no
    "lab3-05": "k.berg",  # another computer comes back
}
#: Writes down whom it was asked to image; the first one waits while a file says so.
_IMAGE: Final = """
import os, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.support.imager import main
room, host, clearance, key = Path(sys.argv[2]), *sys.argv[3:]
# When the worker is killed nobody reads what is printed, and whoever prints ends.
for number in (1, 2):
    os.dup2(os.open(room / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
(room / "asked").open("a").write(host + "\\n")
while (room / "wait").exists() and (room / "asked").read_text().split()[0] == host:
    threading.Event().wait(0.05)
serial = ["--serial", "STRANGER"] if host == "lab3-05" else []
code = main([str(room / host), "--clearance", clearance, "--key", key, *serial])
(room / "ended").open("a").write(host + "\\n")
sys.exit(code)
"""


class Room(MaintenanceSite):
    """A school of the computers of a classroom."""

    def __init__(self, folder: Path, capture: Any, classroom: Classroom) -> None:
        super().__init__(folder, capture, teachers=TEACHERS)
        self.classroom = classroom
        common = {"site": "north", "groups": ["lab-3"], **classroom.defaults()}
        self.hosts = {name: {**common, **entry} for name, entry in classroom.hosts().items()}
        self.hosts["lab3-02"]["homes"] = {"m.okafor": str(folder / "nowhere")}
        self.write_all()
        (folder / "image.py").write_text(_IMAGE)
        root = str(Path(__file__).parents[2])
        argv = [sys.executable, str(folder / "image.py"), root, str(classroom.folder), "{host}", "{clearance_file}"]
        action = {"kind": "command", "argv": [*argv, str(folder / "clearance.key.pub.pem")]}
        self.write_maintenance(action=action, approvals={"by": "teachers"}, at_once=3)

    @property
    def asked(self) -> list[str]:
        """The computers that the imager was begun for, in order."""
        return self._told("asked")

    @property
    def ended(self) -> list[str]:
        """Those of them that it is done with."""
        return self._told("ended")

    def _told(self, name: str) -> list[str]:
        path = self.classroom.folder / name
        return path.read_text().split() if path.exists() else []

    def files(self, host: str = "lab3-01") -> dict[str, str]:
        """Return what is in a teacher's home."""
        home = self.classroom[host].home
        return {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()}

    def on(self) -> dict[str, HostStanding]:
        """Walk all of them."""
        return {one.host: one for one in advance_plan(self.context(), self.plan, clock=self.clock)}


def fill(classroom: Classroom) -> None:
    """Put a few lessons onto the desktop of each teacher."""
    for name, computer in classroom.computers.items():
        (computer.home / "Desktop").mkdir()
        for number in range(24):
            (computer.home / "Desktop" / f"lesson {number:02}.txt").write_text(f"{name}: lesson {number}\n" * 40)
