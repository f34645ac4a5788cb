"""Read the days out of an iCalendar file (RFC 5545): all of them, or an error that names every unclear event.

Of each ``VEVENT`` its ``DTSTART``, ``DTEND`` and ``SUMMARY`` are taken; what else may change its days (a rule to repeat
it, a duration, single repeats) is refused in words rather than guessed. Times are brought into the school's
zone, and only their days are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from configs.errors import ConfigError
from configs.problems import Problem, render
from configs.school_calendar import Period

#: A school's calendar is some hundred events.
LARGEST: Final = 10 * 1024 * 1024

_VALUE: Final = r"(?:\"[^\"]*\"|[^\";:,]*)"
_LINE: Final = re.compile(rf"([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+={_VALUE}(?:,{_VALUE})*)*):(.*)", re.DOTALL)
_PARAMETER: Final = re.compile(r";([A-Za-z0-9-]+)=(\"[^\"]*\"|[^\";:]*)")
_DATE: Final = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_TIME: Final = re.compile(r"(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})(Z?)", re.ASCII)
_ESCAPE: Final = re.compile(r"\\([\\;,nN])")
#: What changes the days of an event, and why it is not taken.
_REFUSED: Final = {
    "RRULE": "it repeats by a rule (RRULE); export the single days, or write them into the calendar by hand",
    "EXRULE": "it leaves out days by a rule (EXRULE); export the single days, or write them into the calendar by hand",
    "RDATE": "it has further days (RDATE); export the single days, or write them into the calendar by hand",
    "EXDATE": "it leaves out days (EXDATE); export the single days, or write them into the calendar by hand",
    "RECURRENCE-ID": "it is one day of a series (RECURRENCE-ID); write it into the calendar by hand",
    "DURATION": "it has a duration (DURATION) instead of an end; write it into the calendar by hand",
}


#: What an event says once at most.
_ONCE: Final = frozenset({"DTSTART", "DTEND", "SUMMARY", "STATUS"})


@dataclass(slots=True)
class _Event:
    line: int
    values: dict[str, tuple[Mapping[str, str], str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_ics(data: bytes, zone: tzinfo, *, source: str) -> list[Period]:
    """Return the days of each event, in their order; cancelled ones are left out.

    Raises:
        ConfigError: it is no calendar, or an event is not clear; every such event is told by its line.
    """
    problems: list[Problem] = []
    found: list[Period] = []
    for event in _events(data, source):
        title = _text(event.values.get("SUMMARY", ({}, ""))[1])
        if event.values.get("STATUS", ({}, ""))[1].strip().upper() == "CANCELLED":
            continue
        wrong = list(event.problems)
        wrong += [why for name, why in _REFUSED.items() if name in event.values]
        try:
            first, last = _span(event, zone)
        except ValueError as error:
            wrong.append(str(error))
        except OverflowError:
            wrong.append("it is at the end of all time")
        else:
            if not wrong:
                try:
                    last_day = last if last != first else None
                    found.append(Period(name=title[:200] or "without a title", first=first, last=last_day))
                except ValueError:
                    wrong.append("it ends before it begins, lasts longer than a year, or its year is mistyped")
        problems += [Problem("", f"line {event.line}, '{title[:60]}': {why}", event.line) for why in wrong]
    if problems:
        raise ConfigError(render(source, problems), hint="Nothing was imported. Mend these events, then try again.")
    return sorted(found, key=lambda one: (one.first, one.end, one.name))


def _events(data: bytes, source: str) -> Iterator[_Event]:
    if len(data) > LARGEST:
        raise ConfigError(f"{source} is larger than {LARGEST // 2**20} MiB", hint="Export the school's days only.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{source} is not UTF-8 text", hint="Export it anew as iCalendar (.ics).") from None
    reader = _Reader(source)
    for number, line in _unfolded(text):
        if event := reader.take(number, line):
            yield event
    if reader.done:
        return
    what = "breaks off" if reader.inside else "is no iCalendar file"
    raise ConfigError(f"{source} {what}", hint="Export the calendar anew as iCalendar (.ics).")


class _Reader:
    """Follows the nesting of BEGIN and END, and collects one event at a time."""

    def __init__(self, source: str) -> None:
        self.inside: list[str] = []
        self.done = False
        self._source = source
        self._event: _Event | None = None

    def take(self, number: int, line: str) -> _Event | None:
        """Take the next logical line; return the event that it ends."""
        match = _LINE.fullmatch(line)
        if match is None:
            self._unclear(number)
            return None
        name, value = match[1].upper(), match[3]
        if name == "BEGIN":
            self._begin(number, value.strip().upper())
        elif name == "END":
            return self._end(number, value.strip().upper())
        # What stands in a VALARM within an event is not about its days.
        elif self._event is not None and self.inside[-1] == "VEVENT":
            if name in self._event.values and name in _ONCE:
                self._event.problems.append(f"{name} stands twice in it")
            self._event.values[name] = (_parameters(match[2]), value)
        elif not self.inside:
            self._unclear(number)
        return None

    def _begin(self, number: int, what: str) -> None:
        if not self.inside and what != "VCALENDAR":
            self._unclear(number)
        if what == "VEVENT":
            if "VEVENT" in self.inside:
                raise self._damaged(number)
            self._event = _Event(number)
        # More calendars may follow one that has ended (RFC 5545, 3.4).
        self.done = False
        self.inside.append(what)

    def _end(self, number: int, what: str) -> _Event | None:
        if not self.inside or self.inside.pop() != what:
            raise self._damaged(number)
        self.done = not self.inside
        if what != "VEVENT":
            return None
        event, self._event = self._event, None
        return event

    def _unclear(self, number: int) -> None:
        if self._event is not None:
            self._event.problems.append(f"line {number} is not to be read")
        elif not self.inside:
            raise ConfigError(
                f"{self._source} is no iCalendar file", hint="Export the calendar anew as iCalendar (.ics)."
            )

    def _damaged(self, number: int) -> ConfigError:
        return ConfigError(
            f"{self._source}: line {number} does not fit what is before it",
            hint="The file is damaged: export the calendar anew as iCalendar (.ics).",
        )


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Yield each logical line with its number: a line that begins with a blank goes on with the one before."""
    begun, parts = 0, list[str]()
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line[:1] in (" ", "\t") and parts:
            parts.append(line[1:])
            continue
        if parts:
            yield begun, "".join(parts)
        begun, parts = number, [line] if line.strip() else []
    if parts:
        yield begun, "".join(parts)


