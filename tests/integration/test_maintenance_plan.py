"""``firstbell maintenance plan`` and ``list``: what a plan would touch, and every reason why it must not begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.plan_site import PlanSite


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


def test_the_list_names_a_plan_that_cannot_be_read(site: PlanSite) -> None:
    assert site.say("maintenance", "list")[1].startswith("there are no plans in ")
    site.write_plan()
    site.write_plan("broken", at_once=0, windw={})
    code, out, err = site.say("maintenance", "list")
    assert code == 1
    assert "lab3" in out and "broken" not in out
    assert "At 'at_once': this must be at least 1" in err
    assert "Did you mean 'window'?" in err
