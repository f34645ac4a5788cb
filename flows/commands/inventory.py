"""``firstbell inventory [list|explain|import]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands.selection import add_selection, load_context, selected_hosts

if TYPE_CHECKING:
    from configs.model import AppConfig
    from inventory.model import Inventory


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verb and what it can do."""
    parser = verbs.add_parser("inventory", parents=[common], help="the computers we know: list, explain, import")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    listing = actions.add_parser("list", parents=[common], help="list computers (the default)")
    add_selection(listing)
    listing.set_defaults(run=run_list)
    explain = actions.add_parser(
        "explain", parents=[common], help="show each value of a computer, and the file it is from"
    )
    explain.add_argument("host", metavar="HOST")
    explain.set_defaults(run=run_explain)
    importing = actions.add_parser("import", parents=[common], help="take computers over from a spreadsheet (CSV)")
    importing.add_argument("file", type=Path, metavar="FILE.csv")
    importing.add_argument("--dry-run", action="store_true", help="show what would change, write nothing")
    importing.set_defaults(run=run_import)
    parser.set_defaults(run=run_list, hosts=[], site=None, group=None, teacher=None)


def run_list(arguments: argparse.Namespace) -> int:
    """List the selected hosts."""
    context = load_context(arguments)
    hosts = selected_hosts(context, arguments)
    notes = inventory_notes(context.config, context.inventory)
    if arguments.json:
        for host in hosts:
            document = {
                "type": "host",
                "host": host.name,
                "site": host.site,
                "groups": list(host.groups),
                "address": host.address,
                "platform": host.platform,
                "transport": host.transport,
                "teachers": list(host.teachers),
            }
            sys.stdout.write(json.dumps(document) + "\n")
        for note in notes:
            sys.stdout.write(json.dumps({"type": "note", "message": note}) + "\n")
        return 0
    rows = [("COMPUTER", "SITE", "GROUPS", "ADDRESS", "TEACHERS")]
    rows += [
        (host.name, host.site, " ".join(host.groups), host.address, " ".join(host.teachers) or "everybody there")
        for host in hosts
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    sys.stdout.write(f"{len(hosts)} {'computer' if len(hosts) == 1 else 'computers'}\n")
    for note in notes:
        sys.stdout.write(f"note: {note}\n")
    return 0


def inventory_notes(config: AppConfig, inventory: Inventory) -> list[str]:
    """Return what a person should look at though it stops nothing: of the inventory, and of what it needs from us."""
    notes = list(inventory.warnings)
    for site in inventory.sites():
        over_winrm = [host.name for host in inventory.hosts.values() if host.site == site and host.transport == "winrm"]
        if over_winrm and config.spool_for(site) is None:
            named = ", ".join(over_winrm[:3]) + (", ..." if len(over_winrm) > 3 else "")
            notes.append(
                f"{named}: everything goes through WinRM, which is slow; with a bucket as 'spool.location' in the "
                "configuration the computers hand it over directly"
            )
    return notes


def run_explain(arguments: argparse.Namespace) -> int:
    """Show each value of a host and the file that it comes from."""
    from inventory.explain import explain

    context = load_context(arguments)
    rows = explain(context.inventory, arguments.host)
    if arguments.json:
        for row in rows:
            sys.stdout.write(
                json.dumps({"type": "value", "key": row.key, "value": row.value, "source": row.source}) + "\n"
            )
        return 0
    widths = (max(len(row.key) for row in rows), max(len(row.value) for row in rows))
    for row in rows:
        sys.stdout.write(f"{row.key:<{widths[0]}}  {row.value:<{widths[1]}}  {row.source}\n".rstrip() + "\n")
    return 0


def run_import(arguments: argparse.Namespace) -> int:
    """Take hosts over from a spreadsheet into the inventory."""
    import os

    from inventory.csv_import import import_csv

    folder = Path(arguments.inventory or os.environ.get("FIRSTBELL_INVENTORY") or "inventory")
    report = import_csv(arguments.file, folder, write=not arguments.dry_run)
    if arguments.json:
        sys.stdout.write(json.dumps({"type": "import", **report.as_json()}) + "\n")
    else:
        sys.stdout.write(report.text())
    return 0
