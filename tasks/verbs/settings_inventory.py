"""What IT should know before a computer gets a new image, as far as its newest snapshot tells; no computer is asked."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from configs.catalog import Catalog, CatalogItem
from configs.catalog_item import AREA_TITLES
from tasks.archiver.manifest import PART, read_manifest
from tasks.errors import NotFound
from tasks.reports.model import SettingTold
from tasks.repository.ids import short
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.settings.diff import shown
from tasks.settings.document import Item, SettingsUnreadable
from tasks.verbs.context import Context
from tasks.verbs.newest import newest_snapshot
from tasks.verbs.orders import saved_host
from tasks.verbs.people import Person
from tasks.verbs.settings_capture import catalog_for
from tasks.verbs.settings_documents import Saved, read_saved, sensitive_items
from tasks.verbs.settings_told import fate_of
from tasks.verbs.site_repository import open_repository

#: Lines of one item, such as installed programs.
_MOST: Final = 300
#: Paths that are named.
_PATHS: Final = 20


@dataclass(frozen=True, slots=True)
class ItemHeld:
    """One setting that somebody has: where it stands on a page, what becomes of it, how many values are saved."""

    id: str
    area: str
    told: SettingTold
    values: int
    #: Why it is saved in part, or not.
    reason: str = ""
    #: What IT has to see to, line by line: of items that are IT's, and hold no secrets.
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonInventory:
    """The settings of one person; ``problem`` says why there are none."""

    name: str
    title: str
    items: tuple[ItemHeld, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class HostInventory:
    """What a snapshot knows of a computer besides its files."""

    host: str
    snapshot: str
    taken: datetime
    system: str
    people: tuple[PersonInventory, ...]
    #: Saved folders that lie in no home.
    outside: tuple[str, ...]
    #: Files of which only a placeholder was there, by the first few paths.
    cloud_only: int = 0
    cloud_examples: tuple[bytes, ...] = ()


def settings_inventory(context: Context, host_name: str, *, snapshot: str = "latest") -> HostInventory:
    """Return what a snapshot of a host knows. Raises ``NotFound`` when there is none."""
    host = context.host(host_name)
    with open_repository(context, host.site, host=host.name, lock=False) as opened:
        repository = opened.repository
        found = (
            newest_snapshot(opened.snapshots(), host.name)
            if snapshot == "latest"
            else repository.find_snapshot(snapshot)
        )
        if found is None:
            raise NotFound(f"there is no snapshot of {host.name}", hint=f"Make one: firstbell snapshot {host.name}")
        saved = saved_host(repository, found)
        catalog = catalog_for(context, saved.platform)
        people = tuple(_person(repository, found, catalog, one) for one in saved.people)
        homes = [one.home.rstrip(b"/") + b"/" for one in saved.people]
        outside = [path for path in found.paths if not any(_inside(path, home) for home in homes)]
        cloud = [
            entry.path
            for entry in read_manifest(repository, found)
            if entry.reason == "cloud-only" and entry.type != PART
        ]
        system = next((text for text in _systems(repository, found, saved.people)), "")
        return HostInventory(
            host.name,
            short(found.id or b""),
            found.time,
            system,
            people,
            tuple(outside),
            len(cloud),
            tuple(cloud[:_PATHS]),
        )


def _systems(repository: Repository, snapshot: Snapshot, people: tuple[Person, ...]) -> Iterator[str]:
    for person in people:
        try:
            saved = read_saved(repository, snapshot, person.name, None)
        except SettingsUnreadable:
            continue
        if saved is not None and saved.settings.system:
            yield saved.settings.system


def _inside(path: str, home: bytes) -> bool:
    return (path.encode("utf-8", "surrogateescape").rstrip(b"/") + b"/").startswith(home)


def _person(repository: Repository, snapshot: Snapshot, catalog: Catalog | None, person: Person) -> PersonInventory:
    try:
        saved = read_saved(repository, snapshot, person.name, None)
    except SettingsUnreadable as error:
        return PersonInventory(person.name, person.title, problem=error.message)
    if saved is None or catalog is None:
        return PersonInventory(person.name, person.title, problem="no settings are in this snapshot")
    return PersonInventory(person.name, person.title, tuple(_items(catalog, saved)))


def _items(catalog: Catalog, saved: Saved) -> Iterator[ItemHeld]:
    by_id: Mapping[str, Item] = {item.id: item for item in saved.settings.items}
    secret = sensitive_items(catalog, saved)
    for known in catalog:
        item = by_id.get(known.id)
        told = fate_of(known, item) if item is not None else None
        if item is None or told is None:
            continue
        lines = _lines(known, item) if known.restore == "needs-it" and known.id not in secret else ()
        yield ItemHeld(known.id, AREA_TITLES[known.area], told, len(item.entries), item.reason, lines)


def _lines(known: CatalogItem, item: Item) -> tuple[str, ...]:
    """Return what is there of an item that IT has to see to, each line once."""
    found: dict[str, None] = {}
    groups: dict[str, list[str]] = {}
    for entry in item.entries:
        if known.redacts(entry.place.name):
            continue
        if entry.place.collector == "registry":
            # A program has a key, with its name, version and publisher in it.
            groups.setdefault(entry.place.container, []).append(shown(entry.value))
        elif entry.place.collector == "presence":
            found[entry.place.container] = None
        elif entry.value.kind == "file":
            text = base64.b64decode(entry.value.data).decode("utf-8", "replace")
            found |= dict.fromkeys(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
        elif entry.value.kind == "text":
            found |= dict.fromkeys(line for line in str(entry.value.data).splitlines() if line.strip())
        else:
            found[f"{entry.place.container} {entry.place.name}: {shown(entry.value)}"] = None
    found |= dict.fromkeys(", ".join(values) for values in groups.values())
    return tuple(found)[:_MOST]
