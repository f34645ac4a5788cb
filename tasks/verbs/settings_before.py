"""What a restore of settings keeps before it writes: to take it back, and to go on after it was killed.

It also tells later what the teacher has chosen since from what firstbell has put there. It lies in a snapshot of its
own, tagged like the before-images of files, with two documents for each person: what stood there (``.before``), and
what is put there (``.put``). When all was written, a record says so, without any value; as long as there is none, what
still stands there as before is taken for not written yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.errors import Damaged, NotFound, RepositoryError, RestoreRefused
from tasks.records.requests import REPEAT_AFTER
from tasks.records.store import RecordStore
from tasks.remote.filesystem import RemoteHost
from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.undo_document import BEFORE_RESTORE, UNDO_DOCUMENT, UndoDocument, read_undo_document
from tasks.restorer.walk import node_at
from tasks.settings.document import Item, ProfileIdentity, Settings, SettingsUnreadable, document_name
from tasks.settings.person import PersonSettings
from tasks.settings.values import Change, Entry, Place, Value
from tasks.verbs.settings_documents import OPEN, SealKey, own_path, read_saved

BEFORE: Final = ".before"
PUT: Final = ".put"
#: How the undo document of a restore of settings calls its plan.
_PLAN: Final = "settings"
#: Kind of the record that all was written. Its subject is the host.
_APPLIED: Final = "settings-applied"


@dataclass(frozen=True, slots=True)
class PutBefore:
    """What earlier restores have put on one profile."""

    #: What was put where, the latest of each place; and of those that may not have been written, what stood there.
    values: Mapping[Place, Value] = field(default_factory=dict)
    unfinished: Mapping[Place, Value | None] = field(default_factory=dict)
    #: Whether settings were put on this profile of which it is not known any more which: it is no fresh one.
    forgotten: bool = False

    def applied(self, current: Mapping[Place, Value]) -> Mapping[Place, Value]:
        """Return what firstbell has put there, so that another value there is the teacher's."""
        return {
            place: value
            for place, value in self.values.items()
            if not (place in self.unfinished and current.get(place) == self.unfinished[place])
        }


def put_before(
    repository: Repository, store: RecordStore, host: str, name: str, identity: ProfileIdentity, key: SealKey | None
) -> PutBefore:
    """Return what earlier restores of ``host`` have put on this very profile of somebody."""
    values: dict[Place, Value] = {}
    unfinished: dict[Place, Value | None] = {}
    done = _done(store, host)
    profile = profile_digest(identity)
    known: set[str] = set()
    forgotten = False
    for snapshot in _images(repository, host):
        known.add(_hex(snapshot))
        try:
            put = read_saved(repository, snapshot, name, key, PUT)
            was = read_saved(repository, snapshot, name, key, BEFORE)
        except (SettingsUnreadable, Damaged, NotFound):
            forgotten = True
            continue
        if put is None or was is None or not put.settings.identity.same_as(identity):
            continue
        # Without its key a sealed one may have put anything.
        forgotten = forgotten or bool(put.notes)
        there = {entry.place: entry.value for _, entry in was.settings.entries()}
        failed = done.get((_hex(snapshot), profile))
        for _, entry in put.settings.entries():
            if failed is not None and place_digest(entry.place) in failed:
                continue
            values[entry.place] = entry.value
            unfinished.pop(entry.place, None)
            if failed is None:
                unfinished[entry.place] = there.get(entry.place)
    forgotten = forgotten or any(own == profile and before not in known for before, own in done)
    return PutBefore(values, unfinished, forgotten and bool(identity.machine and identity.account))


def unfinished_image(
    repository: Repository, store: RecordStore, host: str, of: Snapshot, now: datetime
) -> Snapshot | None:
    """Return the before-image of a restore of the same settings that was killed before it was done, None without one.

    Only when nothing was restored on the host since, and not for long.
    """
    images = _images(repository, host)
    if not images or now - images[-1].time > REPEAT_AFTER:
        return None
    document = read_undo_document(repository, images[-1])
    finished = {before for before, _ in _done(store, host)}
    same = document.plan == _PLAN and document.snapshot == _hex(of)
    return images[-1] if same and _hex(images[-1]) not in finished else None


