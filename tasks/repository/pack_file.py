"""Pack files: sealed blobs one after the other, then the sealed header, then its length.

Source: restic's ``doc/design.rst``, "Pack Format". Header entries: type (1 byte: 0 data, 1 tree, 2 compressed data, 3
compressed tree), sealed length (LE32), for compressed ones the plain length (LE32), ID (32).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from tasks.backends.base import Buffer
from tasks.repository.blob import BlobType
from tasks.repository.crypto import OVERHEAD, Key, NotAuthentic
from tasks.repository.ids import ID

_PLAIN: Final = struct.Struct("<BI32s")
_COMPRESSED: Final = struct.Struct("<BII32s")
_LENGTH: Final = struct.Struct("<I")
_TYPES: Final = (BlobType.DATA, BlobType.TREE)


class PackedBlob(NamedTuple):
    """A blob as it lies in a pack: ``length`` is sealed; ``uncompressed`` is 0 when it is stored as it is."""

    type: BlobType
    id: ID
    offset: int
    length: int
    uncompressed: int

    @property
    def plain_length(self) -> int:
        """Length of the content in bytes."""
        return self.uncompressed or self.length - OVERHEAD


def encode_header(blobs: Iterable[PackedBlob], key: Key) -> bytes:
    """Return what follows the blobs in a pack: the sealed header and its length."""
    parts = []
    for blob in blobs:
        kind = _TYPES.index(blob.type)
        if blob.uncompressed:
            parts.append(_COMPRESSED.pack(kind | 2, blob.length, blob.uncompressed, blob.id))
        else:
            parts.append(_PLAIN.pack(kind, blob.length, blob.id))
    sealed = key.seal(b"".join(parts))
    return bytes(sealed) + _LENGTH.pack(len(sealed))


def header_size(tail: Buffer) -> int:
    """Return how many bytes at the end of a pack are its header, with the length field that ``tail`` ends in."""
    return int(_LENGTH.unpack(bytes(tail[-_LENGTH.size :]))[0]) + _LENGTH.size


def decode_header(tail: Buffer, key: Key) -> list[PackedBlob]:
    """Return the blobs of a pack from its last ``header_size`` bytes (or more). Raises ``ValueError``."""
    size = header_size(tail)
    if size > len(tail) or size < OVERHEAD + _LENGTH.size:
        raise ValueError(f"a pack header of {size} bytes cannot be")
    try:
        header = key.open(memoryview(tail)[len(tail) - size : -_LENGTH.size])
    except NotAuthentic as error:
        raise ValueError(f"the pack header is damaged: {error}") from error
    blobs: list[PackedBlob] = []
    at = offset = 0
    while at < len(header):
        kind = header[at]
        entry = _COMPRESSED if kind & 2 else _PLAIN
        if kind > 3 or at + entry.size > len(header):
            raise ValueError(f"a pack header with an entry of kind {kind} cannot be")
        uncompressed = 0
        if kind & 2:
            _, length, uncompressed, id_ = _COMPRESSED.unpack_from(header, at)
        else:
            _, length, id_ = _PLAIN.unpack_from(header, at)
        blobs.append(PackedBlob(_TYPES[kind & 1], id_, offset, length, uncompressed))
        offset += length
        at += entry.size
    return blobs
