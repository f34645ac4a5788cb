"""A maintenance plan before it begins, as a page for IT: whom it touches, how long it takes, what stands against it."""

from __future__ import annotations

from datetime import datetime

from tasks.policy.plan_preview import HostPreview, PlanPreview
from tasks.reports.display import md, show_text
from tasks.reports.markdown import table
from tasks.reports.plan_text import days_text
from tasks.reports.units import count_of, duration, local_day_time, size


def preview_page(found: PlanPreview, *, draft: str = "") -> str:
    """Return the page; with ``draft`` the text of the plan's file stands at its end, to be kept by a person."""
    plan, zone = found.plan, found.zone
    lines = [f"## {md(plan.title or plan.name)}", "", f"**{_lead(found)}**", ""]
    if found.refused:
        lines += ["### What to change first", "", *(f"- {md(text)}" for text in found.refused), ""]
    if found.problems:
        lines += ["### Also look at this", "", *(f"- {md(text)}" for text in found.problems), ""]
    lines += [
        "### The plan",
        "",
        f"- **When:** {local_day_time(found.window.start, zone)} until {local_day_time(found.window.end, zone)}",
        f"- **People can agree until:** {local_day_time(found.deadline, zone)}",
        f"- **Touches:** {count_of(len(found.hosts), 'computer')} of {count_of(len(found.teachers), 'teacher')}, "
        f"{size(found.bytes)} of files",
        f"- **Days with classes in that time:** {days_text(found.class_days) or 'none'}",
    ]
    lines += [
        f"- **Protected:** {days_text([one.first])} until {days_text([one.last])}: {md(one.why)}"
        for one in found.protected
    ]
    if found.finish is not None:
        lines.append(
            f"- **Done by:** {local_day_time(found.finish, zone)}, {count_of(plan.at_once, 'computer')} at a time"
        )
    if found.hosts:
        header = ("Computer", "Teachers", "Who is asked", "Files", "Last saved", "Takes", "Begins about")
        lines += ["", *table(header, [_row(one, found) for one in found.hosts], right=(3, 5))]
    if any(not one.effort.measured for one in found.hosts):
        lines += ["", "Sizes with *about* are of computers that were never saved: assumed from the others."]
    if draft:
        lines += [
            "",
            "### To keep this plan",
            "",
            f"Nothing was written. Put this into `maintenance/{plan.name}.yaml` beside the configuration:",
            "",
            *(f"    {show_text(line)}" for line in draft.splitlines()),
        ]
    return "\n".join(lines) + "\n"


def _lead(found: PlanPreview) -> str:
    if found.refused:
        return f"This plan cannot begin as it is: {count_of(len(found.refused), 'thing')} to change."
    return "This plan can begin. Nothing has been done yet, and nobody has been asked."


def _row(one: HostPreview, found: PlanPreview) -> tuple[str, ...]:
    about = "" if one.effort.measured else "about "
    return (
        md(one.host.name),
        md(", ".join(one.host.teachers)) or "none",
        md(", ".join(one.asked)) or "**nobody**",
        about + size(one.effort.bytes),
        _short(one.effort.last, found) if one.effort.last else "never",
        duration(one.needs.total_seconds()),
        _short(one.slot.start, found) if one.slot else "**no room**",
    )


def _short(when: datetime, found: PlanPreview) -> str:
    """Return a moment for a cell, which does not wrap in the UI: ``Mon 3 Aug 17:00``."""
    local = when.astimezone(found.zone)
    year = "" if local.year == found.plan.window.start.year else f" {local.year}"
    return f"{local:%a} {local.day} {local:%b}{year} {local:%H:%M}"
