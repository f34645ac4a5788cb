"""Where the computers of a maintenance stand: as a page for IT, and as lines for a terminal. Worst first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final, Literal, Protocol

from configs.maintenance import MaintenancePlan
from tasks.reports.display import md, show_text
from tasks.reports.markdown import table
from tasks.reports.plan_text import columns, moment
from tasks.reports.units import count_of, local_day_time

Where = Literal["waits", "running", "done", "attention", "untouched"]

#: Who needs somebody comes first, who needs nothing last.
_ORDER: Final[tuple[Where, ...]] = ("attention", "running", "waits", "untouched", "done")
_WORDS: Final[dict[Where, str]] = {
    "attention": "needs somebody",
    "running": "is being worked on",
    "waits": "waits",
    "untouched": "was left as it is",
    "done": "is done",
}
_HEADINGS: Final[dict[Where, str]] = {
    "attention": "Needs somebody",
    "running": "Being worked on",
    "waits": "Waiting",
    "untouched": "Left as they are",
    "done": "Done, and not accepted yet",
}


class Stands(Protocol):
    """Where one computer stands, in words."""

    @property
    def host(self) -> str:
        """Return its name."""

    @property
    def state(self) -> Where:
        """Return what that amounts to."""

    @property
    def text(self) -> str:
        """Return where it stands."""

    @property
    def needs(self) -> str:
        """Return who must do what; empty when nobody must."""

    @property
    def since(self) -> datetime | None:
        """Return since when, an aware time; None before it began."""

    @property
    def reasons(self) -> Sequence[str]:
        """Return why it does not go on, in words."""


def worst_first(found: Sequence[Stands]) -> list[Stands]:
    """Return them with those first that need somebody."""
    return sorted(found, key=lambda one: (_ORDER.index(one.state), not one.needs, one.host))


def headline(found: Sequence[Stands]) -> str:
    """Return one line that sums it up: ``2 of 5 computers need somebody, 1 waits, 2 are done``."""
    total = len(found)
    parts: list[str] = []
    for state in _ORDER:
        number = sum(one.state == state for one in found)
        if number:
            of = f" of {count_of(total, 'computer')}" if not parts and number < total else ""
            of = of or (f" {'computer' if total == 1 else 'computers'}" if not parts else "")
            parts.append(f"{number:,}{of} {_verb(state, number)}")
    return ", ".join(parts) or "no computers"


def _verb(state: Where, number: int) -> str:
    words = _WORDS[state]
    if number == 1:
        return words
    changed = {"needs": "need", "is": "are", "waits": "wait", "was": "were"}
    first, _, rest = words.partition(" ")
    return f"{changed.get(first, first)} {rest.replace('as it is', 'as they are')}".rstrip()


def standing_page(plan: MaintenancePlan, found: Sequence[Stands], zone: tzinfo, now: datetime) -> str:
    """Return the page: what somebody must do, then every computer.

    The texts stand in lists, because the cells of a table do not wrap in the UI.
    """
    lines = [
        f"## {md(plan.title or plan.name)}",
        "",
        f"**{headline(found)[:1].upper()}{headline(found)[1:]}.**",
        "",
        f"As of {local_day_time(now, zone)}. Computers may be wiped from {_wall(plan.window.start)} until "
        f"{_wall(plan.window.end)}, each once everybody who is asked for it has agreed"
        + (f", by {_wall(plan.deadline)} at the latest." if plan.deadline is not None else "."),
        "",
    ]
    ordered = worst_first(found)
    for state in _ORDER:
        group = [one for one in ordered if one.state == state and (state != "done" or one.needs)]
        if group:
            lines += [f"### {_HEADINGS[state]}", "", *(line for one in group for line in _item(one)), ""]
    rows = [(md(one.host), _state(one), moment(one.since, zone) if one.since else "") for one in ordered]
    lines += ["### Every computer", "", *table(("Computer", "State", "Since"), rows)]
    return "\n".join(lines) + "\n"


def _item(one: Stands) -> list[str]:
    line = f"- **{md(one.host)}**: {md(one.text)}."
    if one.needs:
        line += f" **What to do: {md(one.needs)}.**"
    return [line, *(f"  - {md(why)}" for why in one.reasons if why != one.text)]


def _state(one: Stands) -> str:
    words = _WORDS[one.state]
    return f"**{words}**" if one.state == "attention" else words


def _wall(local: datetime) -> str:
    return f"{local:%a %d %b %Y, %H:%M}"


def standing_lines(found: Sequence[Stands], zone: tzinfo) -> list[str]:
    """Return a table for a terminal, and below it what somebody must do."""
    if not found:
        return ["no computers"]
    ordered = worst_first(found)
    rows = [(one.host, _WORDS[one.state], moment(one.since, zone) if one.since else "-", one.text) for one in ordered]
    lines = columns(("Computer", "State", "Since", "Where it stands"), rows)
    for one in ordered:
        if one.needs or one.reasons:
            lines.append(f"{one.host}  -> {show_text(one.needs)}".rstrip(" ->"))
            lines += [f"    {show_text(why)}" for why in one.reasons if why != one.text]
    return [*lines, headline(found)]
