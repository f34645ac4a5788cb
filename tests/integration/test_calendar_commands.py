"""``firstbell calendar``: what it says of the next weeks, import, and what that does to the gate."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.gate_site import GateSite


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> GateSite:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    return GateSite(tmp_path / "school", capsys)


def event(start: str, more: str = "") -> str:
    return f"BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{start}\r\nSUMMARY:Finals\r\n{more}END:VEVENT\r\n"


def ics(path: Path, *events: str) -> Path:
    path.write_text(f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{''.join(events)}END:VCALENDAR\r\n")
    return path


def test_without_a_calendar_everything_is_a_gap(site: GateSite) -> None:
    found = site.last("calendar", "check", expect=3)
    assert (found["site"], found["found"], len(found["gaps"])) == ("north", False, 1)
    code, out, _ = site.say("calendar", "check", "--site", "north")
    assert code == 3
    assert "MISSING  there is no calendar, so no computer of this site is wiped" in out
    assert str(site.folder / "calendars" / "north.yaml") in out


def test_gaps_and_what_is_protected_are_shown(site: GateSite) -> None:
    today = datetime.now(UTC).date()
    soon = today + timedelta(days=10)
    site.write_calendar(exams=[{"name": "Finals", "first": str(soon)}])
    found = site.last("calendar", "check", "--weeks", "4", expect=0)
    assert found["gaps"] == []
    (exam,) = [one for one in found["protected"] if one["why"].startswith("Finals")]
    assert exam["last"] == str(soon)
    found = site.last("calendar", "check", "--weeks", "30", expect=3)
    assert found["gaps"][0]["first"] > str(today + timedelta(days=60))
    code, out, _ = site.say("calendar", "check", "--weeks", "30")
    assert code == 3
    assert "GAP " in out
    assert "Finals" in out
    assert site.run("calendar", "check", "--site", "nort")[0] == 1


def test_an_import_is_taken_over_once_and_counts(site: GateSite, tmp_path: Path) -> None:
    today = datetime.now(UTC).date()
    site.write_calendar()
    source = ics(tmp_path / "Prüfungen 2026.ics", event(f"{today + timedelta(days=5):%Y%m%d}"))
    dry = site.last("calendar", "import", str(source), "--as", "exams", "--dry-run", expect=0)
    assert (dry["written"], dry["kind"], len(dry["days"])) == (False, "exams", 1)
    assert not (site.folder / "calendars" / "north").exists()
    for _ in range(2):
        done = site.last("calendar", "import", str(source), "--site", "north", "--as", "exams", expect=0)
    assert Path(done["path"]).parent == site.folder / "calendars" / "north"
    assert len(list((site.folder / "calendars" / "north").iterdir())) == 1
    protected = site.last("calendar", "check", expect=0)["protected"]
    assert [one["last"] for one in protected if one["why"].startswith("Finals")] == [str(today + timedelta(days=5))]
    assert str(site.say("calendar", "import", str(source), "--as", "exams")[1]).endswith(
        f"taken over into {done['path']}\n"
    )


def test_an_import_that_is_not_clear_changes_nothing(site: GateSite, tmp_path: Path) -> None:
    source = ics(tmp_path / "x.ics", event("20261112"), event("20261113", "RRULE:FREQ=WEEKLY\r\n"))
    error = site.last("calendar", "import", str(source), expect=1)
    assert "repeats by a rule (RRULE)" in error["message"]
    assert not (site.folder / "calendars").exists()
    assert site.run("calendar", "import", str(tmp_path / "none.ics"))[0] == 1
    assert site.run("calendar", "import", str(ics(tmp_path / "empty.ics")))[0] == 1


def test_a_file_that_would_not_be_read_is_told(site: GateSite) -> None:
    own = site.write_calendar()
    folder = own.with_suffix("")
    folder.mkdir()
    (folder / "exams.yml").write_text("exams: []\n")
    assert "calendars end in .yaml" in site.last("calendar", "check", expect=1)["message"]
    (folder / "exams.yml").rename(folder / "exams.yaml")
    assert site.last("calendar", "check", expect=0)["found"]


def test_schools_may_share_a_calendar_that_lies_elsewhere(site: GateSite, tmp_path: Path) -> None:
    site.write_calendar()
    (site.folder / "calendars").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "north.yaml").rename(tmp_path / "elsewhere" / "district.yaml")
    site.config |= {"calendars": str(tmp_path / "elsewhere")}
    site.config["sites"]["north"]["calendar"] = "district"
    site.write()
    assert site.last("calendar", "check", expect=0)["path"] == str(tmp_path / "elsewhere" / "district.yaml")
