"""Days out of iCalendar files: what is clear is taken, what is not is refused with its line."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ConfigError
from configs.ics import LARGEST, read_ics

BERLIN = ZoneInfo("Europe/Berlin")
Span = tuple[str, str, str]
ONE = ("2026-11-12", "2026-11-12")


def read(*events: str, zone: ZoneInfo = BERLIN, ends: str = "\r\n") -> list[Span]:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y"]
    for event in events:
        lines += ["BEGIN:VEVENT", "UID:1", *event.splitlines(), "END:VEVENT"]
    data = ends.join([*lines, "END:VCALENDAR", ""]).encode()
    return [(one.name, str(one.first), str(one.end)) for one in read_ics(data, zone, source="x.ics")]


@pytest.mark.parametrize(
    ("event", "span"),
    [
        ("DTSTART;VALUE=DATE:20261019\nDTEND;VALUE=DATE:20261031\nSUMMARY:A", ("A", "2026-10-19", "2026-10-30")),
        ("DTSTART;VALUE=DATE:20261112\nSUMMARY:Evening", ("Evening", *ONE)),
        ("DTSTART;VALUE=DATE:20261112\nDTEND;VALUE=DATE:20261112\nSUMMARY:E", ("E", *ONE)),
        # Without VALUE, as some write it.
        ("DTSTART:20261112\nSUMMARY:E", ("E", *ONE)),
        # Half past eleven at night in UTC is the next day in Berlin.
        ("DTSTART:20261112T233000Z\nDTEND:20261113T003000Z\nSUMMARY:E", ("E", "2026-11-13", "2026-11-13")),
        ("DTSTART:20261112T180000\nDTEND:20261113T000000\nSUMMARY:E", ("E", *ONE)),
        ("DTSTART;TZID=America/New_York:20261112T200000\nSUMMARY:E", ("E", "2026-11-13", "2026-11-13")),
        ('DTSTART;TZID="Europe/Berlin":20261112T200000\nSUMMARY:E', ("E", *ONE)),
        # The night of the clock change: 01:30 UTC is 02:30 for the second time.
        ("DTSTART:20261024T233000Z\nDTEND:20261025T013000Z\nSUMMARY:E", ("E", "2026-10-25", "2026-10-25")),
        # It ends at 02:00, half an hour after 02:30.
        ("DTSTART:20261025T003000Z\nDTEND:20261025T010000Z\nSUMMARY:E", ("E", "2026-10-25", "2026-10-25")),
        ("DTSTART:20261112\nSUMMARY;LANGUAGE=en:All\\, teachers\\; all\\nnew", ("All, teachers; all new", *ONE)),
        ("DTSTART:20261112\nSUMMARY:a long\n  title", ("a long title", *ONE)),
        ("DTSTART:20261112\nSUMMARY:Tit\n\tle", ("Title", *ONE)),
        ("DTSTART:20261112", ("without a title", *ONE)),
        ("DTSTART:20261112\nSUMMARY:E\nBEGIN:VALARM\nDURATION:PT5M\nSUMMARY:no\nEND:VALARM", ("E", *ONE)),
        ("dtstart;value=date:20261112\nsummary:E", ("E", *ONE)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_days_are_taken(event: str, span: Span, ends: str) -> None:
    assert read(event, ends=ends) == [span]


def test_a_file_may_hold_several_calendars() -> None:
    one, other = ("BEGIN:VCALENDAR", "BEGIN:VEVENT"), ("END:VEVENT", "END:VCALENDAR", "")
    lines = [*one, "DTSTART:20261112", "SUMMARY:E", *other, *one, "DTSTART:20270301", "SUMMARY:F", *other]
    data = "\r\n".join(lines).encode()
    assert [found.name for found in read_ics(data, BERLIN, source="x.ics")] == ["E", "F"]
    for wrong in (data[:-20], data[:-40], data + b"what is this?"):
        with pytest.raises(ConfigError):
            read_ics(wrong, BERLIN, source="x.ics")


def test_cancelled_events_are_left_out_and_the_others_are_in_order() -> None:
    found = read("DTSTART:20261112\nSUMMARY:b", "DTSTART:20261111\nSUMMARY:a", "DTSTART:20261113\nSTATUS:CANCELLED")
    assert [one[0] for one in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        ("DTSTART:20261112\nRRULE:FREQ=WEEKLY", "repeats by a rule (RRULE)"),
        ("DTSTART:20261112\nRDATE:20261113", "has further days (RDATE)"),
        ("DTSTART:20261112\nEXDATE:20261113", "leaves out days (EXDATE)"),
        ("DTSTART:20261112\nRECURRENCE-ID:20261113", "one day of a series"),
        ("DTSTART:20261112\nDURATION:P2D", "has a duration (DURATION)"),
        ("SUMMARY:x", "does not say when it begins"),
        ("DTSTART:20261312", "is no day of the calendar"),
        ("DTSTART:tomorrow", "its DTSTART is no day and no time"),
        ("DTSTART;VALUE=PERIOD:20261112T120000Z", "is no day and no time"),
        ("DTSTART:20261112T250000", "or no time of the day"),
        ("DTSTART:20261112\nDTEND:20261111", "ends before it begins"),
        ("DTSTART:20261112\nDTEND:20261112T120000", "one of its begin and end is a day"),
        ("DTSTART:20261112\nDTEND:20361112", "lasts longer than a year"),
        ("DTSTART:20261112\nDTSTART:20261113", "DTSTART stands twice"),
        ("DTSTART;TZID=W. Europe Standard Time:20261112T120000", "is not one of the usual names"),
        ("DTSTART:20261112\nno line", "is not to be read"),
        ("DTSTART:20261112\nEXRULE:FREQ=DAILY", "EXRULE"),
        ("DTSTART:99991231T235959Z", "end of all time"),
        ("DTSTART:00010101", "its year is mistyped"),
    ],
)
def test_what_is_not_clear_is_refused_with_its_line(event: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("DTSTART:20261111\nSUMMARY:good", event)
    assert why in str(caught.value)
    assert "Line 9" in str(caught.value)
    assert "Nothing was imported" in caught.value.hint


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"x\.ics: 2 problems"):
        read("SUMMARY:one", "DTSTART:20261112\nRRULE:FREQ=DAILY")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"name,first\nx,y\n",
        b"BEGIN:VCARD\r\nEND:VCARD\r\n",
        b"BEGIN:VCALENDAR\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20261112\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        b"\xff\xfe\x00",
        b"x" * (LARGEST + 1),
    ],
)
def test_what_is_no_calendar_is_told(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"x\.ics"):
        read_ics(data, BERLIN, source="x.ics")


PIECES = [
    "BEGIN:VCALENDAR",
    "END:VCALENDAR",
    "BEGIN:VEVENT",
    "END:VEVENT",
    "DTSTART:20261112",
    "DTEND:20261113T000000Z",
    " x",
    ":",
    ";",
    "SUMMARY:\\",
]
pieces = st.sampled_from(PIECES)


@settings(max_examples=200, deadline=None)
@given(st.lists(pieces | st.text(max_size=12), max_size=12))
def test_whatever_comes_is_read_or_refused(lines: list[str]) -> None:
    data = "\r\n".join(["BEGIN:VCALENDAR", *lines]).encode("utf-8", "replace")
    try:
        found = read_ics(data, BERLIN, source="x.ics")
    except ConfigError as error:
        assert str(error).startswith("x.ics")
    else:
        assert all(one.first >= date(1, 1, 1) for one in found)
