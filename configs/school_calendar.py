"""The calendar of a school: when there are classes, and when no computer may be wiped."""

from __future__ import annotations

import re
from datetime import date, time
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from configs.base import Model

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
#: Years outside of these are slips of the pen.
_YEARS = range(1990, 2201)
#: No term and no holiday is longer, in days; a slip of the pen in a year is.
_LONGEST = 400
_MIDNIGHT = 24 * 60


def _day(value: object) -> object:
    if isinstance(value, str) and _DAY.fullmatch(value.strip()):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            msg = f"'{value}' is no day of the calendar"
            raise ValueError(msg) from None
    if isinstance(value, date):
        if value.year not in _YEARS:
            msg = f"'{value}' is far away; is its year mistyped?"
            raise ValueError(msg)
        return value
    msg = "a day is written 2026-08-24"
    raise ValueError(msg)


def _minutes(value: object) -> object:
    """Return minutes since midnight; ``24:00`` is the end of the day."""
    if type(value) is int and 0 <= value <= _MIDNIGHT:
        return value
    if isinstance(value, str):
        if value.strip() == "24:00":
            return _MIDNIGHT
        if match := _TIME.fullmatch(value.strip()):
            return int(match[1]) * 60 + int(match[2])
    msg = "a time of day is written 07:30"
    raise ValueError(msg)


def clock_text(minutes: int) -> str:
    """Return minutes since midnight as a time of day."""
    return "24:00" if minutes == _MIDNIGHT else f"{time(minutes // 60, minutes % 60):%H:%M}"


Day = Annotated[date, BeforeValidator(_day)]
Minutes = Annotated[int, BeforeValidator(_minutes), PlainSerializer(clock_text)]


class Period(Model):
    """Days with a name, the first and the last included."""

    name: str = Field(min_length=1, max_length=200, description="What people call it.", examples=["Autumn term"])
    first: Day = Field(description="Its first day.", examples=["2026-08-24"])
    last: Day | None = Field(
        default=None, description="Its last day; left out for a single day.", examples=["2026-12-18"]
    )

    @property
    def end(self) -> date:
        """Return the last day."""
        return self.last or self.first

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.end < self.first:
            msg = f"'{self.name}' ends before it begins"
            raise ValueError(msg)
        if (self.end - self.first).days > _LONGEST:
            msg = f"'{self.name}' is longer than a year; is a year mistyped?"
            raise ValueError(msg)
        return self


class Protection(Model):
    """How many school days before something protection begins; the days themselves are protected, too."""

    before_first_day: Annotated[int, Field(ge=0, le=30)] = Field(
        default=3,
        description="School days before a first class day: of a term, and after a week or more without classes.",
        examples=[3],
    )
    before_exams: Annotated[int, Field(ge=0, le=30)] = Field(
        default=1, description="School days before exams.", examples=[2]
    )
    before_events: Annotated[int, Field(ge=0, le=30)] = Field(
        default=1, description="School days before an event, such as a parents' evening.", examples=[1]
    )


class QuietHours(Model):
    """Hours in which no computer may be wiped, by the clock on the school's wall."""

    days: Literal["class", "all"] | tuple[Weekday, ...] = Field(
        default="class", description="`class` days, `all` days, or a list of weekdays.", examples=[["saturday"]]
    )
    start: Minutes = Field(description="From this time on.", examples=["07:00"])
    end: Minutes = Field(
        description="Until this time; on the next day when it is not later than `start`.", examples=["17:00"]
    )


class SchoolCalendar(Model):
    """One school's calendar, or a part of one."""

    title: str = Field(default="", description="Whose it is.", examples=["Northfield Primary School, 2026/27"])
    class_days: tuple[Weekday, ...] = Field(
        default=WEEKDAYS[:5], description="Weekdays with classes.", examples=[["monday", "tuesday"]]
    )
    terms: tuple[Period, ...] = Field(default=(), description="The terms: in them there are classes.")
    holidays: tuple[Period, ...] = Field(default=(), description="School holidays: no classes.")
    closed: tuple[Period, ...] = Field(
        default=(), description="Public holidays: no classes, and they do not count as school days."
    )
    extra_class_days: tuple[Period, ...] = Field(
        default=(), description="Days with classes on which there would be none, such as an open Saturday."
    )
    exams: tuple[Period, ...] = Field(default=(), description="Exams.")
    events: tuple[Period, ...] = Field(default=(), description="Other days on which everything must work.")
    protect: Protection = Field(default=Protection(), description="How early protection begins.")
    quiet_hours: tuple[QuietHours, ...] = Field(
        default=(QuietHours(days="class", start=7 * 60, end=17 * 60),),
        description="Hours in which no computer may be wiped. Left out: class days from 07:00 to 17:00.",
    )
