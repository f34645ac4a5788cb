"""What keeps a computer from being ready, by the log of its maintenance."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from configs.school_calendar import SchoolCalendar
from tasks.policy.maintenance_state import fold
from tasks.policy.school_calendar import SchoolDays
from tasks.reports.maintenance_model import ReadinessPage, Room
from tasks.verbs.readiness import _next, trouble_of

BEGUN = datetime(2026, 7, 6, 17, 0, tzinfo=UTC)
CLEAR = {"clearance": "c1"}


@dataclass(frozen=True)
class Entry:
    number: int
    step: str
    at: datetime
    detail: dict[str, Any] = field(default_factory=dict)


BEFORE = [
    ("opened", {}),
    ("announced", {}),
    ("agreed", {}),
    ("saved", {"snapshot": "s1", "files": 3}),
    ("verified", {}),
    ("refreshed", {"snapshot": "s2", "files": 3}),
    ("cleared", {**CLEAR, "snapshot": "s2", "users": ["a.ito"], "expiry": "2026-07-06T19:00:00+00:00"}),
]
BACK = [("started", CLEAR), ("done", CLEAR), ("returned", CLEAR), ("identified", {})]
THERE = [*BACK, ("brought", {"account": "a.ito"}), ("restored", {})]


def trouble(*steps: tuple[str, dict[str, Any]]) -> str | None:
    log = [Entry(number, step, BEGUN, detail) for number, (step, detail) in enumerate((*BEFORE, *steps), 1)]
    state = fold(log)
    assert not state.damage, state.damage
    found = trouble_of("lab3-07", state)
    return found.trouble if found is not None else None


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], None),
        ([("refused", {"reason": "no"})], None),
        ([("attention", {"reason": "it cannot be saved"})], None),
        ([("cancelled", {})], None),
        (BACK[:1], "away"),
        (BACK[:2], "away"),
        ([*BACK[:2], ("unreachable", {"reason": "off"})], "away"),
        ([*BACK[:2], ("attention", {"reason": "it did not come back"})], "lost"),
        (BACK[:3], "away"),
        ([*BACK[:3], ("attention", {"reason": "another serial number"})], "attention"),
        (BACK, "files"),
        ([*BACK, ("put-off", {"account": "a.ito"})], "files"),
        ([*BACK, ("failed", {"reason": "disk full"})], "attention"),
        (THERE, "files"),
        ([*THERE, ("checked", {"good": False})], "files"),
        ([*THERE, ("checked", {"good": True})], None),
        ([*THERE, ("checked", {"good": True}), ("told", {}), ("accepted", {})], None),
        ([*THERE, ("checked", {"good": False}), ("told", {}), ("accepted", {})], None),
        # It came to nothing: the computer is as it was.
        ([("started", CLEAR), ("undone", CLEAR)], None),
    ],
)
def test_a_computer_is_ready_unless_its_wipe_has_begun_and_all_is_not_back(
    steps: list[tuple[str, dict[str, Any]]], expected: str | None
) -> None:
    assert trouble(*steps) == expected


def test_a_log_that_cannot_be_relied_on_needs_somebody() -> None:
    found = trouble_of("lab3-07", fold([Entry(1, "opened", BEGUN)], "its record 2 is missing"))
    assert found is not None
    assert found.trouble == "attention"


def test_rooms_stand_worst_first_and_those_without_a_name_last() -> None:
    bad = trouble_of("x", fold([], "damaged"))
    assert bad is not None
    rooms = (Room("Lab 10", 10, (bad,)), Room("Lab 9", 10), Room("", 1), Room("Lab 2", 2, (bad,)), Room("Lab 11", 1))
    page = ReadinessPage(BEGUN, None, rooms)
    assert [room.title for room in page.worst_first] == ["Lab 2", "Lab 10", "Lab 9", "Lab 11", ""]
    assert page.ready == 3


def test_the_next_class_day_is_today_until_noon_by_the_clock_of_the_school() -> None:
    term = {"name": "T", "first": "2026-08-24", "last": "2026-12-18"}
    days = SchoolDays([SchoolCalendar.model_validate({"terms": [term]})])
    auckland = ZoneInfo("Pacific/Auckland")
    friday = datetime(2026, 8, 27, 20, tzinfo=UTC)
    assert _next(days, friday, auckland) == date(2026, 8, 28)
    assert _next(days, friday + timedelta(hours=4), auckland) == date(2026, 8, 31)
    assert _next(days, datetime(2026, 12, 18, 12, tzinfo=UTC), ZoneInfo("UTC")) is None
