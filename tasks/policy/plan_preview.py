"""What a maintenance plan would do: a value, worked out before anything happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.policy.estimate import Effort
from tasks.policy.school_calendar import Protected
from tasks.policy.school_time import Stretch


@dataclass(frozen=True, slots=True)
class HostPreview:
    """What a plan means for one computer: whose it is, what it takes, and when its turn would be."""

    host: Host
    effort: Effort
    #: Keys of the people who are asked; empty where nobody is.
    asked: tuple[str, ...]
    #: From the last snapshot until everything is back; None where there is no room for it.
    slot: Stretch | None
    #: How long that is.
    needs: timedelta


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """What a plan would do, and why it must not begin as it is, as sentences that name the cure."""

    plan: MaintenancePlan
    zone: ZoneInfo
    window: Stretch
    deadline: datetime
    hosts: tuple[HostPreview, ...]
    #: Days in the window with classes; what is protected there; when computers may be wiped.
    class_days: tuple[date, ...]
    protected: tuple[Protected, ...]
    open: tuple[Stretch, ...]
    refused: tuple[str, ...]
    #: What somebody should know, though it stops nothing.
    problems: tuple[str, ...] = field(default=())

    @property
    def teachers(self) -> tuple[str, ...]:
        """Return the accounts of the teachers whose computers are touched."""
        return tuple(sorted({teacher for one in self.hosts for teacher in one.host.teachers}))

    @property
    def bytes(self) -> int:
        """Return how much is saved, and written back."""
        return sum(one.effort.bytes for one in self.hosts)

    @property
    def finish(self) -> datetime | None:
        """Return when the last computer is done; None when one of them finds no room."""
        ends = [one.slot.end for one in self.hosts if one.slot is not None]
        return max(ends) if ends and len(ends) == len(self.hosts) else None
