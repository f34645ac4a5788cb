"""``firstbell init``, ``check`` and ``forget``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from flows.commands.selection import load_context


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    init = verbs.add_parser("init", parents=[common], help="make the repository of a site")
    init.add_argument("site", nargs="?", metavar="SITE")
    init.add_argument("--host", default="", help="for a repository of one computer, where the location says {host}")
    init.set_defaults(run=run_init)
    check = verbs.add_parser("check", parents=[common], help="check a repository, by the stock restic client")
    check.add_argument("site", nargs="?", metavar="SITE")
    check.add_argument("--read-data", action="store_true", help="read every stored byte again")
    check.set_defaults(run=run_check)
    forget = verbs.add_parser("forget", parents=[common], help="let old snapshots go, as the retention says")
    forget.add_argument("site", nargs="?", metavar="SITE")
    forget.add_argument("--dry-run", action="store_true", help="only show what would go, and why the others stay")
    forget.add_argument("--prune", action="store_true", help="and remove the data that nothing needs any more")
    forget.set_defaults(run=run_forget)
    sweep = verbs.add_parser("sweep", parents=[common], help="remove what cut-off runs left in the spool of a site")
    sweep.add_argument("site", nargs="?", metavar="SITE")
    sweep.set_defaults(run=run_sweep)


def _site(context: Any, arguments: argparse.Namespace) -> str:
    from configs.errors import InventoryError

    if arguments.site:
        return str(arguments.site)
    sites = context.inventory.sites()
    if len(sites) != 1:
        raise InventoryError(f"there are {len(sites)} sites: {', '.join(sites)}", hint="Name one of them.")
    return str(sites[0])


def run_init(arguments: argparse.Namespace) -> int:
    """Make a repository."""
    from tasks.verbs.maintain import init_repository

    context = load_context(arguments)
    made = init_repository(context, _site(context, arguments), host=arguments.host)
    if arguments.json:
        sys.stdout.write(json.dumps({"type": "repository", "location": made.location, "id": made.id}) + "\n")
    else:
        sys.stdout.write(
            f"made repository {made.id[:8]} at {made.location}\n"
            "Keep its password somewhere else, too: without it nobody can restore anything.\n"
        )
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Check a repository; 0 when it is sound."""
    from tasks.verbs.maintain import check_repository

    context = load_context(arguments)
    result = check_repository(context, _site(context, arguments), read_data=arguments.read_data)
    if arguments.json:
        document = {"type": "check_result", "sound": result.sound, "messages": list(result.messages)}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        for line in result.messages:
            sys.stdout.write(f"  {line}\n")
        sys.stdout.write("the repository is sound\n" if result.sound else "the repository is DAMAGED\n")
    return 0 if result.sound else 1


def run_forget(arguments: argparse.Namespace) -> int:
    """Forget snapshots as the retention says."""
    from tasks.reports.units import count_of
    from tasks.repository.ids import short
    from tasks.verbs.maintain import forget

    context = load_context(arguments)
    result = forget(context, _site(context, arguments), dry_run=arguments.dry_run, prune=arguments.prune)
    for decision in result.decisions:
        name, snapshot = short(decision.snapshot.id or b""), decision.snapshot
        verb = "keep" if decision.keep else "forget"
        if arguments.json:
            document = {
                "type": "decision",
                "snapshot": (snapshot.id or b"").hex(),
                "host": snapshot.hostname,
                "time": snapshot.time.isoformat(),
                "keep": decision.keep,
                "reasons": list(decision.reasons),
            }
            sys.stdout.write(json.dumps(document) + "\n")
        else:
            why = "; ".join(decision.reasons)
            line = f"{verb:<6}  {name}  {snapshot.time:%Y-%m-%d %H:%M}  {snapshot.hostname}  {why}"
            sys.stdout.write(line.rstrip() + "\n")
    gone = sum(not decision.keep for decision in result.decisions)
    if not arguments.json:
        done = "would go" if arguments.dry_run else "forgotten"
        sys.stdout.write(f"{count_of(gone, 'snapshot')} {done}, {len(result.decisions) - gone} kept\n")
    return 0


def run_sweep(arguments: argparse.Namespace) -> int:
    """Remove leftovers from the spool, those that are older than a day."""
    from tasks.reports.units import count_of
    from tasks.verbs.maintain import sweep_spool

    context = load_context(arguments)
    site = _site(context, arguments)
    result = sweep_spool(context, site)
    if arguments.json:
        sys.stdout.write(json.dumps({"type": "sweep", "location": result.location, "removed": result.removed}) + "\n")
    elif result.location is None:
        sys.stdout.write(f"{site} has no spool\n")
    else:
        sys.stdout.write(f"{count_of(result.removed, 'leftover')} removed from {result.location}\n")
    return 0
