"""Tell and ask people in a maintenance: once each, whatever dies in between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.events import Reporter
from tasks.verbs import tell
from tasks.verbs.context import Context
from tasks.verbs.maintenance_hands import Telling


def announce(context: Context, plan: MaintenancePlan, hosts: Sequence[Host], now: datetime, report: Reporter) -> None:
    """Ask everybody who must agree, and tell everybody whose computers are in it.

    Raises ``MailError`` when a letter could not be sent now, after all others were: then it is done again.
    """
    tell.announce(context, plan, hosts, now, report)


def tell_people(
    context: Context, plan: MaintenancePlan, host: Host, kind: Telling, text: str, now: datetime, report: Reporter
) -> None:
    """Tell the teachers of a computer what is saved or how it went, or IT that it needs somebody."""
    tell.tell_host(context, plan, host, kind, text, now, report)