def keep_settings(
    repository: Repository,
    remote: RemoteHost,
    host: str,
    of: Snapshot,
    documents: Mapping[str, bytes],
    homes: Sequence[bytes],
    continues: Snapshot | None,
    now: datetime,
) -> Snapshot:
    """Save what stands there now, and what will, before anything is written. Raises ``RestoreRefused``."""
    if continues is not None:
        # The latest undo is that of the last part.
        now = max(now, continues.time + timedelta(microseconds=1))
    undo = UndoDocument(
        plan=_PLAN,
        host=host,
        snapshot=_hex(of),
        roots=tuple(homes),
        written=(),
        continues=_hex(continues) if continues is not None else "",
    )
    capture = CapturePlan(
        host=host,
        hostname=host,
        roots=tuple(homes),
        rules=(),
        only=(),
        tags=(BEFORE_RESTORE,),
        documents={UNDO_DOCUMENT: undo.encode(), **documents},
    )
    kept = Archiver(repository, remote.source()).snapshot(capture, parent=None, now=now).snapshot
    if kept is None:
        text = "what the settings are now could not be saved first, so none was changed"
        raise RestoreRefused(text, hint="Try again.", host=host)
    return kept


def put_document(changes: Mapping[str, Sequence[Change]], was: Settings) -> Settings:
    """Return what will stand there, by item."""
    items = [
        Item(id_, id_, "captured", tuple(Entry(one.place, one.value) for one in own if one.value is not None))
        for id_, own in changes.items()
    ]
    return Settings(was.account, was.platform, "", was.identity, variables=was.variables, items=tuple(items))


def note_applied(
    store: RecordStore, host: str, before: Snapshot, done: Sequence[PersonSettings], profiles: Mapping[str, str]
) -> None:
    """Write down that all was written, and what was not; places by their digests, no value."""
    for one in done:
        if one.result is not None and one.name in profiles:
            failed = sorted(place_digest(change.place) for change, _ in one.result.failed)
            data = {"before": _hex(before), "profile": profiles[one.name], "failed": failed}
            store.append(_APPLIED, data, subject=host)


def chain(repository: Repository, before: Snapshot) -> Iterator[Snapshot]:
    """Yield the before-images of all parts of a restore, the last one first."""
    while True:
        yield before
        earlier = read_undo_document(repository, before).continues
        if not earlier:
            return
        try:
            before = repository.find_snapshot(earlier)
        except (NotFound, RepositoryError):
            return


def has_settings(repository: Repository, before: Snapshot, name: str) -> bool:
    """Return whether the before-images of a restore have settings of somebody."""
    path = own_path(document_name(name, PUT + OPEN))
    return any(node_at(repository, one, path) is not None for one in chain(repository, before))


def profile_digest(identity: ProfileIdentity) -> str:
    """Return a profile's name in records, which tells nothing of it."""
    return hashlib.sha256(f"{identity.machine}\0{identity.account}".encode()).hexdigest()[:32]


def place_digest(place: Place) -> str:
    """Return a place's name in records, which tells nothing of it."""
    return hashlib.sha256("\0".join((place.collector, place.container, place.name)).encode()).hexdigest()[:32]


def _done(store: RecordStore, host: str) -> Mapping[tuple[str, str], frozenset[str]]:
    """Return (before-image, profile) -> digests of the places that could not be written."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for record in store.records(_APPLIED, subject=host):
        before, profile, failed = (record.data.get(name) for name in ("before", "profile", "failed"))
        if isinstance(before, str) and isinstance(profile, str) and isinstance(failed, list):
            found[before, profile] = frozenset(str(one) for one in failed)
    return found


def _images(repository: Repository, host: str) -> list[Snapshot]:
    found = [one for one in repository.snapshots() if BEFORE_RESTORE in one.tags and one.hostname == host]
    if not all(repository.has_blob(BlobType.TREE, one.tree) for one in found):
        # Of another run, that began after this one has read the index.
        repository.load_index()
    return found


def _hex(snapshot: Snapshot) -> str:
    return snapshot.id.hex() if snapshot.id else ""
