"""Sealed segments: what was changed, swapped, repeated or sent back is refused before it is decrypted."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ProtocolError
from tasks.remote.channels.segment import FROM_HELPER, FROM_WORKER, SegmentSeal

KEY = hashlib.sha256(b"a key").digest()
SEAL = SegmentSeal(KEY)


@given(st.binary(max_size=2000), st.integers(1, 2**40), st.sampled_from([FROM_HELPER, FROM_WORKER]))
def test_what_is_sealed_opens(plain: bytes, number: int, direction: int) -> None:
    assert SEAL.open(number, direction, SEAL.seal(number, direction, plain), len(plain)) == plain


def test_a_large_one_deflates_and_each_is_sealed_anew() -> None:
    plain = b"Lesson plan, week 12. " * 300_000
    sealed = SEAL.seal(1, FROM_HELPER, memoryview(plain))
    assert len(sealed) < len(plain) / 50
    assert SEAL.open(1, FROM_HELPER, sealed, len(plain)) == plain
    assert SEAL.seal(1, FROM_HELPER, plain) != sealed


def test_the_layout_is_the_agreed_one() -> None:
    sealed = SEAL.seal(5, FROM_WORKER, b"x" * 100)
    assert sealed[:13] == b"FBS1" + (5).to_bytes(8, "big") + b"\x01"
    authenticate = hmac.digest(KEY, b"firstbell spool authenticate", "sha256")
    assert sealed[-32:] == hmac.digest(authenticate, sealed[:-32], "sha256")
    assert (len(sealed) - 29 - 32) % 16 == 0


def test_every_flipped_bit_is_seen() -> None:
    sealed = SEAL.seal(1, FROM_HELPER, b"content")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1 << at % 8
        with pytest.raises(ProtocolError, match="changed on its way"):
            SEAL.open(1, FROM_HELPER, changed, 7)


def test_swapped_repeated_and_returned_segments_are_refused() -> None:
    first, second = SEAL.seal(1, FROM_HELPER, b"first"), SEAL.seal(2, FROM_HELPER, b"secnd")
    for number, direction, sealed in ((2, FROM_HELPER, first), (1, FROM_HELPER, second), (1, FROM_WORKER, first)):
        with pytest.raises(ProtocolError, match="lies segment"):
            SEAL.open(number, direction, sealed, 5)


def test_another_run_s_segments_are_refused() -> None:
    foreign = SegmentSeal(secrets.token_bytes(32)).seal(1, FROM_HELPER, b"content")
    with pytest.raises(ProtocolError, match="changed on its way"):
        SEAL.open(1, FROM_HELPER, foreign, 7)


@pytest.mark.parametrize("size", [0, 3, 60, 61, 76, 78])
def test_a_piece_of_a_segment_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError):
        SEAL.open(1, FROM_HELPER, SEAL.seal(1, FROM_HELPER, b"some content of a file")[:size], 22)


@pytest.mark.parametrize("said", [0, 999_999, 1_000_001, 10**9])
def test_a_wrong_size_is_refused_and_a_bomb_stays_small(said: int) -> None:
    sealed = SEAL.seal(1, FROM_HELPER, bytes(1_000_000))
    with pytest.raises(ProtocolError, match="does not have"):
        SEAL.open(1, FROM_HELPER, sealed, said)
