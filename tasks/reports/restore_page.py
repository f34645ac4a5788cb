"""Pages of a restore for the Prefect UI: its plan, shown before anything is written, and what became of it.

As on the teacher's page, only files are named that do *not* come back and that somebody may have to decide about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from tasks.reports.display import md, md_code, shorten, show_path
from tasks.reports.markdown import table
from tasks.reports.restore import HELD_BACK, NAMED, PROBLEM_WORDS
from tasks.reports.settings import settings_lines
from tasks.reports.units import count_of, duration, local_day_time, plain_size
from tasks.restorer.compare import Action
from tasks.restorer.items import RestorePlan
from tasks.restorer.result import RestoreResult
from tasks.settings.person import PersonSettings

_ACTIONS: Final[dict[Action, tuple[str, str]]] = {
    "create": ("come back", "nothing is there now"),
    "overwrite": ("replace what is there", "what is there is older, and can be brought back by undo"),
    "metadata": ("get their date and rights back", "the content is right already"),
    "same": ("stay as they are", "they are the same already"),
    "remove": ("are removed", "the restore made them, and nobody has changed them since"),
    "keep-newer": ("stay as they are", "they have been changed since: newer work is never replaced"),
    "conflict": ("do not come back", "something else is in their place"),
    "skip": ("do not come back", "the snapshot or the request does not allow it"),
}
_ORDER: Final[tuple[Action, ...]] = (
    "conflict", "skip", "keep-newer", "overwrite", "create", "metadata", "remove", "same",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A restore request in a person's words, for the head of its pages."""

    what: str
    whose: str
    target: str
    where: str


def plan_page(plan: RestorePlan, asked: Asked, zone: tzinfo, *, only_shown: bool) -> str:
    """Return what a restore will do, or would do with ``only_shown``."""
    verb = "would do" if only_shown else "will do"
    lines = [f"# What this restore {verb}", "", *_head(plan, asked, zone), ""]
    if plan.writes:
        lines += [f"**{count_of(plan.writes, 'item')}, {plain_size(plan.bytes)}, to write.**", ""]
    else:
        lines += ["**There is nothing to write.**", ""]
    rows = [(f"{plan.counts[action]:,}", *_ACTIONS[action]) for action in _ORDER if plan.counts.get(action)]
    if rows:
        lines += [*table(("Files and folders", "What happens", "Why"), rows, right=(0,)), ""]
    for action in HELD_BACK:
        named = [(item.path, item.reason) for item in plan.items if item.action == action]
        lines += _named(f"These {_ACTIONS[action][0]}", named)
    lines += [f"- The snapshot has nothing that matches {md_code(pattern)}." for pattern in plan.unmatched]
    lines += [f"- Note: {md(note)}" for note in plan.notes]
    return "\n".join(lines).rstrip() + "\n"


def result_page(
    result: RestoreResult, asked: Asked, zone: tzinfo, *, undo_id: str, settings: Sequence[PersonSettings] = ()
) -> str:
    """Return what became of a restore, and how it is undone."""
    lines = ["# What was restored", "", *_head(result.plan, asked, zone), "", f"**{headline(result)}**", ""]
    lines += [f"It took {duration(result.seconds)}. {_verified(result)}", ""]
    for kind, words in PROBLEM_WORDS.items():
        named = [(one.path, one.detail or one.reason) for one in result.problems if one.kind == kind]
        lines += _named(words[0].upper() + words[1:], named)
    if told := settings_lines(settings):
        # What stands below a line on a terminal stands in a list of its own here.
        lines += ["## Settings", "", *(f"{'  ' * (text.startswith(' '))}- {md(text.strip())}" for text in told), ""]
    if undo_id:
        lines += [
            "## To undo this",
            "",
            f"Run **undo-restore** for the computer **{md(asked.target)}** with the undo number {md_code(undo_id)}. "
            "Files that somebody has changed meanwhile are kept.",
        ]
    return "\n".join(lines).rstrip() + "\n"


def headline(result: RestoreResult) -> str:
    """Return a restore's outcome in one line, without names of files."""
    parts = [f"{count_of(result.restored, 'item')} restored"]
    if result.removed:
        parts.append(f"{result.removed:,} removed")
    if result.unchanged:
        parts.append(f"{result.unchanged:,} were right already")
    if result.kept_newer:
        parts.append(f"{result.kept_newer:,} newer kept")
    for count, words in ((result.failed, "failed"), (result.conflicts, "left alone"), (result.skipped, "not possible")):
        if count:
            parts.append(f"{count:,} {words}")
    return ", ".join(parts)


def _head(plan: RestorePlan, asked: Asked, zone: tzinfo) -> list[str]:
    lines = [
        f"From computer **{md(plan.snapshot.hostname)}**, as saved on {local_day_time(plan.snapshot.time, zone)}.",
        "",
        f"- What: {md(asked.what)}",
        f"- Whose: {md(asked.whose)}",
        f"- To: computer **{md(asked.target)}**, {md(asked.where)}",
    ]
    return [*lines, *(f"- Folder: {md_code(show_path(folder))}" for folder in plan.folders)]


def _verified(result: RestoreResult) -> str:
    if not result.hashed:
        return "No file had to be written."
    if result.verified:
        return f"All {count_of(result.hashed, 'file')} that were written were read back on the computer and are right."
    return "Not every file that was written could be read back right: please tell the IT desk."


def _named(heading: str, named: Sequence[tuple[bytes, str]]) -> list[str]:
    if not named:
        return []
    lines = [f"## {heading} ({len(named):,})", ""]
    for path, reason in named[:NAMED]:
        lines.append(f"- {md_code(shorten(show_path(path), 200))}{f': {md(reason)}' if reason else ''}")
    if len(named) > NAMED:
        lines.append(f"- and {len(named) - NAMED:,} more")
    return [*lines, ""]
