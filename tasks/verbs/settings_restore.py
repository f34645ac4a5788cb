"""Put people's settings back, after their files: plan by the catalog, keep what stood there, apply; undo."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from configs.catalog import Catalog, CatalogItem, version_tuple
from configs.catalog_variables import fill_in
from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.errors import HelperFailed, RestoreRefused
from tasks.remote.filesystem import Facts, RemoteHost
from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.undo_document import BEFORE_RESTORE, UNDO_DOCUMENT, UndoDocument
from tasks.restorer.walk import INTERNAL, node_at
from tasks.settings.apply import apply_changes, before_image, current_values, undo_changes
from tasks.settings.collectors import collectors_for
from tasks.settings.document import Item, ProfileIdentity, Settings, SettingsUnreadable, decode, document_name, encode
from tasks.settings.first_sign_in import with_sign_in_step
from tasks.settings.person import PersonSettings
from tasks.settings.plan import Situation, plan_settings
from tasks.settings.sealed import SUFFIX, open_sealed
from tasks.settings.values import Account, Change, Entry, Place, Value
from tasks.verbs.context import Context
from tasks.verbs.destination import Pair
from tasks.verbs.people import Person
from tasks.verbs.settings_capture import account_of, account_on, catalog_for, identify, placed

#: Documents of a before-image: what stood there, and what was put there.
_BEFORE: Final = ".before.json"
_PUT: Final = ".put.json"
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+|\d+")


class SettingsRestore:
    """The settings of the people of one restore, on one host."""

    def __init__(
        self, context: Context, repository: Repository, snapshot: Snapshot, remote: RemoteHost, host: str
    ) -> None:
        self._context = context
        self._repository = repository
        self._snapshot = snapshot
        self._remote = remote
        self._host = host
        self._identities: dict[str, ProfileIdentity] = {}

    def plan(self, pairs: Sequence[Pair], *, replace_items: Sequence[str] = ()) -> list[PersonSettings]:
        """Return what would be done for each of these people of whom settings were saved; nothing is written."""
        catalog = catalog_for(self._context, self._remote.hello.platform)
        if catalog is None:
            return []
        planned = []
        for old, new in pairs:
            try:
                saved = self._saved(old.name)
                if saved is not None:
                    planned.append(self._plan(saved, new, catalog, replace_items))
            except (SettingsUnreadable, HelperFailed) as error:
                planned.append(PersonSettings(new.name, problem=error.message))
        return planned

    def apply(
        self, planned: Sequence[PersonSettings], pairs: Sequence[Pair], continues: Snapshot | None, now: datetime
    ) -> tuple[list[PersonSettings], Snapshot | None]:
        """Carry the plans out. Returns what became of them, and what takes them back, with what came before."""
        people = {new.name: new for _, new in pairs}
        changing = [one for one in planned if one.plan is not None and one.plan.changes()]
        catalog = catalog_for(self._context, self._remote.hello.platform)
        if not changing or catalog is None:
            return list(planned), continues
        before = self._keep(changing, people, catalog, continues, now)
        host = self._remote.settings()
        done: list[PersonSettings] = []
        for one in planned:
            if one.plan is None or not one.plan.changes():
                done.append(one)
                continue
            account = account_on(host, people[one.name], catalog.platform)
            host.allow_settings(before.id.hex() if before.id else "", account.home)
            result = apply_changes(host, account, one.plan.changes(), collectors_for(catalog))
            done.append(replace(one, result=result))
        return done, before

    def _saved(self, name: str) -> Settings | None:
        data = read_own(self._repository, self._snapshot, document_name(name))
        if data is None:
            return None
        settings = decode(data)
        sealed = read_own(self._repository, self._snapshot, document_name(name, SUFFIX))
        reference = self._context.config.settings.sealed_key
        if sealed is None or reference is None:
            return settings
        passphrase = self._context.secret(reference).get_secret_value()
        secret = open_sealed(sealed, passphrase, bytes.fromhex(self._repository.config.id))
        opened = {item.id: item for item in secret.items}
        return replace(settings, items=tuple(opened.get(item.id, item) for item in settings.items))

    def _plan(self, saved: Settings, person: Person, catalog: Catalog, replace_items: Sequence[str]) -> PersonSettings:
        host = self._remote.settings()
        facts = self._remote.facts([person.name] if catalog.platform != "windows" else None)
        account = account_of(person, catalog.platform)
        identity, told = identify(host, account, facts)
        account = placed(account, told)
        self._identities[person.name] = identity
        places = [entry.place for _, entry in saved.entries() if entry.value.kind != "file-reference"]
        current, unreadable = current_values(host, account, places, collectors_for(catalog))
        signed_in = told.get("signed_in")
        situation = Situation(
            variables=account.variables,
            windows=catalog.platform == "windows",
            fresh=not saved.identity.same_as(identity),
            current=current,
            unreadable=unreadable,
            applied=self._put_before(person.name, identity),
            missing=self._missing(saved, catalog, account),
            other_version=_other_versions(saved, catalog, facts),
            signed_in=signed_in if isinstance(signed_in, bool) else None,
            newer=self._context.config.settings.newer,
            replace=frozenset(replace_items),
        )
        plan = plan_settings(saved, catalog.items, situation)
        if situation.windows:
            plan = with_sign_in_step(plan, host, account, collectors_for(catalog))
        return PersonSettings(person.name, plan)

    def _put_before(self, name: str, identity: ProfileIdentity) -> Mapping[Place, Value]:
        """Return what earlier restores have put on this very profile, the latest of each place."""
        found: dict[Place, Value] = {}
        for snapshot in self._repository.snapshots():
            if BEFORE_RESTORE in snapshot.tags and snapshot.hostname == self._host:
                data = read_own(self._repository, snapshot, document_name(name, _PUT))
                put = decode(data) if data is not None else None
                if put is not None and put.identity.same_as(identity):
                    found |= {entry.place: entry.value for _, entry in put.entries()}
        return found

    def _missing(self, saved: Settings, catalog: Catalog, account: Account) -> Mapping[str, str]:
        """Return of each captured item which program it needs is not there."""
        captured = {item.id for item in saved.items if item.state == "captured"}
        wanted = [item for item in catalog if item.id in captured and item.prerequisites]
        operations = [_signs(item, index, account) for item in wanted for index in range(len(item.prerequisites))]
        if not operations:
            return {}
        answers = iter(self._remote.settings().read_settings(account.name, account.home, operations))
        missing: dict[str, str] = {}
        for item in wanted:
            for one in item.prerequisites:
                answer = next(answers)
                signs = [*answer.get("commands", ()), *answer.get("paths", ()), *answer.get("programs", ())]
                if answer.get("ok") and not signs:
                    missing[item.id] = f"{one.application} is not installed on this computer"
        return missing

    def _keep(
        self,
        planned: Sequence[PersonSettings],
        people: Mapping[str, Person],
        catalog: Catalog,
        continues: Snapshot | None,
        now: datetime,
    ) -> Snapshot:
        """Save what stands there now, and what will, before anything is written."""
        if continues is not None:
            now = max(now, continues.time + timedelta(microseconds=1))
        documents: dict[str, bytes] = {}
        homes: list[bytes] = []
        for one in planned:
            if one.plan is None:
                continue
            account = account_on(self._remote.settings(), people[one.name], catalog.platform)
            identity = self._identities[one.name]
            was = before_image(one.plan, account, identity, catalog.platform)
            documents[document_name(one.name, _BEFORE)] = encode(was)
            documents[document_name(one.name, _PUT)] = encode(_put(one.plan.changes(), was))
            homes.append(people[one.name].home)
        undo = UndoDocument(
            plan="settings",
            host=self._host,
            snapshot=self._snapshot.id.hex() if self._snapshot.id else "",
            roots=tuple(homes),
            written=(),
            continues=continues.id.hex() if continues is not None and continues.id else "",
        )
        capture = CapturePlan(
            host=self._host,
            hostname=self._host,
            roots=tuple(homes),
            rules=(),
            only=(),
            tags=(BEFORE_RESTORE,),
            documents={UNDO_DOCUMENT: undo.encode(), **documents},
        )
        kept = Archiver(self._repository, self._remote.source()).snapshot(capture, parent=None, now=now).snapshot
        if kept is None:
            text = "what the settings are now could not be saved first, so none was changed"
            raise RestoreRefused(text, hint="Try again.", host=self._host)
        return kept


def undo_settings(
    context: Context, repository: Repository, before: Snapshot, remote: RemoteHost, people: Sequence[Person]
) -> list[PersonSettings]:
    """Take the settings of a restore back: what was changed since stays as it is."""
    catalog = catalog_for(context, remote.hello.platform)
    done: list[PersonSettings] = []
    if catalog is None:
        return done
    host = remote.settings()
    for person in people:
        found = [read_own(repository, before, document_name(person.name, suffix)) for suffix in (_BEFORE, _PUT)]
        if found[0] is None or found[1] is None:
            continue
        was, put = decode(found[0]), decode(found[1])
        changes = undo_changes(was, {entry.place: entry.value for _, entry in put.entries()})
        account = account_on(host, person, catalog.platform)
        host.allow_settings(before.id.hex() if before.id else "", account.home)
        done.append(PersonSettings(person.name, None, apply_changes(host, account, changes, collectors_for(catalog))))
    return done


def has_settings(repository: Repository, before: Snapshot, name: str) -> bool:
    """Return whether a before-image has settings of somebody."""
    return node_at(repository, before, _path(document_name(name, _PUT))) is not None


def read_own(repository: Repository, snapshot: Snapshot, name: str) -> bytes | None:
    """Return one of firstbell's documents in a snapshot, None when it has none of that name."""
    node = node_at(repository, snapshot, _path(name))
    if node is None or node.content is None:
        return None
    return b"".join(repository.load_blob(BlobType.DATA, id_) for id_ in node.content)


