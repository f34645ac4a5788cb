"""Put people's settings back, after their files: plan by the catalog, keep what stood there, apply."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from configs.catalog import Catalog
from configs.catalog_item import AFTER_TITLES
from tasks.errors import HelperFailed
from tasks.records.store import RecordStore
from tasks.remote.filesystem import RemoteHost
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.walk import node_at
from tasks.settings.apply import SettingsResult, apply_changes, before_image, current_values
from tasks.settings.collectors import collectors_for
from tasks.settings.document import Item, ProfileIdentity, SettingsUnreadable
from tasks.settings.files import path_of
from tasks.settings.first_sign_in import with_sign_in_step
from tasks.settings.person import PersonSettings
from tasks.settings.plan import Outcome, SettingsPlan, Situation, Step, plan_settings
from tasks.settings.values import Account, Change, Place
from tasks.verbs.context import Context
from tasks.verbs.destination import Pair
from tasks.verbs.people import Person
from tasks.verbs.settings_before import (
    BEFORE,
    PUT,
    keep_settings,
    note_applied,
    profile_digest,
    put_before,
    put_document,
    unfinished_image,
)
from tasks.verbs.settings_capture import account_of, account_on, catalog_for, folders_elsewhere, identify, placed
from tasks.verbs.settings_documents import Saved, read_saved, seal_key, sensitive_items, written
from tasks.verbs.settings_limits import desktops_of, other_versions, programs_of

#: What a host says of a value that it could not write may hold the value.
_UNTOLD: Final = "it could not be written; of settings with secrets no more is told"


class SettingsRestore:
    """The settings of the people of one restore, on one host."""

    def __init__(
        self, context: Context, repository: Repository, snapshot: Snapshot, remote: RemoteHost, host: str
    ) -> None:
        self._context = context
        self._repository = repository
        self._store = RecordStore(repository.backend)
        self._snapshot = snapshot
        self._remote = remote
        self._host = host
        self._key = seal_key(context, repository.config.id)
        self._identities: dict[str, ProfileIdentity] = {}
        self._sensitive: frozenset[str] = frozenset()

    def plan(self, pairs: Sequence[Pair], *, replace_items: Sequence[str] = ()) -> list[PersonSettings]:
        """Return what would be done for each of these people of whom settings were saved; nothing is written."""
        catalog = catalog_for(self._context, self._remote.hello.platform)
        if catalog is None:
            return []
        planned = []
        for old, new in pairs:
            try:
                saved = read_saved(self._repository, self._snapshot, old.name, self._key)
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
            host.allow_settings(before.id.hex() if before.id else "", account.home, *folders_elsewhere(account))
            result = apply_changes(host, account, one.plan.changes(), collectors_for(catalog))
            secret = {step.place for step in one.plan.steps if step.item in self._sensitive and step.place is not None}
            done.append(replace(one, result=without_values(result, secret)))
        profiles = {name: profile_digest(identity) for name, identity in self._identities.items()}
        note_applied(self._store, self._host, before, done, profiles)
        return done, before

    def _plan(self, saved: Saved, person: Person, catalog: Catalog, replace_items: Sequence[str]) -> PersonSettings:
        host = self._remote.settings()
        facts = self._remote.facts([person.name] if catalog.platform != "windows" else None)
        account = account_of(person, catalog.platform)
        identity, told = identify(host, account, facts)
        account = placed(account, told)
        self._identities[person.name] = identity
        self._sensitive = self._sensitive | sensitive_items(catalog, saved)
        settings, notes = saved.settings, list(saved.notes)
        if self._key is None and any(_is_open(item, self._sensitive) for item in settings.items):
            # What stands there now could not be kept as it must be.
            kept = tuple(
                replace(item, state="left-out", entries=()) if _is_open(item, self._sensitive) else item
                for item in settings.items
            )
            settings = replace(settings, items=kept)
            notes.append("settings with secrets are not put back without 'settings.sealed_key'")
        captured = {item.id for item in settings.items if item.state == "captured"}
        items = [item for item in catalog if item.id in captured and item.comes_back]
        places = [entry.place for _, entry in settings.entries() if entry.value.kind != "file-reference"]
        current, unreadable = current_values(host, account, places, collectors_for(catalog))
        missing, running = programs_of(host, account, items)
        earlier = put_before(self._repository, self._store, self._host, person.name, identity, self._key)
        limited = any(item.versions.same == "os-release" or item.versions.os_min for item in items)
        signed_in = told.get("signed_in")
        situation = Situation(
            variables=account.variables,
            windows=catalog.platform == "windows",
            fresh=not (settings.identity.same_as(identity) or earlier.forgotten),
            current=current,
            unreadable=unreadable,
            applied=earlier.applied(current),
            missing=missing,
            other_version=other_versions(
                catalog,
                system_then=settings.system,
                system_now=facts.system,
                desktop_then=settings.desktop,
                desktop_now=desktops_of(host, account, catalog.platform) if limited else "",
            ),
            running=running,
            signed_in=signed_in if isinstance(signed_in, bool) else None,
            newer=self._context.config.settings.newer,
            replace=frozenset(replace_items),
        )
        plan = plan_settings(settings, catalog.items, situation)
        then = Account(settings.account, "", settings.variables)
        if not situation.windows:  # where the same path may be spelled otherwise
            plan = SettingsPlan(tuple(self._with_files(step, then) for step in plan.steps))
        if situation.windows:
            plan = SettingsPlan(tuple(_not_left_there(step, self._sensitive) for step in plan.steps))
            plan = with_sign_in_step(plan, host, account, collectors_for(catalog))
        shows = {item.id: AFTER_TITLES[item.after] for item in items if item.after != "nothing"}
        return PersonSettings(person.name, plan, notes=tuple(notes), shows=shows)

    def _with_files(self, step: Step, then: Account) -> Step:
        """Return the step; a large file comes back with the files only when it is among them."""
        if step.outcome is not Outcome.WITH_FILES or step.place is None:
            return step
        path = path_of(step.place, then) or ""
        if node_at(self._repository, self._snapshot, path.encode("utf-8", "surrogateescape")) is not None:
            return step
        return replace(
            step, outcome=Outcome.NOT_CAPTURED, reason="a large file, and not among the files that were saved"
        )

    def _keep(
        self,
        planned: Sequence[PersonSettings],
        people: dict[str, Person],
        catalog: Catalog,
        continues: Snapshot | None,
        now: datetime,
    ) -> Snapshot:
        """Save what stands there now, and what will, before anything is written."""
        if continues is None:
            continues = unfinished_image(self._repository, self._store, self._host, self._snapshot, now)
        documents: dict[str, bytes] = {}
        homes: list[bytes] = []
        for one in planned:
            if one.plan is None:
                continue
            account = account_on(self._remote.settings(), people[one.name], catalog.platform)
            was = before_image(one.plan, account, self._identities[one.name], catalog.platform)
            put = put_document(_by_item(one.plan), was)
            documents |= written(one.name, was, self._sensitive, self._key, BEFORE)
            documents |= written(one.name, put, self._sensitive, self._key, PUT)
            homes.append(people[one.name].home)
        return keep_settings(
            self._repository, self._remote, self._host, self._snapshot, documents, homes, continues, now
        )


def without_values(result: SettingsResult, secret: Collection[Place]) -> SettingsResult:
    """Return the result without what the host said of settings with secrets."""
    return SettingsResult(
        tuple(
            (change, one if one.ok or change.place not in secret else replace(one, reason=_UNTOLD))
            for change, one in result.results
        )
    )


def _not_left_there(step: Step, sensitive: Collection[str]) -> Step:
    """Return the step; what holds secrets does not wait on a computer for somebody to sign in."""
    if step.outcome is not Outcome.FIRST_SIGN_IN or step.item not in sensitive:
        return step
    return replace(step, outcome=Outcome.NEEDS_IT, reason="it holds secrets, which are not left lying on a computer")


def _is_open(item: Item, sensitive: Collection[str]) -> bool:
    return item.state == "captured" and item.id in sensitive


def _by_item(plan: SettingsPlan) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for step in plan.steps:
        if (change := step.change) is not None:
            found.setdefault(step.item, []).append(change)
    return found
