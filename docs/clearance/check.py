#!/usr/bin/env python3
"""May this computer be wiped? Checks a firstbell clearance; needs Python 3.8 and ``cryptography``: docs/gate.md.

    check.py TOKEN-FILE HOST KEYS.pem [PROFILE ...]

Exit code 0: yes. Any other: DO NOT WIPE. KEYS.pem holds one or several public keys; a PROFILE is somebody who has a
profile on the disk, and the clearance must cover everybody that is named.
"""

import base64
import hashlib
import json
import re
import sys
from datetime import datetime, timedelta, timezone

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

CLAIMS = "captured_at expiry host iat id manifest method site skips snapshot users verified_at".split()
SKEW = timedelta(minutes=5)


class Refused(Exception):
    """Why nothing may be wiped."""


def bytes_of(part):
    """Return the bytes behind base64url, which has one spelling only."""
    data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) if re.fullmatch("[A-Za-z0-9_-]+", part) else b""
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part.encode() or not data:
        raise Refused("a part of it is not base64url")
    return data


def once(pairs):
    """Return a JSON object in which every name stands once."""
    if len(dict(pairs)) != len(pairs):
        raise Refused("a name stands twice in it")
    return dict(pairs)


def keys_of(pem):
    """Return the public keys of a PEM file by their ids: the first 16 digits of the SHA-256 of their DER."""
    found = {}
    for block in re.findall(b"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", pem, re.DOTALL):
        key = serialization.load_pem_public_key(block)
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise Refused("a public key is not of the kind P-256")
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        found[hashlib.sha256(der).hexdigest()[:16]] = key
    return found


def moment(text):
    """Return an aware time."""
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        raise Refused("its times are not as they should be")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def check(token, host, pem, profiles, now):
    """Return the claims of a token, or raise."""
    parts = token.split(".") if len(token) <= 16384 else []
    if len(parts) != 3:
        raise Refused("it is not a signed token")
    header = json.loads(bytes_of(parts[0]).decode(), object_pairs_hook=once)
    # The algorithm is ours to choose, not the token's: this header and no other.
    ours = {"alg": "ES256", "kid": "", "typ": "firstbell-clearance"}
    if not isinstance(header, dict) or {**header, "kid": ""} != ours or "kid" not in header:
        raise Refused("its header is not that of a clearance")
    key = keys_of(pem).get(str(header["kid"]))
    if key is None:
        raise Refused("it is signed by a key that is not known here")
    signature = bytes_of(parts[2])
    if len(signature) != 64:
        raise Refused("its signature is not 64 bytes long")
    both = [int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")]
    try:
        key.verify(encode_dss_signature(*both), ".".join(parts[:2]).encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Refused("its signature is wrong: somebody changed it, or it is not ours") from None
    claims = json.loads(bytes_of(parts[1]).decode(), object_pairs_hook=once)
    kinds = {name: {"users": list, "skips": int}.get(name, str) for name in CLAIMS}
    ours = isinstance(claims, dict) and {name: type(value) for name, value in claims.items()} == kinds
    if not ours or "" in claims.values() or not all(isinstance(name, str) for name in claims["users"]):
        raise Refused("its claims are not those of a clearance")
    if claims["host"].casefold() != host.casefold():
        raise Refused("it is for %s, not for %s" % (claims["host"], host))
    if moment(claims["expiry"]) <= now:
        raise Refused("it was good until " + claims["expiry"])
    if moment(claims["iat"]) > now + SKEW:
        raise Refused("it was issued at %s, which is still to come: a clock is wrong" % claims["iat"])
    captured, verified, issued = (moment(claims[name]) for name in ("captured_at", "verified_at", "iat"))
    if not captured <= verified <= issued + SKEW or moment(claims["expiry"]) <= issued:
        raise Refused("its times contradict each other")
    covered = {name.casefold() for name in claims["users"]}
    for profile in profiles:
        if profile.casefold() not in covered:
            raise Refused(profile + " has a profile there, and it is not saved")
    return claims


def main(arguments):
    """Return the exit code."""
    try:
        if len(arguments) < 3:
            raise Refused("say: check.py TOKEN-FILE HOST KEYS.pem [PROFILE ...]")
        token_file, host, keys, *profiles = arguments
        with open(token_file, encoding="ascii") as token, open(keys, "rb") as pem:
            claims = check(token.read().strip(), host, pem.read(), profiles, datetime.now(timezone.utc))
    except Exception as error:  # whatever it is: nothing may be wiped
        sys.stderr.write("do not wipe: %s\n" % (error or type(error).__name__))
        return 20
    sys.stdout.write("good: %s may be wiped until %s\n" % (claims["host"], claims["expiry"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
