"""Carry out a plan for settings: in the order of the catalog, each value only where it is still as the plan saw it.

What is changed is noted before, so that it can be taken back: a value that somebody changed since stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from tasks.settings.document import Item, ProfileIdentity, Settings
from tasks.settings.plan import SettingsPlan
from tasks.settings.values import Account, Change, ChangeResult, Collector, Entry, Place, SettingsHost, Value


@dataclass(frozen=True, slots=True)
class SettingsResult:
    """What became of each change, in order."""

    results: tuple[tuple[Change, ChangeResult], ...]

    @property
    def done(self) -> tuple[Change, ...]:
        """Return the changes that were made."""
        return tuple(change for change, result in self.results if result.ok)

    @property
    def failed(self) -> tuple[tuple[Change, ChangeResult], ...]:
        """Return the changes that were not, and why."""
        return tuple((change, result) for change, result in self.results if not result.ok)

    def applied(self) -> Mapping[Place, Value]:
        """Return what firstbell has put where: what a later plan tells from what the teacher chose."""
        return {change.place: change.value for change in self.done if change.value is not None}


def current_values(
    host: SettingsHost, account: Account, places: Iterable[Place], collectors: Mapping[str, Collector]
) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
    """Return what stands at these places now, and for places of which that cannot be told, why."""
    values: dict[Place, Value] = {}
    unreadable: dict[Place, str] = {}
    asked: dict[str, list[Place]] = {}
    for place in places:
        asked.setdefault(place.collector, []).append(place)
    for kind, own in asked.items():
        collector = collectors.get(kind)
        if collector is None:
            unreadable |= dict.fromkeys(own, f"this computer has no '{kind}'")
            continue
        found, problems = collector.current(host, account, own)
        values |= found
        unreadable |= problems
    return values, unreadable


def apply_changes(
    host: SettingsHost, account: Account, changes: Sequence[Change], collectors: Mapping[str, Collector]
) -> SettingsResult:
    """Make changes in their order, those of neighbours with the same collector together."""
    results: list[tuple[Change, ChangeResult]] = []
    for kind, group in groupby(changes, key=lambda change: change.place.collector):
        own = list(group)
        collector = collectors.get(kind)
        if collector is None:
            text = f"this computer has no '{kind}'"
            results += [(change, ChangeResult(change.place, ok=False, reason=text)) for change in own]
        else:
            results += zip(own, collector.apply(host, account, own), strict=True)
    return SettingsResult(tuple(_settled(host, account, results, collectors)))


def _settled(
    host: SettingsHost,
    account: Account,
    results: Sequence[tuple[Change, ChangeResult]],
    collectors: Mapping[str, Collector],
) -> Iterator[tuple[Change, ChangeResult]]:
    """Yield the results; where something else stood than was expected, but just what was wanted, all is well.

    So it is when two do the same at once, and when something is repeated that was killed in its midst.
    """
    places = [change.place for change, result in results if result.conflict]
    now, unreadable = current_values(host, account, places, collectors) if places else ({}, {})
    for change, result in results:
        there = change.place in places and change.place not in unreadable
        well = there and now.get(change.place) == change.value
        yield change, ChangeResult(change.place, ok=True) if well else result


def before_image(plan: SettingsPlan, account: Account, identity: ProfileIdentity, platform: str) -> Settings:
    """Return a document with what the plan would replace, and, as absent, what it would bring.

    It is kept before anything is written. ``undo_changes`` makes of it, and of what was applied, how to take it back.
    """
    items = []
    for id_ in dict.fromkeys(step.item for step in plan.steps if step.change is not None):
        own = [change for step in plan.steps if step.item == id_ and (change := step.change) is not None]
        entries = tuple(Entry(change.place, change.expect) for change in own if change.expect is not None)
        items.append(Item(id_, id_, "captured" if entries else "absent", entries))
    return Settings(account.name, platform, "", identity, variables=dict(account.variables), items=tuple(items))


def undo_changes(before: Settings, applied: Mapping[Place, Value]) -> tuple[Change, ...]:
    """Return the changes that take an application back: what stands there must still be what firstbell wrote."""
    return tuple(_undone(before, applied))


def _undone(before: Settings, applied: Mapping[Place, Value]) -> Iterator[Change]:
    was = {entry.place: entry.value for _, entry in before.entries()}
    # The last that was set goes first.
    for place, value in reversed(list(applied.items())):
        yield Change(place, was.get(place), value)
