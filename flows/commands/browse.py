"""``firstbell snapshots``, ``ls``, ``find`` and ``diff``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flows.commands.selection import load_context

if TYPE_CHECKING:
    from tasks.repository.snapshot_file import Snapshot
    from tasks.repository.tree import Node
    from tasks.verbs.context import Context
    from tasks.verbs.site_repository import OpenRepository

_MARKS = {"added": "+", "removed": "-", "changed": "M", "metadata": "U", "type": "T"}


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    listing = verbs.add_parser("snapshots", parents=[common], help="list snapshots")
    listing.add_argument("host", nargs="?", metavar="HOST", help="of this computer only")
    listing.add_argument("--site", help="of this site (needed when there are several and no HOST is named)")
    listing.set_defaults(run=run_snapshots)
    folder = verbs.add_parser("ls", parents=[common], help="list what is in a snapshot")
    folder.add_argument(
        "snapshot", metavar="SNAPSHOT", help="first digits of its id, or the name of a computer for its newest"
    )
    folder.add_argument("path", nargs="?", default="", metavar="PATH")
    folder.add_argument("-r", "--recursive", action="store_true", help="and everything below")
    folder.add_argument("--site", help="the site whose repository to look into")
    folder.set_defaults(run=run_ls)
    find = verbs.add_parser("find", parents=[common], help="find a file in all snapshots")
    find.add_argument("pattern", metavar="PATTERN", help="a name such as '*.docx', or a path with '/'")
    find.add_argument("--host", help="in snapshots of this computer only")
    find.add_argument("--site", help="in snapshots of this site")
    find.set_defaults(run=run_find)
    diff = verbs.add_parser("diff", parents=[common], help="show what differs between two snapshots")
    diff.add_argument(
        "before", metavar="SNAPSHOT", help="first digits of its id, or the name of a computer for its newest"
    )
    diff.add_argument("after", metavar="SNAPSHOT", help="the same")
    diff.add_argument("--site", help="the site whose repository to look into")
    diff.set_defaults(run=run_diff)


@contextmanager
def _repository(context: Context, *, site: str | None, host: str | None = None) -> Iterator[OpenRepository]:
    from configs.errors import InventoryError
    from tasks.verbs.site_repository import open_repository

    if host is not None:
        site = context.host(host).site
    elif site is None:
        sites = context.inventory.sites()
        if len(sites) != 1:
            raise InventoryError(
                f"there are {len(sites)} sites: {', '.join(sites)}", hint="Say which one: --site NAME."
            )
        site = sites[0]
    with open_repository(context, site, host=host or "", lock=False) as opened:
        yield opened


def run_snapshots(arguments: argparse.Namespace) -> int:
    """List snapshots, oldest first."""
    from tasks.reports.json_lines import JsonReporter
    from tasks.reports.units import count_of, local_short, size
    from tasks.repository.ids import short
    from tasks.verbs.browse import snapshots_of

    context = load_context(arguments)
    with _repository(context, site=arguments.site, host=arguments.host) as opened:
        found = snapshots_of(opened.snapshots(), host=arguments.host)
    if arguments.json:
        out = JsonReporter(sys.stdout)
        for snapshot in found:
            out.write(_snapshot_json(snapshot))
        return 0
    rows = [("SNAPSHOT", "TAKEN", "COMPUTER", "STATE", "REASON", "FILES", "SIZE", "ADDED")]
    zone = _zone()
    for snapshot in found:
        summary = snapshot.summary or {}
        tags = dict(tag.split(":", 1) for tag in snapshot.tags if ":" in tag)
        rows.append(
            (
                short(snapshot.id or b""),
                local_short(snapshot.time, zone),
                snapshot.hostname,
                tags.get("state", "-"),
                "before a restore" if "before-restore" in snapshot.tags else tags.get("reason", "-").replace("-", " "),
                f"{summary['total_files_processed']:,}" if "total_files_processed" in summary else "-",
                size(summary["total_bytes_processed"]) if "total_bytes_processed" in summary else "-",
                size(summary.get("data_added_packed", summary["data_added"])) if "data_added" in summary else "-",
            )
        )
    _table(rows)
    sys.stdout.write(count_of(len(found), "snapshot") + "\n")
    return 0


def run_ls(arguments: argparse.Namespace) -> int:
    """List a folder of a snapshot."""
    from tasks.verbs.browse import list_folder

    context = load_context(arguments)
    host = arguments.snapshot if arguments.snapshot in context.inventory.hosts else None
    with _repository(context, site=arguments.site, host=host) as opened:
        snapshot = _pick(opened, arguments.snapshot, host)
        for found in list_folder(
            opened.repository, snapshot, os.fsencode(_as_saved(arguments.path)), recursive=arguments.recursive
        ):
            _write_node(found.path, found.node, as_json=arguments.json)
    return 0


def run_find(arguments: argparse.Namespace) -> int:
    """Find a file in all snapshots; 1 when there is none."""
    from tasks.reports.display import show_path
    from tasks.reports.json_lines import JsonReporter
    from tasks.reports.units import local_short, size
    from tasks.repository.ids import short
    from tasks.verbs.browse import find_files, snapshots_of

    context = load_context(arguments)
    count = 0
    zone = _zone()
    with _repository(context, site=arguments.site, host=arguments.host) as opened:
        for found in find_files(
            opened.repository, snapshots_of(opened.snapshots(), host=arguments.host), arguments.pattern
        ):
            count += 1
            if arguments.json:
                value = {**_snapshot_json(found.snapshot), "type": "found", **_node_json(found.path, found.node)}
                JsonReporter(sys.stdout).write(value)
                continue
            when = local_short(found.snapshot.time, zone)
            modified = f"{_time(found.node.mtime_ns)}"
            sys.stdout.write(
                f"{short(found.snapshot.id or b'')}  {when}  {found.snapshot.hostname}  {size(found.node.size):>10}  "
                f"changed {modified}  {show_path(found.path)}\n"
            )
    if not count and not arguments.json:
        sys.stderr.write(f"nothing matches {arguments.pattern}\n")
    return 0 if count else 1


def run_diff(arguments: argparse.Namespace) -> int:
    """Show what differs between two snapshots."""
    from tasks.reports.display import show_path
    from tasks.reports.json_lines import JsonReporter, path_json
    from tasks.reports.settings import difference_json, difference_line
    from tasks.reports.units import count_of
    from tasks.verbs.browse import diff_snapshots
    from tasks.verbs.settings_between import settings_between

    context = load_context(arguments)
    counts = dict.fromkeys(_MARKS, 0)
    hosts = [name if name in context.inventory.hosts else None for name in (arguments.before, arguments.after)]
    with _repository(context, site=arguments.site, host=hosts[0] or hosts[1]) as opened:
        before = _pick(opened, arguments.before, hosts[0])
        after = _pick(opened, arguments.after, hosts[1])
        for item in diff_snapshots(opened.repository, before, after):
            counts[item.change] += 1
            if arguments.json:
                JsonReporter(sys.stdout).write({"type": "difference", "change": item.change, **path_json(item.path)})
            else:
                sys.stdout.write(f"{_MARKS[item.change]}  {show_path(item.path)}\n")
        settings = [
            (one.person, each)
            for one in settings_between(context, opened.repository, before, after)
            for each in one.changes
        ]
    for person, each in settings:
        if arguments.json:
            JsonReporter(sys.stdout).write(difference_json(person, each))
        else:
            sys.stdout.write(f"S  {difference_line(person, each)}\n")
    if arguments.json:
        JsonReporter(sys.stdout).write({"type": "difference_summary", **counts, "settings": len(settings)})
    else:
        words = ", ".join(f"{count} {change}" for change, count in counts.items() if count)
        if settings:
            words = ", ".join([words] * bool(words) + [count_of(len(settings), "setting") + " changed"])
        sys.stdout.write((words or "no difference") + "\n")
    return 0


def _pick(opened: OpenRepository, spec: str, host: str | None) -> Snapshot:
    from tasks.verbs.orders import newest_of

    if host is not None:
        return newest_of(opened.snapshots(), [host])
    return opened.repository.find_snapshot(spec)


def _as_saved(path: str) -> str:
    """Return a path as snapshots spell it; raises ``ConfigError`` for one of a server."""
    from configs.errors import ConfigError
    from configs.folders import portable_path

    try:
        return portable_path(path)
    except ValueError as error:
        raise ConfigError(str(error), hint="Give the path as it was on the computer, or as it is shown.") from None


def _write_node(path: bytes, node: Node, *, as_json: bool) -> None:
    import stat

    from tasks.reports.display import show_path
    from tasks.reports.json_lines import JsonReporter

    if as_json:
        JsonReporter(sys.stdout).write({"type": "node", **_node_json(path, node)})
        return
    target = f" -> {show_path(node.linktarget)}" if node.type == "symlink" else ""
    owner = f"{node.user or node.uid}"
    sys.stdout.write(
        f"{stat.filemode(node.mode)}  {owner:<10}  {node.size:>12}  {_time(node.mtime_ns)}  {show_path(path)}{target}\n"
    )


def _time(ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ns // 10**9, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _zone() -> Any:
    from datetime import datetime

    return datetime.now().astimezone().tzinfo


def _node_json(path: bytes, node: Node) -> dict[str, Any]:
    from tasks.reports.json_lines import path_json

    return {
        **path_json(path),
        "node_type": node.type,
        "mode": node.mode & 0o7777,
        "user": node.user,
        "size": node.size,
        "mtime_ns": node.mtime_ns,
    }


def _snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "type": "snapshot",
        "snapshot": (snapshot.id or b"").hex(),
        "time": snapshot.time.isoformat(),
        "host": snapshot.hostname,
        "paths": list(snapshot.paths),
        "tags": list(snapshot.tags),
        "summary": snapshot.summary or {},
    }


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(line.rstrip() + "\n")