def _path(name: str) -> bytes:
    return INTERNAL + b"/" + name.encode()


def _put(changes: Sequence[Change], was: Settings) -> Settings:
    """Return what will stand there."""
    entries = tuple(Entry(change.place, change.value) for change in changes if change.value is not None)
    return replace(was, items=(Item("settings", "settings", "captured", entries),))


def _signs(item: CatalogItem, index: int, account: Account) -> dict[str, Any]:
    one = item.prerequisites[index]
    paths = []
    for path in one.paths:
        try:
            paths.append(fill_in(path, account.variables))
        except KeyError:
            continue
    return {"op": "programs", "commands": list(one.commands), "paths": paths, "programs": list(one.programs)}


def _other_versions(saved: Settings, catalog: Catalog, facts: Facts) -> Mapping[str, str]:
    """Return of which items the system's version is none that they may be put back on."""
    then, now = _version(saved.system), _version(facts.system)
    found: dict[str, str] = {}
    for item in catalog:
        limits = item.versions
        if now and not limits.allow_os(now):
            found[item.id] = f"it does not fit this version of the system ({facts.system})"
        elif limits.same == "os-build" and then != now:
            found[item.id] = f"it was saved on {saved.system}, and only comes back on the same"
        elif limits.same == "os-release" and _release(then) != _release(now):
            found[item.id] = f"it was saved on {saved.system}, and only comes back on the same release"
    return found


def _version(system: str) -> str:
    match = _VERSION.search(system)
    return match[0] if match else ""


def _release(version: str) -> tuple[int, ...]:
    numbers = version_tuple(version)
    # Windows 11 calls itself 10.0 too, from build 22000 on.
    return (11,) if numbers[:2] == (10, 0) and len(numbers) > 2 and numbers[2] >= 22000 else numbers[:1]
