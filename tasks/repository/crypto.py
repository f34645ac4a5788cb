"""restic's encryption: AES-256 in counter mode, then Poly1305-AES over the ciphertext.

Source: restic's ``doc/design.rst``, "Keys, Encryption and MAC". A sealed text is ``IV (16) || ciphertext || MAC (16)``.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from tasks.backends.base import Buffer

IV_SIZE: Final = 16
MAC_SIZE: Final = 16
#: How many bytes sealing adds.
OVERHEAD: Final = IV_SIZE + MAC_SIZE


class NotAuthentic(Exception):
    """The MAC does not fit: damaged, or sealed with another key. Callers raise an error that names the file."""


@dataclass(frozen=True, slots=True)
class Key:
    """Key for encryption (32 bytes) and the two halves of the Poly1305-AES key (16 bytes each)."""

    encrypt: bytes = field(repr=False)
    mac_k: bytes = field(repr=False)
    mac_r: bytes = field(repr=False)
    #: Ciphers that are used again, for each thread its own: making one costs more than opening a small blob with it.
    _ciphers: threading.local = field(default_factory=threading.local, init=False, repr=False, compare=False)

    @classmethod
    def random(cls) -> Key:
        """Return a new random key."""
        return cls(os.urandom(32), os.urandom(16), os.urandom(16))

    @classmethod
    def from_bytes(cls, data: bytes) -> Key:
        """Return the key from 64 derived bytes, in restic's order: encrypt, k, r."""
        return cls(data[:32], data[32:48], data[48:64])

    def seal(self, data: Buffer) -> bytearray:
        """Return ``data`` encrypted with a new random IV, and authenticated."""
        size = len(data)
        sealed = bytearray(size + OVERHEAD)
        iv = os.urandom(IV_SIZE)
        sealed[:IV_SIZE] = iv
        view = memoryview(sealed)
        # The place of the MAC serves as the slack of a block that update_into asks for.
        self._counting(iv).update_into(data, view[IV_SIZE:])
        sealed[IV_SIZE + size :] = Poly1305.generate_tag(self._mac_key(iv), view[IV_SIZE : IV_SIZE + size])
        return sealed

    def open(self, sealed: Buffer) -> bytes:
        """Return the plain text. Raises ``NotAuthentic``."""
        view = memoryview(sealed)
        if len(view) < OVERHEAD:
            raise NotAuthentic("shorter than its IV and MAC")
        iv = bytes(view[:IV_SIZE])
        body = view[IV_SIZE:-MAC_SIZE]
        try:
            Poly1305.verify_tag(self._mac_key(iv), body, bytes(view[-MAC_SIZE:]))
        except InvalidSignature:
            raise NotAuthentic("the MAC does not fit") from None
        plain: bytes = self._counting(iv).update(body)
        return plain

    def _mac_key(self, iv: bytes) -> bytes:
        # Poly1305-AES: the one-time pad is the IV encrypted with k. One block, so no mode is involved.
        pad = getattr(self._ciphers, "pad", None)
        if pad is None:
            pad = self._ciphers.pad = Cipher(algorithms.AES(self.mac_k), modes.ECB()).encryptor()  # noqa: S305
        return self.mac_r + bytes(pad.update(iv))

    def _counting(self, iv: bytes) -> Any:
        """Return the cipher in counter mode, where both directions are one, at its beginning for ``iv``."""
        counting = getattr(self._ciphers, "counting", None)
        if counting is None:
            counting = self._ciphers.counting = Cipher(algorithms.AES(self.encrypt), modes.CTR(iv)).encryptor()
        else:
            counting.reset_nonce(iv)
        return counting
