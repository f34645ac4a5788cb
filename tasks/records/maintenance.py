"""What a maintenance writes down besides its logs: its opening, what people said, and which computers are in it.

Read strictly: a record that cannot be read raises ``ConfigError``, since it may be the one that says no.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from tasks.errors import ConfigError, NotFound
from tasks.records.model import Record, decode_record
from tasks.records.store import FOLDER, RecordStore
from tasks.transports.base import HostIdentity

PLAN: Final = "maintenance-plan"
WORD: Final = "maintenance-word"
MAINTENANCE: Final = "maintenance"

#: What a person said: stop it; the action was done; it is all there again.
Saying = Literal["cancel", "confirm", "accept"]


@dataclass(frozen=True, slots=True)
class Opening:
    """How a maintenance was begun: the plan, as text and by its digest, and its computers. People agreed to these."""

    plan: str
    site: str
    digest: str
    text: str
    hosts: tuple[str, ...]
    opened_at: datetime
    announced: bool = False


def open_plan(store: RecordStore, opening: Opening) -> Opening:
    """Write the opening, unless there is one, and return the one that counts."""
    data = {"site": opening.site, "digest": opening.digest, "text": opening.text, "hosts": list(opening.hosts)}
    record = Record(PLAN, opening.digest[:16], opening.opened_at.astimezone(UTC), {"plan": opening.plan, **data})
    try:
        store.save(_opening(opening.plan), record, overwrite=False)
    except FileExistsError:
        found = load_opening(store, opening.plan)
        if found is not None:
            return found
    return opening


def load_opening(store: RecordStore, plan: str) -> Opening | None:
    """Return how a maintenance was begun, None when it was not. Raises ``ConfigError`` where that cannot be read."""
    record = _strictly(store, _opening(plan), PLAN)
    if record is None:
        return None
    texts = [record.data.get(key) for key in ("plan", "site", "digest", "text")]
    hosts = record.data.get("hosts")
    legal = all(isinstance(text, str) for text in texts) and isinstance(hosts, list) and texts[0] == plan
    if not legal or not all(isinstance(host, str) for host in hosts or ()):
        raise _unreadable(_opening(plan), "something in it is missing")
    announced = _strictly(store, _announced(plan), PLAN) is not None
    name, site, digest, text = map(str, texts)
    return Opening(name, site, digest, text, tuple(hosts or ()), record.time, announced)


def plans_going_on(store: RecordStore) -> tuple[str, ...]:
    """Return the names of the maintenances that were begun and not noted as over, whatever became of their files."""
    prefix = f"{FOLDER}{PLAN}/"
    names = {info.name.removeprefix(prefix) for info in store.backend.list(prefix)}
    plans = {name.partition("/")[0] for name in names}
    return tuple(sorted(plan for plan in plans if f"{plan}/over.json" not in names))


def note_over(store: RecordStore, plan: str) -> None:
    """Write down that every computer of a maintenance is at its end: nobody has to look at it any more."""
    record = Record(PLAN, "over", store.clock().astimezone(UTC), {"plan": plan})
    try:
        store.save(f"{PLAN}/{plan}/over.json", record, overwrite=False)
    except FileExistsError:
        return


def note_announced(store: RecordStore, plan: str) -> None:
    """Write down that everybody was told and asked."""
    record = Record(PLAN, "announced", store.clock().astimezone(UTC), {"plan": plan})
    try:
        store.save(_announced(plan), record, overwrite=False)
    except FileExistsError:
        return


@dataclass(frozen=True, slots=True)
class Word:
    """What a person said of a maintenance, or of one of its computers, and when."""

    saying: Saying
    by: str
    at: datetime
    #: The computer; empty: all of them.
    host: str = ""
    reason: str = ""
    #: What it is about: the clearance that a confirmation belongs to.
    clearance: str = ""


def say(store: RecordStore, plan: str, word: Word) -> None:
    """Write down what somebody said."""
    data = asdict(replace(word, at=word.at.astimezone(UTC)))
    store.append(WORD, {**{key: value for key, value in data.items() if key != "at"}, "plan": plan}, subject=plan)


def words(store: RecordStore, plan: str, host: str | None = None) -> tuple[Word, ...]:
    """Return what was said of a maintenance, the oldest first; with ``host``, of that computer or of all."""
    found = []
    for name, record in _all(store, f"{WORD}/{plan}/", WORD):
        data = record.data
        texts = [data.get(key) for key in ("by", "host", "reason", "clearance")]
        saying = next((one for one in get_args(Saying) if one == data.get("saying")), None)
        if saying is None or not all(isinstance(text, str) for text in texts):
            raise _unreadable(name, "it is not written as this version of firstbell does")
        by, about, reason, clearance = map(str, texts)
        word = Word(saying, by, record.time, about, reason, clearance)
        if host is None or word.host in ("", host):
            found.append(word)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class MaintenanceRecord:
    """One computer in one maintenance: cleared to be wiped, and until when it may come back with a new identity.

    ``identity`` and ``serial`` are those from before it was wiped; what the computer tells, empty where it tells none.
    """

    plan: str
    host: str
    clearance: str
    #: ID of the snapshot that it is wiped on, in hex: it must be kept.
    snapshot: str
    serial: str
    identity: HostIdentity
    opened_at: datetime
    until: datetime
    open: bool = True


def open_maintenance_record(store: RecordStore, record: MaintenanceRecord) -> None:
    """Write down that a computer is in maintenance, or (with ``open`` false, all else the same) no longer."""
    data: dict[str, Any] = {**asdict(record), "opened_at": _text(record.opened_at), "until": _text(record.until)}
    store.append(MAINTENANCE, data, subject=record.host)


def close_maintenance_records(store: RecordStore, host: str, plan: str) -> None:
    """Write down that a computer is in this maintenance no longer; its snapshots may then go."""
    for record in open_maintenance_records(store, host):
        if record.plan == plan:
            open_maintenance_record(store, replace(record, open=False))


def open_maintenance_records(store: RecordStore, host: str | None = None) -> tuple[MaintenanceRecord, ...]:
    """Return what is in maintenance, of one computer or of all, the oldest first. Raises ``ConfigError``."""
    found: dict[tuple[str, str, str], MaintenanceRecord] = {}
    for name, record in _all(store, f"{MAINTENANCE}/{host}/" if host else f"{MAINTENANCE}/", MAINTENANCE):
        one = _maintenance(name, record)
        key = (one.host, one.plan, one.clearance)
        if one.open:
            found[key] = one
        else:
            found.pop(key, None)
    return tuple(found.values())


def _maintenance(name: str, record: Record) -> MaintenanceRecord:
    data = record.data
    texts = [data.get(key) for key in ("plan", "host", "clearance", "snapshot", "serial", "opened_at", "until")]
    is_open = data.get("open")
    if not all(isinstance(text, str) for text in texts) or not isinstance(is_open, bool):
        raise _unreadable(name, "something in it is missing")
    plan, host, clearance, snapshot, serial, opened_at, until = map(str, texts)
    try:
        identity = identity_of(data.get("identity"))
        times = datetime.fromisoformat(opened_at).astimezone(UTC), datetime.fromisoformat(until).astimezone(UTC)
    except ValueError as error:
        raise _unreadable(name, str(error)) from None
    return MaintenanceRecord(plan, host, clearance, snapshot, serial, identity, *times, is_open)


def identity_data(identity: HostIdentity) -> dict[str, str]:
    """Return an identity as JSON values."""
    return {"kind": identity.kind, "algorithm": identity.algorithm, "fingerprint": identity.fingerprint}


def identity_of(data: object) -> HostIdentity:
    """Return the identity in a record. Raises ``ValueError``."""
    kinds = ("ssh-host-key", "tls-certificate", "mutual-login", "local")
    if not isinstance(data, Mapping) or data.get("kind") not in kinds:
        raise ValueError("it tells no identity")
    return HostIdentity(data["kind"], str(data.get("algorithm", "")), str(data.get("fingerprint", "")))


def _all(store: RecordStore, folder: str, kind: str) -> Iterator[tuple[str, Record]]:
    names = [info.name.removeprefix(FOLDER) for info in store.backend.list(FOLDER + folder)]
    for name in sorted(names, key=lambda name: name.rpartition("/")[2]):
        record = _strictly(store, name, kind)
        if record is not None:
            yield name, record


def _strictly(store: RecordStore, name: str, kind: str) -> Record | None:
    try:
        return decode_record(store.backend.load(FOLDER + name), kind=kind)
    except NotFound:
        return None
    except ValueError as error:
        raise _unreadable(name, str(error)) from None


def _unreadable(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"the record {name} cannot be read: {why}",
        hint="Nothing is wiped while that is so. Was it written by a newer version of firstbell?",
    )


def _opening(plan: str) -> str:
    return f"{PLAN}/{plan}/opening.json"


def _announced(plan: str) -> str:
    return f"{PLAN}/{plan}/announced.json"


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
