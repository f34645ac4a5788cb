"""Index files: which pack holds which blob.

Source: restic's ``doc/design.rst``, "Indexing". Entries are read by one pattern per pack: the JSON decoder makes six
objects per entry, and loading the index is what every verb begins with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from tasks.repository.blob import BlobType
from tasks.repository.ids import ID, parse_id
from tasks.repository.pack_file import PackedBlob

_TYPES: Final = {"data": BlobType.DATA, "tree": BlobType.TREE, b"data": BlobType.DATA, b"tree": BlobType.TREE}
_PACK: Final = re.compile(rb'\{"id":"([0-9a-f]{64})","blobs":\[([^\]]*)\]\}')
_BLOB: Final = re.compile(
    rb'\{"id":"([0-9a-f]{64})","type":"(data|tree)","offset":([0-9]{1,10}),"length":([0-9]{1,10})'
    rb'(?:,"uncompressed_length":([0-9]{1,10}))?\}(?:,|\Z)'
)
_HEAD: Final = b'{"packs":['
_TAIL: Final = re.compile(rb"\]\}\s*\Z")


class IndexedPack(NamedTuple):
    """One pack and the blobs in it."""

    id: ID
    blobs: list[PackedBlob]


class IndexFile(NamedTuple):
    """One index file; ``supersedes`` names older ones that it replaces, so that their entries no longer count."""

    id: ID
    packs: Iterable[IndexedPack]
    supersedes: frozenset[ID]


def encode_index(packs: Iterable[IndexedPack]) -> bytes:
    """Return the JSON of an index file."""
    return f'{{"packs":[{",".join(map(_encode_pack, packs))}]}}'.encode()


def decode_index(data: bytes, id_: ID) -> IndexFile:
    """Return the index in a file, its packs to be taken once. Raises ``ValueError`` when it is none."""
    fast = _decode_fast(data)
    if fast is not None:
        return IndexFile(id_, fast, frozenset())
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


def _decode_fast(data: bytes) -> list[IndexedPack] | None:
    """Return the packs when the file is just as clients write it, else None: then the JSON decoder has the word."""
    tail = _TAIL.search(data, max(len(data) - 8, 0))
    if not data.startswith(_HEAD) or tail is None:
        return None
    packs = []
    at = len(_HEAD)
    while at < tail.start():
        pack = _PACK.match(data, at)
        if pack is None:
            return None
        blobs = _blobs(pack[2])
        if blobs is None:
            return None
        packs.append(IndexedPack(bytes.fromhex(pack[1].decode()), blobs))
        at = pack.end()
        if at < tail.start():
            if data[at : at + 1] != b",":
                return None
            at += 1
    return packs


def _blobs(text: bytes) -> list[PackedBlob] | None:
    found = _BLOB.findall(text)
    if len(found) != text.count(b"{"):
        return None
    unhex = bytes.fromhex
    return [
        PackedBlob(_TYPES[kind], unhex(id_.decode()), int(offset), int(length), int(uncompressed or 0))
        for id_, kind, offset, length, uncompressed in found
    ]


def _decode_pack(pack: dict[str, Any]) -> IndexedPack:
    return IndexedPack(parse_id(pack["id"]), list(_decode_blobs(pack["blobs"] or ())))


def _decode_blobs(blobs: Iterable[dict[str, Any]]) -> Iterator[PackedBlob]:
    for blob in blobs:
        yield PackedBlob(
            _TYPES[blob["type"]],
            parse_id(blob["id"]),
            int(blob["offset"]),
            int(blob["length"]),
            int(blob.get("uncompressed_length", 0)),
        )
