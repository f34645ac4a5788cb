"""A restore for the command line: its plan before it is applied, and what became of it.

The command line names every path that needs somebody; the page of a run (``restore_page.py``) only some.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from tasks.reports.display import show_path, show_text
from tasks.reports.settings import settings_json, settings_lines
from tasks.reports.units import clock, count_of, size
from tasks.repository.ids import short
from tasks.restorer.compare import Action
from tasks.restorer.items import RestorePlan
from tasks.restorer.result import ProblemKind, RestoreResult
from tasks.settings.person import PersonSettings

#: What each action of a plan means, after a number of items.
ACTION_WORDS: Final[dict[Action, str]] = {
    "create": "to write, since nothing is there",
    "overwrite": "to write over something older",
    "remove": "to remove, written by the restore",
    "metadata": "to set right in mode, owner or times only",
    "same": "there already, and the same",
    "keep-newer": "newer on the computer: kept as they are",
    "conflict": "in the way of something else: left alone",
    "skip": "that cannot be restored",
}
PROBLEM_WORDS: Final[dict[ProblemKind, str]] = {
    "failed": "not restored",
    "conflict": "left alone, since something else is there",
    "skipped": "that cannot be restored",
    "kept-newer": "newer on the computer: kept as they are",
    "metadata": "restored, but not all of mode, owner or times could be set",
}
#: Actions that keep something from coming back, the worst first.
HELD_BACK: Final[tuple[Action, ...]] = ("conflict", "skip", "keep-newer")
#: Paths that are named for each kind.
NAMED: Final = 20


class Outcome(Protocol):
    """What became of a restore or an undo, as the verb returns it."""

    @property
    def host(self) -> str:
        """The computer that was written to."""

    @property
    def plan(self) -> RestorePlan | None:
        """What would be done; None when the same order was carried out before."""

    @property
    def result(self) -> RestoreResult | None:
        """What was done; None when nothing was."""

    @property
    def undo_id(self) -> str:
        """What ``firstbell undo`` takes; empty when there is nothing to undo."""

    @property
    def message(self) -> str:
        """One sentence for a person."""

    @property
    def absent(self) -> tuple[str, ...]:
        """Who has no profile on the computer yet, so that what is theirs waits."""

    @property
    def settings(self) -> tuple[PersonSettings, ...]:
        """Whose settings were put back, or would be."""


def plan_lines(plan: RestorePlan) -> list[str]:
    """Return what a restore would do, what is held back by path."""
    source = plan.snapshot
    when = source.time.astimezone().strftime("%Y-%m-%d %H:%M")
    lines = [f"from snapshot {short(source.id or source.tree)} of {source.hostname}, {when}"]
    lines += [f"into {show_path(folder)}" for folder in plan.folders]
    for action in ("create", "overwrite", "remove", "metadata", "same"):
        if count := plan.counts.get(action, 0):
            more = f", {size(plan.bytes)}" if action == "create" else ""
            lines.append(f"  {count_of(count, 'item')} {ACTION_WORDS[action]}{more}")
    for action in HELD_BACK:
        items = [item for item in plan.items if item.action == action]
        if not items:
            continue
        lines.append(f"  {count_of(len(items), 'item')} {ACTION_WORDS[action]}")
        lines += [f"      {show_path(item.path)}{_because(item.reason)}" for item in items[:NAMED]]
        if len(items) > NAMED:
            lines.append(f"      and {len(items) - NAMED:,} more")
    lines += [f"  nothing in the snapshot matches {show_text(pattern)!r}" for pattern in plan.unmatched]
    lines += [f"  note: {show_text(note)}" for note in plan.notes]
    if not plan.writes:
        lines.append("  nothing to write")
    return lines


def outcome_lines(outcome: Outcome) -> list[str]:
    """Return what became of a restore, each problem by path."""
    lines = [f"{outcome.host}: {show_text(outcome.message)}"] if outcome.message else []
    if outcome.result is not None:
        lines += result_lines(outcome.host, outcome.result)
    lines += settings_lines(outcome.settings)
    if outcome.undo_id:
        lines.append(f"to undo this: firstbell undo {outcome.host} {outcome.undo_id}")
    return lines


def result_lines(host: str, result: RestoreResult) -> list[str]:
    """Return the counts of a restore, and each problem by path."""
    parts = [f"{count_of(result.restored, 'item')} restored, {size(result.bytes)}"]
    if result.removed:
        parts.append(f"{count_of(result.removed, 'item')} removed")
    if result.unchanged:
        parts.append(f"{result.unchanged:,} as they should be already")
    parts.append("every written file read back and right" if result.verified else "NOT everything read back right")
    lines = [f"{host}: {', '.join(parts)}  [{clock(result.seconds)}]"]
    for kind, words in PROBLEM_WORDS.items():
        problems = [problem for problem in result.problems if problem.kind == kind]
        if not problems:
            continue
        lines.append(f"  {count_of(len(problems), 'item')} {words}")
        lines += [f"      {show_path(one.path)}{_because(one.detail or one.reason)}" for one in problems[:NAMED]]
        if len(problems) > NAMED:
            lines.append(f"      and {len(problems) - NAMED:,} more")
    return lines


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """Return the object for a restore: plan, result and what undoes it."""
    return {
        "type": "restore_result",
        "host": outcome.host,
        "message": outcome.message,
        "undo_id": outcome.undo_id,
        "absent": list(outcome.absent),
        "plan": outcome.plan.to_json() if outcome.plan is not None else None,
        "result": outcome.result.to_json() if outcome.result is not None else None,
        "settings": settings_json(outcome.settings),
    }


def held_back(plan: RestorePlan) -> Sequence[tuple[Action, int]]:
    """Return how many items each action keeps from coming back."""
    return [(action, plan.counts[action]) for action in HELD_BACK if plan.counts.get(action)]


def _because(reason: str) -> str:
    return f"  ({show_text(reason)})" if reason else ""
