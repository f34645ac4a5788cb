"""Whether there is time enough to wipe a computer now: it must not lie open when the first class begins."""

from __future__ import annotations

from datetime import datetime, timedelta

from configs.errors import ConfigError
from configs.maintenance import MaintenancePlan
from tasks.policy.gate import Reason
from tasks.policy.school_time import Stretch, open_stretches, window_of
from tasks.reports.units import duration, local_day_time
from tasks.verbs.calendars import school_days
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import zone_of


def too_late(context: Context, plan: MaintenancePlan, now: datetime) -> tuple[Reason, ...]:
    """Return why a computer must not be begun any more, where ``action_minutes`` reach past what lets it be wiped.

    That is the end of the window, or the next quiet hours or protected day, whichever comes first. What the calendar
    says of ``now`` itself, the gate tells.
    """
    zone = zone_of(context, plan.site)
    end = now + timedelta(minutes=plan.action_minutes)
    until = window_of(plan, zone).end
    try:
        days = school_days(context, plan.site)
    except ConfigError:
        days = None
    if days is not None:
        free = open_stretches(Stretch(now, end), days, zone)
        if free and free[0].start == now:
            until = min(until, free[0].end)
    if end <= until or until <= now:
        return ()
    text = (
        f"there is not enough time left: it takes {duration(plan.action_minutes * 60)}, and may be wiped until "
        f"{local_day_time(until, zone)} only"
    )
    return (Reason("too-late", text, "It is begun when there is room the next time, or stays as it is."),)
