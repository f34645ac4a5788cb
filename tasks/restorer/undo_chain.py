"""A restore in several parts: one that was cut and went on has a before-image for each part, and one undo.

The document of each part names the part before it. What the undo needs is what stood on the host before the first part,
unless somebody has changed that between two parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.errors import NotFound
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tasks.restorer.undo_document import UndoDocument, Written, read_undo_document
from tasks.restorer.walk import walk


@dataclass(frozen=True, slots=True)
class Chain:
    """All parts of a restore as if they were one."""

    roots: tuple[bytes, ...]
    written: tuple[Written, ...]
    #: What stood there before, of all that was not created.
    images: dict[bytes, Node]
    #: Whether the before-image of an earlier part is gone, so that part stays.
    torn: bool = False


def read_chain(repository: Repository, document: UndoDocument, before: Snapshot) -> Chain:
    """Return the restore whose last part has this document and before-image. Raises ``Damaged``."""
    parts = [(before, document)]
    parts += _earlier(repository, document)
    torn = bool(parts[-1][1].continues)
    parts.reverse()
    written: dict[bytes, Written] = {}
    images: dict[bytes, Node] = {}
    for image, part in parts:
        kept = _images(repository, image, part)
        for one in part.written:
            first, there = written.get(one.path), kept.get(one.path)
            if first is None or (one.action == "overwrite" and not _alike(images.get(one.path), there)):
                # Overwritten by a later part, and not as the first one has seen it: somebody has changed it between.
                written[one.path] = one
                images.pop(one.path, None)
                if there is not None:
                    images[one.path] = there
            else:
                written[one.path] = replace(one, action=first.action)
    roots = tuple(dict.fromkeys(root for _, part in parts for root in part.roots))
    if len(parts) > 1:
        # Folders before what is in them, whichever part has made them.
        written = dict(sorted(written.items()))
    return Chain(roots, tuple(written.values()), images, torn)


def _images(repository: Repository, before: Snapshot, part: UndoDocument) -> dict[bytes, Node]:
    changed = {one.path for one in part.written if one.action != "create"}
    if not changed:
        return {}
    return {
        each.path: each.node for each in walk(repository, before, (b"/",)) if each.path in changed and not each.problem
    }


def _alike(first: Node | None, later: Node | None) -> bool:
    if first is None or later is None or first.type != later.type:
        return False
    return (first.content, first.linktarget, first.mtime_ns) == (later.content, later.linktarget, later.mtime_ns)


def _earlier(repository: Repository, document: UndoDocument) -> Iterator[tuple[Snapshot, UndoDocument]]:
    """Yield the parts before this one, the latest first, as far as they are there."""
    seen: set[str] = set()
    while document.continues and document.continues not in seen:
        seen.add(document.continues)
        try:
            image = repository.find_snapshot(document.continues)
        except NotFound:
            return
        document = read_undo_document(repository, image)
        yield image, document
