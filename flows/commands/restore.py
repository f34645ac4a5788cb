"""``firstbell restore`` and ``firstbell undo``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime, time
from typing import TYPE_CHECKING, Any

from flows.commands.selection import load_context

if TYPE_CHECKING:
    from tasks.restorer.plan import RestorePlan
    from tasks.settings.person import PersonSettings
    from tasks.verbs.restore import RestoreOutcome


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    parser = verbs.add_parser(
        "restore",
        parents=[common],
        help="bring files back: shows the plan, asks, never overwrites newer work",
        description="Bring files back. The plan is shown first; files that are newer on the computer are kept.",
    )
    parser.add_argument("host", nargs="?", metavar="HOST", help="the computer that the files were on")
    parser.add_argument(
        "what", nargs="*", metavar="WHAT", help="folders, files or patterns such as '*.docx' (default: everything)"
    )
    parser.add_argument("--teacher", help="only this teacher's files")
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="but not these")
    parser.add_argument("--snapshot", default="latest", help="first digits of its id (default: the newest)")
    parser.add_argument("--as-of", metavar="DATE", help="the newest snapshot of that day or before, such as 2026-08-24")
    parser.add_argument("--to", metavar="HOST", help="onto another computer")
    parser.add_argument("--to-teacher", metavar="ACCOUNT", help="into the home of another account")
    parser.add_argument("--into", metavar="FOLDER", help="into this folder on the computer, laid out as it was")
    parser.add_argument("--stage", action="store_true", help="into a dated folder on the desktop")
    parser.add_argument(
        "--overwrite-newer", action="append", default=[], metavar="PATH", help="this file even if it is newer there"
    )
    parser.add_argument("--no-settings", action="store_true", help="the files only, no profile settings")
    parser.add_argument("--settings-only", action="store_true", help="profile settings only, no files")
    parser.add_argument(
        "--replace-setting", action="append", default=[], metavar="ID", help="this setting even if it was changed since"
    )
    parser.add_argument("--again", action="store_true", help="with --stage: although the same was restored today")
    parser.add_argument("--plan", action="store_true", help="only show what would happen")
    parser.add_argument("--yes", action="store_true", help="apply without asking")
    parser.set_defaults(run=run_restore)
    undo = verbs.add_parser("undo", parents=[common], help="take a restore back; keeps what was changed since")
    undo.add_argument("host", metavar="HOST")
    undo.add_argument(
        "undo_id", nargs="?", default="latest", metavar="NUMBER", help="as the restore told (default: the last)"
    )
    undo.add_argument("--plan", action="store_true", help="only show what would happen")
    undo.add_argument("--yes", action="store_true", help="apply without asking")
    undo.set_defaults(run=run_undo)


def run_restore(arguments: argparse.Namespace) -> int:
    """Restore; 0 when everything asked for is as in the snapshot, 3 when something was kept or failed."""
    from tasks.verbs.orders import RestoreOrder
    from tasks.verbs.restore import restore_host

    _must_decide(arguments)
    if arguments.settings_only and (arguments.no_settings or arguments.what or arguments.stage or arguments.into):
        sys.stderr.write("firstbell: --settings-only goes with no files, no --stage and no --into\n")
        raise SystemExit(2)
    order = RestoreOrder(
        host=arguments.host,
        teacher=arguments.teacher,
        what=tuple(arguments.what),
        exclude=tuple(arguments.exclude),
        as_of=_end_of_day(arguments.as_of) if arguments.as_of else None,
        snapshot=arguments.snapshot,
        # A dated folder is planned by the same order that would fill it.
        mode="stage" if arguments.stage else "plan" if arguments.plan else "apply",
        to_host=arguments.to,
        to_teacher=arguments.to_teacher,
        into=arguments.into,
        overwrite_newer=tuple(arguments.overwrite_newer),
        again=arguments.again,
        settings="only" if arguments.settings_only else "without" if arguments.no_settings else "with",
        replace_settings=tuple(arguments.replace_setting),
    )
    context = load_context(arguments)

    def prepare(names: Sequence[str]) -> bool:
        return not arguments.plan and (bool(arguments.yes) or _asked_for(names))

    return _finish(
        arguments,
        lambda report, confirm, settings: restore_host(
            context, order, report=report, confirm=confirm, prepare=prepare, confirm_settings=settings
        ),
    )


def run_undo(arguments: argparse.Namespace) -> int:
    """Take a restore back."""
    from tasks.verbs.restore import undo_restore

    _must_decide(arguments)
    context = load_context(arguments)
    return _finish(
        arguments,
        lambda report, confirm, _: undo_restore(
            context, arguments.host, arguments.undo_id, report=report, confirm=confirm
        ),
    )


def _finish(arguments: argparse.Namespace, call: Any) -> int:
    from tasks.reports.json_lines import JsonReporter
    from tasks.reports.restore import outcome_json, outcome_lines, plan_lines
    from tasks.reports.settings import settings_lines
    from tasks.reports.text import TextReporter

    json_out = JsonReporter(sys.stdout) if arguments.json else None
    text = TextReporter(sys.stderr, title=arguments.verb)

    def confirm(plan: RestorePlan) -> bool:
        text.close()
        shown.append(True)
        if json_out is None:
            sys.stdout.write("\n".join(plan_lines(plan)) + "\n")
            sys.stdout.flush()
        if arguments.plan:
            return False
        agreed.append(bool(arguments.yes) or _asked())
        return agreed[-1]

    def confirm_settings(planned: Sequence[PersonSettings]) -> bool:
        if arguments.plan or arguments.yes or agreed:
            return not arguments.plan
        text.close()
        sys.stdout.write("\n".join(settings_lines(planned)) + "\n")
        return _asked()

    agreed: list[bool] = []
    shown: list[bool] = []
    outcome: RestoreOutcome = call(json_out or text, confirm, confirm_settings)
    text.close()
    if json_out is not None:
        json_out.write(outcome_json(outcome))
    else:
        if arguments.plan and outcome.plan is not None and not shown:
            sys.stdout.write("\n".join(plan_lines(outcome.plan)) + "\n")
        sys.stdout.write("\n".join(outcome_lines(outcome)) + "\n")
    return 0 if outcome.complete else 3


def _must_decide(arguments: argparse.Namespace) -> None:
    if not (arguments.yes or arguments.plan or sys.stdin.isatty()):
        sys.stderr.write("firstbell: nobody is here to confirm the plan; say --yes to apply it or --plan to see it\n")
        raise SystemExit(2)


def _asked_for(names: Sequence[str]) -> bool:
    sys.stdout.write(
        f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} no profile there yet. "
        "Have one made, or else let the restore wait for it? [y/N] "
    )
    sys.stdout.flush()
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


def _asked() -> bool:
    sys.stdout.write("Apply this? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().casefold() in {"y", "yes"}


def _end_of_day(text: str) -> datetime:
    from configs.errors import ConfigError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no date", hint="Write it as 2026-08-24 or 2026-08-24T13:30.") from None
    if len(text) <= 10:
        found = datetime.combine(found.date(), time.max)
    return found.astimezone()
