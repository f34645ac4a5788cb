"""Choosing hosts: by site, group, host name and teacher. Names may be globs; capitals do not matter.

Several values of one filter are alternatives, several filters narrow one another. A value that matches nothing is a
mistake, never an empty result: whoever mistypes a room shall not believe it was saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase

from configs.problems import did_you_mean
from inventory.errors import InventoryError
from inventory.model import Host, Inventory

Filter = str | Sequence[str] | None


def select(
    inventory: Inventory, *, site: Filter = None, group: Filter = None, host: Filter = None, teacher: Filter = None
) -> tuple[Host, ...]:
    """Return the hosts that every given filter matches, in the order of the inventory; all without a filter.

    A teacher matches the hosts that list them.

    Raises:
        InventoryError: a value matches no host, or nothing is left; the message names near misses.
    """
    filters: list[tuple[str, tuple[str, ...], Callable[[Host], tuple[str, ...]]]] = [
        ("site", _values(site), lambda one: (one.site,)),
        ("group", _values(group), lambda one: one.groups),
        ("host", _values(host), lambda one: (one.name,)),
        ("teacher", _values(teacher), lambda one: one.teachers),
    ]
    hosts = tuple(inventory.hosts.values())
    if not hosts:
        raise InventoryError(
            "the inventory has no hosts", hint="Add them to hosts.yaml or run 'firstbell inventory import'."
        )
    problems = [
        _no_match(kind, value, hosts, names)
        for kind, values, names in filters
        for value in values
        if not any(_matches(value, names(one)) for one in hosts)
    ]
    if problems:
        raise InventoryError("; ".join(problems), hint="'firstbell inventory' lists every host with its groups.")
    chosen = hosts
    for _, values, names in filters:
        if values:
            chosen = tuple(one for one in chosen if any(_matches(value, names(one)) for value in values))
    lost = [value for value in _values(host) if not any(_matches(value, (one.name,)) for one in chosen)]
    if lost or not chosen:
        raise InventoryError(_nothing_left(filters, lost, inventory), hint="Leave out one of the filters.")
    return chosen


def _values(given: Filter) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _matches(pattern: str, names: Iterable[str]) -> bool:
    folded = pattern.casefold()
    return any(fnmatchcase(name.casefold(), folded) for name in names)


def _no_match(kind: str, value: str, hosts: Sequence[Host], names: Callable[[Host], tuple[str, ...]]) -> str:
    known = sorted({name for one in hosts for name in names(one)})
    text = f"no host matches {kind} '{value}'."
    near = did_you_mean(value, known)
    if near or kind == "host":
        return text + near
    shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
    return text + (f" There are: {shown}." if known else f" No host has a {kind}.")


def _nothing_left(
    filters: Sequence[tuple[str, tuple[str, ...], Callable[[Host], tuple[str, ...]]]],
    lost: Sequence[str],
    inventory: Inventory,
) -> str:
    given = " ".join(f"--{kind} {value}" for kind, values, _ in filters for value in values)
    text = f"each of these matches hosts, but none matches all of them: {given}."
    if lost:
        one = next(host for host in inventory.hosts.values() if _matches(lost[0], (host.name,)))
        groups = f", groups {', '.join(one.groups)}" if one.groups else ""
        teachers = f", teachers {', '.join(one.teachers)}" if one.teachers else ""
        text += f" '{one.name}' is in site {one.site}{groups}{teachers}."
    return text
