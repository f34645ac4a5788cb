"""The plan of a restore as a value: path by path, what would be done and why.

It can be shown, stored as JSON, and applied; its ``digest`` names exactly what would be written where and over what.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tasks.entries import Expected
from tasks.repository.ids import ID
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tasks.restorer import paths
from tasks.restorer.compare import Action
from tasks.restorer.request import Mode

#: Actions that change something on the host.
WRITING: Final = frozenset({"create", "overwrite", "metadata", "remove"})
#: The order in which a person wants to read them: what needs attention first.
_ORDER: Final[tuple[Action, ...]] = (
    "conflict",
    "skip",
    "keep-newer",
    "overwrite",
    "remove",
    "create",
    "metadata",
    "same",
)


@dataclass(frozen=True, slots=True)
class PlanItem:
    """What would become of one path on the host."""

    path: bytes
    #: What shall stand there, with the owner it shall have there.
    node: Node
    action: Action
    #: What stood there when the plan was made; None for nothing.
    expected: Expected | None = None
    #: Where it is in the snapshot.
    source: bytes = b""
    #: Why, in a few plain words, where the action alone does not say it.
    reason: str = ""
    #: Make it a hard link to this path, which comes earlier in the plan.
    link_to: bytes | None = None
    #: SHA-256 of a file's content as far as it is known before it is read.
    sha256: bytes | None = None

    @property
    def writes_content(self) -> bool:
        """Return whether the content of a file would be sent to the host."""
        return self.node.type == "file" and self.action in ("create", "overwrite") and self.link_to is None


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """All that a restore would do; sizes in bytes."""

    snapshot: Snapshot
    mode: Mode
    #: In the order of the snapshot: folders before what is in them.
    items: tuple[PlanItem, ...]
    #: The folders and files below which the host must permit writing.
    roots: tuple[bytes, ...] = ()
    #: The dated folders, for mode ``stage``.
    folders: tuple[bytes, ...] = ()
    #: Patterns for which the snapshot has nothing, and other things a person should know.
    unmatched: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    #: Different blobs to fetch, their bytes, and in how many packs they are (0 where nobody knows).
    blobs: int = 0
    blob_bytes: int = 0
    packs: int = 0
    #: Content to be written: the sum of the sizes of the files.
    bytes: int = 0
    counts: Mapping[Action, int] = field(default_factory=dict)
    digest: str = ""

    @property
    def writes(self) -> int:
        """Return how many paths would change on the host."""
        return sum(count for action, count in self.counts.items() if action in WRITING)

    def summary(self) -> dict[str, Any]:
        """Return the counts, as JSON values."""
        return {
            "snapshot": self.snapshot.id.hex() if self.snapshot.id else None,
            "mode": self.mode,
            **{action: self.counts.get(action, 0) for action in _ORDER},
            "bytes": self.bytes,
            "blobs": self.blobs,
            "blob_bytes": self.blob_bytes,
            "packs": self.packs,
            "folders": [paths.display(folder) for folder in self.folders],
            "unmatched": list(self.unmatched),
            "notes": list(self.notes),
            "digest": self.digest,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the whole plan as JSON values; what is the same already is only counted."""
        told = [item for item in self.items if item.action != "same" or item.reason]
        return {**self.summary(), "items": [_item_json(item) for item in told]}


def finish_plan(  # the one place that derives what the other fields say
    snapshot: Snapshot,
    mode: Mode,
    items: list[PlanItem],
    roots: tuple[bytes, ...],
    *,
    folders: tuple[bytes, ...] = (),
    unmatched: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    blobs: tuple[int, int, int] = (0, 0, 0),
) -> RestorePlan:
    """Return the plan of these items, with its counts and its digest."""
    return RestorePlan(
        snapshot=snapshot,
        mode=mode,
        items=tuple(items),
        roots=roots,
        folders=folders,
        unmatched=unmatched,
        notes=notes,
        blobs=blobs[0],
        blob_bytes=blobs[1],
        packs=blobs[2],
        bytes=sum(item.node.size for item in items if item.writes_content),
        counts=dict(Counter(item.action for item in items)),
        digest=_digest(snapshot, roots, items),
    )


_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


def _digest(snapshot: Snapshot, roots: tuple[bytes, ...], items: list[PlanItem]) -> str:
    """Return the SHA-256 of what the plan would write, where, and over what."""
    digest = hashlib.sha256()

    def add(value: object) -> None:
        digest.update(_encode(value).encode() + b"\n")

    add(["firstbell-plan", 1, (snapshot.id or snapshot.tree).hex(), [root.hex() for root in roots]])
    for item in items:
        if item.action not in WRITING:
            continue
        node, seen = item.node, item.expected
        add(
            [
                item.path.hex(),
                item.action,
                [node.type, node.mode, node.uid, node.gid, node.user, node.group, node.mtime_ns, node.size],
                [node.linktarget.hex(), [[name, value.hex()] for name, value in node.xattrs]],
                *([node.generic_attributes] if node.generic_attributes else []),
                _content_hash(node.content),
                None if seen is None else [seen.type, seen.size, seen.mtime_ns],
                None if item.link_to is None else item.link_to.hex(),
            ]
        )
    return digest.hexdigest()


def _content_hash(content: tuple[ID, ...] | None) -> str | None:
    if content is None or len(content) == 1:
        return content[0].hex() if content else None
    return hashlib.sha256(b"".join(content)).hexdigest()


def _item_json(item: PlanItem) -> dict[str, Any]:
    value: dict[str, Any] = {
        "path": paths.to_json(item.path),
        "type": item.node.type,
        "action": item.action,
        "size": item.node.size,
        "mtime_ns": item.node.mtime_ns,
    }
    if item.source != item.path:
        value["source"] = paths.to_json(item.source)
    if item.reason:
        value["reason"] = item.reason
    if item.expected is not None:
        value["there"] = {"type": item.expected.type, "size": item.expected.size, "mtime_ns": item.expected.mtime_ns}
    if item.link_to is not None:
        value["link_to"] = paths.to_json(item.link_to)
    return value
