"""The SHA-256 that a file of a snapshot must have, and how dear it is to know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.tree import Node

#: Of no content at all.
EMPTY: Final = hashlib.sha256(b"").digest()

#: Path in the snapshot -> SHA-256 of the whole file, such as the snapshot's manifest has them.
KnownHashes = Mapping[bytes, bytes]


def cheap_hash(node: Node, source: bytes = b"", known: KnownHashes | None = None) -> bytes | None:
    """Return the SHA-256 of a file as far as nothing must be read: one blob's ID is the hash of what it holds."""
    if node.content is None:
        return None
    if len(node.content) <= 1:
        return node.content[0] if node.content else EMPTY
    return known.get(source) if known else None


def stored_hash(repository: Repository, node: Node) -> bytes:
    """Return the SHA-256 of a file by reading its blobs. Raises ``Damaged`` or ``NotFound``."""
    digest = hashlib.sha256()
    for blob in repository.iter_blobs(node.content or ()):
        digest.update(blob)
    return digest.digest()


def content_length(repository: Repository, content: Sequence[ID]) -> int | None:
    """Return how long the content is by the index, or None when a blob of it is missing."""
    total = 0
    for id_ in content:
        length = repository.blob_length(id_)
        if length is None:
            return None
        total += length
    return total
