"""A clearance: the signed permission to wipe one computer, for a few hours.

It is a compact JWS (RFC 7515) with ES256 (RFC 7518, 3.4), so that .NET Framework, OpenSSL and every JOSE library can
check it, offline. The check takes exactly what ``sign`` writes and nothing else: three parts, canonical base64url, the
header ``alg``, ``kid``, ``typ`` and no other, each claim once and of its type. What a token says of its own key or
algorithm decides nothing: the algorithm is always ES256, and ``kid`` only picks one of the keys that are known here.

Times are ``YYYY-MM-DDThh:mm:ssZ``: as text they sort as they follow, which a shell can compare.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tasks.errors import ClearanceInvalid
from tasks.records.clearance_keys import PublicKeys, key_id

TYPE: Final = "firstbell-clearance"
ALGORITHM: Final = "ES256"
#: A clearance from further ahead than this is refused: clocks of the issuer and of the checker may differ so much.
SKEW: Final = timedelta(minutes=5)
#: No clearance is longer, in characters; a longer text is not even looked at.
LONGEST: Final = 16 * 1024

_HALF: Final = 32
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_TIME_TEXT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_ANOTHER: Final = "Do not wipe. Issue a new one: firstbell clearance issue HOST."


@dataclass(frozen=True, slots=True)
class Clearance:
    """What a clearance says; times are aware, ``snapshot`` and ``manifest`` are hex, the latter after ``sha256:``."""

    id: str
    host: str
    site: str
    users: tuple[str, ...]
    snapshot: str
    manifest: str
    captured_at: datetime
    verified_at: datetime
    method: str
    skips: int
    iat: datetime
    expiry: datetime

    def to_claims(self) -> dict[str, Any]:
        """Return the claims as JSON values."""
        return {one.name: _written(getattr(self, one.name)) for one in fields(self)}


def sign(clearance: Clearance, key: ec.EllipticCurvePrivateKey) -> str:
    """Return the token."""
    header = {"alg": ALGORITHM, "kid": key_id(key.public_key()), "typ": TYPE}
    signed = f"{_part(header)}.{_part(clearance.to_claims())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_encode(r.to_bytes(_HALF, 'big') + s.to_bytes(_HALF, 'big'))}"


def check(
    token: str, keys: PublicKeys, *, host: str, now: datetime, profiles: Sequence[str] | None = None
) -> Clearance:
    """Return what a token says, when it is a clearance for ``host`` at ``now``.

    With ``profiles``, the accounts whose profiles are on the disk, each of them must be in it. Raises
    ``ClearanceInvalid``: then nothing may be wiped.
    """
    token = token.strip()
    header, claims = _opened(token, keys)
    if set(header) != {"alg", "kid", "typ"} or header["typ"] != TYPE:
        raise _refused("its header is not that of a clearance")
    found = _clearance(claims)
    if found.host.casefold() != host.casefold():
        raise _refused(f"it is for {found.host}, not for {host}")
    if found.iat > now + SKEW:
        raise _refused(f"it was issued at {_written(found.iat)}, which is still to come: a clock is wrong")
    if found.expiry <= now:
        raise _refused(f"it was good until {_written(found.expiry)}")
    if not found.captured_at <= found.verified_at <= found.iat + SKEW or found.expiry <= found.iat:
        raise _refused("its times contradict each other")
    covered = {name.casefold() for name in found.users}
    strange = [name for name in profiles or () if name.casefold() not in covered]
    if strange:
        raise _refused(f"it does not cover everybody who has a profile there: {', '.join(strange[:5])}")
    return found


def _opened(token: str, keys: PublicKeys) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that one of the keys signed."""
    parts = token.split(".") if len(token) <= LONGEST else []
    if len(parts) != 3:
        raise _refused("it is not a signed token of three parts")
    header = _object(parts[0], "header")
    # Not the token's choice: it is compared and never looked up.
    if header.get("alg") != ALGORITHM:
        raise _refused("its algorithm is not ES256")
    kid = header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise _refused("it is signed by a key that is not known here")
    signature = _decode(parts[2])
    if len(signature) != 2 * _HALF:
        raise _refused("its signature is not 64 bytes long")
    r, s = int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big")
    try:
        key.verify(encode_dss_signature(r, s), f"{parts[0]}.{parts[1]}".encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise _refused("its signature is wrong: somebody changed it, or it is not ours") from None
    return header, _object(parts[1], "content")


def _clearance(claims: Mapping[str, Any]) -> Clearance:
    names = {one.name for one in fields(Clearance)}
    if set(claims) != names:
        odd = sorted(set(claims) ^ names)
        raise _refused(f"its claims are not those of a clearance: {', '.join(odd[:5])}")
    values: dict[str, Any] = {}
    for one in fields(Clearance):
        value = claims[one.name]
        if one.type == "datetime":
            value = _time(value)
        elif one.name == "users":
            value = tuple(value) if isinstance(value, list) and all(isinstance(name, str) for name in value) else None
        elif type(value) is not {"str": str, "int": int}[str(one.type)]:
            value = None
        if value is None or value == "":
            raise _refused(f"its claim '{one.name}' is not as it should be")
        values[one.name] = value
    return Clearance(**values)


def _time(value: object) -> datetime | None:
    if not isinstance(value, str) or _TIME_TEXT.fullmatch(value) is None:
        return None
    try:
        return datetime.strptime(value, _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime(_TIME)
    return list(value) if isinstance(value, tuple) else value


def _part(value: Mapping[str, Any]) -> str:
    try:
        # Names as they are: the scripts that check it compare them with those on the disk.
        return _encode(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())
    except UnicodeEncodeError:
        # A name with bytes that are no text.
        return _encode(json.dumps(value, separators=(",", ":")).encode())


def _object(part: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(_decode(part).decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _refused(f"its {what} cannot be read") from None
    if not isinstance(found, dict):
        raise _refused(f"its {what} cannot be read")
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(part: str) -> bytes:
    """Return the bytes behind base64url. There is one spelling of each only: another one would be another token."""
    if _BASE64URL.fullmatch(part) is None:
        raise _refused("a part of it is not base64url")
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise _refused("a part of it is not base64url") from None
    if _encode(data) != part:
        raise _refused("a part of it is not base64url as it should be")
    return data


def _refused(why: str) -> ClearanceInvalid:
    return ClearanceInvalid(f"this is no valid clearance: {why}", hint=_ANOTHER)
