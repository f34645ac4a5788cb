"""What a verification found: bound to the ID of the snapshot, dated, never changed afterwards.

One record for each time that somebody verified, also where it failed. The files that were wrong are counted, not named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from tasks.records.model import Record
from tasks.records.store import RecordStore

VERIFICATION: Final = "verification"


@dataclass(frozen=True, slots=True)
class Verification:
    """One verification of one snapshot (ID in hex); counts of files, sizes in bytes.

    ``begun_at`` is when the looking began: what happened after it may have been missed. ``complete`` when every file
    was looked at. ``users`` are the accounts that the snapshot covers, ``profiles`` those that had a user profile on
    the computer when it was verified, None where nobody looked; ``in_use`` those of them that were signed in at that
    moment, as far as the computer tells.
    """

    host: str
    snapshot: str
    captured_at: datetime
    begun_at: datetime
    method: str
    good: bool
    complete: bool
    read_back: int
    compared: int
    files: int
    bytes: int
    seed: int
    #: Why it is not good, or less than was asked for; in words, without names of files.
    problem: str
    #: SHA-256 of the snapshot's manifest in hex, and how many of its lines tell of something that is not saved.
    manifest: str
    skips: int
    users: tuple[str, ...]
    profiles: tuple[str, ...] | None = None
    in_use: tuple[str, ...] = ()
    #: The hardware's serial number, as the computer told when the snapshot was made.
    serial: str = ""

    def to_data(self) -> dict[str, Any]:
        """Return the data of its record."""
        data = {one.name: getattr(self, one.name) for one in fields(self)}
        names = {key: list(value) for key, value in data.items() if isinstance(value, tuple)}
        times = {key: value.astimezone(UTC).isoformat() for key, value in data.items() if isinstance(value, datetime)}
        return {**data, **names, **times}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Verification:
        """Return what is in a record. Raises ``ValueError``."""
        values: dict[str, Any] = {}
        for one in fields(cls):
            value = data.get(one.name)
            if one.type == "datetime":
                value = datetime.fromisoformat(value) if isinstance(value, str) else None
                legal = value is not None and value.tzinfo is not None
            elif one.name in ("users", "profiles", "in_use"):
                legal = isinstance(value, list) and all(isinstance(name, str) for name in value)
                legal = legal or (one.name == "profiles" and value is None and one.name in data)
                value = tuple(value) if isinstance(value, list) else None
            else:
                kind = {"str": str, "bool": bool, "int": int}[str(one.type)]
                # A bool is an int to Python, and not to us.
                legal = type(value) is kind
            if not legal:
                raise ValueError(f"'{one.name}' is missing or not as it should be")
            values[one.name] = value
        return cls(**values)


def add_verification(store: RecordStore, verification: Verification) -> Record:
    """Write down what a verification found."""
    return store.append(VERIFICATION, verification.to_data(), subject=verification.host)


def verifications(store: RecordStore, host: str, *, since: datetime) -> Iterator[tuple[Record, Verification]]:
    """Yield the verifications of a host since a moment, the newest first; no older record is read.

    What cannot be read is told to the store's reporter and left out: whoever decides by this must mind what is told.
    """
    for record in store.records(VERIFICATION, newest_first=True, subject=host, since=since):
        try:
            verification = Verification.from_data({**record.data, "host": _only(host, record.data.get("host"))})
        except ValueError as error:
            store.warn(f"the record {VERIFICATION}/{host}/{record.file_name} cannot be read and is left out: {error}")
        else:
            yield record, verification


def _only(host: str, told: object) -> str:
    if told != host:
        raise ValueError("it is of another computer")
    return host
