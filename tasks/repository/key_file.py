"""Key files: the master key of a repository, sealed with a key that scrypt derives from a password.

Source: restic's ``doc/design.rst``, "Keys, Encryption and MAC". Plain JSON; the name is the SHA-256 of the file.
"""

from __future__ import annotations

import json
import os
import time
from base64 import b64decode, b64encode
from typing import Any, Final

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tasks.backends.base import Buffer
from tasks.repository import gojson
from tasks.repository.crypto import Key
from tasks.repository.owner import host_name, user_name

_SALT_SIZE: Final = 64
_BLOCK_SIZE: Final = 8
_PARALLEL: Final = 1
#: Highest cost that is believed, in bytes of memory (128 * N * r): a damaged file must not ask for all there is.
_MAX_MEMORY: Final = 1 << 30


def seal_key(master: Key, password: str, *, scrypt_n: int) -> bytes:
    """Return a key file that opens ``master`` with ``password``."""
    salt = os.urandom(_SALT_SIZE)
    user_key = _derive(password, salt, scrypt_n, _BLOCK_SIZE, _PARALLEL)
    plain = json.dumps(
        {"mac": {"k": _b64(master.mac_k), "r": _b64(master.mac_r)}, "encrypt": _b64(master.encrypt)},
        separators=(",", ":"),
    )
    document = {
        "created": gojson.time(time.time_ns()),
        "username": user_name(),
        "hostname": host_name(),
        "kdf": "scrypt",
        "N": scrypt_n,
        "r": _BLOCK_SIZE,
        "p": _PARALLEL,
        "salt": _b64(salt),
        "data": _b64(user_key.seal(plain.encode())),
    }
    return json.dumps(document, separators=(",", ":")).encode()


def open_key(data: Buffer, password: str) -> Key:
    """Return the master key in a key file.

    Raises:
        NotAuthentic: the password is another one.
        ValueError: the file is no key file, or one of a kind that we do not know.
    """
    try:
        found: dict[str, Any] = json.loads(bytes(data))
        if found["kdf"] != "scrypt":
            raise ValueError(f"unknown key derivation {found['kdf']!r}")
        n, r, p = int(found["N"]), int(found["r"]), int(found["p"])
        if 128 * n * r > _MAX_MEMORY:
            raise ValueError("the key derivation asks for more than 1 GiB of memory")
        sealed = b64decode(found["data"])
        user_key = _derive(password, b64decode(found["salt"]), n, r, p)
        keys = json.loads(user_key.open(sealed))
        master = Key(b64decode(keys["encrypt"]), b64decode(keys["mac"]["k"]), b64decode(keys["mac"]["r"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a key file: {error!r}") from error
    if (len(master.encrypt), len(master.mac_k), len(master.mac_r)) != (32, 16, 16):
        raise ValueError("not a key file: a key of the wrong size")
    return master


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> Key:
    return Key.from_bytes(Scrypt(salt=salt, length=64, n=n, r=r, p=p).derive(password.encode()))


def _b64(data: Buffer) -> str:
    return b64encode(data).decode()
