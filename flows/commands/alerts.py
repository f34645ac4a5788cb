"""``firstbell overdue`` and ``firstbell readiness``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.selection import load_context

if TYPE_CHECKING:
    from tasks.reports.maintenance_model import OverduePage, ReadinessPage
    from tasks.reports.templates import Page
    from tasks.verbs.context import Context

#: What it ends with when somebody has to do something.
SOME = 3


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    late = verbs.add_parser(
        "overdue",
        parents=[common],
        help="computers that were not saved for some days",
        description="Which computers have had no good snapshot for some days. Exit code 0: none; 3: some.",
    )
    late.add_argument("--site", help="of this school only")
    late.add_argument("--days", type=_days, metavar="N", help="for how long (else alerts.days)")
    late.add_argument("--tell", action="store_true", help="write to IT and to the teachers, as the schedule does")
    late.set_defaults(run=run_overdue)
    ready = verbs.add_parser(
        "readiness",
        parents=[common],
        help="are the rooms ready for the next class day?",
        description="Which rooms are ready for the next class day. Exit code 0: all; 3: some are not.",
    )
    ready.add_argument("--site", help="of this school (needed when there are several)")
    ready.add_argument("--plan", metavar="NAME", help="only the computers of this maintenance")
    ready.set_defaults(run=run_readiness)
    for parser in (late, ready):
        parser.add_argument("--html", type=Path, metavar="FILE", help="write the page as one HTML file")
        parser.add_argument("--language", default="", metavar="LL", help="such as de (else letters.language)")


def run_overdue(arguments: argparse.Namespace) -> int:
    """Show what is overdue; 3 when something is."""
    from tasks.verbs.alerts import alert, overdue, overdue_report

    context = load_context(arguments)
    sites = _sites(context, arguments, one=arguments.html is not None)
    late = False
    for site in sites:
        page = overdue(context, site, days=arguments.days)
        late = late or bool(page.computers)
        if arguments.json:
            sys.stdout.write(json.dumps(_overdue_json(site, page)) + "\n")
        else:
            _show(overdue_report(context, site, page, language=arguments.language), arguments.html)
        if arguments.tell:
            for told in alert(context, site, page, report=_warn):
                sys.stderr.write(f"{told.name}: {told.outcome}\n")
    return SOME if late else 0


def run_readiness(arguments: argparse.Namespace) -> int:
    """Show which rooms are ready; 3 when one is not."""
    from tasks.verbs.readiness import readiness, render

    context = load_context(arguments)
    (site,) = _sites(context, arguments, one=True)
    found = readiness(context, site, plan=arguments.plan, report=_warn)
    if arguments.json:
        sys.stdout.write(json.dumps(_readiness_json(site, found)) + "\n")
    else:
        _show(render(context, site, found, language=arguments.language), arguments.html)
    return 0 if found.ready == len(found.rooms) else SOME


def _sites(context: Context, arguments: argparse.Namespace, *, one: bool) -> tuple[str, ...]:
    from configs.errors import InventoryError

    if arguments.site:
        return (arguments.site,)
    sites = context.inventory.sites()
    if one and len(sites) != 1:
        raise InventoryError(f"there are {len(sites)} sites: {', '.join(sites)}", hint="Say which one: --site NAME.")
    return sites


def _show(page: Page, path: Path | None) -> None:
    from tasks.reports.plain_text import plain_text
    from tasks.verbs.readiness import write_page

    for note in page.notes:
        sys.stderr.write(f"firstbell: templates: {note}\n")
    if path is None:
        sys.stdout.write(plain_text(page.markdown) + "\n")
    else:
        write_page(path, page)
        sys.stderr.write(f"firstbell: written to {path}\n")


def _warn(event: object) -> None:
    from tasks.events import Warned
    from tasks.reports.display import show_text

    if isinstance(event, Warned):
        sys.stderr.write(f"firstbell: {show_text(event.message)}\n")


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 3650:
        raise argparse.ArgumentTypeError("between 1 and 3650 days")
    return days


def _overdue_json(site: str, page: OverduePage) -> dict[str, Any]:
    computers = [
        {
            "host": one.host,
            "room": one.room,
            "last_good": one.last_good.isoformat() if one.last_good else None,
            "days": one.days,
            "teachers": list(one.teachers),
            "partly": one.partly.isoformat() if one.partly else None,
        }
        for one in page.computers
    ]
    return {"type": "overdue", "site": site, "days": page.days, "looked_at": page.looked_at, "computers": computers}


def _readiness_json(site: str, page: ReadinessPage) -> dict[str, Any]:
    rooms = [
        {
            "room": room.title,
            "computers": room.computers,
            "not_ready": [
                {"host": one.host, "trouble": one.trouble, "since": one.since.isoformat() if one.since else None}
                for one in room.not_ready
            ],
        }
        for room in page.worst_first
    ]
    return {
        "type": "readiness",
        "site": site,
        "next_class_day": page.next_class_day.isoformat() if page.next_class_day else None,
        "ready": page.ready,
        "rooms": rooms,
        "not_saved_lately": [one.host for one in page.overdue],
    }
