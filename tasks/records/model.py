"""What the records say, and how they are written down.

A record file is ``{"version": 1, "kind": ..., "id": ..., "time": ..., "data": {...}}``. A reader leaves out, and tells,
what it cannot read: a newer version, another kind, no JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

#: Kinds of records, which are also the names of their folders.
RESTORE_REQUEST: Final = "restore-request"
CLAIM: Final = "restore-claim"
UNDO: Final = "undo"
PENDING_RESTORE: Final = "pending-restore"

_VERSION: Final = 1
#: How the name of a record file begins.
TIME_FORMAT: Final = "%Y%m%dT%H%M%S.%fZ"
#: A key like this one has no place in a record, whatever it holds.
_SECRET_KEY: Final = re.compile(r"passw|secret|token|passphrase|private.?key|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One record; ``time`` is aware UTC."""

    kind: str
    id: str
    time: datetime
    data: Mapping[str, Any]

    @property
    def file_name(self) -> str:
        """Return the name in the folder of its kind: names sort by time."""
        return f"{self.time.astimezone(UTC).strftime(TIME_FORMAT)}-{self.id}.json"


class RequestState(Enum):
    """Where a restore request stands."""

    #: Asked for; nobody works on it. Also: whoever did is gone.
    REQUESTED = "requested"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """Where a restore request stands, since when, how often it was begun, and how it ended."""

    request: str
    state: RequestState
    since: datetime | None = None
    attempts: int = 0
    summary: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class UndoPointer:
    """Where the before-image of one restore is: what ``undo`` needs to find it."""

    host: str
    #: IDs of the before-image and of what was restored, in hex; digest of the plan.
    before: str
    snapshot: str
    plan: str

    def to_data(self) -> dict[str, Any]:
        """Return the data of its record."""
        return {"host": self.host, "before": self.before, "snapshot": self.snapshot, "plan": self.plan}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> UndoPointer:
        """Return the pointer in a record. Raises ``ValueError``."""
        host, before, snapshot, plan = (_text(data, key) for key in ("host", "before", "snapshot", "plan"))
        return cls(host, before, snapshot, plan)


@dataclass(frozen=True, slots=True)
class PendingRestore:
    """A restore that waits for a home to exist. Its snapshot must be kept as long as it is ``open``."""

    host: str
    teacher: str
    #: ID of the snapshot, in hex, and the canonical request.
    snapshot: str
    request: Mapping[str, Any]
    open: bool = True

    def to_data(self) -> dict[str, Any]:
        """Return the data of its record."""
        return {
            "host": self.host,
            "teacher": self.teacher,
            "snapshot": self.snapshot,
            "request": dict(self.request),
            "open": self.open,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> PendingRestore:
        """Return what is in a record. Raises ``ValueError``."""
        request, is_open = data.get("request"), data.get("open")
        host, teacher, snapshot = (_text(data, key) for key in ("host", "teacher", "snapshot"))
        if isinstance(request, Mapping) and isinstance(is_open, bool):
            return cls(host, teacher, snapshot, request, is_open)
        raise ValueError("'request' or 'open' is missing")


def encode_record(record: Record) -> bytes:
    """Return a record as it is stored. Raises ``ValueError`` when it looks as if there were a secret in it."""
    check_no_secret(record.data)
    value = {
        "version": _VERSION,
        "kind": record.kind,
        "id": record.id,
        "time": record.time.astimezone(UTC).isoformat(),
        "data": record.data,
    }
    return json.dumps(value, indent=1, ensure_ascii=True).encode() + b"\n"


def decode_record(data: bytes, *, kind: str) -> Record:
    """Return the record in a file. Raises ``ValueError`` when it is none, of a newer version, or of another kind."""
    try:
        value = json.loads(data)
        if value["version"] != _VERSION:
            raise ValueError(f"it has version {value['version']!r}, known is {_VERSION}")
        if value["kind"] != kind:
            raise ValueError(f"it is of the kind {value['kind']!r}")
        time = datetime.fromisoformat(value["time"])
        if time.tzinfo is None or not isinstance(value["data"], dict):
            raise ValueError("its time or data is not as it should be")
        return Record(kind, str(value["id"]), time.astimezone(UTC), value["data"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is not a record: {error!r}") from error


def check_no_secret(value: Any) -> None:
    """Raise ``ValueError`` when a key in ``value``, at any depth, is named like a secret."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if _SECRET_KEY.search(str(key)):
                raise ValueError(f"a record must not have {key!r}: it reads like a secret")
            check_no_secret(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            check_no_secret(inner)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if isinstance(value, str):
        return value
    raise ValueError(f"{key!r} is missing or no text")
