from __future__ import annotations

import gc
import os
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.repository.blob import BlobType
from tasks.repository.compression import Zstd
from tasks.repository.crypto import OVERHEAD, Key
from tasks.repository.file_type import FileType
from tasks.repository.index import Index
from tasks.repository.index_file import IndexedPack, decode_index, encode_index
from tasks.repository.pack_file import PackedBlob, decode_header, encode_header, header_size

IDS = st.binary(min_size=32, max_size=32)
BLOBS = st.lists(
    st.builds(
        PackedBlob,
        type=st.sampled_from(BlobType),
        id=IDS,
        offset=st.just(0),
        length=st.integers(OVERHEAD, 2**20),
        uncompressed=st.integers(0, 2**24),
    ),
    max_size=20,
)


def placed(blobs: list[PackedBlob]) -> list[PackedBlob]:
    offset = 0
    result = []
    for blob in blobs:
        result.append(blob._replace(offset=offset))
        offset += blob.length
    return result


@given(BLOBS)
def test_a_pack_header_comes_back(blobs: list[PackedBlob]) -> None:
    key = Key.random()
    blobs = placed(blobs)
    tail = b"blobs before" + encode_header(blobs, key)
    assert header_size(tail) == len(tail) - len(b"blobs before")
    assert decode_header(tail, key) == blobs


def test_the_header_has_restics_layout() -> None:
    key = Key.random()
    blobs = [
        PackedBlob(BlobType.DATA, b"a" * 32, 0, 40, 0),
        PackedBlob(BlobType.TREE, b"b" * 32, 40, 50, 0),
        PackedBlob(BlobType.DATA, b"c" * 32, 90, 60, 100),
        PackedBlob(BlobType.TREE, b"d" * 32, 150, 70, 200),
    ]
    text = encode_header(blobs, key)
    assert text[-4:] == (2 * 37 + 2 * 41 + OVERHEAD).to_bytes(4, "little")
    plain = key.open(text[:-4])
    assert plain[:5] == b"\0\x28\0\0\0"
    assert plain[37] == 1
    assert plain[74:83] == b"\2\x3c\0\0\0\x64\0\0\0"
    assert plain[115] == 3


@pytest.mark.parametrize("tail", [b"\0\0\0\0", b"\xff\xff\xff\xff", bytes(40) + b"\x24\0\0\0"])
def test_what_is_no_header_is_refused(tail: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        decode_header(tail, Key.random())


@given(st.lists(st.tuples(IDS, BLOBS), max_size=4))
def test_an_index_file_comes_back(packs: list[tuple[bytes, list[PackedBlob]]]) -> None:
    found = [IndexedPack(id_, placed(blobs)) for id_, blobs in packs]
    assert decode_index(encode_index(found), b"i" * 32) == (b"i" * 32, found, frozenset())


def test_an_index_of_an_old_client_names_what_it_supersedes() -> None:
    text = b'{"supersedes":["' + b"ab" * 32 + b'"],"packs":null}'
    assert decode_index(text, b"").supersedes == {b"\xab" * 32}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b'{"packs":[{"id":"00"}]}',
        b'{"packs":[{"id":"' + b"00" * 32 + b'","blobs":[{"id":"00","type":"data","offset":0,"length":1}]}]}',
        b'{"packs":[{"id":"' + b"00" * 32 + b'","blobs":[{"id":"' + b"00" * 32 + b'","type":"new"}]}]}',
    ],
)
def test_what_is_no_index_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        decode_index(text, b"")


