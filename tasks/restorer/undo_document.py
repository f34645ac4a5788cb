"""What a restore notes before it begins, so that it can be undone: the document inside the before-image.

It is stored as ``/.firstbell/undo.json`` in the snapshot tagged ``before-restore``: encrypted with it, gone with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tasks.errors import Damaged, RestoreRefused
from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer import paths
from tasks.restorer.items import WRITING, RestorePlan
from tasks.restorer.walk import INTERNAL, node_at

#: Name of the document, and tag of the snapshot that holds it.
UNDO_DOCUMENT: Final = "undo.json"
BEFORE_RESTORE: Final = "before-restore"

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Written:
    """One path as a restore leaves it. ``sha256`` of a file is None when only reading its blobs can tell."""

    path: bytes
    type: str
    #: ``create``: nothing was there. ``overwrite`` and ``metadata``: what was there is in the before-image.
    action: str
    size: int = 0
    mtime_ns: int = 0
    sha256: bytes | None = None
    linktarget: bytes = b""
    #: Where it is in the snapshot that was restored.
    source: bytes = b""


@dataclass(frozen=True, slots=True)
class UndoDocument:
    """All paths that one restore changes."""

    plan: str
    host: str
    #: ID of the snapshot that is restored, in hex.
    snapshot: str
    roots: tuple[bytes, ...]
    written: tuple[Written, ...]
    #: The request that was carried out, by its digest, and at which attempt.
    request: str = ""
    attempt: int = 0
    #: ID of the before-image of an earlier part of the same restore, in hex: an undo takes that back as well.
    continues: str = ""

    def encode(self) -> bytes:
        """Return the document as it is stored."""
        value = {
            "version": _VERSION,
            "plan": self.plan,
            "host": self.host,
            "snapshot": self.snapshot,
            "roots": [paths.to_json(root) for root in self.roots],
            "written": [_to_json(one) for one in self.written],
            "request": self.request,
            "attempt": self.attempt,
            "continues": self.continues,
        }
        return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> UndoDocument:
        """Return a stored document. Raises ``ValueError`` when it is none, or of a newer version."""
        try:
            value = json.loads(data)
            if value["version"] != _VERSION:
                raise ValueError(f"an undo document of version {value['version']}")
            return cls(
                plan=str(value["plan"]),
                host=str(value["host"]),
                snapshot=str(value["snapshot"]),
                roots=tuple(paths.from_json(root) for root in value["roots"]),
                written=tuple(_from_json(one) for one in value["written"]),
                request=str(value.get("request", "")),
                attempt=int(value.get("attempt", 0)),
                continues=str(value.get("continues", "")),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not an undo document: {error!r}") from error


def undo_document(
    plan: RestorePlan, *, host: str, request: str = "", attempt: int = 0, continues: str = ""
) -> UndoDocument:
    """Return what must be known to undo ``plan``, and what it goes on with."""
    return UndoDocument(
        plan=plan.digest,
        host=host,
        snapshot=plan.snapshot.id.hex() if plan.snapshot.id else "",
        roots=plan.roots,
        written=tuple(_written(plan)),
        request=request,
        attempt=attempt,
        continues=continues,
    )


def needs_before_image(plan: RestorePlan) -> tuple[bytes, ...]:
    """Return the paths on the host whose content or metadata the plan would change, folders' times included."""
    changed = [item.path for item in plan.items if item.action in WRITING and item.action != "create"]
    return tuple(sorted([*changed, *_around(plan)]))


def read_undo_document(repository: Repository, before: Snapshot) -> UndoDocument:
    """Return the document in a before-image.

    Raises:
        RestoreRefused: the snapshot is no before-image.
        Damaged: its document cannot be read.
    """
    node = node_at(repository, before, INTERNAL + b"/" + UNDO_DOCUMENT.encode())
    if node is None or node.content is None:
        raise RestoreRefused(
            "this snapshot is not the before-image of a restore, so there is nothing to undo",
            hint=f"Before-images have the tag '{BEFORE_RESTORE}'.",
        )
    data = b"".join(repository.load_blob(BlobType.DATA, id_) for id_ in node.content)
    try:
        return UndoDocument.decode(data)
    except ValueError as error:
        raise Damaged(
            f"the note about the restore cannot be read: {error}",
            hint="The files in the before-image can still be restored one by one.",
        ) from error


def _written(plan: RestorePlan) -> Iterator[Written]:
    for item in plan.items:
        if item.action not in WRITING:
            continue
        node = item.node
        yield Written(
            path=item.path,
            type=node.type,
            action=item.action,
            size=node.size if node.type == "file" else 0,
            mtime_ns=node.mtime_ns if node.type == "file" else 0,
            sha256=item.sha256,
            linktarget=node.linktarget,
            source=item.source,
        )
    for folder in _around(plan):
        yield Written(path=folder, type="dir", action="metadata", source=folder)


def _around(plan: RestorePlan) -> Iterator[bytes]:
    """Yield the folders whose time changes with what is made in them, as far as the plan does not name them itself."""
    writing = [item for item in plan.items if item.action in WRITING]
    told = {item.path for item in writing}
    for folder in dict.fromkeys(paths.parent(item.path) for item in writing if item.action != "metadata"):
        if folder not in told and any(paths.inside(folder, root) for root in plan.roots):
            yield folder


def _to_json(one: Written) -> dict[str, Any]:
    value: dict[str, Any] = {"path": paths.to_json(one.path), "type": one.type, "action": one.action}
    if one.type == "file":
        value |= {"size": one.size, "mtime_ns": one.mtime_ns, "sha256": one.sha256.hex() if one.sha256 else None}
    if one.type == "symlink":
        value["linktarget"] = paths.to_json(one.linktarget)
    if one.source != one.path:
        value["source"] = paths.to_json(one.source)
    return value


def _from_json(value: Mapping[str, Any]) -> Written:
    path = paths.from_json(value["path"])
    return Written(
        path=path,
        type=str(value["type"]),
        action=str(value["action"]),
        size=int(value.get("size", 0)),
        mtime_ns=int(value.get("mtime_ns", 0)),
        sha256=bytes.fromhex(value["sha256"]) if value.get("sha256") else None,
        linktarget=paths.from_json(value.get("linktarget", "")),
        source=paths.from_json(value["source"]) if "source" in value else path,
    )
