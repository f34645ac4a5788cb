"""A sealed piece of a byte stream, as it lies in the spool. Nobody there can read, change, swap or repeat one.

``FBS1`` | u64 number | u8 direction | 16 bytes IV | AES-256-CBC(PKCS7, raw deflate(plain)) | HMAC-SHA256 over all that.
The two keys are derived from the one of the host run by HMAC-SHA256 with fixed words. .NET Framework has no AES-GCM;
its twin there is ``remote/windows/Seal.cs``.
"""

from __future__ import annotations

import hmac
import secrets
import struct
import zlib
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from tasks.errors import ProtocolError
from tasks.transports.base import Buffer

#: Directions: part of what is sealed, so that a segment cannot be sent back.
FROM_HELPER: Final = 0
FROM_WORKER: Final = 1

_MAGIC: Final = b"FBS1"
_HEAD: Final = struct.Struct(">4sQB16s")
_MAC_SIZE: Final = 32
_BLOCK: Final = 16
#: Raw deflate, the window as large as .NET's.
_RAW: Final = -15
_FASTEST: Final = 1
#: How much is deflated to see whether it shrinks, in bytes.
_SAMPLE: Final = 64 * 1024


class SegmentSeal:
    """Seals and opens the segments of one host run. Threads may share it."""

    def __init__(self, key: bytes) -> None:
        self._encrypt = hmac.digest(key, b"firstbell spool encrypt", "sha256")
        self._authenticate = hmac.digest(key, b"firstbell spool authenticate", "sha256")

    def seal(self, number: int, direction: int, plain: Buffer) -> bytes:
        """Return ``plain`` deflated and sealed."""
        deflate = zlib.compressobj(_level(plain), zlib.DEFLATED, _RAW)
        packed = deflate.compress(plain) + deflate.flush()
        iv = secrets.token_bytes(_BLOCK)
        padding = _BLOCK - len(packed) % _BLOCK
        encryptor = Cipher(AES(self._encrypt), CBC(iv)).encryptor()
        head = _HEAD.pack(_MAGIC, number, direction, iv)
        body = b"".join((head, encryptor.update(packed), encryptor.update(bytes([padding]) * padding)))
        return body + hmac.digest(self._authenticate, body, "sha256")

    def open(self, number: int, direction: int, sealed: Buffer, plain: int) -> bytes:
        """Return the ``plain`` bytes of a segment, which must be the one with this number and direction.

        Raises ``ProtocolError`` when it is another one, or was changed; nothing is decrypted then.
        """
        view = memoryview(sealed)
        size = len(view) - _HEAD.size - _MAC_SIZE
        if size < _BLOCK or size % _BLOCK:
            raise ProtocolError(f"spool segment {number} has {len(view)} bytes, which none can have")
        if not hmac.compare_digest(hmac.digest(self._authenticate, view[:-_MAC_SIZE], "sha256"), view[-_MAC_SIZE:]):
            raise ProtocolError(
                f"spool segment {number} was changed on its way",
                hint="Somebody or something alters objects in the spool's bucket: look there before the next run.",
            )
        magic, found, towards, iv = _HEAD.unpack_from(view)
        if (magic, found, towards) != (_MAGIC, number, direction):
            raise ProtocolError(f"where spool segment {number} is due lies segment {found} of direction {towards}")
        decryptor = Cipher(AES(self._encrypt), CBC(iv)).decryptor()
        packed = decryptor.update(view[_HEAD.size : -_MAC_SIZE]) + decryptor.finalize()
        padding = packed[-1]
        if not 1 <= padding <= _BLOCK or packed[-padding:] != bytes([padding]) * padding:
            raise ProtocolError(f"spool segment {number} is badly padded")
        inflate = zlib.decompressobj(_RAW)
        try:
            # One byte more than promised shows that there is more, and a bomb stays small.
            content = inflate.decompress(memoryview(packed)[:-padding], plain + 1)
        except zlib.error as error:
            raise ProtocolError(f"spool segment {number} is badly deflated") from error
        if len(content) != plain or not inflate.eof:
            raise ProtocolError(f"spool segment {number} does not have the {plain} bytes it was said to have")
        return content


def _level(plain: Buffer) -> int:
    """Return how hard to deflate: photos, films, documents do not shrink, and trying costs more than all the rest."""
    view = memoryview(plain)
    part, last = _SAMPLE // 4, len(view) - _SAMPLE // 4
    if len(view) < 2 * _SAMPLE:
        return _FASTEST
    sample = b"".join(view[last * i // 3 :][:part] for i in range(4))
    return 0 if len(zlib.compress(sample, _FASTEST)) > _SAMPLE // 10 * 9 else _FASTEST
