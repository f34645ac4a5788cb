"""The calendars of the schools: found, read once per run, asked for a moment, checked for gaps, and imported into."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from configs.calendar_file import KINDS, Kind, calendar_text, load_calendar
from configs.errors import ConfigError
from configs.ics import LARGEST, read_ics
from configs.school_calendar import Period
from configs.whole_file import write_whole
from tasks.policy.gate import CalendarFact
from tasks.policy.school_calendar import Protected, SchoolDays
from tasks.verbs.context import Context

_NOT_A_NAME: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class SiteCalendar:
    """What the calendar of one site says of the next weeks; ``days`` is None where there is none."""

    site: str
    path: Path
    days: SchoolDays | None
    first: date
    last: date

    @property
    def gaps(self) -> list[tuple[date, date]]:
        """Return the days that nobody covers."""
        return [(self.first, self.last)] if self.days is None else self.days.gaps(self.first, self.last)

    @property
    def protected(self) -> list[Protected]:
        """Return what is protected."""
        return [] if self.days is None else self.days.protects(self.first, self.last)

    @property
    def first_days(self) -> list[date]:
        """Return the first class days."""
        return [] if self.days is None else [day for day in self.days.first_days() if self.first <= day <= self.last]


def calendar_lookup(context: Context) -> Callable[[str, datetime], CalendarFact | None]:
    """Return what tells of a site and a moment; each calendar is read once, when it is first asked for.

    It raises ``ConfigError`` for a calendar that is wrong: better no answer than one by half of its days.
    """
    known: dict[str, tuple[SchoolDays | None, ZoneInfo]] = {}

    def look_up(site: str, moment: datetime) -> CalendarFact | None:
        if site not in known:
            known[site] = (school_days(context, site), ZoneInfo(context.config.site(site).time_zone))
        days, zone = known[site]
        return days.answer(moment, zone) if days is not None else None

    return look_up


def calendar_path(context: Context, site: str) -> Path:
    """Return where the calendar of a site lies, or would lie."""
    name = context.config.site(site).calendar or site
    return context.folder / Path(context.config.calendars).expanduser() / f"{name}.yaml"


def school_days(context: Context, site: str) -> SchoolDays | None:
    """Return the calendar of a site, with what was imported, or None when it has no file of its own.

    Raises ``ConfigError`` when any of its files cannot be read: the one with the exams may be missing then.
    """
    path = calendar_path(context, site)
    try:
        if not path.exists():
            return None
        more = _imported(path.with_suffix(""))
    except OSError as error:
        raise ConfigError(
            f"the calendar {path} cannot be read: {error.strerror}", hint="Check that this account may read it."
        ) from None
    return SchoolDays([load_calendar(path), *(load_calendar(one, imported=True) for one in more)])


def _imported(folder: Path) -> list[Path]:
    """Return the files of a folder with imported days, which need not be there."""
    try:
        found = sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except FileNotFoundError:
        return []
    for one in found:
        if one.suffix != ".yaml":
            raise ConfigError(
                f"{one} is not read: calendars end in .yaml",
                hint="Import an iCalendar file with 'firstbell calendar import', or move this file elsewhere.",
            )
    return found


def check_calendar(context: Context, site: str, now: datetime, weeks: int) -> SiteCalendar:
    """Return what the calendar of a site says from today on. Raises ``ConfigError`` when it is wrong."""
    today = now.astimezone(ZoneInfo(context.config.site(site).time_zone)).date()
    last = today + timedelta(weeks=weeks) - timedelta(days=1)
    return SiteCalendar(site, calendar_path(context, site), school_days(context, site), today, last)


@dataclass(frozen=True, slots=True)
class Imported:
    """Days out of an iCalendar file, and where they went, or would go."""

    path: Path
    kind: Kind
    periods: tuple[Period, ...]
    written: bool


def import_calendar(context: Context, site: str, source: Path, kind: str, *, dry_run: bool = False) -> Imported:
    """Take the days of an iCalendar file over into a file beside the calendar of a site.

    The same file again replaces what it brought before. Raises ``ConfigError`` with every event that is not clear; then
    nothing is written.
    """
    known = next((one for one in KINDS if one == kind), None)
    if known is None:
        raise ConfigError(f"days cannot be '{kind}'", hint=f"They can be: {', '.join(KINDS)}.")
    try:
        with source.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}", hint="Name an iCalendar file (.ics).") from None
    periods = tuple(read_ics(data, ZoneInfo(context.config.site(site).time_zone), source=source.name))
    if not periods:
        raise ConfigError(f"{source.name} has no events", hint="Export the calendar anew as iCalendar (.ics).")
    name = _NOT_A_NAME.sub("-", source.stem.casefold()).strip("-") or "imported"
    path = calendar_path(context, site).with_suffix("") / f"{name}-{kind.replace('_', '-')}.yaml"
    if not dry_run:
        _write(path, calendar_text(f"imported from {source.name}", known, periods))
    return Imported(path, known, periods, written=not dry_run)


def _write(path: Path, text: str) -> None:
    """Write a file as a whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", hint="Check that this account may write there."
        ) from None
