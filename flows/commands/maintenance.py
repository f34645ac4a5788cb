"""``firstbell maintenance``: plans, and how far they are."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flows.commands import identity
from flows.commands.selection import load_context

if TYPE_CHECKING:
    from configs.maintenance import MaintenancePlan
    from tasks.policy.plan_preview import PlanPreview
    from tasks.verbs.context import Context
    from tasks.verbs.maintenance import HostStanding


def add(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    maintenance = verbs.add_parser(
        "maintenance",
        parents=[common],
        help="reimage, upgrade or change computers, as a plan says",
        description="Maintenance plans: what they touch, and how far they are. Guide: docs/maintenance.md",
    )
    actions = maintenance.add_subparsers(dest="action", metavar="ACTION", required=True)
    listed = actions.add_parser("list", parents=[common], help="show every plan")
    listed.set_defaults(run=run_list)
    _action(actions, common, "plan", run_plan, "show what a plan touches and how long it takes; nothing is done")
    _action(actions, common, "open", run_open, "begin: tell everybody, and ask those who must agree")
    walk = _action(actions, common, "run", run_run, "take every computer as far as it can go now")
    walk.add_argument("--wait", action="store_true", help="go on until every computer is at an end")
    walk.add_argument(
        "--every", type=int, default=10, metavar="MINUTES", help="with --wait: how often to look again (default: 10)"
    )
    walk.add_argument("--host", action="append", metavar="HOST", help="only this computer of the plan")
    _action(actions, common, "status", run_status, "show where every computer stands, and who must do what")
    confirm = _action(actions, common, "confirm", run_confirm, "say that a computer is set up anew")
    cancel = _action(actions, common, "cancel", run_cancel, "stop for good: no computer is wiped any more")
    accept = _action(actions, common, "accept", run_accept, "say that everything on a computer is there again")
    identity.add(actions, common)
    for parser in (confirm, accept):
        parser.add_argument("host", metavar="HOST", help="the computer")
    for parser in (confirm, cancel, accept):
        parser.add_argument("--by", required=True, metavar="NAME", help="who says so; it is written down")
    cancel.add_argument("--reason", required=True, help="why; teachers who were told may read it")


def _action(
    actions: Any, common: argparse.ArgumentParser, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=what)
    parser.add_argument("plan", metavar="PLAN", help="the name of the plan")
    parser.set_defaults(run=run)
    return parser


def run_list(arguments: argparse.Namespace) -> int:
    """List the plans; 1 when one of them cannot be read."""
    from configs.errors import ConfigError
    from tasks.reports.plan_text import columns, moment
    from tasks.verbs.maintenance_plan import how_far, plans, plans_folder, zone_of

    context = load_context(arguments)
    rows, wrong = [], []
    for name, plan in plans(context):
        if isinstance(plan, ConfigError):
            wrong.append(plan)
            if arguments.json:
                document = {"type": "plan", "plan": name, "problem": plan.message}
                sys.stdout.write(json.dumps(document) + "\n")
            continue
        if arguments.json:
            sys.stdout.write(
                json.dumps(
                    {"type": "plan", "plan": name, "state": how_far(context, plan), **plan.model_dump(mode="json")}
                )
                + "\n"
            )
            continue
        from tasks.policy.school_time import window_of

        zone = zone_of(context, plan.site)
        window = window_of(plan, zone)
        rows.append(
            (
                name,
                how_far(context, plan),
                plan.site,
                plan.kind,
                moment(window.start, zone),
                moment(window.end, zone),
                plan.title,
            )
        )
    if rows:
        lines = columns(("Plan", "State", "School", "Kind", "From", "Until", ""), rows)
        sys.stdout.write("\n".join(lines) + "\n")
    elif not arguments.json and not wrong:
        sys.stdout.write(f"there are no plans in {plans_folder(context)}\n")
    if not arguments.json:
        for error in wrong:
            sys.stderr.write(f"firstbell: {error.message}\n")
    return 1 if wrong else 0


def run_plan(arguments: argparse.Namespace) -> int:
    """Show what a plan would do; 1 when it must not begin as it is."""
    from tasks.verbs.maintenance_plan import plan_of
    from tasks.verbs.maintenance_preview import preview_plan

    context = load_context(arguments)
    found = preview_plan(context, plan_of(context, arguments.plan))
    if arguments.json:
        sys.stdout.write(json.dumps(preview_json(found)) + "\n")
    else:
        sys.stdout.write("\n".join(preview_lines(found)) + "\n")
    return 1 if found.refused else 0


def preview_json(found: PlanPreview) -> dict[str, Any]:
    """Return a preview for programs."""
    return {
        "type": "plan_preview",
        "plan": found.plan.name,
        "site": found.plan.site,
        "start": found.window.start.isoformat(),
        "end": found.window.end.isoformat(),
        "deadline": found.deadline.isoformat(),
        "finish": found.finish.isoformat() if found.finish else None,
        "bytes": found.bytes,
        "class_days": [day.isoformat() for day in found.class_days],
        "protected": [
            {"why": one.why, "first": one.first.isoformat(), "last": one.last.isoformat()} for one in found.protected
        ],
        "hosts": [
            {
                "host": one.host.name,
                "teachers": list(one.host.teachers),
                "asked": list(one.asked),
                "bytes": one.effort.bytes,
                "measured": one.effort.measured,
                "last_snapshot": one.effort.last.isoformat() if one.effort.last else None,
                "snapshot_seconds": round(one.effort.full),
                "seconds": round(one.needs.total_seconds()),
                "start": one.slot.start.isoformat() if one.slot else None,
                "finish": one.slot.end.isoformat() if one.slot else None,
            }
            for one in found.hosts
        ],
        "refused": list(found.refused),
        "problems": list(found.problems),
    }


def preview_lines(found: PlanPreview) -> list[str]:
    """Return a preview for people: what it touches, the computers, and what stands against it."""
    from tasks.reports.display import show_text
    from tasks.reports.plan_text import columns, days_text, moment
    from tasks.reports.units import count_of, duration, size

    plan, zone = found.plan, found.zone
    lines = [
        f"{plan.name}  {plan.kind}  {plan.site}  {show_text(plan.title)}".rstrip(),
        f"    window      {moment(found.window.start, zone)} - {moment(found.window.end, zone)}",
        f"    agree until {moment(found.deadline, zone)}",
        f"    touches     {count_of(len(found.hosts), 'computer')}, {count_of(len(found.teachers), 'teacher')}, "
        f"{size(found.bytes)}",
        f"    class days  {days_text(found.class_days) or 'none'}",
    ]
    lines += [
        f"    protected   {days_text([one.first])} - {days_text([one.last])}  {one.why}" for one in found.protected
    ]
    if found.finish is not None:
        lines.append(f"    done by     {moment(found.finish, zone)}, {count_of(plan.at_once, 'computer')} at a time")
    if found.hosts:
        rows = [
            (
                one.host.name,
                ", ".join(one.host.teachers) or "-",
                ", ".join(one.asked) or "-",
                size(one.effort.bytes) + ("" if one.effort.measured else " ?"),
                moment(one.effort.last, zone) if one.effort.last else "never",
                duration(one.needs.total_seconds()),
                moment(one.slot.start, zone) if one.slot else "no room",
            )
            for one in found.hosts
        ]
        header = ("Computer", "Teachers", "Asked", "Files", "Last saved", "Takes", "Begins about")
        lines += ["", *columns(header, rows, right=(3, 5))]
    if any(not one.effort.measured for one in found.hosts):
        lines.append("? never saved: assumed from other computers")
    lines.append("")
    lines += [f"REFUSED  {show_text(text)}" for text in found.refused]
    lines += [f"note: {show_text(text)}" for text in found.problems]
    if not found.refused:
        lines.append(f"This plan can begin: firstbell maintenance open {plan.name}")
    return lines


def run_open(arguments: argparse.Namespace) -> int:
    """Open a maintenance, and show where its computers stand."""
    from tasks.verbs.maintenance import open_maintenance
    from tasks.verbs.maintenance_plan import plan_of

    context = load_context(arguments)
    plan = plan_of(context, arguments.plan)
    open_maintenance(context, plan)
    return _show(context, plan, arguments)


def run_run(arguments: argparse.Namespace) -> int:
    """Take the computers of a maintenance on; 3 when somebody is needed, 1 when all of them need somebody."""
    from tasks.verbs.maintenance_plan import plan_of

    context = load_context(arguments)
    plan = plan_of(context, arguments.plan)
    while True:
        found = _walk(context, plan, arguments)
        code = _tell(context, plan, found, arguments)
        if not arguments.wait or all(_is_over(one) for one in found):
            return code
        if not arguments.json:
            sys.stderr.write(f"looking again in {max(1, arguments.every)} min\n")
        time.sleep(60 * max(1, arguments.every))


def _walk(context: Context, plan: MaintenancePlan, arguments: argparse.Namespace) -> Sequence[HostStanding]:
    from tasks.reports.json_lines import JsonReporter
    from tasks.reports.text import TextReporter
    from tasks.verbs.maintenance import advance_host, advance_plan, standing_of_plan

    if arguments.json:
        report: Any = JsonReporter(sys.stdout)
    else:
        report = TextReporter(sys.stderr, title=f"maintenance {plan.name}", hosts=0)
    try:
        if not arguments.host:
            return advance_plan(context, plan, report=report)
        for name in arguments.host:
            advance_host(context, plan, context.host(name).name, report=report)
        return standing_of_plan(context, plan)
    finally:
        if not arguments.json:
            report.close()


def _is_over(one: HostStanding) -> bool:
    """Return whether nothing more happens to a computer by itself."""
    return one.state in ("done", "untouched")


def run_status(arguments: argparse.Namespace) -> int:
    """Show where the computers of a maintenance stand; 3 when one needs somebody."""
    from tasks.verbs.maintenance_plan import plan_of

    context = load_context(arguments)
    return _show(context, plan_of(context, arguments.plan), arguments)


def run_confirm(arguments: argparse.Namespace) -> int:
    """Write down that a computer is set up anew."""
    from tasks.verbs.maintenance import confirm_action
    from tasks.verbs.maintenance_plan import plan_of

    context = load_context(arguments)
    plan = plan_of(context, arguments.plan)
    confirm_action(context, plan, arguments.host, by=arguments.by)
    return _show(context, plan, arguments)


def run_cancel(arguments: argparse.Namespace) -> int:
    """Stop a maintenance for good."""
    from tasks.verbs.maintenance import cancel_plan
    from tasks.verbs.maintenance_plan import plan_of

    context = load_context(arguments)
    plan = plan_of(context, arguments.plan)
    cancel_plan(context, plan, by=arguments.by, reason=arguments.reason)
    return _show(context, plan, arguments)


def run_accept(arguments: argparse.Namespace) -> int:
    """Write down that everything on a computer is there again."""
    from tasks.verbs.maintenance import accept_return
    from tasks.verbs.maintenance_plan import plan_of

    context = load_context(arguments)
    plan = plan_of(context, arguments.plan)
    accept_return(context, plan, arguments.host, by=arguments.by)
    return _show(context, plan, arguments)


def _show(context: Context, plan: MaintenancePlan, arguments: argparse.Namespace) -> int:
    from tasks.verbs.maintenance import standing_of_plan

    return _tell(context, plan, standing_of_plan(context, plan), arguments)


def _tell(context: Context, plan: MaintenancePlan, found: Sequence[HostStanding], arguments: argparse.Namespace) -> int:
    """Write where the computers stand; 0, 3 when one of them needs somebody, or 1 when all do."""
    from tasks.reports.standing_page import standing_lines
    from tasks.verbs.maintenance_plan import zone_of

    if not found:
        sys.stderr.write(f"this maintenance was not opened yet: firstbell maintenance open {plan.name}\n")
        return 0
    if arguments.json:
        for one in found:
            sys.stdout.write(json.dumps(_standing_json(plan, one)) + "\n")
    else:
        sys.stdout.write("\n".join(standing_lines(found, zone_of(context, plan.site))) + "\n")
    bad = sum(one.state == "attention" for one in found)
    return 0 if not bad else 1 if bad == len(found) else 3


def _standing_json(plan: MaintenancePlan, one: HostStanding) -> dict[str, Any]:
    return {
        "type": "standing",
        "plan": plan.name,
        "host": one.host,
        "step": str(one.step) if one.step is not None else None,
        "state": one.state,
        "since": one.since.isoformat() if one.since is not None else None,
        "text": one.text,
        "needs": one.needs,
        "reasons": list(one.reasons),
        "snapshot": one.snapshot or None,
        "clearance_until": one.clearance_until.isoformat() if one.clearance_until is not None else None,
    }
