"""Codes that people type: one-use, signed, and bound to what they were given out for.

A code is 20 characters of Crockford's base 32 (https://www.crockford.com/base32.html) in groups of five: no ``U``, and
``O`` reads as ``0``, ``I`` and ``L`` as ``1``. The first 8 are a nonce, which finds the line of the ledger that gave
the code out; the other 12 are the first 60 bits of the HMAC-SHA256 of purpose, school, plan, person, nonce and expiry.
So nothing secret is stored, and the same code can be told again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tasks.answers import Asked
from tasks.records.model import TIME_FORMAT
from tasks.records.store import FOLDER, RecordStore

#: Kind of the records that count wrong codes. They hold neither the code nor a part of it.
WRONG_CODE: Final = "wrong-code"
#: A wrong code weighs for so long.
REMEMBERED: Final = timedelta(hours=1)
#: So many wrong codes within that time are written into the ledger.
SUSPICIOUS: Final = 10
#: A key shorter than this could be guessed.
SHORTEST_KEY: Final = 32

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SAME: Final = str.maketrans("OIL", "011", " -\t\r\n")
_NONCE: Final = 8
_PROOF: Final = 12
_GROUP: Final = 5
_FREE: Final = 3
_LONGEST_WAIT: Final = 30.0


@dataclass(frozen=True, slots=True, repr=False)
class CodeKey:
    """One key of a school, split by what it is used for. ``id`` is no secret."""

    id: str
    codes: bytes
    ledger: bytes

    @classmethod
    def derive(cls, secret: str, site: str) -> CodeKey:
        """Return the key of a school from the secret, which several schools may share."""
        parts = [
            hmac.digest(secret.encode(), f"firstbell {use} {site}".encode(), "sha256")
            for use in ("key id", "codes", "ledger")
        ]
        return cls(parts[0].hex()[:8], parts[1], parts[2])

    def __repr__(self) -> str:
        """Return its id only."""
        return f"CodeKey({self.id})"


def new_secret() -> str:
    """Return a secret to derive keys from: 256 bits as text."""
    return secrets.token_urlsafe(32)


def new_nonce() -> str:
    """Return a nonce, 40 bits."""
    return "".join(secrets.choice(_DIGITS) for _ in range(_NONCE))


def code_text(key: CodeKey, site: str, asked: Asked, nonce: str) -> str:
    """Return the code as a person reads it: ``7K3QH-9XWV2-...``."""
    text = nonce + _proof(key, site, asked, nonce)
    return "-".join(text[start : start + _GROUP] for start in range(0, len(text), _GROUP))


def nonce_of(code: str) -> str | None:
    """Return the nonce of what somebody typed, or None when it cannot be a code."""
    text = _plain(code)
    return text[:_NONCE] if len(text) == _NONCE + _PROOF and set(text) <= set(_DIGITS) else None


def is_proven(code: str, keys: Sequence[CodeKey], site: str, asked: Asked, nonce: str) -> bool:
    """Return whether one of the keys made this code; it takes as long whatever is wrong with it."""
    given = _plain(code)[_NONCE:].encode("ascii", "replace")
    found = False
    for key in keys:
        found |= hmac.compare_digest(given, _proof(key, site, asked, nonce).encode())
    return found


def wait_after(wrong: int) -> float:
    """Return for how many seconds to wait before a wrong code is answered, after ``wrong`` of them."""
    return 0.0 if wrong < _FREE else min(2.0 ** (wrong - _FREE), _LONGEST_WAIT)


def note_wrong(store: RecordStore, site: str, by: str, now: datetime) -> int:
    """Write down that a wrong code was tried, and return how many were in the last hour."""
    store.append(WRONG_CODE, {"by": by}, subject=site)
    return count_wrong(store, site, now)


def count_wrong(store: RecordStore, site: str, now: datetime) -> int:
    """Return how many wrong codes were tried in the last hour."""
    prefix = f"{FOLDER}{WRONG_CODE}/{site}/"
    first = prefix + (now - REMEMBERED).astimezone(UTC).strftime(TIME_FORMAT)
    return sum(info.name >= first for info in store.backend.list(prefix))


def _plain(code: str) -> str:
    return code.upper().translate(_SAME)


def _proof(key: CodeKey, site: str, asked: Asked, nonce: str) -> str:
    bound = [asked.purpose, site, asked.plan, asked.person, nonce, asked.until.astimezone(UTC).isoformat()]
    digest = hmac.digest(key.codes, json.dumps(bound).encode(), hashlib.sha256)
    number = int.from_bytes(digest[:8], "big") >> 4
    return "".join(_DIGITS[number >> shift & 31] for shift in range(_GROUP * (_PROOF - 1), -1, -_GROUP))
