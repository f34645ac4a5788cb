"""Settings with secrets, sealed with a passphrase of their own: whoever may read the repository cannot read these.

AES-SIV (RFC 5297) under a key derived by scrypt: the same settings give the same bytes, so that an unchanged profile
adds nothing, and a nonce can never come twice. What is around it is authenticated, too.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from tasks.settings.document import Settings, SettingsUnreadable, decode, encode

SUFFIX: Final = ".sealed"
_MAGIC: Final = b"FBSEAL1\n"
#: scrypt's cost: 32 MiB, about 0.1 s. The passphrase is a file of IT's, not something a person remembers.
_N: Final = 2**15


def seal(settings: Settings, passphrase: str, salt: bytes) -> bytes:
    """Return the sealed document; ``salt`` is the repository's id, so that each repository has keys of its own."""
    return _MAGIC + AESSIV(_key(passphrase, salt)).encrypt(encode(settings), [_MAGIC])


def open_sealed(data: bytes, passphrase: str, salt: bytes) -> Settings:
    """Return what is in a sealed document. Raises ``SettingsUnreadable``."""
    if not data.startswith(_MAGIC):
        raise SettingsUnreadable("the sealed settings are damaged, or of a newer firstbell", hint="Update firstbell.")
    try:
        return decode(AESSIV(_key(passphrase, salt)).decrypt(data[len(_MAGIC) :], [_MAGIC]))
    except (InvalidTag, ValueError):
        raise SettingsUnreadable(
            "the sealed settings do not open: they are damaged, or 'settings.sealed_key' is another one than then",
            hint="Set 'settings.sealed_key' to the passphrase of that time.",
        ) from None


@lru_cache(maxsize=8)
def _key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=_N, r=8, p=1, dklen=64, maxmem=2**27)
