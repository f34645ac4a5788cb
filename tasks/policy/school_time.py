"""The clock on the school's wall, and the moments that it means. Pure.

Twice a year a wall clock is moved: then an hour of it is missing, or stands there twice. A time in such an hour means
the moment that makes a window shorter: it opens at the later one and ends at the earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from configs.maintenance import MaintenancePlan


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
