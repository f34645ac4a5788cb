"""A computer walked through a maintenance, on real parts: saved, cleared, wiped, back, restored, accepted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.events import Event
from tasks.verbs.decisions import decide, invite
from tasks.verbs.maintenance import accept_return
from tasks.verbs.maintenance_wiring import real_hands
from tests.support.maintenance_site import MaintenanceSite, collected

HOST = "lab3-07"
Make = Callable[..., MaintenanceSite]


@pytest.fixture
def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., MaintenanceSite]:
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


def test_the_whole_way(make: Make) -> None:
    site = make()
    before = site.files()
    site.open()
    events: list[Event] = []
    standing = site.walk(report=events.append)[HOST]
    assert standing.reasons == ()
    assert site.steps() == [
        "opened", "announced", "agreed", "woken", "saved", "verified", "refreshed", "cleared", "started", "done",
        "returned", "identified", "brought", "restored", "checked", "told",
    ]  # fmt: skip
    assert (standing.state, standing.step) == ("done", "told")
    assert site.files() == before
    (wiped,) = site.wiped
    cleared = next(one["detail"] for one in site.records() if one["step"] == "cleared")
    assert (wiped["clearance"], wiped["snapshot"]) == (cleared["clearance"], cleared["snapshot"])
    accept_return(site.context(), site.plan, HOST, by="Aiko Ito")
    standing = site.walk()[HOST]
    assert (standing.state, standing.step) == ("done", "accepted")
    assert len(site.wiped) == 1
    assert collected(events) == [
        "snapshot.completed", "clearance.issued", "host.returned", "restore.completed"
    ]  # fmt: skip


def test_of_three_computers_only_the_one_that_was_agreed_to_is_wiped(make: Make) -> None:
    """With nothing but the real hands: the teachers' own codes, the gate, the letters."""
    site = make(teachers={"lab3-07": "a.ito", "lab3-08": "m.okafor", "lab3-09": "j.lind"})
    before = {name: site.files(name) for name in site.teachers}
    site.write_maintenance(approvals={"by": "teachers"})
    site.open()
    standing = site.walk(real_hands())
    assert {one.state for one in standing.values()} == {"waits"}
    assert standing["lab3-09"].text == "J.Lind has not answered"
    assert site.wiped == []
    codes = {one.person: one.code for one in invite(site.context(), site.plan, list(site.teachers))}
    decide(site.context(), code=codes["a.ito"], decision="approve")
    decide(site.context(), code=codes["m.okafor"], decision="refuse")
    standing = site.walk(real_hands())
    assert {name: (one.state, one.step) for name, one in standing.items()} == {
        "lab3-07": ("done", "told"),
        "lab3-08": ("waits", "refused"),
        "lab3-09": ("waits", "announced"),
    }
    assert [one["host"] for one in site.wiped] == ["lab3-07"]
    assert {name: site.files(name) for name in site.teachers} == before
    site.later(hours=11)
    standing = site.walk(real_hands())
    assert [one.state for one in standing.values()] == ["done", "untouched", "untouched"]
    assert {name: site.files(name) for name in site.teachers} == before
    assert len(site.wiped) == 1


def test_none_is_begun_that_would_not_be_ready_by_the_end_of_the_window(make: Make) -> None:
    site = make()
    site.write_maintenance(action_minutes=60)
    site.open()
    site.later(hours=9, minutes=30)
    standing = site.walk()[HOST]
    assert (standing.state, standing.step) == ("waits", "held")
    assert standing.reasons[0].startswith("there is not enough time left")
    assert site.wiped == []
