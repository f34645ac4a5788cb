"""Profile settings for the command line: what came back, what was kept, what needs somebody, in teachers' words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from tasks.reports.display import show_text
from tasks.reports.units import count_of
from tasks.settings.diff import Difference, shown
from tasks.settings.person import PersonSettings
from tasks.settings.plan import Outcome, SettingsPlan, Step

#: What becomes of items, in the order in which a person wants to know, and after a number of them.
_WORDS: Final[dict[Outcome, str]] = {
    Outcome.SET: "to put back",
    Outcome.SAME: "as they were",
    Outcome.WITH_FILES: "coming back with the files",
    Outcome.FIRST_SIGN_IN: "coming back when they first sign in",
    Outcome.KEEP: "changed after the snapshot: kept as they are",
    Outcome.ASK: "changed after the snapshot: name them to put them back (--replace-setting)",
    Outcome.NO_PROGRAM: "kept in the snapshot until the program is installed",
    Outcome.CLOSE_FIRST: "waiting, since a program is open that would write over it",
    Outcome.OTHER_VERSION: "not fitting this version",
    Outcome.NEEDS_IT: "for IT to do",
    Outcome.CANNOT: "with no way back",
    Outcome.UNKNOWN: "not in the catalog any more: kept in the snapshot",
}
#: Of these every item is named, with its reason.
_NAMED: Final = (
    Outcome.KEEP,
    Outcome.ASK,
    Outcome.CLOSE_FIRST,
    Outcome.NO_PROGRAM,
    Outcome.OTHER_VERSION,
    Outcome.FIRST_SIGN_IN,
    Outcome.UNKNOWN,
)


def settings_lines(people: Sequence[PersonSettings]) -> list[str]:
    """Return what putting settings back did, or would do."""
    return [line for one in people for line in _person(one)]


def _person(one: PersonSettings) -> Iterator[str]:
    name = show_text(one.name)
    if one.problem:
        yield f"settings of {name}: {show_text(one.problem)}"
        return
    if one.result is not None:
        done, failed = len(one.result.done), one.result.failed
        yield f"settings of {name}: {count_of(done, 'value')} put back" + (
            f", {len(failed):,} not" if failed else ", each read back and right"
        )
        for change, result in failed[:20]:
            place = f"{show_text(change.place.container)} {show_text(change.place.name)}"
            yield f"      {place}  ({show_text(result.reason)})"
    else:
        yield f"settings of {name}:"
    yield from (f"  note: {show_text(note)}" for note in one.notes)
    if one.plan is not None:
        yield from _plan(one.plan, done=one.result is not None)
        if one.result is not None:
            yield from _shows(one, one.plan)


def _plan(plan: SettingsPlan, *, done: bool) -> Iterator[str]:
    for outcome, words in _WORDS.items():
        steps = _items(plan.of(outcome))
        if not steps or (done and outcome is Outcome.SET):
            continue
        names = "" if outcome in _NAMED else f" ({_listed(steps)})"
        yield f"  {count_of(len(steps), 'setting')} {words}{names}"
        if outcome in _NAMED:
            for step in steps:
                yield f"      {show_text(step.name)}" + (f"  ({show_text(step.reason)})" if step.reason else "")


def _shows(one: PersonSettings, plan: SettingsPlan) -> Iterator[str]:
    """Yield when what was put back shows, where it does not at once."""
    found: dict[str, list[Step]] = {}
    for step in _items(plan.of(Outcome.SET)):
        if (when := one.shows.get(step.item)) is not None:
            found.setdefault(when, []).append(step)
    for when, steps in found.items():
        yield f"  {_listed(steps)}: {when}"


def _items(steps: Sequence[Step]) -> list[Step]:
    """Return the first step of each item."""
    return list({step.item: step for step in reversed(steps)}.values())[::-1]


def _listed(steps: Sequence[Step], most: int = 6) -> str:
    names = ", ".join(show_text(step.name) for step in steps[:most])
    return f"{names} and {len(steps) - most} more" if len(steps) > most else names


def settings_headline(people: Sequence[PersonSettings]) -> str:
    """Return one line for a run: how many values, and whether somebody is needed; empty with nothing to say."""
    done = sum(len(one.result.done) for one in people if one.result is not None)
    failed = sum(len(one.result.failed) for one in people if one.result is not None)
    waiting = sum(len(one.plan.items(Outcome.ASK, Outcome.CLOSE_FIRST)) for one in people if one.plan is not None)
    parts = [f"{count_of(done, 'value')} put back"] if done else []
    parts += [f"{count_of(failed, 'value')} not"] if failed else []
    parts += [f"{waiting:,} waiting"] if waiting else []
    parts += [f"{show_text(one.name)}: {show_text(why)}" for one in people for why in _troubles(one)]
    return ", ".join(parts)


def _troubles(one: PersonSettings) -> tuple[str, ...]:
    return (one.problem, *one.notes) if one.problem else one.notes


def settings_json(people: Sequence[PersonSettings]) -> list[dict[str, Any]]:
    """Return the objects for a restore's settings: outcomes by item, no values."""
    found = []
    for one in people:
        outcomes: dict[str, list[str]] = {}
        for step in one.plan.steps if one.plan is not None else ():
            items = outcomes.setdefault(step.outcome.value, [])
            if step.item not in items:
                items.append(step.item)
        result = one.result
        found.append(
            {
                "person": one.name,
                "problem": one.problem,
                "notes": list(one.notes),
                "shows": dict(one.shows),
                "outcomes": outcomes,
                "put_back": len(result.done) if result is not None else 0,
                "failed": [
                    {"in": change.place.container, "name": change.place.name, "reason": why.reason}
                    for change, why in (result.failed if result is not None else ())
                ],
            }
        )
    return found


def difference_line(person: str, one: Difference) -> str:
    """Return one changed setting as a person reads it."""
    where = f" ({show_text(one.place.name)})" if one.place.name else ""
    if one.secret:
        what = f"{one.how} (it holds secrets: its values are not shown)"
    elif one.how == "changed":
        what = f"changed from {show_text(shown(one.old))} to {show_text(shown(one.new))}"
    else:
        what = f"{one.how}: {show_text(shown(one.new if one.how == 'added' else one.old))}"
    return f"{show_text(person)}: {show_text(one.name)}{where} {what}"


def difference_json(person: str, one: Difference) -> dict[str, Any]:
    """Return the object for one changed setting."""
    return {
        "type": "setting_difference",
        "person": person,
        "item": one.item,
        "name": one.name,
        "change": one.how,
        "collector": one.place.collector,
        "in": one.place.container,
        "key": one.place.name,
        "old": one.old.to_json() if one.old is not None else None,
        "new": one.new.to_json() if one.new is not None else None,
    }
