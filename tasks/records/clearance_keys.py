"""The keys that clearances are signed with and checked by: elliptic, P-256, in PEM.

A key is called by the first 16 hexadecimal digits of the SHA-256 of its public half (SubjectPublicKeyInfo, DER), which
``openssl pkey -pubin -in key.pem -outform DER | openssl dgst -sha256`` shows as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tasks.errors import ConfigError

PublicKeys = Mapping[str, ec.EllipticCurvePublicKey]

_DIGITS: Final = 16
_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----\s.*?-----END PUBLIC KEY-----", re.DOTALL)
_KEYGEN: Final = "Make a pair of keys: firstbell clearance keygen FILE."


def generate() -> ec.EllipticCurvePrivateKey:
    """Return a new key."""
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the secret half, for a file that only its owner reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the public half."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: ec.EllipticCurvePublicKey) -> str:
    """Return what the key is called in a clearance."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:_DIGITS]


def load_private(pem: str, reference: str) -> ec.EllipticCurvePrivateKey:
    """Return the key in a PEM text; ``reference`` says where it is from. Raises ``ConfigError``, without the text."""
    key = None
    # What the library says may hold parts of the text.
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError(
            f"'{reference}' (clearance.signing_key) is no private P-256 key in PEM without a passphrase", hint=_KEYGEN
        )
    return key


def load_public(files: Iterable[tuple[str, bytes]]) -> PublicKeys:
    """Return the public keys in PEM files, by their ids; of each file its name and content.

    Raises ``ConfigError`` when one holds no key, or one of another kind.
    """
    found: dict[str, ec.EllipticCurvePublicKey] = {}
    for name, content in files:
        blocks = _BLOCK.findall(content)
        if not blocks or b"PRIVATE KEY" in content:
            what = (
                "holds a private key, which has no place there" if blocks or b"PRIVATE" in content else "holds no key"
            )
            raise ConfigError(f"the file of public keys {name} {what}", hint=_KEYGEN)
        for block in blocks:
            try:
                key = serialization.load_pem_public_key(block)
            except (ValueError, UnsupportedAlgorithm):
                raise ConfigError(f"a public key in {name} cannot be read", hint=_KEYGEN) from None
            if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
                raise ConfigError(f"a public key in {name} is not of the kind P-256", hint=_KEYGEN)
            found[key_id(key)] = key
    return found
