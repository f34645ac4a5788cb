"""The clock on the school's wall, and the moments that it means. Pure.

Twice a year a wall clock is moved: then an hour of it is missing, or stands there twice. A time in such an hour means
the moment that makes a window shorter: it opens at the later one and ends at the earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from configs.maintenance import MaintenancePlan
from tasks.policy.school_calendar import SchoolDays


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time from one aware moment until another; empty when it ends where it begins."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Return how long it is."""
        return max(self.end - self.start, timedelta())

    def holds(self, moment: datetime) -> bool:
        """Return whether a moment lies in it; its end does not."""
        return self.start <= moment < self.end


def aware(local: datetime, zone: ZoneInfo, *, opens: bool = False) -> datetime:
    """Return the moment, in UTC, that a time by the school's clock means.

    Where it means two moments, or none, it is the earlier one: something ends, or is no longer waited for. With
    ``opens`` something begins, and it is the later one.
    """
    found = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return max(found) if opens else min(found)


def window_of(plan: MaintenancePlan, zone: ZoneInfo) -> Stretch:
    """Return the window of a plan. It is empty when moving the clock leaves nothing of it."""
    start, end = aware(plan.window.start, zone, opens=True), aware(plan.window.end, zone)
    return Stretch(start, max(start, end))


def deadline_of(plan: MaintenancePlan, zone: ZoneInfo) -> datetime:
    """Return until when people can agree to a plan."""
    return aware(plan.agreed_by, zone)


def open_stretches(within: Stretch, days: SchoolDays, zone: ZoneInfo) -> list[Stretch]:
    """Return the times within a stretch in which the school's calendar lets computers be wiped, in order."""
    found: list[Stretch] = []
    edges = _edges(within, days, zone)
    for start, end in pairwise(edges):
        fact = days.answer(start, zone)
        if not fact.covered or fact.protected:
            continue
        if found and found[-1].end == start:
            found[-1] = Stretch(found[-1].start, end)
        else:
            found.append(Stretch(start, end))
    return found


def days_of(within: Stretch, zone: ZoneInfo) -> list[date]:
    """Return the days, by the school's clock, that a stretch touches."""
    first = within.start.astimezone(zone).date()
    last = max(within.start, within.end - timedelta(microseconds=1)).astimezone(zone).date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _edges(within: Stretch, days: SchoolDays, zone: ZoneInfo) -> list[datetime]:
    """Return the moments between which the answer of the calendar cannot change, the ends of the stretch included.

    Besides midnights and quiet hours that is wherever a clock may be moved: on a half hour of UTC, all over the world.
    """
    moments = {within.start, within.end}
    for day in days_of(within, zone):
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a time of the wall clock
        for minute in days.edges:
            local = midnight + timedelta(minutes=minute)
            moments |= {aware(local, zone), aware(local, zone, opens=True)}
    half = timedelta(minutes=30)
    at = within.start.replace(minute=0, second=0, microsecond=0)
    while at < within.end:
        moments.add(at)
        at += half
    return sorted(one for one in moments if within.start <= one <= within.end)
