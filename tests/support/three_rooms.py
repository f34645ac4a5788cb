"""The school of ``make demo``: three classrooms with one computer each, teachers with a mailbox, and a plan to wipe.

Each computer has an sshd, a home, a host key and a serial number of its own (``tests.support.classroom``).
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tasks.verbs.clearance import new_key
from tasks.verbs.codes import new_code_key
from tests.support import imager
from tests.support.classroom import Classroom
from tests.support.loopback_site import LoopbackSite
from tests.support.mail_server import PASSWORD, MailServer
from tests.support.plan_site import ZONE, clock_of
from tests.support.teacher_home import make_home

PLAN: Final = "new-system"
#: Computers with their teachers' accounts, and how many files the teacher has, and MiB of video.
TEACHERS: Final = {"room12-1": "a.ito", "room14-1": "m.okafor", "room16-1": "n.lind"}
_SIZES: Final = {"room12-1": (400, 24), "room14-1": (150, 6), "room16-1": (150, 6)}
NAMES: Final = {"a.ito": "Aiko Ito", "m.okafor": "Mary Okafor", "n.lind": "Nils Lind"}
IT: Final = "Jonas Weber"


class ThreeRooms(LoopbackSite):
    """The school ``north``, its computers, its people and its mail server; needs an sshd on this machine."""

    def __init__(self, folder: Path, *, tied: bool = True) -> None:
        super().__init__(folder, tied=tied)
        # Each computer has one of its own.
        self.sshd = None
        self._tied = tied
        self.classroom = Classroom(folder / "computers", TEACHERS)
        self.mail: MailServer | None = None
        self.imaged = folder / "imaged.jsonl"

    def start(self) -> None:
        """Start the servers and the computers, and write everything down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mail = MailServer.start(self.folder / "mail", tied=self._tied)
        self.clearance_key = new_key(self.folder / "clearance.key")
        new_code_key(self.folder / "codes.key")
        super().start()
        for number, (name, computer) in enumerate(self.classroom.computers.items()):
            files, large = _SIZES[name]
            make_home(computer.home, seed=7 + number, files=files, large_mib=large)
        self.classroom.start()
        self._write("people.yaml", {"people": self._people()})
        for folder, content in (("calendars/north", self._calendar()), (f"maintenance/{PLAN}", self._plan())):
            (self.folder / folder).parent.mkdir()
            self._write(f"{folder}.yaml", content)

    def stop(self) -> None:
        """Stop all of it; the folder stays."""
        self.classroom.stop()
        if self.mail is not None:
            self.mail.stop()
        super().stop()

    def write_inventory(self) -> None:
        rooms = {name: name.partition("-")[0] for name in TEACHERS}
        for name, entry in self.classroom.hosts().items():
            self.hosts[name] = {**entry, "groups": [rooms[name], "first-floor"]}
        groups: dict[str, Any] = {
            room: {"kind": "room", "title": f"Room {room.removeprefix('room')}"} for room in rooms.values()
        }
        self._write("inventory/defaults.yaml", {"site": "north", **self.classroom.defaults()})
        self._write("inventory/groups.yaml", {**groups, "first-floor": {"title": "First floor"}})
        self._write("inventory/hosts.yaml", self.hosts)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "FIRSTBELL_MAIL_PASSWORD": PASSWORD}

    def pids(self) -> list[int]:
        """Return the processes of the computers and of the mail server."""
        mail = [self.mail.process.pid] if self.mail is not None else []
        return [*(one.sshd.pid for one in self.classroom.computers.values() if one.is_on), *mail]

    def erased(self) -> dict[str, int]:
        """Return how many paths the imager erased on each computer that it imaged."""
        lines = self.imaged.read_text().splitlines() if self.imaged.exists() else []
        found = [json.loads(line) for line in lines]
        if len({one["host"] for one in found}) != len(found):
            raise SystemExit(f"a computer was imaged twice: {found}")
        return {one["host"]: one["erased"] for one in found}

    def _config(self) -> dict[str, Any]:
        assert self.mail is not None
        return {
            **super()._config(),
            "clearance": {
                "signing_key": f"file:{self.clearance_key.private}",
                "public_keys": [str(self.clearance_key.public)],
            },
            "approval": {"code_key": f"file:{self.folder / 'codes.key'}"},
            "mail": self.mail.config(),
            # Whoever has an account on the machine that this runs on has a profile on these computers, too.
            "gate": {"ignore_profiles": ["*"]},
        }

    @staticmethod
    def _people() -> dict[str, Any]:
        people: dict[str, Any] = {
            key: {"name": name, "email": f"{key}@north.example", "sites": ["north"]} for key, name in NAMES.items()
        }
        return {**people, "j.weber": {"name": IT, "email": "j.weber@north.example", "roles": ["it"]}}

    @staticmethod
    def _calendar() -> dict[str, Any]:
        today = datetime.now(ZONE).date()
        term = {"name": "Term", "first": str(today - timedelta(days=60)), "last": str(today + timedelta(days=60))}
        # The demo runs at any time of any day.
        return {"terms": [term], "quiet_hours": []}

    def _plan(self) -> dict[str, Any]:
        start, end, deadline = (clock_of(hours) for hours in (-1, 8, 1))
        argv = [sys.executable, imager.__file__, str(self.classroom.folder / "{host}")]
        argv += ["--clearance", "{clearance_file}", "--key", str(self.clearance_key.public), "--notes"]
        return {
            "name": PLAN,
            "title": "A new system on the first floor",
            "kind": "reimage",
            "site": "north",
            "hosts": {"groups": ["first-floor"]},
            "window": {"start": start, "end": end},
            "deadline": deadline,
            "action": {"kind": "command", "argv": [*argv, str(self.imaged)], "timeout_minutes": 2},
            "action_minutes": 5,
            "at_once": 3,
        }
