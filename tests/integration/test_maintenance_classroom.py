"""A room over SSH: one is good, one cannot be saved, one is off, one is refused, one comes back as another."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tasks.verbs.decisions import decide, invite
from tasks.verbs.maintenance import HostStanding, advance_plan, open_maintenance
from tests.support.classroom import Classroom, wait_for_key
from tests.support.maintenance_site import MaintenanceSite

pytestmark = [pytest.mark.ssh, pytest.mark.namespaces]

TEACHERS: Final = {
    "lab3-01": "a.ito",
    "lab3-02": "m.okafor",  # nothing of hers is where it should be
    "lab3-03": "j.lind",  # switched off
    "lab3-04": "s.roy",  # says no
    "lab3-05": "k.berg",  # another computer comes back
}
_IMAGE: Final = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.support.imager import main
room, host, clearance, key = Path(sys.argv[2]), *sys.argv[3:]
(room / "asked").open("a").write(host + "\\n")
serial = ["--serial", "STRANGER"] if host == "lab3-05" else []
sys.exit(main([str(room / host), "--clearance", clearance, "--key", key, *serial]))
"""


class Room(MaintenanceSite):
    """A school of the computers of a classroom."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], classroom: Classroom) -> None:
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

    def files(self, host: str = "lab3-01") -> dict[str, str]:
        """Return what is in a teacher's home."""
        home = self.classroom[host].home
        return {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()}

    def on(self) -> dict[str, HostStanding]:
        """Walk all of them."""
        return {one.host: one for one in advance_plan(self.context(), self.plan, clock=self.clock)}


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Room]:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Classroom(tmp_path / "room", TEACHERS) as classroom:
        for name, computer in classroom.computers.items():
            (computer.home / "Desktop").mkdir()
            for number in range(24):
                (computer.home / "Desktop" / f"lesson {number:02}.txt").write_text(f"{name}: lesson {number}\n" * 40)
        made = Room(tmp_path / "school", capsys, classroom)
        made.init("secret enough")
        yield made


def test_exactly_those_are_wiped_that_may_be_and_everything_comes_back(room: Room) -> None:
    before = {name: room.files(name) for name in TEACHERS}
    keys = {name: room.classroom[name].fingerprint for name in TEACHERS}
    open_maintenance(room.context(), room.plan)
    room.on()
    codes = {one.person: one.code for one in invite(room.context(), room.plan, list(TEACHERS))}
    for name, teacher in TEACHERS.items():
        decide(room.context(), code=codes[teacher], decision="refuse" if name == "lab3-04" else "approve")
    room.classroom["lab3-03"].stop()
    standing = room.on()
    for name in ("lab3-01", "lab3-05"):
        wait_for_key(room.classroom[name])
    # Their sshd may have been away at that moment.
    standing = room.on()
    assert {name: (one.state, one.step) for name, one in standing.items()} == {
        "lab3-01": ("done", "told"),
        "lab3-02": ("waits", "held"),
        "lab3-03": ("waits", "unreachable"),
        "lab3-04": ("waits", "refused"),
        "lab3-05": ("attention", "attention"),
    }
    asked = (room.classroom.folder / "asked").read_text().split()
    assert sorted(asked) == ["lab3-01", "lab3-05"]
    assert room.classroom["lab3-01"].fingerprint != keys["lab3-01"]
    assert [room.classroom[name].fingerprint for name in ("lab3-02", "lab3-03", "lab3-04")] == [
        keys[name] for name in ("lab3-02", "lab3-03", "lab3-04")
    ]
    # The stranger got nothing; the others are as they were.
    assert room.files("lab3-05") == {}
    assert {name: room.files(name) for name in TEACHERS if name != "lab3-05"} == {
        name: files for name, files in before.items() if name != "lab3-05"
    }
    # The right computer is found, and the one that was off is switched on: all goes on by itself.
    room.classroom["lab3-05"].serial = "SN-LAB3-05"
    room.classroom["lab3-03"].start()
    standing = room.on()
    wait_for_key(room.classroom["lab3-03"])
    standing = room.on()
    assert [standing[name].state for name in ("lab3-01", "lab3-03", "lab3-05")] == ["done"] * 3
    assert {name: room.files(name) for name in TEACHERS} == before
    room.later(hours=11)
    standing = room.on()
    assert {name: one.state for name, one in standing.items()} == {
        "lab3-01": "done",
        "lab3-02": "untouched",
        "lab3-03": "done",
        "lab3-04": "untouched",
        "lab3-05": "done",
    }
    assert {name: room.files(name) for name in TEACHERS} == before
    assert sorted((room.classroom.folder / "asked").read_text().split()) == ["lab3-01", "lab3-03", "lab3-05"]
