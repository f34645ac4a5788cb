"""The ledger of a school as a page: who decided what. Codes that were given out are not decisions, and left out."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.answers import Answered, HoldLifted, HoldPlaced, Line, Overridden
from tasks.reports.maintenance_model import Ledger, LedgerLine
from tasks.reports.school_pages import ledger_page
from tasks.reports.templates import Page
from tasks.verbs.context import Context
from tasks.verbs.decisions import read_ledger
from tasks.verbs.letters import reader_of, templates_of
from tasks.verbs.site_ledger import SiteLines


def ledger_of(
    context: Context, site: str, *, found: SiteLines | None = None, plan: str = "", now: datetime | None = None
) -> Ledger:
    """Return the decisions of a school, the newest first; with ``plan`` only those about that maintenance.

    Raises ``ConfigError`` or a ``BackendError``; a ledger that cannot be believed says so on its page.
    """
    found = found or read_ledger(context, site)
    holds = {one.seq: one for one in found.lines if isinstance(one, HoldPlaced)}
    lines = [line for one in reversed(found.lines) if (line := _line(context, one, holds, plan)) is not None]
    return Ledger(plan, now or datetime.now(UTC), tuple(lines), "; ".join(found.problems))


def render_ledger(context: Context, site: str, ledger: Ledger, *, language: str = "") -> Page:
    """Return the page as markdown."""
    return ledger_page(templates_of(context), ledger, reader_of(context, site, language=language))


def _line(context: Context, one: Line, holds: dict[int, HoldPlaced], plan: str) -> LedgerLine | None:
    if plan and getattr(one, "plan", plan) != plan:
        return None
    match one:
        case Answered():
            until = one.until if one.decision == "defer" else None
            return LedgerLine(one.at, one.name, str(one.decision), one.hosts, until, one.reason)
        case HoldPlaced():
            return LedgerLine(one.at, one.name, "hold", _about(context, one), one.until, one.reason)
        case HoldLifted():
            hold = holds.get(one.hold)
            return LedgerLine(one.at, one.name, "lift", _about(context, hold) if hold else (), None, one.reason)
        case Overridden():
            return LedgerLine(one.at, " + ".join(one.names), "override", one.hosts, one.until, one.reason)
        case _:
            return None


def _about(context: Context, hold: HoldPlaced) -> tuple[str, ...]:
    """Return what a hold is about as people say it: a computer, a room, or the school."""
    if hold.scope == "site":
        return (context.config.site(hold.target).title or hold.target,)
    if hold.scope == "group":
        return (context.inventory.groups.get(hold.target) or hold.target,)
    return (hold.target,)
