"""What a school's calendar covers and protects, by the school's own date and clock, also where the clock is moved."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.calendar_file import calendar_text, load_calendar
from configs.errors import ConfigError
from configs.school_calendar import WEEKDAYS, Period, SchoolCalendar
from tasks.policy.school_calendar import SchoolDays

ROOT = Path(__file__).resolve().parents[2]
BERLIN = ZoneInfo("Europe/Berlin")
EXAMPLE = SchoolDays([load_calendar(ROOT / "configs" / "calendars" / "example.yaml")])
#: Clocks that are moved by an hour or by half of one, at night or at midnight; and one that is not.
ZONES = [
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "Asia/Kathmandu",
]  # fmt: skip


def day(text: str) -> date:
    return date.fromisoformat(text)


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def days(**content: Any) -> SchoolDays:
    return SchoolDays([SchoolCalendar.model_validate(content)])


def test_first_days_come_after_a_week_without_classes() -> None:
    assert [str(one) for one in EXAMPLE.first_days()] == ["2026-08-24", "2026-11-02", "2027-01-04", "2027-04-12"]


def test_three_school_days_before_the_first_class_day_are_protected() -> None:
    """The reason for all this: computers were wiped the day before classes."""
    (one,) = EXAMPLE.protects(day("2026-08-01"), day("2026-08-31"))
    # Monday the 24th: Friday, Thursday, Wednesday before it, with the weekend between.
    assert (str(one.first), str(one.last)) == ("2026-08-19", "2026-08-24")
    assert one.why == "the first class day is Monday 24 August 2026"
    assert EXAMPLE.answer(at("2026-08-18T23:59"), BERLIN).protected == ()
    for moment in ("2026-08-19T00:00", "2026-08-23T12:00", "2026-08-24T23:59"):
        assert EXAMPLE.answer(at(moment), BERLIN).protected[0].startswith("the first class day is Monday 24 August")
    assert EXAMPLE.answer(at("2026-08-25T00:00"), BERLIN).protected == ()


def test_closed_days_are_no_school_days() -> None:
    content = {"terms": [{"name": "T", "first": "2026-08-24", "last": "2026-09-30"}]}
    holidays = [{"name": "H", "first": "2026-07-13", "last": "2026-08-23"}]
    closed = [{"name": "Assumption", "first": "2026-08-20"}]
    (one, *_) = days(**content, holidays=holidays, closed=closed).protects(day("2026-08-01"), day("2026-08-31"))
    assert str(one.first) == "2026-08-18"


def test_exams_and_events_are_protected_with_the_days_before() -> None:
    exams = EXAMPLE.protects(day("2027-02-01"), day("2027-02-28"))
    assert [(str(one.first), str(one.last)) for one in exams] == [("2027-02-05", "2027-02-12")]
    (evening,) = EXAMPLE.protects(day("2026-11-09"), day("2026-11-15"))
    assert (str(evening.first), evening.why) == ("2026-11-11", "Parents' evening, Thursday 12 November 2026")


def test_quiet_hours_are_those_of_class_days() -> None:
    assert EXAMPLE.answer(at("2026-09-16T07:00"), BERLIN).protected == ("quiet hours until 17:00",)
    assert EXAMPLE.answer(at("2026-09-16T16:59"), BERLIN).protected == ("quiet hours until 17:00",)
    for free in ("2026-09-16T06:59", "2026-09-16T17:00", "2026-09-20T10:00", "2026-10-21T10:00"):
        assert EXAMPLE.answer(at(free), BERLIN).protected == (), free
    # An open Saturday is a class day.
    assert EXAMPLE.answer(at("2026-09-19T10:00"), BERLIN).protected == ("quiet hours until 17:00",)


def test_what_the_calendar_does_not_say_is_not_covered() -> None:
    assert EXAMPLE.gaps(day("2026-08-01"), day("2026-12-31")) == []
    # The weekend after the last term has nothing on its other side.
    assert EXAMPLE.gaps(day("2027-07-10"), day("2027-07-20")) == [(day("2027-07-17"), day("2027-07-20"))]
    assert not EXAMPLE.answer(at("2028-01-05T20:00"), BERLIN).covered
    content = {
        "terms": [
            {"name": "A", "first": "2026-08-24", "last": "2026-10-16"},
            {"name": "B", "first": "2026-10-19", "last": "2026-12-18"},
        ]
    }
    assert days(**content).is_covered(day("2026-10-17"))
    content["terms"][1]["first"] = "2026-10-20"
    assert days(**content).gaps(day("2026-10-16"), day("2026-10-20")) == [(day("2026-10-17"), day("2026-10-19"))]
    assert not days().is_covered(day("2026-10-17"))


def test_a_school_that_works_on_sundays() -> None:
    content = {
        "class_days": ["sunday", "monday", "tuesday", "wednesday", "thursday"],
        "terms": [{"name": "T", "first": "2026-09-06", "last": "2026-12-31"}],
        "holidays": [{"name": "H", "first": "2026-07-01", "last": "2026-09-05"}],
    }
    found = days(**content)
    assert [str(one) for one in found.first_days()] == ["2026-09-06"]
    assert [str(one.first) for one in found.protected] == ["2026-09-01"]
    assert found.is_class_day(day("2026-09-13"))
    assert not found.is_class_day(day("2026-09-11"))


def test_imported_parts_bring_days_and_no_rules() -> None:
    own = SchoolCalendar.model_validate({"terms": [{"name": "T", "first": "2026-08-24", "last": "2026-09-30"}]})
    more = SchoolCalendar.model_validate({"exams": [{"name": "X", "first": "2026-09-16"}], "quiet_hours": []})
    both = SchoolDays([own, more])
    assert "X, Wednesday 16 September 2026" in both.answer(at("2026-09-16T20:00"), BERLIN).protected[0]
    assert both.answer(at("2026-09-21T08:00"), BERLIN).protected == ("quiet hours until 17:00",)


moments = st.integers(0, 360 * 24 * 60).map(
    lambda minutes: datetime(2026, 6, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
minutes = st.integers(0, 1440)
OPEN = {"terms": [{"name": "T", "first": "2026-05-01", "last": "2027-06-01"}], "protect": {"before_first_day": 0}}


@settings(max_examples=300, deadline=None)
@given(moments, st.sampled_from(ZONES), minutes, minutes, st.sampled_from(["all", "class", ["sunday", "saturday"]]))
def test_quiet_hours_follow_the_clock_on_the_wall(
    moment: datetime, name: str, start: int, end: int, when: str | list[str]
) -> None:
    zone = ZoneInfo(name)
    found = days(**OPEN, quiet_hours=[{"days": when, "start": start, "end": end}]).answer(moment, zone)
    wall = moment.astimezone(zone).replace(tzinfo=None)

    def has(one: date) -> bool:
        weekday = WEEKDAYS[one.weekday()]
        return when == "all" or (one.weekday() < 5 if when == "class" else weekday in when)

    quiet = False
    for begun in (wall.date() - timedelta(days=1), wall.date()):
        midnight = datetime(begun.year, begun.month, begun.day)  # noqa: DTZ001 - the clock on the wall
        last = end if end > start else end + 1440
        quiet |= has(begun) and midnight + timedelta(minutes=start) <= wall < midnight + timedelta(minutes=last)
    assert bool(found.protected) == quiet
    assert found.covered


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 364), st.sampled_from(ZONES))
def test_a_protected_day_is_protected_for_just_as_long_as_it_lasts(number: int, name: str) -> None:
    """23, 24 or 25 hours, and those of Lord Howe with their half."""
    zone = ZoneInfo(name)
    chosen = date(2026, 6, 1) + timedelta(days=number)
    event = {"name": "E", "first": chosen.isoformat()}
    found = days(**{**OPEN, "protect": {"before_first_day": 0, "before_events": 0}}, events=[event], quiet_hours=[])
    start = datetime(chosen.year, chosen.month, chosen.day, tzinfo=UTC) - timedelta(hours=15)
    for quarter in range(54 * 4):
        moment = start + timedelta(minutes=15 * quarter)
        inside = moment.astimezone(zone).date() == chosen
        assert bool(found.answer(moment, zone).protected) == inside


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        # The clock goes from 02:00 to 03:00: quiet hours from 02:30 on begin at 03:00.
        ("Europe/Berlin", "2026-03-29T00:59:00+00:00", "2026-03-29T01:00:00+00:00"),
        # It goes back from 03:00 to 02:00: they begin with the first 02:30, pause at the second 02:00, and go on.
        ("Europe/Berlin", "2026-10-25T00:29:00+00:00", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_the_nights_on_which_the_clock_is_moved(name: str, before: str, after: str) -> None:
    content = {
        "terms": [{"name": "T", "first": "2026-01-01", "last": "2026-12-31"}],
        "protect": {"before_first_day": 0},
    }
    found = days(**content, quiet_hours=[{"days": "all", "start": "02:30", "end": "05:00"}])
    zone = ZoneInfo(name)
    assert found.answer(datetime.fromisoformat(before), zone).protected == ()
    assert found.answer(datetime.fromisoformat(after), zone).protected == ("quiet hours until 05:00",)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 200),
    st.integers(0, 10),
    st.sets(st.integers(0, 6), min_size=1),
    st.lists(st.tuples(st.integers(-40, 40), st.integers(0, 5)), max_size=4),
)
def test_so_many_school_days_lie_before(
    number: int, count: int, weekdays: set[int], closures: list[tuple[int, int]]
) -> None:
    event = date(2026, 6, 1) + timedelta(days=number)
    closed = [
        {"name": "C", "first": str(event + timedelta(days=from_)), "last": str(event + timedelta(days=from_ + long))}
        for from_, long in closures
    ]
    free = {event + timedelta(days=from_ + more) for from_, long in closures for more in range(long + 1)}
    content = {"class_days": [WEEKDAYS[one] for one in sorted(weekdays)], "closed": closed}
    rules = {"before_first_day": 0, "before_events": count}
    (one,) = days(**content, events=[{"name": "E", "first": str(event)}], protect=rules).protected
    before = [one.first + timedelta(days=more) for more in range((event - one.first).days)]
    school = [it for it in before if it.weekday() in weekdays and it not in free]
    assert len(school) == count
    assert one.last == event
    assert not count or school[0] == one.first


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("terms: [{name: T, first: 2026-8-24}]", "At 'terms.0.first': a day is written 2026-08-24"),
        ("terms: [{name: T, first: 20260824}]", "a day is written 2026-08-24"),
        ("terms: [{name: T, first: 2026-02-30}]", "is no day of the calendar"),
        ("exams: [{name: T, first: 0001-01-01}]", "is its year mistyped"),
        ("terms: [{name: T, first: 20260-02-03}]", "a day is written 2026-08-24"),
        ("terms: [{name: T, first: 2026-08-24, last: 2026-08-01}]", "'T' ends before it begins"),
        ("terms: [{name: T, first: 2026-08-24, last: 2036-08-01}]", "is a year mistyped?"),
        ("terms: [{first: 2026-08-24}]", "At 'terms.0.name': field required"),
        ("term: []", "At 'term': unknown key. Did you mean 'terms'?"),
        ("quiet_hours: [{start: '7', end: '17:00'}]", "a time of day is written 07:30"),
        ("quiet_hours: [{start: '25:00', end: '17:00'}]", "a time of day is written 07:30"),
        ("class_days: [mon]", "class_days"),
        ("- a list", "Here belong lines 'terms:'"),
        ("terms: [", "this is not YAML"),
    ],
)
def test_mistakes_in_the_file_are_told(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "north.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_calendar(path)
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)
    assert caught.value.hint


def test_an_imported_file_has_no_rules(tmp_path: Path) -> None:
    path = tmp_path / "exams.yaml"
    path.write_text(calendar_text("from x", "exams", [Period(name="Übung: 1 # x", first=day("2026-09-16"))]))
    assert load_calendar(path, imported=True).exams[0].name == "Übung: 1 # x"
    path.write_text("quiet_hours: []\n")
    with pytest.raises(ConfigError, match="has days only"):
        load_calendar(path, imported=True)
