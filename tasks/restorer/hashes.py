"""The SHA-256 that a file of a snapshot must have, and how dear it is to know."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Final

from tasks.errors import Damaged
from tasks.repository.repository import Repository
from tasks.repository.tree import Node

#: Of no content at all.
EMPTY: Final = hashlib.sha256(b"").digest()

#: Path in the snapshot -> SHA-256 of the whole file, such as the snapshot's manifest has them.
KnownHashes = Mapping[bytes, bytes]


class HashesWhenAsked(Mapping[bytes, bytes]):
    """Known hashes that are read when the first of them is asked for: of small files alone nobody asks."""

    def __init__(self, read: Callable[[], KnownHashes]) -> None:
        self._read = read

    @cached_property
    def _known(self) -> KnownHashes:
        return self._read()

    def __getitem__(self, path: bytes) -> bytes:
        return self._known[path]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def cheap_hash(node: Node, source: bytes = b"", known: KnownHashes | None = None) -> bytes | None:
    """Return the SHA-256 of a file as far as nothing must be read: one blob's ID is the hash of what it holds."""
    if node.content is None:
        return None
    if len(node.content) <= 1:
        return node.content[0] if node.content else EMPTY
    return known.get(source) if known is not None else None


def stored_hash(repository: Repository, node: Node) -> bytes:
    """Return the SHA-256 of a file by reading its blobs. Raises ``Damaged`` or ``NotFound``."""
    if node.content is None:
        raise Damaged("the snapshot does not say what is in the file")
    digest = hashlib.sha256()
    for blob in repository.iter_blobs(node.content):
        digest.update(blob)
    return digest.digest()
