"""``firstbell pending``: restores that wait until somebody has a profile on a computer."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from flows.commands.selection import load_context

if TYPE_CHECKING:
    from tasks.verbs.pending import Delivery


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "pending",
        parents=[common],
        help="restores that wait for a profile on a fresh image: list, deliver, let go",
        description="Restores that wait until somebody has a profile on a computer. Without an option they are listed.",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--deliver", action="store_true", help="try each of them now")
    action.add_argument("--cancel", metavar="HOST", help="let those of this computer go; nothing is restored")
    parser.add_argument("--teacher", metavar="ACCOUNT", help="with --cancel: only this teacher's")
    parser.add_argument("--site", help="only those of this site")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List, deliver or let go; 0 when all is well, 3 when something waits on or did not come back in full."""
    from tasks.verbs.pending import cancel_pending, waiting

    context = load_context(arguments)
    if arguments.cancel:
        found = cancel_pending(context, arguments.cancel, arguments.teacher)
        _show(found, arguments)
        return 0
    if arguments.deliver:
        return _deliver(context, arguments)
    found = waiting(context, arguments.site)
    _show(found, arguments)
    if not found and not arguments.json:
        sys.stdout.write("no restore waits\n")
    return 0


def _deliver(context: Any, arguments: argparse.Namespace) -> int:
    from tasks.reports.json_lines import JsonReporter
    from tasks.reports.text import TextReporter
    from tasks.verbs.deliver import deliver

    json_out = JsonReporter(sys.stdout) if arguments.json else None
    text = TextReporter(sys.stderr, title="pending")
    found: list[Delivery] = []
    for one in deliver(context, arguments.site, report=json_out or text):
        found.append(one)
        text.close()
        _show([one], arguments)
    if not found and json_out is None:
        sys.stdout.write("no restore waits\n")
    return 3 if any(one.waiting or not one.complete for one in found) else 0


def _show(found: list[Delivery], arguments: argparse.Namespace) -> None:
    for one in found:
        if arguments.json:
            document = {
                "type": "pending",
                "host": one.host,
                "teacher": one.teacher,
                "snapshot": one.snapshot,
                "waiting": one.waiting,
                "complete": one.complete,
                "message": one.message,
            }
            sys.stdout.write(json.dumps(document) + "\n")
            continue
        state = "waits" if one.waiting else "done"
        line = f"{state:<5}  {one.host}  {one.teacher}  snapshot {one.snapshot[:8]}  {one.message}"
        sys.stdout.write(line.rstrip() + "\n")
