"""Fingerprints of TLS certificates: SHA-256 of the whole certificate."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from tasks.errors import InventoryError

_PREFIX: Final = "SHA256:"
_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}")
#: What Windows calls a thumbprint: SHA-1, 40 hexadecimal digits.
_THUMBPRINT: Final = re.compile(r"[0-9A-Fa-f]{40}")


def certificate_fingerprint(der: bytes) -> str:
    """Return the fingerprint of a certificate in the form in which OpenSSH shows those of keys."""
    return _PREFIX + base64.b64encode(hashlib.sha256(der).digest()).decode("ascii").rstrip("=")


def hexadecimal(fingerprint: str) -> str:
    """Return a fingerprint in ``SHA256:`` form as hexadecimal digits."""
    return base64.b64decode(fingerprint.removeprefix(_PREFIX) + "=").hex()


def normal_fingerprint(text: str, host: str) -> str:
    """Return a fingerprint as people write it in ``SHA256:`` form.

    Takes that form itself, and hexadecimal digits with or without colons or blanks, as openssl and browsers show them.
    Raises ``InventoryError``.
    """
    text = text.strip()
    if text.upper().startswith(_PREFIX):
        rest = text[len(_PREFIX) :].rstrip("=")
        try:
            digest = base64.b64decode(rest + "=" * (-len(rest) % 4), validate=True)
        except ValueError:
            digest = b""
        if len(digest) == hashlib.sha256().digest_size:
            return _PREFIX + rest
        text = rest
    digits = re.sub(r"[\s:]", "", text)
    if _HEX.fullmatch(digits):
        return _PREFIX + base64.b64encode(bytes.fromhex(digits)).decode("ascii").rstrip("=")
    why = "; it looks like a SHA-1 thumbprint, which is too weak" if _THUMBPRINT.fullmatch(digits) else ""
    raise InventoryError(
        f"the certificate's fingerprint is not SHA-256{why}",
        hint=(
            "Get it on the computer: (Get-FileHash -Algorithm SHA256 -InputStream ([IO.MemoryStream]::new("
            "(Get-Item Cert:\\LocalMachine\\My\\THUMBPRINT).RawData))).Hash"
        ),
        host=host,
    )
