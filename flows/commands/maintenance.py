"""``firstbell maintenance``: plans, and how far they are."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from flows.commands.selection import load_context

if TYPE_CHECKING:
    from tasks.policy.plan_preview import PlanPreview


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
    plan = actions.add_parser(
        "plan", parents=[common], help="show what a plan touches and how long it takes; nothing is done"
    )
    plan.add_argument("plan", metavar="PLAN", help="the name of the plan")
    plan.set_defaults(run=run_plan)


def run_list(arguments: argparse.Namespace) -> int:
    """List the plans; 1 when one of them cannot be read."""
    from configs.errors import ConfigError
    from tasks.reports.plan_text import columns, moment
    from tasks.verbs.maintenance_plan import plans, plans_folder, zone_of

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
            sys.stdout.write(json.dumps({"type": "plan", "plan": name, **plan.model_dump(mode="json")}) + "\n")
            continue
        from tasks.policy.school_time import window_of

        zone = zone_of(context, plan.site)
        window = window_of(plan, zone)
        rows.append((name, plan.site, plan.kind, moment(window.start, zone), moment(window.end, zone), plan.title))
    if rows:
        lines = columns(("Plan", "School", "Kind", "From", "Until", ""), rows)
        sys.stdout.write("\n".join(lines) + "\n")
    elif not arguments.json and not wrong:
        sys.stdout.write(f"there are no plans in {plans_folder(context)}\n")
    if not arguments.json:
        for error in wrong:
            sys.stderr.write(f"firstbell: {error.message}\n")
    return 1 if wrong else 0


def run_plan(arguments: argparse.Namespace) -> int:
    """Show what a plan would do; 1 when it must not begin as it is."""
    from tasks.verbs.maintenance_plan import plan_of, preview_plan

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
