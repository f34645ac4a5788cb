"""Blob types, and what saving a blob tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tasks.repository.ids import ID


class BlobType(Enum):
    """What a blob holds; data and tree blobs live in packs of their own."""

    DATA = "data"
    TREE = "tree"


@dataclass(frozen=True, slots=True)
class SavedBlob:
    """A blob that the repository has taken: durable after the next ``Repository.flush``.

    ``known`` when it was there already; ``stored`` is how many bytes it added to a pack, 0 when known.
    """

    id: ID
    known: bool
    stored: int
