from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.backends.memory import MemoryBackend
from tasks.errors import Damaged, NoRepository, RepositoryError, WrongPassword
from tasks.repository.config_file import ConfigFile, is_irreducible, random_polynomial
from tasks.repository.crypto import Key, NotAuthentic
from tasks.repository.file_type import FileType
from tasks.repository.ids import hash_of
from tasks.repository.key_file import open_key, seal_key
from tasks.repository.repository import Repository

#: From restic's internal/crypto/crypto_int_test.go: Poly1305-AES with the keys of the paper's appendix B.
POLY_K = bytes.fromhex("ec074c835580741701425b623235add6")
POLY_R = bytes.fromhex("851fc40c3467ac0be05cc20404f3f700")
POLY_NONCE = bytes.fromhex("fb447350c4e868c52ac3275cf9d4327e")
POLY_MESSAGE = bytes.fromhex("f3f6")
POLY_MAC = bytes.fromhex("f4c633c3044fc145f84f335cb81953de")


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens(data: bytes) -> None:
    key = Key.random()
    sealed = key.seal(data)
    assert len(sealed) == len(data) + 32
    assert key.open(sealed) == data
    assert key.open(memoryview(sealed)) == data


def test_the_mac_is_poly1305_aes() -> None:
    key = Key(bytes(32), POLY_K, POLY_R)
    # Opening checks the MAC over the ciphertext, so the paper's message stands for one.
    assert len(key.open(POLY_NONCE + POLY_MESSAGE + POLY_MAC)) == 2
    with pytest.raises(NotAuthentic):
        key.open(POLY_NONCE + POLY_MESSAGE + POLY_MAC[:-1] + b"\0")


@pytest.mark.parametrize("position", [0, 15, 16, 20, -16, -1])
def test_a_flipped_bit_anywhere_is_noticed(position: int) -> None:
    key = Key.random()
    sealed = key.seal(b"some content")
    sealed[position] ^= 1
    with pytest.raises(NotAuthentic):
        key.open(sealed)


@pytest.mark.parametrize("size", [0, 1, 31])
def test_what_is_too_short_is_not_authentic(size: int) -> None:
    with pytest.raises(NotAuthentic):
        Key.random().open(bytes(size))


def test_each_seal_has_its_own_iv() -> None:
    key = Key.random()
    assert len({bytes(key.seal(b"x")[:16]) for _ in range(100)}) == 100


def test_a_key_file_opens_with_its_password_only() -> None:
    master = Key.random()
    text = seal_key(master, "pässword", scrypt_n=16)
    assert open_key(text, "pässword") == master
    with pytest.raises(NotAuthentic):
        open_key(text, "password")
    fields = json.loads(text)
    assert list(fields) == ["created", "username", "hostname", "kdf", "N", "r", "p", "salt", "data"]
    assert (fields["kdf"], fields["N"], fields["r"]) == ("scrypt", 16, 8)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"kdf":"argon2"}', b'{"kdf":"scrypt","N":1073741824,"r":8,"p":1,"salt":"","data":""}'],
)
def test_what_is_no_key_file_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):
        open_key(text, "x")


def test_keys_do_not_show_in_text() -> None:
    key = Key.random()
    assert repr(key) == "Key()"
    config = ConfigFile.new(2)
    assert config.chunker_polynomial not in repr(config)


def test_polynomials_are_irreducible() -> None:
    # One that restic made; x^53 + 1 has the root 1; without its constant term one has the root 0.
    assert is_irreducible(0x3D4BAB5F7C8EAF)
    assert not is_irreducible(1 << 53 | 1)
    assert not is_irreducible(0x3D4BAB5F7C8EAF ^ 1)
    polynomial = random_polynomial()
    assert polynomial.bit_length() == 54
    assert is_irreducible(polynomial)


def test_opening_tries_every_key() -> None:
    backend = MemoryBackend()
    repository = Repository.init(backend.share(), "first", scrypt_n=16)
    for password in ("second", "third"):
        text = seal_key(repository._files._key, password, scrypt_n=16)
        backend.save(FileType.KEY.name_of(hash_of(text)), text)
    for password in ("first", "second", "third"):
        assert Repository.open(backend.share(), password).config == repository.config
    with pytest.raises(WrongPassword) as caught:
        Repository.open(backend.share(), "fourth-secret")
    assert "fourth-secret" not in f"{caught.value} {caught.value.hint}"
    assert "3 keys" in str(caught.value)
    assert caught.value.exit_code == 12


def test_a_damaged_key_file_is_told_unless_another_opens() -> None:
    backend = MemoryBackend()
    Repository.init(backend.share(), "right", scrypt_n=16)
    junk = b'{"kdf":"scrypt"'
    backend.save(FileType.KEY.name_of(bytes(32)), junk)
    assert Repository.open(backend.share(), "right")
    with pytest.raises(Damaged, match="key 00000000"):
        Repository.open(backend.share(), "wrong")


def test_init_refuses_where_something_is() -> None:
    backend = MemoryBackend()
    Repository.init(backend.share(), "x", scrypt_n=16)
    before = sorted(info.name for info in backend.list())
    for missing in ("", "config"):
        backend.remove(missing or "nothing")
        with pytest.raises(RepositoryError, match="already"):
            Repository.init(backend.share(), "y", scrypt_n=16)
    assert sorted(info.name for info in backend.list()) == [name for name in before if name != "config"]
    with pytest.raises(Damaged, match="config is missing"):
        Repository.open(backend.share(), "x")


def test_no_repository_and_no_password() -> None:
    with pytest.raises(NoRepository) as caught:
        Repository.open(MemoryBackend(), "x")
    assert "firstbell init" in caught.value.hint
    with pytest.raises(WrongPassword, match="empty"):
        Repository.init(MemoryBackend(), "")


def test_a_damaged_config_and_a_newer_version() -> None:
    backend = MemoryBackend()
    repository = Repository.init(backend.share(), "x", scrypt_n=16)
    sealed = bytearray(backend.load("config"))
    sealed[20] ^= 1
    backend.save("config", sealed)
    with pytest.raises(Damaged, match="config"):
        Repository.open(backend.share(), "x")
    newer = ConfigFile(3, repository.config.id, repository.config.chunker_polynomial)
    backend.save("config", repository._files._key.seal(newer.encode()))
    with pytest.raises(RepositoryError, match="version 3"):
        Repository.open(backend.share(), "x")
