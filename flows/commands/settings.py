"""``firstbell settings``: what IT should know of a computer before it gets a new image."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from flows.commands.selection import load_context


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "settings",
        parents=[common],
        help="show what of a computer comes back, what IT has to do, and what cannot come back",
        description=(
            "Show, from the newest snapshot: whose settings are saved and what becomes of each, installed programs and "
            "local printers, files that are only in the cloud, and what lies outside the homes. No computer is asked."
        ),
    )
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("--snapshot", default="latest", help="first digits of its id (default: the newest)")
    parser.add_argument("--html", metavar="FILE", help="write a page to this file, to be printed or passed on")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    from zoneinfo import ZoneInfo

    from tasks.errors import ConfigError
    from tasks.reports.html_page import html_page
    from tasks.reports.json_lines import JsonReporter
    from tasks.reports.settings_page import inventory_json, inventory_lines, inventory_page
    from tasks.verbs.settings_inventory import settings_inventory

    context = load_context(arguments)
    found = settings_inventory(context, arguments.host, snapshot=arguments.snapshot)
    if arguments.html:
        zone = ZoneInfo(context.config.site(context.host(arguments.host).site).time_zone)
        page = html_page(inventory_page(found, zone), title=f"{found.host}: before a new image", language="en")
        try:
            Path(arguments.html).write_text(page, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{arguments.html} cannot be written: {error.strerror}") from None
    if arguments.json:
        JsonReporter(sys.stdout).write(inventory_json(found))
    else:
        sys.stdout.write("\n".join(inventory_lines(found)) + "\n")
    return 0
