from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.repository.chunker import MAX_SIZE, MIN_SIZE, Chunker, ChunkerFactory, seed_of

POLYNOMIAL = "3d4bab5f7c8eaf"
RANDOM = random.Random(4).randbytes(12 * 1024 * 1024)


@pytest.fixture(scope="module")
def factory() -> ChunkerFactory:
    return ChunkerFactory(POLYNOMIAL)


def whole(chunker: Chunker, data: bytes) -> list[bytes]:
    return [bytes(chunk) for chunk in (*chunker.feed(data), *chunker.finish())]


def in_pieces(chunker: Chunker, data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        for chunk in chunker.feed(data[start:end]):
            yield bytes(chunk)
    for chunk in chunker.finish():
        yield bytes(chunk)


def test_sizes_stay_within_the_limits_and_about_a_mebibyte(factory: ChunkerFactory) -> None:
    data = RANDOM * 3
    chunks = whole(factory.chunker(), data)
    assert b"".join(chunks) == data
    assert all(MIN_SIZE <= len(chunk) <= MAX_SIZE for chunk in chunks[:-1])
    assert 0.7 * 2**20 < len(data) / len(chunks) < 1.4 * 2**20


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, len(RANDOM)), max_size=12))
def test_cuts_do_not_depend_on_the_pieces(cuts: list[int]) -> None:
    factory = ChunkerFactory(POLYNOMIAL)
    assert list(in_pieces(factory.chunker(), RANDOM, cuts)) == whole(factory.chunker(), RANDOM)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.one_of(st.integers(0, 3 * 2**20), st.integers(15 * 2**20, 20 * 2**20))), max_size=4
    )
)
def test_zeros_give_the_same_cuts_as_zero_bytes(parts: list[tuple[bool, int]]) -> None:
    factory = ChunkerFactory(POLYNOMIAL)
    chunker = factory.chunker()
    chunks: list[bytes] = []
    plain = b""
    for is_hole, size in parts:
        plain += bytes(size) if is_hole else RANDOM[:size]
        chunks += [bytes(chunk) for chunk in (chunker.zeros(size) if is_hole else chunker.feed(RANDOM[:size]))]
    chunks += [bytes(chunk) for chunk in chunker.finish()]
    assert chunks == whole(factory.chunker(), plain)


def test_a_byte_at_a_time(factory: ChunkerFactory) -> None:
    data = RANDOM[: 3 * 2**20 + 1]
    chunker = factory.chunker()
    chunks = [bytes(chunk) for at in range(0, len(data), 977) for chunk in chunker.feed(data[at : at + 977])]
    chunks += [bytes(chunk) for chunk in chunker.finish()]
    assert chunks == whole(factory.chunker(), data)


def test_a_hole_of_a_gibibyte_is_one_object_over_and_over(factory: ChunkerFactory) -> None:
    chunks = list(factory.chunker().zeros(2**30))
    assert len(chunks) == 2**30 // MAX_SIZE
    assert all(chunk is factory.zero_chunk() for chunk in chunks)


def test_small_and_empty_files(factory: ChunkerFactory) -> None:
    assert whole(factory.chunker(), b"") == []
    chunker = factory.chunker()
    for size in (1, MIN_SIZE - 1, MIN_SIZE, MIN_SIZE + 1):
        assert whole(chunker, RANDOM[:size]) == [RANDOM[:size]]


def test_a_buffer_that_changes_later_is_copied(factory: ChunkerFactory) -> None:
    buffer = bytearray(b"first")
    chunker = factory.chunker()
    assert list(chunker.feed(memoryview(buffer))) == []
    buffer[:] = b"other"
    assert b"".join(chunker.finish()) == b"first"


def test_an_insertion_changes_only_its_surroundings(factory: ChunkerFactory) -> None:
    before = whole(factory.chunker(), RANDOM)
    after = whole(factory.chunker(), RANDOM[: 5 * 2**20] + b"inserted" + RANDOM[5 * 2**20 :])
    assert len(set(after) - set(before)) <= 2


def test_another_repository_cuts_elsewhere() -> None:
    one = whole(ChunkerFactory(POLYNOMIAL).chunker(), RANDOM)
    other = whole(ChunkerFactory("2f0d3a1b5c7e91").chunker(), RANDOM)
    assert not {len(chunk) for chunk in one[:-1]} & {len(chunk) for chunk in other[:-1]}
    assert 0 < seed_of(POLYNOMIAL) < 2**62
    assert seed_of(POLYNOMIAL) != seed_of("2f0d3a1b5c7e91")
