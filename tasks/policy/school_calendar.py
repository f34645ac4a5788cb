"""What a school's calendar says of a day and of a moment. Pure: days are local dates, a moment comes with its zone.

A day is *covered* when the calendar says what it is: it lies in a term, in holidays, on a closed or an extra day, or it
is a weekday without classes between two days that are covered. A *first day* is a class day with no other in the six
days before it: after a weekend, also a long one, there is none; after a week without classes there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from configs.school_calendar import WEEKDAYS, Period, QuietHours, SchoolCalendar, clock_text
from tasks.policy.gate import CalendarFact

_DAY: Final = timedelta(days=1)
_BREAK: Final = 6
#: Further than this nobody goes back to find school days, nor to a covered day around one without classes.
_FAR: Final = 120
_NEAR: Final = 6
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Protected:
    """Days in which no computer may be wiped, the first and the last included, and why, in words."""

    why: str
    first: date
    last: date


class SchoolDays:
    """The calendar of one school, made of one or several parts, worked out once."""

    def __init__(self, parts: Sequence[SchoolCalendar]) -> None:
        """Take the parts: the first one has the rules, all of them have days. There must be one."""
        self._rules = parts[0]
        self._terms = _days(period for part in parts for period in part.terms)
        self._free = _days(period for part in parts for period in (*part.holidays, *part.closed))
        self._closed = _days(period for part in parts for period in part.closed)
        self._extra = _days(period for part in parts for period in part.extra_class_days)
        self._weekdays = frozenset(WEEKDAYS.index(name) for name in self._rules.class_days)
        self._told = self._terms | self._free | self._extra
        self.protected = tuple(self._protect(parts))
        #: Minutes of a day at which an answer may become another one.
        self.edges = tuple(sorted({0, *(edge for one in self._rules.quiet_hours for edge in (one.start, one.end))}))

    def is_class_day(self, day: date) -> bool:
        """Return whether there are classes."""
        if day in self._extra:
            return True
        return day.weekday() in self._weekdays and day in self._terms and day not in self._free

    def is_covered(self, day: date) -> bool:
        """Return whether the calendar says what this day is."""
        if day in self._told:
            return True
        if day.weekday() in self._weekdays:
            return False
        return self._told_beside(day, _DAY) and self._told_beside(day, -_DAY)

    def first_days(self) -> list[date]:
        """Return the class days after a week or more without classes."""
        days = sorted(day for day in self._terms | self._extra if self.is_class_day(day))
        return [day for day in days if not any(self.is_class_day(day - _DAY * back) for back in range(1, _BREAK + 1))]

    def gaps(self, first: date, last: date) -> list[tuple[date, date]]:
        """Return the stretches of days, from ``first`` to ``last``, that are not covered."""
        found: list[tuple[date, date]] = []
        for number in range((last - first).days + 1):
            day = first + _DAY * number
            if self.is_covered(day):
                continue
            if found and found[-1][1] == day - _DAY:
                found[-1] = (found[-1][0], day)
            else:
                found.append((day, day))
        return found

    def protects(self, first: date, last: date) -> list[Protected]:
        """Return what is protected between two days, in the order in which it begins."""
        return sorted(
            (one for one in self.protected if one.first <= last and one.last >= first),
            key=lambda one: (one.first, one.last, one.why),
        )

    def answer(self, moment: datetime, zone: tzinfo) -> CalendarFact:
        """Return what holds at an aware moment, by the date and the clock of the zone."""
        local = moment.astimezone(zone)
        day, minute = local.date(), local.hour * 60 + local.minute
        reasons = [f"{one.why}: protected until {_written(one.last)}" for one in self.protects(day, day)]
        reasons += [
            f"quiet hours until {clock_text(hours.end)}"
            for hours in self._rules.quiet_hours
            if self._is_quiet(hours, day, minute)
        ]
        return CalendarFact(self.is_covered(day), tuple(dict.fromkeys(reasons)))

    def _is_quiet(self, hours: QuietHours, day: date, minute: int) -> bool:
        if hours.start < hours.end:
            return hours.start <= minute < hours.end and self._has_hours(hours, day)
        # Over midnight: the evening belongs to this day, the morning to the one before.
        if minute >= hours.start:
            return self._has_hours(hours, day)
        return minute < hours.end and self._has_hours(hours, day - _DAY)

    def _has_hours(self, hours: QuietHours, day: date) -> bool:
        if hours.days == "class":
            return self.is_class_day(day)
        return hours.days == "all" or WEEKDAYS[day.weekday()] in hours.days

    def _told_beside(self, day: date, step: timedelta) -> bool:
        """Return whether the next day with or without classes, in this direction, is told."""
        for _ in range(_NEAR):
            day += step
            if day in self._told:
                return True
            if day.weekday() in self._weekdays:
                return False
        return False

    def _protect(self, parts: Sequence[SchoolCalendar]) -> Iterator[Protected]:
        rules = self._rules.protect
        for day in self.first_days():
            why = f"the first class day is {_written(day)}"
            yield Protected(why, self._school_days_before(day, rules.before_first_day), day)
        for part in parts:
            for kinds, before in ((part.exams, rules.before_exams), (part.events, rules.before_events)):
                for one in kinds:
                    why = f"{one.name}, {_written(one.first)}"
                    yield Protected(why, self._school_days_before(one.first, before), one.end)

    def _school_days_before(self, day: date, count: int) -> date:
        """Return the day that lies so many school days before another one: weekdays with classes, also in holidays."""
        found = day
        for _ in range(_FAR):
            if not count:
                return day
            found -= _DAY
            if (found.weekday() in self._weekdays and found not in self._closed) or found in self._extra:
                day, count = found, count - 1
        return found


def _days(periods: Iterable[Period]) -> frozenset[date]:
    return frozenset(one.first + _DAY * number for one in periods for number in range((one.end - one.first).days + 1))


def _written(day: date) -> str:
    return f"{WEEKDAYS[day.weekday()].capitalize()} {day.day} {_MONTHS[day.month - 1]} {day.year}"
