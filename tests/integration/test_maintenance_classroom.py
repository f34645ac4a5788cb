"""A room over SSH: one is good, one cannot be saved, one is off, one is refused, one comes back as another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.verbs.decisions import decide, invite
from tasks.verbs.maintenance import open_maintenance
from tests.support.classroom import Classroom, wait_for_key
from tests.support.room_site import TEACHERS, Room, fill

pytestmark = [pytest.mark.ssh, pytest.mark.namespaces]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Room]:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Classroom(tmp_path / "room", TEACHERS) as classroom:
        fill(classroom)
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
    assert sorted(room.asked) == ["lab3-01", "lab3-05"]
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
    assert sorted(room.asked) == ["lab3-01", "lab3-03", "lab3-05"]
