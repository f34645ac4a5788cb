"""Snapshot files: what was saved, from where, when, and the root tree.

Source: restic's ``doc/design.rst``, "Snapshots", and its ``internal/data/snapshot.go`` for keys and their order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tasks.backends.base import Buffer
from tasks.repository import gojson
from tasks.repository.ids import ID, parse_id

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot. ``time`` is aware; ``id`` is None until it is stored."""

    time: datetime
    tree: ID
    paths: tuple[str, ...]
    hostname: str = ""
    username: str = ""
    uid: int = 0
    gid: int = 0
    tags: tuple[str, ...] = ()
    parent: ID | None = None
    original: ID | None = None
    program_version: str = ""
    excludes: tuple[str, ...] = ()
    #: restic's statistics of the run, by its key names; None in snapshots of older clients.
    summary: dict[str, Any] | None = field(default=None, hash=False)
    id: ID | None = None
    #: Keys that this version does not know, kept so that saving the snapshot again keeps them.
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


#: The keys of the file are the names of the fields.
_KNOWN: Final = {item.name for item in fields(Snapshot)} - {"id", "extra"}


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the JSON of a snapshot file. Raises ``ValueError`` when its time is not aware."""
    if snapshot.time.tzinfo is None:
        raise ValueError("the time of a snapshot must be aware")
    pairs = [
        ("time", f'"{gojson.time((snapshot.time - _EPOCH) // timedelta(microseconds=1) * 1000)}"'),
        ("parent", _id(snapshot.parent)),
        ("tree", _id(snapshot.tree)),
        ("paths", _strings(snapshot.paths)),
        ("hostname", gojson.string(snapshot.hostname) if snapshot.hostname else ""),
        ("username", gojson.string(snapshot.username) if snapshot.username else ""),
        ("uid", str(snapshot.uid or "")),
        ("gid", str(snapshot.gid or "")),
        ("excludes", _strings(snapshot.excludes) if snapshot.excludes else ""),
        ("tags", _strings(snapshot.tags) if snapshot.tags else ""),
        ("original", _id(snapshot.original)),
        ("program_version", gojson.string(snapshot.program_version) if snapshot.program_version else ""),
        ("summary", gojson.value(snapshot.summary) if snapshot.summary is not None else ""),
        *((key, gojson.value(data)) for key, data in snapshot.extra.items()),
    ]
    return "{{{}}}".format(",".join(f"{gojson.string(key)}:{text}" for key, text in pairs if text)).encode()


def decode_snapshot(data: Buffer, id_: ID) -> Snapshot:
    """Return the snapshot in a file. Raises ``ValueError`` when it is none."""
    try:
        found = json.loads(bytes(data))
        return Snapshot(
            time=_EPOCH + timedelta(microseconds=gojson.parse_time(found["time"]) // 1000),
            tree=parse_id(found["tree"]),
            paths=tuple(found["paths"] or ()),
            hostname=found.get("hostname", ""),
            username=found.get("username", ""),
            uid=found.get("uid", 0),
            gid=found.get("gid", 0),
            tags=tuple(found.get("tags") or ()),
            parent=parse_id(found["parent"]) if found.get("parent") else None,
            original=parse_id(found["original"]) if found.get("original") else None,
            program_version=found.get("program_version", ""),
            excludes=tuple(found.get("excludes") or ()),
            summary=found.get("summary"),
            id=id_,
            extra={key: value for key, value in found.items() if key not in _KNOWN},
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"not a snapshot: {error!r}") from error


def _id(id_: ID | None) -> str:
    return f'"{id_.hex()}"' if id_ is not None else ""


def _strings(texts: tuple[str, ...]) -> str:
    return f"[{','.join(map(gojson.string, texts))}]"
