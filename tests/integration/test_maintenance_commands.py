"""``firstbell maintenance``: from open to accept on the command line, and what each command ends with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.maintenance_site import MaintenanceSite

Make = Callable[..., MaintenanceSite]
BOTH = {"lab3-07": "a.ito", "lab3-08": "m.okafor"}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Make:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))

    def site(**options: Any) -> MaintenanceSite:
        made = MaintenanceSite(tmp_path / "school", capsys, **options)
        made.init("secret enough")
        return made

    return site


def standings(lines: list[dict[str, Any]]) -> dict[str, str]:
    return {one["host"]: one["state"] for one in lines if one["type"] == "standing"}


def test_from_open_to_accept(make: Make) -> None:
    site = make()
    before = site.files()
    code, out, err = site.say("maintenance", "status", "lab3")
    assert (code, out) == (0, "")
    assert err == "this maintenance was not opened yet: firstbell maintenance open lab3\n"
    code, _, err = site.say("maintenance", "run", "lab3")
    assert (code, "firstbell maintenance open lab3" in err) == (1, True)
    assert standings(site.run("maintenance", "open", "lab3")[1]) == {"lab3-07": "waits"}
    assert site.wiped == []
    code, lines = site.run("maintenance", "run", "lab3", "--wait")
    assert (code, standings(lines)) == (0, {"lab3-07": "done"})
    kinds = [one["kind"] for one in lines if one["type"] == "milestone"]
    assert kinds == ["snapshot.completed", "clearance.issued", "host.returned", "restore.completed"]
    assert site.files() == before
    assert len(site.wiped) == 1
    code, out, _ = site.say("maintenance", "status", "lab3")
    assert "lab3-07  -> the teacher or IT looks, and accepts it" in out
    site.say("maintenance", "accept", "lab3", "LAB3-07", "--by", "Aiko Ito")
    code, out, _ = site.say("maintenance", "run", "lab3")
    assert (code, out.splitlines()[-1]) == (0, "1 computer is done")
    assert len(site.wiped) == 1


def test_what_was_stopped_stays_as_it_is(make: Make) -> None:
    site = make(teachers=BOTH)
    site.say("maintenance", "open", "lab3")
    assert site.run("maintenance", "list")[1][0]["state"] == "open"
    code, lines = site.run("maintenance", "cancel", "lab3", "--by", "Jonas", "--reason", "the image is not ready")
    assert site.run("maintenance", "list")[1][0]["state"] == "stopped"
    assert (code, standings(lines)) == (0, {"lab3-07": "waits", "lab3-08": "waits"})
    code, lines = site.run("maintenance", "run", "lab3", "--wait")
    assert (code, standings(lines)) == (0, {"lab3-07": "untouched", "lab3-08": "untouched"})
    assert site.wiped == []


def test_one_computer_alone_and_one_that_needs_somebody(make: Make) -> None:
    site = make(teachers=BOTH)
    site.say("maintenance", "open", "lab3")
    code, lines = site.run("maintenance", "run", "lab3", "--host", "lab3-07")
    assert (code, standings(lines)) == (0, {"lab3-07": "done", "lab3-08": "waits"})
    del site.hosts["lab3-08"]
    site.write_all()
    code, lines = site.run("maintenance", "run", "lab3")
    assert (code, standings(lines)) == (3, {"lab3-07": "done", "lab3-08": "attention"})
    assert "there is no host 'lab3-08'" in lines[-1]["text"]
    assert [one["host"] for one in site.wiped] == ["lab3-07"]


def test_two_maintenances_do_not_have_the_same_computer_at_the_same_time(make: Make) -> None:
    site = make(teachers=BOTH)
    site.say("maintenance", "open", "lab3")
    second = site.write_maintenance()
    site.write_plan("again", **{key: value for key, value in second.items() if key != "name"})
    text = "The maintenance 'lab3' has lab3-07, lab3-08 at the same time. Leave them out here."
    assert site.last("maintenance", "plan", "again", expect=1)["refused"] == [text]
    code, _, err = site.say("maintenance", "open", "again")
    assert (code, text in err) == (1, True)
    site.say("maintenance", "run", "lab3", "--host", "lab3-07")
    (text,) = site.last("maintenance", "plan", "again", expect=1)["refused"]
    assert text == "The maintenance 'lab3' has lab3-08 at the same time. Leave them out here."
    site.say("maintenance", "cancel", "lab3", "--by", "Jonas", "--reason", "again")
    assert site.last("maintenance", "plan", "again", expect=0)["refused"] == []


def test_a_plan_that_was_changed_after_people_were_told_is_refused(make: Make) -> None:
    site = make()
    site.say("maintenance", "open", "lab3")
    site.write_maintenance(at_once=1)
    code, _, err = site.say("maintenance", "open", "lab3")
    assert (code, "is not the one that people were told of" in err) == (1, True)
    code, lines = site.run("maintenance", "run", "lab3")
    assert (code, standings(lines)) == (1, {"lab3-07": "attention"})
    assert site.wiped == []


def test_nothing_can_be_confirmed_or_accepted_before_its_time(make: Make) -> None:
    site = make()
    site.say("maintenance", "open", "lab3")
    code, _, err = site.say("maintenance", "confirm", "lab3", "lab3-07", "--by", "Jonas")
    assert (code, "nothing was begun on lab3-07" in err) == (1, True)
    code, _, err = site.say("maintenance", "accept", "lab3", "lab3-07", "--by", "Jonas")
    assert (code, "lab3-07 was not given back yet" in err) == (1, True)
    code, _, err = site.say("maintenance", "accept", "lab3", "lab9-01", "--by", "Jonas")
    assert (code, "is none of the computers of the maintenance" in err) == (1, True)
