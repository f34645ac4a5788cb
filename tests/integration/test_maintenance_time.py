"""A computer is not begun so late that it would lie open when the window ends or classes begin."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks.verbs.maintenance_plan import plan_of
from tasks.verbs.maintenance_time import too_late
from tests.support.plan_site import ZONE, PlanSite


@pytest.fixture
def site(tmp_path: Path, capsys: Any) -> PlanSite:
    found = PlanSite(tmp_path, capsys)
    found.write_calendar(quiet_hours=[{"days": "all", "start": "07:00", "end": "17:00"}])
    return found


def at(day: date, clock: str) -> datetime:
    return datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=ZONE)


def reasons(site: PlanSite, now: datetime) -> list[str]:
    found = too_late(site.context(), plan_of(site.context(), "lab3"), now)
    assert [one.code for one in found] in ([], ["too-late"])
    return [one.text for one in found]


def test_before_quiet_hours_and_before_the_end_of_the_window(site: PlanSite) -> None:
    today = datetime.now(ZONE).date()
    first, last = today + timedelta(days=1), today + timedelta(days=3)
    site.write_plan(window={"start": f"{first} 17:00", "end": f"{last} 23:00"}, action_minutes=90)
    tomorrow = first + timedelta(days=1)
    assert reasons(site, at(first, "17:00")) == []
    assert reasons(site, at(tomorrow, "05:30")) == []
    (text,) = reasons(site, at(tomorrow, "05:31"))
    assert text.startswith("there is not enough time left: it takes 1 h 30 min, and may be wiped until ")
    assert text.endswith(", 07:00 only")
    # Within quiet hours the gate says so, and after the window nothing is asked.
    assert reasons(site, at(tomorrow, "12:00")) == []
    assert reasons(site, at(last, "21:30")) == []
    (text,) = reasons(site, at(last, "21:31"))
    assert text.endswith(", 23:00 only")
    assert reasons(site, at(last, "23:00")) == []


def test_a_protected_day_ends_it_at_midnight(site: PlanSite) -> None:
    today = datetime.now(ZONE).date()
    first = today + timedelta(days=1)
    exam = {"name": "Exam", "first": str(first + timedelta(days=1))}
    site.write_calendar(events=[exam], protect={"before_events": 0})
    site.write_plan(window={"start": f"{first} 17:00", "end": f"{first + timedelta(days=3)} 23:00"})
    assert reasons(site, at(first, "23:30")) == []
    (text,) = reasons(site, at(first, "23:31"))
    assert text.endswith(", 00:00 only")
