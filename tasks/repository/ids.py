"""IDs: the SHA-256 of a stored file or of a blob's plain content."""

from __future__ import annotations

import hashlib
from typing import Final

#: An ID is 32 raw bytes; in names and JSON it is lower-case hex, and people see its first 8 digits.
ID = bytes
ID_SIZE: Final = 32


def hash_of(data: bytes | bytearray | memoryview) -> ID:
    """Return the ID of ``data``."""
    return hashlib.sha256(data).digest()


def short(id_: ID) -> str:
    """Return the ID as people see it: 8 hex digits."""
    return id_[:4].hex()


def parse_id(text: str) -> ID:
    """Return the ID written as 64 hex digits. Raises ``ValueError`` when it is none."""
    if len(text) != 2 * ID_SIZE:
        raise ValueError(f"not an ID: {text!r}")
    return bytes.fromhex(text)
