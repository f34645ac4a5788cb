"""A school whose computers are folders of this machine, and an imager that wipes them: quick, and all of it real."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from configs.maintenance import MaintenancePlan
from tasks.events import Event, Milestone
from tasks.policy.maintenance import Agreement
from tasks.records.store import FOLDER, RecordStore
from tasks.verbs.clearance import new_key
from tasks.verbs.maintenance import HostStanding, advance_plan, open_maintenance
from tasks.verbs.maintenance_hands import Hands
from tasks.verbs.maintenance_plan import plan_of
from tasks.verbs.maintenance_wiring import real_hands
from tests.support.plan_site import PlanSite, clock_of

PLAN: Final = "lab3"

#: Wipes a home, once it has seen a clearance that is good; what it did stands in a file.
_IMAGER: Final = """
import json, shutil, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tasks.verbs.clearance import verify_clearance
folder, host, home, clearance = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
later = folder / "later"
now = datetime.now(UTC) + timedelta(seconds=float(later.read_text()) if later.exists() else 0)
found = verify_clearance(clearance.read_text(), [str(folder / "clearance.key.pub.pem")], host=host, now=now)
for path in home.iterdir():
    shutil.rmtree(path) if path.is_dir() else path.unlink()
(home / "Desktop").mkdir()
(home / "Desktop" / "Welcome.txt").write_text("a fresh computer")
with (folder / "wiped.jsonl").open("a") as file:
    file.write(json.dumps({"host": host, "clearance": found.id, "snapshot": found.snapshot}) + "\\n")
"""


class MaintenanceSite(PlanSite):
    """Each computer has a home of its own; ``wiped`` tells what the imager did."""

    def __init__(self, folder: Path, capture: Any, *, teachers: Mapping[str, str] | None = None) -> None:
        """Write it all; ``teachers`` has the account of each computer's teacher."""
        self.teachers = dict(teachers or {"lab3-07": "a.ito"})
        hosts = tuple(self.teachers)
        super().__init__(folder, capture, hosts=hosts)
        self._ahead = 0.0
        for name in hosts:
            home = self.home_of(name)
            if not home.exists():
                (home / "Desktop").mkdir(parents=True)
                (home / "Papers").mkdir()
                for number in range(24):
                    (home / "Desktop" / f"lesson {number:02}.txt").write_text(f"{name}: lesson {number}\n" * 40)
                (home / "Papers" / "exam.txt").write_text(f"{name}: the exam")
            self.hosts[name] |= {"homes": {self.teachers[name]: str(home)}, "teachers": [self.teachers[name]]}
        key = new_key(folder / "clearance.key")
        self.config["clearance"] = {"signing_key": f"file:{key.private}", "public_keys": [str(key.public)]}
        (folder / "codes.key").write_text("0123456789abcdef" * 4)
        (folder / "codes.key").chmod(0o600)
        self.config["approval"] = {"code_key": f"file:{folder / 'codes.key'}"}
        self.people = {one: {"name": one.title(), "sites": ["north"]} for one in self.teachers.values()}
        (folder / "imager.py").write_text(_IMAGER)
        self.write_all()
        self.write_calendar()
        self.write_maintenance()

    def home_of(self, name: str) -> Path:
        """Return the home on one of the computers."""
        return self.folder / "computers" / name / "home"

    def write_maintenance(self, **changes: Any) -> dict[str, Any]:
        """Write a plan whose window is open now."""
        end = clock_of(10)
        home = str(self.folder / "computers" / "{host}" / "home")
        argv = [sys.executable, str(self.folder / "imager.py"), str(self.folder), "{host}", home, "{clearance_file}"]
        values = {
            "window": {"start": clock_of(-1), "end": end},
            "deadline": end,
            "action": {"kind": "command", "argv": argv, "timeout_minutes": 2},
            "approvals": {"by": "none"},
            "action_minutes": 1,
            "at_once": 2,
            **changes,
        }
        return self.write_plan(PLAN, **values)

    @property
    def plan(self) -> MaintenancePlan:
        """Return the plan as it stands in its file."""
        return plan_of(self.context(), PLAN)

    def open(self) -> None:
        """Begin the maintenance."""
        open_maintenance(self.context(), self.plan)

    def walk(self, hands: Hands | None = None, **options: Any) -> dict[str, HostStanding]:
        """Walk every computer once."""
        options = {"clock": self.clock, **options}
        found = advance_plan(self.context(), self.plan, hands=hands or self.hands(), **options)
        return {one.host: one for one in found}

    def hands(self, **changes: Any) -> Hands:
        """Return ``quiet_hands``, some of them others."""
        return replace(quiet_hands(), **changes)

    def clock(self) -> datetime:
        """Return the time by the worker's clock, which ``later`` sets ahead; the imager has the same."""
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def later(self, **by: float) -> None:
        """Let time pass."""
        self._ahead += timedelta(**by).total_seconds()
        (self.folder / "later").write_text(str(self._ahead))

    @property
    def wiped(self) -> list[dict[str, str]]:
        """Return what the imager did, in order."""
        path = self.folder / "wiped.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def steps(self, host: str = "lab3-07") -> list[str]:
        """Return the steps of a computer, in order."""
        return [record["step"] for record in self.records(host)]

    def records(self, host: str = "lab3-07") -> list[dict[str, Any]]:
        """Return what is written down of a computer."""
        folder = self.folder / "repository" / FOLDER / "maintenance-step" / PLAN / host
        return [json.loads(path.read_text())["data"] for path in sorted(folder.iterdir())] if folder.exists() else []

    def files(self, host: str = "lab3-07") -> dict[str, str]:
        """Return the files in the home of a computer, by path, but what a fresh one has anyway."""
        home = self.home_of(host)
        found = {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()}
        return {name: text for name, text in found.items() if not name.endswith("Welcome.txt")}

    def store(self) -> RecordStore:
        """Return the records beside the repository."""
        from tasks.backends.local import LocalBackend

        return RecordStore(LocalBackend(self.folder / "repository"))


def quiet_hands() -> Hands:
    """Return the real hands; people agree, and what they would be told is not written."""
    return replace(
        real_hands(),
        announce=lambda *_: None,
        agreement=lambda *_: Agreement(agreed=True, by=("Aiko Ito",)),
        tell=lambda *_: None,
    )


def collected(events: list[Event]) -> list[str]:
    """Return the kinds of the milestones among events."""
    return [event.kind for event in events if isinstance(event, Milestone)]
