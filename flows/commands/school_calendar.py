"""``firstbell calendar``: what the school calendars say, and import into them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.selection import load_context

if TYPE_CHECKING:
    from datetime import date

    from tasks.verbs.calendars import SiteCalendar
    from tasks.verbs.context import Context

_KINDS = ("terms", "holidays", "closed", "extra_class_days", "exams", "events")


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    calendar = verbs.add_parser(
        "calendar",
        parents=[common],
        help="the school calendar: what is protected and what is missing, import",
        description="The school calendars, which say when no computer may be wiped.",
    )
    actions = calendar.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser("check", parents=[common], help="show gaps, and what is protected in the next weeks")
    check.add_argument("--site", help="of this site only")
    check.add_argument("--weeks", type=int, default=8, metavar="N", help="how far to look (default: 8)")
    check.set_defaults(run=run_check)
    bring = actions.add_parser("import", parents=[common], help="take over the days of an iCalendar file (.ics)")
    bring.add_argument("file", type=Path, metavar="FILE.ics")
    bring.add_argument("--site", help="for this site (needed when there are several)")
    bring.add_argument(
        "--as", dest="kind", choices=_KINDS, default="events", help="what its days are (default: events)"
    )
    bring.add_argument("--dry-run", action="store_true", help="only show what would be taken over")
    bring.set_defaults(run=run_import)


def run_check(arguments: argparse.Namespace) -> int:
    """Show what the calendars say; 0 when every day is covered, 3 when one is not."""
    from datetime import UTC, datetime

    from tasks.verbs.calendars import check_calendar

    context = load_context(arguments)
    weeks = max(1, min(arguments.weeks, 520))
    found = [check_calendar(context, site, datetime.now(UTC), weeks) for site in _sites(context, arguments.site)]
    for one in found:
        if arguments.json:
            sys.stdout.write(json.dumps(_json(one)) + "\n")
        else:
            sys.stdout.write("\n".join(_lines(one)) + "\n")
    return 3 if any(one.gaps for one in found) else 0


def run_import(arguments: argparse.Namespace) -> int:
    """Import an iCalendar file."""
    from configs.errors import InventoryError
    from tasks.reports.display import show_text
    from tasks.reports.units import count_of
    from tasks.verbs.calendars import calendar_path, import_calendar

    context = load_context(arguments)
    sites = _sites(context, arguments.site)
    if len(sites) != 1:
        raise InventoryError(f"there are {len(sites)} sites: {', '.join(sites)}", hint="Say which one: --site NAME.")
    done = import_calendar(context, sites[0], arguments.file, arguments.kind, dry_run=arguments.dry_run)
    if arguments.json:
        days = [{"name": one.name, "first": one.first.isoformat(), "last": one.end.isoformat()} for one in done.periods]
        document = {"type": "calendar_import", "path": str(done.path), "kind": done.kind, "written": done.written}
        sys.stdout.write(json.dumps({**document, "days": days}) + "\n")
        return 0
    for one in done.periods:
        sys.stdout.write(f"{_span(one.first, one.end)}  {show_text(one.name)}\n")
    what = "taken over into" if done.written else "would be taken over into"
    sys.stdout.write(f"{count_of(len(done.periods), 'entry', 'entries')} {what} {done.path}\n")
    own = calendar_path(context, sites[0])
    if not own.exists():
        sys.stdout.write(f"note: {own} is not there yet, and without it nothing counts: copy the example there\n")
    return 0


def _sites(context: Context, site: str | None) -> tuple[str, ...]:
    from configs.errors import InventoryError

    known = tuple(sorted({*context.config.sites, *context.inventory.sites()}))
    if site is None:
        return known
    if site not in known:
        raise InventoryError(f"there is no site '{site}'", hint=f"There are: {', '.join(known) or 'none'}.")
    return (site,)


def _json(one: SiteCalendar) -> dict[str, Any]:
    return {
        "type": "calendar",
        "site": one.site,
        "path": str(one.path),
        "found": one.days is not None,
        "first": one.first.isoformat(),
        "last": one.last.isoformat(),
        "gaps": [{"first": first.isoformat(), "last": last.isoformat()} for first, last in one.gaps],
        "first_days": [day.isoformat() for day in one.first_days],
        "protected": [
            {"why": it.why, "first": it.first.isoformat(), "last": it.last.isoformat()} for it in one.protected
        ],
    }


def _lines(one: SiteCalendar) -> list[str]:
    from tasks.reports.display import show_text

    lines = [f"{one.site}  {_span(one.first, one.last)}  {one.path}"]
    if one.days is None:
        return [
            *lines,
            "    MISSING  there is no calendar, so no computer of this site is wiped",
            f"    -> Write {one.path}",
        ]
    for first, last in one.gaps:
        lines.append(f"    GAP        {_span(first, last)}  not covered: no computer is wiped")
    lines += [f"    protected  {_span(it.first, it.last)}  {show_text(it.why)}" for it in one.protected]
    if not one.gaps:
        lines.append("    every day is covered")
    return lines


def _span(first: date, last: date) -> str:
    return f"{first:%a} {first}" if first == last else f"{first:%a} {first} - {last:%a} {last}"
