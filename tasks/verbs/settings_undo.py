"""Take the settings of a restore back: what somebody changed since stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

from configs.catalog import Catalog
from tasks.errors import FirstbellError
from tasks.remote.filesystem import RemoteHost
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.settings.apply import apply_changes
from tasks.settings.collectors import collectors_for
from tasks.settings.person import PersonSettings
from tasks.settings.values import Change, Place, Value
from tasks.verbs.context import Context
from tasks.verbs.people import Person
from tasks.verbs.settings_before import BEFORE, PUT, chain
from tasks.verbs.settings_capture import account_on, catalog_for, folders_elsewhere
from tasks.verbs.settings_documents import SealKey, read_saved, seal_key, sensitive_items
from tasks.verbs.settings_restore import without_values


def undo_settings(
    context: Context, repository: Repository, before: Snapshot, remote: RemoteHost, people: Sequence[Person]
) -> list[PersonSettings]:
    """Take the settings of a restore back, of all its parts; what cannot be is told, and keeps no file from it."""
    catalog = catalog_for(context, remote.hello.platform)
    if catalog is None:
        return []
    parts = list(chain(repository, before))
    key = seal_key(context, repository.config.id)
    done: list[PersonSettings] = []
    for person in people:
        try:
            done.append(_undo(repository, parts, remote, person, catalog, key))
        except FirstbellError as error:
            done.append(PersonSettings(person.name, problem=error.message))
    return done


def _undo(
    repository: Repository,
    parts: Sequence[Snapshot],
    remote: RemoteHost,
    person: Person,
    catalog: Catalog,
    key: SealKey | None,
) -> PersonSettings:
    order = {item.id: number for number, item in enumerate(catalog)}
    states: dict[Place, tuple[int, Value | None, Value]] = {}
    secret: set[Place] = set()
    notes: list[str] = []
    for part in reversed(parts):
        put = read_saved(repository, part, person.name, key, PUT)
        was = read_saved(repository, part, person.name, key, BEFORE)
        if put is None or was is None:
            continue
        notes += put.notes
        before = {entry.place: entry.value for _, entry in was.settings.entries()}
        sensitive = sensitive_items(catalog, put)
        for item, entry in put.settings.entries():
            there, known = before.get(entry.place), states.get(entry.place)
            # Of a part that was repeated, what stood there at first; unless somebody changed it in between.
            first = known[1] if known is not None and there in known[1:] else there
            states[entry.place] = (order.get(item.id, len(order)), first, entry.value)
            secret |= {entry.place} if item.id in sensitive else set()
    # What came last goes first.
    wanted = sorted(states.items(), key=lambda one: one[1][0], reverse=True)
    changes = [Change(place, was, put) for place, (_, was, put) in wanted]
    host = remote.settings()
    account = account_on(host, person, catalog.platform)
    host.allow_settings(parts[0].id.hex() if parts[0].id else "", account.home, *folders_elsewhere(account))
    result = without_values(apply_changes(host, account, changes, collectors_for(catalog)), secret)
    return PersonSettings(person.name, None, result, notes=tuple(dict.fromkeys(notes)))