def test_the_index_finds_by_type_and_id() -> None:
    index = Index()
    both = b"\1" * 32
    blobs = placed(
        [
            PackedBlob(BlobType.DATA, both, 0, 100, 0),
            PackedBlob(BlobType.TREE, both, 0, 50, 80),
            PackedBlob(BlobType.DATA, b"\1" * 31 + b"\2", 0, 60, 0),
        ]
    )
    index.add(b"p" * 32, blobs)
    index.add(b"q" * 32, [blobs[0]])
    assert [place.pack[:1] for place in index.find_all(BlobType.DATA, both)] == [b"p", b"q"]
    tree = index.find(BlobType.TREE, both)
    assert tree is not None
    assert (tree.pack, tree.blob, tree.pack_end) == (b"p" * 32, blobs[1], 210)
    assert tree.blob.plain_length == 80
    assert index.has(BlobType.TREE, both)
    assert index.has(None, b"\1" * 31 + b"\2")
    assert not index.has(BlobType.TREE, b"\1" * 31 + b"\2")
    # The same first two bytes, and bytes that read like it across two records.
    assert not index.has(None, b"\1" * 30 + b"\0\0")
    assert len(index) == 4


def test_an_id_that_stands_across_two_records_is_not_found() -> None:
    index = Index()
    first = b"\0\0" + os.urandom(30)
    second = b"\0\0" + os.urandom(30)
    index.add(b"p" * 32, [PackedBlob(BlobType.DATA, first, 7, 8, 9), PackedBlob(BlobType.DATA, second, 0, 1, 0)])
    bucket = index._buckets[0]
    assert bucket is not None
    for at in (1, 16, 30, 47):
        across = bytes(bucket[at : at + 32])
        index._buckets[across[0] << 8 | across[1]] = bucket
        assert not index.has(None, across)
        assert index.find(None, across) is None


@pytest.mark.parametrize("offset", [-1, 2**32, "7", None, 1.5])
def test_a_place_that_cannot_be_is_refused(offset: object) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        Index().add(b"p" * 32, [PackedBlob(BlobType.DATA, b"x" * 32, offset, 1, 0)])  # type: ignore[arg-type]


def test_a_hundred_thousand_blobs_load_fast_and_stay_small() -> None:
    blobs = [PackedBlob(BlobType.DATA, os.urandom(32), 0, 4000, 9000) for _ in range(100_000)]
    packs = [IndexedPack(os.urandom(32), placed(blobs[at : at + 200])) for at in range(0, len(blobs), 200)]
    text = encode_index(packs)
    # In processor time, and with room for a slow machine: it took 0.25 s.
    begun = time.process_time()
    index = Index()
    for pack in decode_index(text, b"").packs:
        index.add(pack.id, pack.blobs)
    assert time.process_time() - begun < 1.0
    del index
    gc.collect()
    tracemalloc.start()
    index = Index()
    for pack in packs:
        index.add(pack.id, pack.blobs)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / 100_000 < 150
    assert all(index.has(BlobType.DATA, blob.id) for blob in packs[77].blobs)


@given(st.binary(max_size=500))
def test_zstd_comes_back(data: bytes) -> None:
    zstd = Zstd()
    assert zstd.decompress(zstd.compress(data), len(data)) == data
    assert zstd.unwrap_file(zstd.wrap_file(b"{" + data)) == b"{" + data
    assert zstd.unwrap_file(b"{" + data) == b"{" + data


@pytest.mark.parametrize("data", [b"", b"\3{}", b"\2", b"\2junk"])
def test_a_file_in_no_known_form_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"newer client|not a zstd frame"):
        Zstd().unwrap_file(data)


def test_a_frame_larger_than_promised_is_refused() -> None:
    zstd = Zstd()
    with pytest.raises(ValueError, match="1000 bytes where 999"):
        zstd.decompress(zstd.compress(bytes(1000)), 999)


def test_names_and_ids() -> None:
    id_ = bytes(range(32))
    for kind in FileType:
        if kind is not FileType.CONFIG:
            assert kind.id_of(kind.name_of(id_)) == id_
    assert FileType.PACK.name_of(id_).startswith("data/00/0001")
    assert FileType.CONFIG.name_of(b"") == "config"
    for foreign in ("data/" + id_.hex(), "data/01/" + id_.hex(), "index/xyz", "index/" + "zz" * 32, "config"):
        assert FileType.PACK.id_of(foreign) is None
    assert FileType.INDEX.id_of("index/" + id_.hex().upper()) is None
