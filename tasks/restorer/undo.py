"""Undo a restore: put the before-image back, and take away what the restore brought, if nobody has touched it since.

An undo destroys no newer work either. A file is put back or removed only while its content on the host is, by hash,
what the restore wrote; everything else stays and is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from tasks.entries import Expected
from tasks.errors import Damaged, NotFound
from tasks.events import Reporter, silent
from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tasks.restorer.compare import metadata_differs
from tasks.restorer.foreign import is_placeholder
from tasks.restorer.hard_links import HardLinks
from tasks.restorer.hashes import cheap_hash, stored_hash
from tasks.restorer.items import PlanItem, RestorePlan, finish_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.result import RestoreResult
from tasks.restorer.sink import Sink
from tasks.restorer.undo_chain import read_chain
from tasks.restorer.undo_document import (
    BEFORE_RESTORE,
    UNDO_DOCUMENT,
    UndoDocument,
    Written,
    needs_before_image,
    read_undo_document,
    undo_document,
)
from tasks.restorer.walk import node_at

__all__ = [
    "BEFORE_RESTORE",
    "UNDO_DOCUMENT",
    "UndoDocument",
    "Written",
    "apply_undo",
    "build_undo",
    "needs_before_image",
    "read_undo_document",
    "undo_document",
]

_BATCH: Final = 1000
_CHANGED: Final = "it was changed after the restore"
_TORN: Final = "an earlier part of the same restore is not taken back: what it replaced is not kept any more"


def build_undo(repository: Repository, sink: Sink, document: UndoDocument, before: Snapshot) -> RestorePlan:
    """Return the plan that takes the host back to where it was before the restore, as far as nothing is lost by it."""
    return _Builder(repository, sink, document, before).build()


def apply_undo(
    repository: Repository, sink: Sink, before: Snapshot, report: Reporter = silent, *, host: str = ""
) -> RestoreResult:
    """Undo the restore whose before-image this is. Raises as ``read_undo_document`` and ``Restorer.apply`` do."""
    plan = build_undo(repository, sink, read_undo_document(repository, before), before)
    return Restorer(repository, sink, report, host=host).apply(plan)


class _Builder:
    """Collects the items of one undo."""

    def __init__(self, repository: Repository, sink: Sink, document: UndoDocument, before: Snapshot) -> None:
        self._repository = repository
        self._sink = sink
        self._document = document
        self._before = before
        self._restored: Snapshot | None = None
        self._asked_restored = False
        self._links = HardLinks()

    def build(self) -> RestorePlan:
        """Return the plan."""
        chain = read_chain(self._repository, self._document, self._before)
        written, images = chain.written, chain.images
        items: list[PlanItem] = []
        for start in range(0, len(written), _BATCH):
            items += map(self._linked, self._decide(written[start : start + _BATCH], images))
        blobs = {id_ for item in items if item.writes_content for id_ in item.node.content or ()}
        notes = (_TORN,) if chain.torn else ()
        return finish_plan(self._before, "apply", items, chain.roots, notes=notes, blobs=self._fetches(blobs))

    def _decide(self, written: Iterable[Written], images: dict[bytes, Node]) -> Iterator[PlanItem]:
        batch = list(written)
        there = dict(zip((one.path for one in batch), self._sink.stat([one.path for one in batch]), strict=True))
        # A file that OneDrive has moved to the cloud since would be brought down only to be removed.
        files = [path for path, node in there.items() if node and node.type == "file" and not is_placeholder(node)]
        hashes = {found.path: found.sha256 for found in self._sink.hash(files)} if files else {}
        for one in batch:
            node, sha256 = there[one.path], hashes.get(one.path)
            if one.action == "create":
                yield from self._take_away(one, node, sha256)
            else:
                yield self._put_back(one, images.get(one.path), node, sha256)

    def _linked(self, item: PlanItem) -> PlanItem:
        link_to = self._links.link_to(item.path, item.node, item.action)
        return item if link_to is None else replace(item, link_to=link_to)

    def _take_away(self, one: Written, there: Node | None, sha256: bytes | None) -> Iterator[PlanItem]:
        if there is None:
            return
        alike = there.type == one.type and there.linktarget == one.linktarget
        if one.type == "file":
            alike = alike and sha256 is not None and sha256 == self._written_hash(one, there)
        if alike:
            yield PlanItem(one.path, there, "remove", _expected(there), one.source)
        else:
            yield PlanItem(one.path, there, "keep-newer", _expected(there), one.source, _CHANGED)

    def _put_back(self, one: Written, image: Node | None, there: Node | None, sha256: bytes | None) -> PlanItem:
        if image is None:
            node = there or Node(one.path.rpartition(b"/")[2], "irregular")
            return PlanItem(one.path, node, "skip", None, one.path, "the before-image does not have it")
        expected = _expected(there)
        if there is None:
            return PlanItem(one.path, image, "create", None, one.path, sha256=cheap_hash(image))
        if there.type != image.type:
            return PlanItem(one.path, image, "keep-newer", expected, one.path, _CHANGED)
        if image.type == "file":
            as_before = there.size == image.size and sha256 is not None and sha256 == self._image_hash(image)
            if not as_before:
                if sha256 is None or sha256 != self._written_hash(one, there):
                    return PlanItem(one.path, image, "keep-newer", expected, one.path, _CHANGED)
                return PlanItem(one.path, image, "overwrite", expected, one.path, sha256=cheap_hash(image))
        elif image.type == "symlink" and image.linktarget != there.linktarget:
            if there.linktarget != one.linktarget:
                return PlanItem(one.path, image, "keep-newer", expected, one.path, _CHANGED)
            return PlanItem(one.path, image, "overwrite", expected, one.path)
        return PlanItem(one.path, image, "metadata" if metadata_differs(image, there) else "same", expected, one.path)

    def _written_hash(self, one: Written, there: Node) -> bytes | None:
        """Return the SHA-256 of what the restore wrote, or None when it cannot be known any more."""
        if there.size != one.size:
            return None
        if one.sha256 is not None:
            return one.sha256
        if not self._asked_restored:
            self._asked_restored = True
            try:
                self._restored = self._repository.find_snapshot(self._document.snapshot)
            except NotFound:
                self._restored = None
        if self._restored is None:
            return None
        node = node_at(self._repository, self._restored, one.source)
        return None if node is None or node.type != "file" else self._image_hash(node)

    def _image_hash(self, node: Node) -> bytes | None:
        try:
            return cheap_hash(node) or stored_hash(self._repository, node)
        except (Damaged, NotFound):
            return None

    def _fetches(self, blobs: set[ID]) -> tuple[int, int, int]:
        places = [self._repository.blob_place(id_) for id_ in blobs]
        packs = {place.pack for place in places if place is not None}
        return len(blobs), sum(place.blob.plain_length for place in places if place is not None), len(packs)


def _expected(there: Node | None) -> Expected | None:
    return None if there is None else Expected(there.type, there.size, there.mtime_ns)
