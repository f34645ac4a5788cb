"""Clearances: what is signed is read back, and everything else is refused with words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ClearanceInvalid, ConfigError
from tasks.records.clearance import LONGEST, check, sign
from tasks.records.clearance_keys import generate, key_id, load_private, load_public, private_pem, public_pem
from tests.support.clearances import HOST, Issuer

NOW = datetime(2026, 8, 24, 17, 30, tzinfo=UTC)
ISSUER = Issuer(NOW)
KEYS = load_public([("keys.pem", ISSUER.pem)])
TOKEN = sign(ISSUER.clearance(), ISSUER.key)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= \n"


@pytest.mark.parametrize(("name", "token"), list(ISSUER.good()))
def test_good_ones_are_taken(name: str, token: str) -> None:
    assert check(token + "\n", KEYS, host=HOST, now=NOW).host.casefold() == HOST


def test_everything_comes_back() -> None:
    assert check(TOKEN, KEYS, host=HOST, now=NOW) == ISSUER.clearance()
    assert len(TOKEN) < 1000


@pytest.mark.parametrize(("name", "token"), [*ISSUER.bad(), *ISSUER.strict()])
def test_bad_ones_are_refused_with_words(name: str, token: str) -> None:
    with pytest.raises(ClearanceInvalid, match="no valid clearance") as caught:
        check(token, KEYS, host=HOST, now=NOW)
    assert caught.value.exit_code == 20
    assert "Do not wipe" in caught.value.hint


def test_it_expires_to_the_second() -> None:
    end = NOW + timedelta(hours=2)
    assert check(TOKEN, KEYS, host=HOST, now=end - timedelta(seconds=1))
    with pytest.raises(ClearanceInvalid, match="good until"):
        check(TOKEN, KEYS, host=HOST, now=end)


def test_a_profile_that_is_not_covered_refuses() -> None:
    assert check(TOKEN, KEYS, host=HOST, now=NOW, profiles=["A.Ito", "NORTH\\m.okafor"])
    with pytest.raises(ClearanceInvalid, match=r"does not cover everybody who has a profile there: b\.new"):
        check(TOKEN, KEYS, host=HOST, now=NOW, profiles=["a.ito", "b.new"])


def test_a_key_that_is_taken_away_ends_its_clearances() -> None:
    only_new = load_public([("new.pem", public_pem(ISSUER.key.public_key()))])
    assert check(TOKEN, only_new, host=HOST, now=NOW)
    with pytest.raises(ClearanceInvalid, match="not known here"):
        check(sign(ISSUER.clearance(), ISSUER.old), only_new, host=HOST, now=NOW)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(ALPHABET))
def test_no_other_text_is_as_good(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    if changed == TOKEN:
        return
    with pytest.raises(ClearanceInvalid):
        check(changed, KEYS, host=HOST, now=NOW)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.text(alphabet=ALPHABET, max_size=LONGEST + 1))
def test_whatever_comes_is_refused_in_order(text: str) -> None:
    with pytest.raises(ClearanceInvalid):
        check(text, KEYS, host=HOST, now=NOW)


def test_keys_survive_their_files() -> None:
    key = generate()
    again = load_private(private_pem(key).decode(), "env:KEY")
    assert key_id(again.public_key()) == key_id(key.public_key())
    assert list(load_public([("a", public_pem(key.public_key()))])) == [key_id(key.public_key())]


def test_what_is_no_key_is_refused_without_its_text() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    edwards = ed25519.Ed25519PrivateKey.generate()
    secret = edwards.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    for text in ("", "hunter2", secret, private_pem(other).decode()):
        with pytest.raises(ConfigError, match="no private P-256 key") as caught:
            load_private(text, "file:/k")
        assert not text or text not in str(caught.value)
    public = public_pem(other.public_key())
    mangled = public_pem(generate().public_key()).replace(b"M", b"!", 1)
    for content in (b"", b"hunter2", private_pem(generate()), public, mangled):
        with pytest.raises(ConfigError, match=r"k\.pem"):
            load_public([("k.pem", content)])
