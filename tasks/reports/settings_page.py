"""What IT should know of a computer before it gets a new image: as a page, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any, Final, Protocol

from tasks.reports.display import md, md_code, show_path, show_text
from tasks.reports.markdown import table
from tasks.reports.model import SettingFate, SettingTold
from tasks.reports.units import count_of, local_day_time

#: What becomes of settings, in the words of somebody in IT, and the order of a page.
_FATES: Final[dict[SettingFate, str]] = {
    "cannot": "Cannot come back: the teacher has to do something first",
    "not-saved": "Could not be saved",
    "needs-it": "For IT to do",
    "first-sign-in": "Comes back at the first sign-in",
    "by-itself": "Comes back by itself",
}


class Held(Protocol):
    """One setting that somebody has."""

    @property
    def id(self) -> str:
        """Its id in the catalog."""

    @property
    def area(self) -> str:
        """Where it stands on a page."""

    @property
    def told(self) -> SettingTold:
        """What becomes of it."""

    @property
    def values(self) -> int:
        """How many values are saved."""

    @property
    def reason(self) -> str:
        """Why not all of it is saved."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What IT has to see to."""


class Somebody(Protocol):
    """The settings of one person."""

    @property
    def name(self) -> str:
        """The account."""

    @property
    def title(self) -> str:
        """The person's name."""

    @property
    def items(self) -> tuple[Any, ...]:
        """What they have (``Held``)."""

    @property
    def problem(self) -> str:
        """Why nothing is known."""


def inventory_page(found: Any, zone: tzinfo) -> str:
    """Return a page in markdown of what ``verbs.settings_inventory`` found; every text from a computer is escaped."""
    lines = [
        f"# Before {md(found.host)} gets a new image",
        "",
        f"From the snapshot of {local_day_time(found.taken, zone)}"
        + (f", {md(found.system)}." if found.system else "."),
        "",
        *_elsewhere(found),
    ]
    for person in found.people:
        lines += ["", f"## {md(person.title)} ({md(person.name)})", "", *_person(person)]
    return "\n".join(lines).rstrip() + "\n"


def _elsewhere(found: Any) -> Iterator[str]:
    if found.cloud_only:
        yield f"**{count_of(found.cloud_only, 'file')} only in the cloud**, and not in the snapshot. See that "
        yield "OneDrive is signed in and has nothing left to upload before the wipe:"
        yield ""
        yield from (f"- {md_code(show_path(path))}" for path in found.cloud_examples)
        if found.cloud_only > len(found.cloud_examples):
            yield f"- and {found.cloud_only - len(found.cloud_examples):,} more"
    else:
        yield "No file was found of which only a placeholder is on the computer."
    yield ""
    if found.outside:
        yield "Saved from outside the homes: " + ", ".join(md_code(path) for path in found.outside) + "."
    else:
        yield "**Nothing outside the homes is saved.** If something lies on another drive, add it to `include`."


def _person(person: Somebody) -> Iterator[str]:
    if person.problem:
        yield f"{md(person.problem)}."
        return
    for fate, heading in _FATES.items():
        own = [one for one in person.items if one.told.fate == fate]
        if not own:
            continue
        yield f"### {heading} ({len(own)})"
        yield ""
        if fate in ("by-itself", "first-sign-in"):
            rows = [(md(one.told.name), md(one.area), f"{one.values:,}", md(_limits(one))) for one in own]
            yield from table(("Setting", "Area", "Values", "Limits"), rows, right=(2,))
        else:
            for one in own:
                yield from _item(one)
        yield ""


def _limits(one: Held) -> str:
    return " ".join(text for text in (one.told.limits, one.reason) if text)


def _item(one: Held) -> Iterator[str]:
    parts = [f"- **{md(one.told.name)}**"]
    if one.told.because:
        parts.append(md(one.told.because))
    if one.told.do_first:
        parts.append(f"**{md(one.told.do_first)}**")
    if one.reason and one.told.fate == "not-saved":
        parts.append(md(one.reason))
    yield ": ".join(parts[:2]) + (f" {' '.join(parts[2:])}" if parts[2:] else "")
    yield from (f"  - {md(line)}" for line in one.lines)


def inventory_lines(found: Any) -> list[str]:
    """Return a short text for a terminal: the settings of each person by what becomes of them."""
    lines = [f"{found.host}: from snapshot {found.snapshot}"]
    if found.cloud_only:
        lines.append(f"  {count_of(found.cloud_only, 'file')} only in the cloud, and not in the snapshot")
    for person in found.people:
        lines.append(f"{show_text(person.name)}:" + (f" {show_text(person.problem)}" if person.problem else ""))
        for fate, heading in _FATES.items():
            own = [one for one in person.items if one.told.fate == fate]
            if own:
                lines.append(f"  {heading}")
                lines += [
                    f"      {show_text(one.told.name)}  ({one.id}, {count_of(one.values, 'value')})" for one in own
                ]
    return lines


def inventory_json(found: Any) -> dict[str, Any]:
    """Return the object; of settings no value but the lines that are for IT."""
    return {
        "type": "settings",
        "host": found.host,
        "snapshot": found.snapshot,
        "taken": found.taken.isoformat(),
        "system": found.system,
        "cloud_only": found.cloud_only,
        "outside": list(found.outside),
        "people": [
            {
                "person": person.name,
                "problem": person.problem,
                "items": [
                    {
                        "item": one.id,
                        "name": one.told.name,
                        "fate": one.told.fate,
                        "because": one.told.because,
                        "do_first": one.told.do_first,
                        "limits": one.told.limits,
                        "values": one.values,
                        "reason": one.reason,
                        "lines": list(one.lines),
                    }
                    for one in person.items
                ],
            }
            for person in found.people
        ],
    }
