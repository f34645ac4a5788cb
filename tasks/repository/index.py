"""Where each blob lies: all index files of a repository in memory, in about 60 bytes a blob.

A blob is a record of 48 bytes in one of 65,536 buckets, by the first two bytes of its ID, which is a hash and so
spreads evenly. A dictionary of the same content took 160 bytes a blob and longer to build [measured].
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tasks.repository.blob import BlobType
from tasks.repository.ids import ID, ID_SIZE, short
from tasks.repository.pack_file import PackedBlob

#: ID, number of the pack * 2 + 1 for trees, offset, sealed length, plain length if compressed.
_RECORD: Final = struct.Struct("<32sIIII")
_PLACE: Final = struct.Struct("<IIII")
_SIZE: Final = _RECORD.size
_BUCKETS: Final = 1 << 16


class Place(NamedTuple):
    """Where a blob lies."""

    pack: ID
    blob: PackedBlob
    #: Offset behind the last blob known of that pack: so far a read may reach.
    pack_end: int


class Index:
    """Blobs and their packs. Reading is safe in any thread while one adds."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._buckets: list[bytearray | None] = [None] * _BUCKETS
        self._packs: list[ID] = []
        self._ends = array("I")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pack: ID, blobs: Sequence[PackedBlob]) -> None:
        """Add a pack and what is in it. Raises ``ValueError`` when a place or length is not a number of 32 bits."""
        number = len(self._ends)
        buckets = self._buckets
        record = _RECORD.pack
        tree = BlobType.TREE
        try:
            # Before the first record: who finds that in another thread needs it.
            self._ends.append(max((blob.offset + blob.length for blob in blobs), default=0))
            self._packs.append(pack)
            for kind, id_, offset, length, uncompressed in blobs:
                slot = id_[0] << 8 | id_[1]
                packed = record(id_, number << 1 | (kind is tree), offset, length, uncompressed)
                bucket = buckets[slot]
                if bucket is None:
                    buckets[slot] = bytearray(packed)
                else:
                    bucket += packed
        except (struct.error, TypeError, OverflowError) as error:
            raise ValueError(f"a place in pack {short(pack)} cannot be: {error}") from error
        self._count += len(blobs)

    def has(self, kind: BlobType | None, id_: ID) -> bool:
        """Return whether a blob is known; of any type when ``kind`` is None."""
        # What follows the walk most often, so without the detour over Place.
        bucket = self._buckets[id_[0] << 8 | id_[1]]
        if bucket is None or (at := bucket.find(id_)) < 0:
            return False
        if not at % _SIZE and (kind is None or bool(bucket[at + ID_SIZE] & 1) is (kind is BlobType.TREE)):
            return True
        return self.find(kind, id_) is not None

    def find(self, kind: BlobType | None, id_: ID) -> Place | None:
        """Return one place where a blob lies, or None."""
        # As ``find_all`` does, without the detour over a generator: a restore asks several times for each file.
        bucket = self._buckets[id_[0] << 8 | id_[1]]
        if bucket is None or (at := bucket.find(id_)) < 0:
            return None
        if at % _SIZE:
            return next(self.find_all(kind, id_), None)
        number, offset, length, uncompressed = _PLACE.unpack_from(bucket, at + ID_SIZE)
        found = BlobType.TREE if number & 1 else BlobType.DATA
        if kind is not None and kind is not found:
            return next(self.find_all(kind, id_), None)
        number >>= 1
        return Place(self._packs[number], PackedBlob(found, id_, offset, length, uncompressed), self._ends[number])

    def find_all(self, kind: BlobType | None, id_: ID) -> Iterator[Place]:
        """Yield every place of a blob: two clients may have saved it at the same time."""
        bucket = self._buckets[id_[0] << 8 | id_[1]]
        at = -1
        while bucket is not None and (at := bucket.find(id_, at + 1)) >= 0:
            # Bytes of one record's end and the next one's beginning may read like the ID.
            if at % _SIZE:
                continue
            number, offset, length, uncompressed = _PLACE.unpack_from(bucket, at + ID_SIZE)
            found = BlobType.TREE if number & 1 else BlobType.DATA
            if kind is None or kind is found:
                number >>= 1
                place = PackedBlob(found, id_, offset, length, uncompressed)
                yield Place(self._packs[number], place, self._ends[number])
