"""``firstbell maintenance plan`` and ``list``: what a plan would touch, and every reason why it must not begin."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.plan_site import ZONE, PlanSite


@pytest.fixture
def site(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> PlanSite:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "the password of the school")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = PlanSite(tmp_path, capsys)
    found.init("the password of the school")
    found.write_calendar()
    return found


def test_a_plan_that_can_begin(site: PlanSite) -> None:
    site.write_plan()
    assert site.run("snapshot", "lab3-07")[0] == 0
    found = site.last("maintenance", "plan", "lab3", expect=0)
    assert found["refused"] == []
    first, second = found["hosts"]
    assert (first["host"], first["measured"], first["asked"]) == ("lab3-07", True, ["a.ito"])
    assert first["bytes"] == sum(one.stat().st_size for one in (site.home / "Desktop").iterdir())
    assert (second["host"], second["measured"]) == ("lab3-08", False)
    assert found["finish"] < found["end"]
    code, out, _ = site.say("maintenance", "plan", "lab3")
    assert code == 0
    assert "This plan can begin: firstbell maintenance open lab3" in out


def test_every_problem_is_told_at_once_with_its_cure(site: PlanSite) -> None:
    site.write_plan(action_minutes=5 * 60, at_once=1)
    site.write_plan("other")
    del site.config["clearance"], site.config["approval"]
    without = {key: value for key, value in site.host.items() if key not in {"teachers", "homes"}}
    site.hosts["lab3-08"] = {**without, "teachers": ["m.okafor"]}
    site.hosts["lab3-09"] = without
    site.write_all()
    code, out, _ = site.say("maintenance", "plan", "lab3")
    refused = [line for line in out.splitlines() if line.startswith("REFUSED")]
    assert code == 1
    for text in (
        "Not everybody can be asked for lab3-09: no teacher is named for this computer",
        "Not everybody can be asked for lab3-08: nobody in people.yaml has the account m.okafor. Correct",
        "no time is left for lab3-08, lab3-09. Begin earlier",
        "There is no key to sign clearances with. Make one",
        "Nobody can answer: there is no key to sign their codes with. Make one",
    ):
        assert any(text in line for line in refused), (text, refused)
    assert len(refused) == 5
    assert "note: The plan 'other', which was not opened yet, has lab3-07, lab3-08, lab3-09 at the same time" in out


def test_what_the_action_needs_is_told_beforehand(site: PlanSite) -> None:
    site.write_plan(action={"kind": "command", "argv": ["/bin/imager", "{mac}", "{hots}"]})
    found = site.last("maintenance", "plan", "lab3", expect=1)
    assert found["refused"] == [
        "'{hots}' in 'action.argv' is no placeholder. There are: {address}, {clearance_file}, {host}, {mac}, {plan}, "
        "{serial}, {site}.",
        "The action names '{mac}', which is not known of lab3-07, lab3-08. Add 'mac' to the inventory.",
    ]


def test_a_plan_that_is_too_wide_or_too_late_is_refused(site: PlanSite) -> None:
    site.write_plan(max_hosts=1)
    found = site.last("maintenance", "plan", "lab3", expect=1)
    assert "would touch 2 computers, and 'max_hosts' allows 1. Name fewer" in found["refused"][0]
    site.write_plan(hosts={"groups": ["lab-33"], "leave_out": ["lab3-99"]})
    found = site.last("maintenance", "plan", "lab3", expect=1)
    assert "no host matches group 'lab-33'" in found["refused"][0]
    assert "no host matches host 'lab3-99'" in found["refused"][0]
    site.write_plan(window={"start": "2026-01-05 17:00", "end": "2026-01-06 06:00"})
    found = site.last("maintenance", "plan", "lab3", expect=1)
    assert found["refused"][0].startswith("The window ended on Tuesday 6 January 2026, 06:00.")


def test_protected_and_uncovered_days_are_told_by_name(site: PlanSite) -> None:
    now = datetime.now(ZONE)
    event = {"name": "Parents' evening", "first": f"{now:%Y-%m-%d}", "last": f"{now + timedelta(days=2):%Y-%m-%d}"}
    site.write_calendar(events=[event])
    site.write_plan()
    found = site.last("maintenance", "plan", "lab3", expect=1)
    (text,) = found["refused"]
    assert text.startswith("No computer may be wiped at any time of the window: Parents' evening, ")
    assert found["protected"][0]["why"].startswith("Parents' evening")
    assert [one["start"] for one in found["hosts"]] == [None, None]
    (site.folder / "calendars" / "north.yaml").unlink()
    (text,) = site.last("maintenance", "plan", "lab3", expect=1)["refused"]
    assert text == f"No school calendar says when there are classes. Write {site.folder}/calendars/north.yaml."


def test_the_list_names_a_plan_that_cannot_be_read(site: PlanSite) -> None:
    assert site.say("maintenance", "list")[1].startswith("there are no plans in ")
    site.write_plan()
    site.write_plan("broken", at_once=0, windw={})
    code, out, err = site.say("maintenance", "list")
    assert code == 1
    assert "lab3" in out and "broken" not in out
    assert "At 'at_once': this must be at least 1" in err
    assert "Did you mean 'window'?" in err
