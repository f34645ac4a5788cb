"""What a person asks for when something shall come back, and which snapshot and folders that means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from configs.errors import InventoryError
from configs.values import expand
from inventory.select import select
from tasks.errors import RestoreRefused
from tasks.repository.ids import short
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.foreign import WINDOWS
from tasks.restorer.request import Mode
from tasks.restorer.selection import as_on_windows
from tasks.restorer.undo_document import BEFORE_RESTORE
from tasks.verbs.accounts import find_account
from tasks.verbs.browse import OWN_FOLDER
from tasks.verbs.context import Context
from tasks.verbs.people import Person
from tasks.verbs.snapshot import FACTS_DOCUMENT


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """A restore as people ask for it. Only names, patterns and choices: it can be stored, compared and shown.

    ``what`` holds patterns, from the teacher's home on or absolute; ``{desktop}`` and the other known folders may stand
    in them; empty means everything. ``as_of`` is an aware time: the newest snapshot not younger is taken. ``into`` is a
    folder on the target that gets everything, laid out as it was. ``request`` sets two equal orders apart, such as by
    a ticket; ``again`` fills a dated folder although the same order did so within a day.
    """

    host: str | None = None
    teacher: str | None = None
    what: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    as_of: datetime | None = None
    snapshot: str = "latest"
    mode: Mode = "plan"
    to_host: str | None = None
    to_teacher: str | None = None
    into: str | None = None
    overwrite_newer: tuple[str, ...] = ()
    request: str = ""
    again: bool = False
    #: Whether profile settings come back with the files, where all of somebody's files do; ``only``: no files.
    settings: Literal["with", "without", "only"] = "with"
    #: Ids of items of the catalog that are put back although they are newer on the computer.
    replace_settings: tuple[str, ...] = ()


def source_hosts(context: Context, order: RestoreOrder) -> list[str]:
    """Return the computers whose snapshots the order may mean. Raises ``InventoryError`` when it names nobody."""
    if order.host:
        return [context.host(order.host).name]
    if order.teacher:
        return [host.name for host in select(context.inventory, teacher=order.teacher)]
    raise InventoryError("the order names neither a computer nor a teacher", hint="Name one of them.")


def choose_snapshot(
    repository: Repository, snapshots: Sequence[Snapshot], hosts: Sequence[str], order: RestoreOrder
) -> Snapshot:
    """Return the snapshot that the order means: the newest of these hosts, as of the day asked for.

    Raises ``RestoreRefused`` with what there is instead.
    """
    if order.snapshot != "latest":
        return repository.find_snapshot(order.snapshot)
    return newest_of(snapshots, hosts, as_of=order.as_of)


def newest_of(snapshots: Sequence[Snapshot], hosts: Sequence[str], *, as_of: datetime | None = None) -> Snapshot:
    """Return the newest snapshot of these hosts, not younger than ``as_of``; what a restore kept aside is none.

    Raises ``RestoreRefused`` with what there is instead.
    """
    own = [snap for snap in snapshots if snap.hostname in hosts and BEFORE_RESTORE not in snap.tags]
    found = [snap for snap in own if as_of is None or snap.time <= as_of]
    if found:
        return found[-1]
    where = hosts[0] if len(hosts) == 1 else f"any of {', '.join(hosts)}"
    if own:
        raise RestoreRefused(
            f"there is no snapshot of {where} that old",
            hint=f"The oldest is {short(own[0].id or b'')} of {own[0].time:%Y-%m-%d %H:%M} UTC.",
        )
    raise RestoreRefused(f"there is no snapshot of {where}", hint="'firstbell snapshots' lists what there is.")


@dataclass(frozen=True, slots=True)
class SavedHost:
    """What a snapshot says of the computer that it is of; nothing of both when it is not ours."""

    platform: str = ""
    people: tuple[Person, ...] = ()
    #: The hardware's serial number, where the computer told one.
    serial: str = ""

    @property
    def windows(self) -> bool:
        """Whether it ran Windows."""
        return self.platform == WINDOWS


def saved_host(repository: Repository, snapshot: Snapshot) -> SavedHost:
    """Return the platform and the people of a snapshot, as the host told then."""
    root = repository.load_tree(snapshot.tree)
    own = next((node for node in root.nodes if node.name == OWN_FOLDER and node.subtree), None)
    if own is None or own.subtree is None:
        return SavedHost()
    facts = next(
        (node for node in repository.load_tree(own.subtree).nodes if node.name == FACTS_DOCUMENT.encode()), None
    )
    if facts is None:
        return SavedHost()
    document = json.loads(b"".join(repository.iter_blobs(facts.content or ())))
    people = tuple(
        Person(
            name=person["name"],
            home=_bytes(person["home"]),
            full_name=person["full_name"],
            folders={name: _bytes(path) for name, path in person["folders"].items()},
        )
        for person in document["people"]
    )
    return SavedHost(str(document.get("platform", "")), people, str(document.get("serial") or ""))


def whom(order: RestoreOrder, saved: SavedHost, snapshot: Snapshot) -> list[Person]:
    """Return the people whom the order is about. Raises ``RestoreRefused`` when the teacher is not in the snapshot."""
    if not order.teacher:
        return list(saved.people)
    if saved.windows:
        found = find_account(order.teacher, saved.people, lambda person: person.name)
        chosen = [] if found is None else [found]
    else:
        chosen = [person for person in saved.people if person.name == order.teacher]
    if not chosen:
        there = ", ".join(person.name for person in saved.people) or "nobody by name"
        raise RestoreRefused(
            f"snapshot {short(snapshot.id or b'')} of {snapshot.hostname} has no files of {order.teacher}",
            hint=f"It has files of: {there}.",
        )
    return chosen


def wanted(
    order: RestoreOrder, chosen: Sequence[Person], snapshot: Snapshot, *, everybody: bool, windows: bool
) -> tuple[str, ...]:
    """Return the patterns of an order as absolute paths or globs, for the people ``chosen``.

    ``everybody`` when nobody of the snapshot is left out; ``windows`` when patterns may be written as on Windows.
    """
    if not order.what:
        saved = [_bytes(root) for root in snapshot.paths]
        places = [_text(path) for one in chosen for path in _places_of(one, saved)]
        return () if everybody else tuple(dict.fromkeys(places))
    patterns: list[str] = []
    for pattern in order.what:
        text = as_on_windows(pattern) if windows else pattern
        if text.startswith("/") or not chosen:
            patterns.append(text)
            continue
        for person in chosen:
            known = {"home": _text(person.home), "user": person.name, "desktop": _text(person.desktop)}
            known |= {name: _text(path) for name, path in person.folders.items()}
            for name in ("documents", "downloads", "pictures", "music", "videos"):
                known.setdefault(name, f"{_text(person.home)}/{name.capitalize()}")
            filled = _filled(text, known)
            patterns.append(filled if filled.startswith("/") else f"{known['home']}/{_deep(filled)}")
    return tuple(dict.fromkeys(patterns))


def _places_of(person: Person, saved: Sequence[bytes]) -> list[bytes]:
    """Return the home of somebody, and the folders that were moved out of it and are saved for themselves."""
    moved = [path for path in person.folders.values() if not (path + b"/").startswith(person.home + b"/")]
    return [person.home, *(path for path in moved if path in saved)]


def _deep(pattern: str) -> str:
    """Return a bare file pattern such as ``*.docx`` so that it means files at any depth."""
    return f"**/{pattern}" if "/" not in pattern and any(mark in pattern for mark in "*?[") else pattern


def _filled(text: str, known: Mapping[str, str]) -> str:
    try:
        return expand(text, known)
    except KeyError as error:
        raise RestoreRefused(
            f"{text!r} has an unknown placeholder {{{error.args[0]}}}",
            hint="Known are {home}, {desktop}, {documents}, {downloads}, {pictures}, {music} and {videos}.",
        ) from None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
