"""Which clearances were issued: one record each, appended before the token is handed out. The token is not kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tasks.records.model import Record
from tasks.records.store import RecordStore

CLEARANCE: Final = "clearance"


@dataclass(frozen=True, slots=True)
class Issued:
    """One clearance that was issued, for whom, and until when it is good."""

    id: str
    host: str
    expiry: datetime
    #: The snapshot that it rests on, by its ID in hex.
    snapshot: str = ""


def add_clearance(store: RecordStore, claims: Mapping[str, Any], *, key: str, serial: str) -> Record:
    """Write down that a clearance was issued: its claims, the id of its key, the computer's serial number."""
    return store.append(CLEARANCE, {**claims, "kid": key, "serial": serial})


def issued(store: RecordStore, *, since: datetime, now: datetime | None = None) -> Iterator[Issued]:
    """Yield the clearances issued since a moment, the newest first; with ``now`` those that are good then."""
    for record in store.records(CLEARANCE, newest_first=True, since=since):
        try:
            found = _issued(record.data)
        except ValueError as error:
            store.warn(f"the record {CLEARANCE}/{record.file_name} cannot be read and is left out: {error}")
        else:
            if now is None or found.expiry > now:
                yield found


def _issued(data: Mapping[str, Any]) -> Issued:
    texts = [data.get(key) for key in ("id", "host", "expiry", "snapshot")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("'id', 'host', 'expiry' or 'snapshot' is missing")
    id_, host, expiry, snapshot = map(str, texts)
    return Issued(id_, host, datetime.fromisoformat(expiry).astimezone(UTC), snapshot)
