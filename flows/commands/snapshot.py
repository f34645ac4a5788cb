"""``firstbell snapshot``."""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from flows.commands.selection import add_selection, load_context, selected_hosts


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verb."""
    parser = verbs.add_parser("snapshot", parents=[common], help="save the files of the people on computers, now")
    add_selection(parser)
    parser.add_argument(
        "--reason", default="before reimage", help="why, kept with the snapshot (default: 'before reimage')"
    )
    parser.add_argument("--verbose", action="store_true", help="name each new or changed file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Snapshot the selected hosts; 0 when all are complete, 3 when something is missing, 1 when a host failed."""
    from configs.errors import FirstbellError
    from tasks.reports.json_lines import JsonReporter, host_json, site_json
    from tasks.reports.model import HostReport, SiteReport
    from tasks.reports.table import host_block, site_table
    from tasks.reports.text import TextReporter
    from tasks.verbs.reporting import failed_report, host_report
    from tasks.verbs.snapshot import HostSnapshot, snapshot_hosts

    context = load_context(arguments)
    hosts = selected_hosts(context, arguments)
    reports: dict[str, HostReport] = {}
    started, began = datetime.now(UTC), time.monotonic()
    sites = sorted({host.site for host in hosts})
    title = f"snapshot {hosts[0].name if len(hosts) == 1 else ' '.join(sites)}"
    json_out = JsonReporter(sys.stdout) if arguments.json else None
    text = TextReporter(sys.stderr, title=title, hosts=len(hosts), verbose=arguments.verbose)

    def done(name: str, outcome: HostSnapshot | FirstbellError) -> None:
        report = failed_report(name, outcome) if isinstance(outcome, FirstbellError) else host_report(outcome)
        reports[name] = report
        if json_out is not None:
            json_out.write(host_json(report))

    first_error: list[FirstbellError] = []

    def remember(name: str, outcome: HostSnapshot | FirstbellError) -> None:
        if isinstance(outcome, FirstbellError):
            first_error.append(outcome)
        done(name, outcome)

    snapshot_hosts(
        context,
        [host.name for host in hosts],
        reason=arguments.reason,
        report=json_out or text,
        done=remember,
    )
    text.close()
    if json_out is None and len(hosts) == 1 and not first_error:
        sys.stdout.write(host_block(reports[hosts[0].name]))
    else:
        site = SiteReport(" ".join(sites), started, time.monotonic() - began, tuple(reports.values()))
        if json_out is not None:
            json_out.write(site_json(site))
        else:
            sys.stdout.write(site_table(site))
    if first_error:
        return first_error[0].exit_code if len(first_error) == len(hosts) else 3
    return 3 if any(report.needs_attention for report in reports.values()) else 0