def _parameters(text: str) -> dict[str, str]:
    return {match[1].upper(): match[2].strip('"') for match in _PARAMETER.finditer(text)}


def _span(event: _Event, zone: tzinfo) -> tuple[date, date]:
    """Return the first and the last day. Raises ``ValueError`` with what is not clear."""
    if "DTSTART" not in event.values:
        raise ValueError("it does not say when it begins (DTSTART)")
    start, whole = _moment("DTSTART", event, zone)
    if "DTEND" not in event.values:
        return start.date(), start.date()
    end, whole_end = _moment("DTEND", event, zone)
    # In the night in which the clock is set back a later time may read as an earlier one.
    if whole != whole_end:
        raise ValueError("one of its begin and end is a day, the other a time")
    if end.astimezone(UTC) < start.astimezone(UTC):
        raise ValueError("it ends before it begins")
    # The end is the first moment after it (RFC 5545, 3.6.1).
    last = (end - timedelta(days=1 if whole else 0, microseconds=0 if whole else 1)).date()
    return start.date(), max(last, start.date())


def _moment(name: str, event: _Event, zone: tzinfo) -> tuple[datetime, bool]:
    """Return a time on the school's clock, and whether it is a whole day."""
    parameters, value = event.values[name]
    value = value.strip()
    parts = _TIME.fullmatch(value)
    match = parts or _DATE.fullmatch(value)
    if match is None or (parts and parameters.get("VALUE", "DATE-TIME").upper() != "DATE-TIME"):
        raise ValueError(f"its {name} is no day and no time")
    numbers = [int(number) for number in match.groups() if number.isdigit()]
    # A leap second is the last one of its minute to us.
    numbers[5:] = [min(second, 59) for second in numbers[5:]]
    try:
        told = datetime(*numbers)  # type: ignore[arg-type] # noqa: DTZ001 - its zone follows
    except ValueError:
        raise ValueError(f"its {name} is no day of the calendar, or no time of the day") from None
    if parts is None:
        return told.replace(tzinfo=zone), True
    if parts[7]:
        own: tzinfo = UTC
    elif "TZID" not in parameters:
        return told.replace(tzinfo=zone), False
    else:
        own = _zone(parameters["TZID"])
    return told.replace(tzinfo=own).astimezone(zone), False


def _zone(key: str) -> tzinfo:
    try:
        return ZoneInfo(key.removeprefix("/"))
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"its time zone '{key[:60]}' is not one of the usual names, such as Europe/Berlin; export it in UTC or in "
            "local time"
        ) from None


def _text(value: str) -> str:
    """Return a text without its escapes, on one line."""
    plain = _ESCAPE.sub(lambda match: " " if match[1] in "nN" else match[1], value)
    return " ".join("".join(one if one.isprintable() else " " for one in plain).split())
