"""Times by the school's clock, where it is moved; and when a calendar lets computers be wiped."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.maintenance import MaintenancePlan
from configs.school_calendar import SchoolCalendar
from tasks.policy.school_calendar import SchoolDays
from tasks.policy.school_time import Stretch, aware, days_of, deadline_of, open_stretches, window_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]
MINUTE = timedelta(minutes=1)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def plan(start: str, end: str, **more: Any) -> MaintenancePlan:
    return MaintenancePlan.model_validate(
        {
            "name": "p",
            "kind": "reimage",
            "site": "north",
            "hosts": {"hosts": ["a"]},
            "window": {"start": start, "end": end},
            "action": {"kind": "manual"},
            **more,
        }
    )


@pytest.mark.parametrize(
    ("text", "ends", "opens"),
    [
        ("2026-07-06 17:00", "2026-07-06 15:00", "2026-07-06 15:00"),
        # The clock goes from 02:00 to 03:00: there is no half past two.
        ("2026-03-29 02:30", "2026-03-29 00:30", "2026-03-29 01:30"),
        # It goes from 03:00 back to 02:00: there are two.
        ("2026-10-25 02:30", "2026-10-25 00:30", "2026-10-25 01:30"),
    ],
)
def test_a_time_that_is_missing_or_there_twice_makes_a_window_shorter(text: str, ends: str, opens: str) -> None:
    assert aware(local(text), BERLIN) == utc(ends)
    assert aware(local(text), BERLIN, opens=True) == utc(opens)


def test_a_window_within_the_missing_hour_is_empty() -> None:
    assert window_of(plan("2026-03-29 02:10", "2026-03-29 02:50"), BERLIN).length == timedelta()


def test_the_deadline_is_the_earlier_moment() -> None:
    found = plan("2026-10-25 05:00", "2026-10-25 09:00", deadline="2026-10-25 02:30")
    assert deadline_of(found, BERLIN) == utc("2026-10-25 00:30")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 366 * 24 * 4), st.integers(1, 400))
def test_no_window_is_longer_than_its_clock_says_or_than_any_reading_of_it(zone: str, at: int, length: int) -> None:
    place = ZoneInfo(zone)
    start = local("2026-01-01") + timedelta(minutes=15 * at)
    end = start + timedelta(minutes=15 * length)
    window = window_of(plan(f"{start:%Y-%m-%d %H:%M}", f"{end:%Y-%m-%d %H:%M}"), place)
    for first in (0, 1):
        for last in (0, 1):
            begins = start.replace(tzinfo=place, fold=first).astimezone(UTC)
            ends = end.replace(tzinfo=place, fold=last).astimezone(UTC)
            assert window.length <= max(ends - begins, timedelta())


def days(**content: Any) -> SchoolDays:
    return SchoolDays([SchoolCalendar.model_validate(content)])


TERM = [{"name": "Term", "first": "2026-09-01", "last": "2026-12-18"}]


def test_at_night_and_at_the_weekend_computers_may_be_wiped() -> None:
    # Thursday evening until Monday morning.
    window = Stretch(utc("2026-10-08 12:00"), utc("2026-10-12 12:00"))
    found = open_stretches(window, days(terms=TERM), BERLIN)
    assert found == [
        Stretch(utc("2026-10-08 15:00"), utc("2026-10-09 05:00")),
        Stretch(utc("2026-10-09 15:00"), utc("2026-10-12 05:00")),
    ]


def test_protected_and_uncovered_days_are_closed() -> None:
    exam = [{"name": "Exam", "first": "2026-10-10"}]
    window = Stretch(utc("2026-10-08 15:00"), utc("2026-10-12 05:00"))
    found = open_stretches(window, days(terms=TERM, exams=exam), BERLIN)
    # The school day before the exam is protected as well, from its midnight on.
    assert [str(one.start) for one in found] == ["2026-10-08 15:00:00+00:00", "2026-10-10 22:00:00+00:00"]
    assert found[0].end == utc("2026-10-08 22:00")
    late = Stretch(utc("2026-12-21 08:00"), utc("2026-12-22 08:00"))
    assert open_stretches(late, days(terms=TERM), BERLIN) == []


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.integers(0, 360 * 24),
    st.integers(1, 72),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 24 * 60),
    st.sampled_from(["all", "class"]),
)
def test_every_minute_is_as_the_calendar_says(zone: str, at: int, hours: int, begin: int, end: int, which: str) -> None:
    place = ZoneInfo(zone)
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=at)
    quiet = [{"days": which, "start": begin, "end": end}]
    school = days(
        terms=[{"name": "T", "first": "2026-01-01", "last": "2026-12-31"}], quiet_hours=quiet, holidays=[
            {"name": "H", "first": "2026-03-27", "last": "2026-04-06"}
        ]
    )  # fmt: skip
    window = Stretch(start, start + timedelta(hours=hours))
    found = open_stretches(window, school, place)
    assert all(one.end > one.start for one in found)
    moment = start
    while moment < window.end:
        fact = school.answer(moment, place)
        assert any(one.holds(moment) for one in found) == (fact.covered and not fact.protected), moment
        moment += 7 * MINUTE


def test_days_are_those_of_the_school() -> None:
    window = Stretch(utc("2026-07-06 22:30"), utc("2026-07-07 22:00"))
    assert days_of(window, BERLIN) == [date(2026, 7, 7)]
