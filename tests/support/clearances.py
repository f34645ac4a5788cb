"""Tokens that a check must take, and tokens that it must refuse, made with real keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tasks.records.clearance import Clearance, sign
from tasks.records.clearance_keys import generate, key_id, public_pem

#: The order of the curve P-256 (FIPS 186-4, D.1.2.3).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
HOST = "lab3-07"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: object) -> str:
    return encode(json.dumps(value, separators=(",", ":")).encode())


def raw_signature(key: ec.EllipticCurvePrivateKey, signed: str) -> bytes:
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass
class Issuer:
    """Somebody with a key; ``now`` is an aware time with whole seconds."""

    now: datetime

    @cached_property
    def key(self) -> ec.EllipticCurvePrivateKey:
        return generate()

    @cached_property
    def old(self) -> ec.EllipticCurvePrivateKey:
        """The key before this one, still valid."""
        return generate()

    @property
    def kid(self) -> str:
        return key_id(self.key.public_key())

    @property
    def pem(self) -> bytes:
        """The public keys that are valid, the old one first."""
        return public_pem(self.old.public_key()) + public_pem(self.key.public_key())

    def clearance(self, **changes: Any) -> Clearance:
        good = Clearance(
            id="5f0c9e61b7d24a3c8f1e",
            host=HOST,
            site="north",
            users=("a.ito", "NORTH\\m.okafor"),
            snapshot="9f" * 32,
            manifest="sha256:" + "2c" * 32,
            captured_at=self.now - timedelta(hours=2),
            verified_at=self.now - timedelta(hours=1),
            method="spot",
            skips=2,
            iat=self.now,
            expiry=self.now + timedelta(hours=2),
        )
        return replace(good, **changes)

    def signed(self, header: Mapping[str, Any] | str, claims: Mapping[str, Any] | str) -> str:
        """Return a token with just this content, rightly signed; a text is taken as it is."""
        parts = [encode(one.encode()) if isinstance(one, str) else part(one) for one in (header, claims)]
        return f"{'.'.join(parts)}.{encode(raw_signature(self.key, '.'.join(parts)))}"

    @property
    def header(self) -> dict[str, Any]:
        return {"alg": "ES256", "kid": self.kid, "typ": "firstbell-clearance"}

    def good(self) -> Iterator[tuple[str, str]]:
        """Yield tokens to take, by name."""
        yield "current key", sign(self.clearance(), self.key)
        yield "old key", sign(self.clearance(), self.old)
        yield "capitals of the host", sign(self.clearance(host="LAB3-07"), self.key)
        yield "nobody's files", sign(self.clearance(users=()), self.key)
        yield "clock a little ahead", sign(self.clearance(iat=self.now + timedelta(minutes=3)), self.key)

    def bad(self) -> Iterator[tuple[str, str]]:
        """Yield tokens to refuse, by name: what each check can tell, whatever it is written in."""
        token = sign(self.clearance(), self.key)
        header, claims, signature = token.split(".")
        value = self.clearance().to_claims()
        yield "empty", ""
        yield "no token", "not-a-token"
        yield "no signature", f"{header}.{claims}"
        yield "empty signature", f"{header}.{claims}."
        yield "four parts", f"{token}.{signature}"
        yield "foreign key", sign(self.clearance(), generate())
        yield "foreign key, our id", self._signed_by(generate(), self.header, value)
        yield "another host", sign(self.clearance(host="lab3-08"), self.key)
        yield "a longer host", sign(self.clearance(host="lab3-071"), self.key)
        yield "expired", sign(self.clearance(expiry=self.now - timedelta(seconds=1)), self.key)
        yield "from the future", sign(self.clearance(iat=self.now + timedelta(minutes=10)), self.key)
        yield "forged claims", f"{header}.{part({**value, 'host': 'lab3-08'})}.{signature}"
        longer = (self.now + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield "forged expiry", f"{header}.{part({**value, 'expiry': longer})}.{signature}"
        flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
        flipped[40] ^= 1
        yield "forged signature", f"{header}.{claims}.{encode(bytes(flipped))}"
        yield "signature of zeros", f"{header}.{claims}.{encode(bytes(64))}"
        order = ORDER.to_bytes(32, "big")
        yield "signature of the order", f"{header}.{claims}.{encode(order + order)}"
        yield "signature in DER", f"{header}.{claims}.{encode(self._der(f'{header}.{claims}'))}"
        for alg in ("none", "None", "nOnE", ""):
            yield f"alg {alg!r}, no signature", f"{part({**self.header, 'alg': alg})}.{claims}."
            yield f"alg {alg!r}, signature", f"{part({**self.header, 'alg': alg})}.{claims}.{signature}"
        yield "alg none, rightly signed", self.signed({**self.header, "alg": "none"}, value)
        # The public key as the secret of an HMAC: who lets the token choose, takes it.
        for secret in (self.pem, public_pem(self.key.public_key()), public_pem(self.key.public_key()).strip()):
            confused = f"{part({**self.header, 'alg': 'HS256'})}.{claims}"
            mac = hmac.new(secret, confused.encode(), hashlib.sha256).digest()
            yield f"HS256 with the public key, {len(secret)} bytes", f"{confused}.{encode(mac)}"
            yield f"the same, 64 bytes of {len(secret)}", f"{confused}.{encode(mac * 2)}"
        yield "alg RS256", self.signed({**self.header, "alg": "RS256"}, value)
        yield "alg ES384", self.signed({**self.header, "alg": "ES384"}, value)
        yield "unknown key id", self.signed({**self.header, "kid": "0" * 16}, value)
        yield "key id of the old key", self.signed({**self.header, "kid": key_id(self.old.public_key())}, value)
        yield "no key id", self.signed({"alg": "ES256", "typ": "firstbell-clearance"}, value)
        yield "another type", self.signed({**self.header, "typ": "JWT"}, value)
        text = json.dumps(value, separators=(",", ":"))
        yield "host twice", self.signed(self.header, text.replace("{", '{"host":"lab3-08",', 1))
        yield "host twice, the other way", self.signed(self.header, text[:-1] + ',"host":"lab3-08"}')
        yield "expiry twice", self.signed(self.header, text[:-1] + f',"expiry":"{longer}"}}')
        twice = json.dumps(self.header).replace("{", '{"alg":"none",', 1)
        yield "alg twice", self.signed(twice, value)

    def strict(self) -> Iterator[tuple[str, str]]:
        """Yield more to refuse: rightly signed, but not what ``sign`` writes."""
        token = sign(self.clearance(), self.key)
        header, claims, signature = token.split(".")
        value = self.clearance().to_claims()
        jwk = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}
        yield "a key in the header", self.signed({**self.header, "jwk": jwk}, value)
        yield "crit", self.signed({**self.header, "crit": ["exp"]}, value)
        yield "padded", f"{header}.{claims}.{signature}=="
        yield "a space within", f"{header}. {claims}.{signature}"
        last = signature[-1]
        other = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        yield "another spelling", f"{header}.{claims}.{signature[:-1]}{other[other.index(last) ^ 1]}"
        for name in value:
            yield f"without {name}", self.signed(self.header, {key: one for key, one in value.items() if key != name})
            yield f"no {name}", self.signed(self.header, {**value, name: None})
            yield f"a list as {name}", self.signed(self.header, {**value, name: [1]})
        yield "one more claim", self.signed(self.header, {**value, "more": 1})
        yield "a number as time", self.signed(self.header, {**value, "expiry": 4102444800})
        yield "a day as time", self.signed(self.header, {**value, "expiry": "2099-01-01"})
        yield "no such day", self.signed(self.header, {**value, "expiry": "2099-02-31T00:00:00Z"})
        yield "another zone", self.signed(self.header, {**value, "expiry": "2099-01-01T00:00:00+09:00"})
        yield "users as text", self.signed(self.header, {**value, "users": "a.ito"})
        yield "true as a number", self.signed(self.header, {**value, "skips": True})
        yield "verified before captured", sign(self.clearance(verified_at=self.now - timedelta(hours=3)), self.key)
        yield (
            "ends before it begins",
            sign(self.clearance(iat=self.now + timedelta(minutes=4), expiry=self.now + timedelta(minutes=3)), self.key),
        )
        for name, wrong in (("id", ""), ("site", ""), ("users", [1]), ("expiry", "2099-1-1T0:0:0Z")):
            yield f"{wrong!r} as {name}", self.signed(self.header, {**value, name: wrong})
        text = json.dumps(value, separators=(",", ":"))
        yield "host within another claim", self.signed(self.header, text.replace('"host"', '"site":{"host"', 1))
        yield "host twice, once escaped", self.signed(self.header, text[:-1] + ',"ho\\u0073t":"lab3-08"}')
        yield "text behind it", self.signed(self.header, text + "x")
        yield "two tokens", f"{token}\n{token}"
        yield "a line break within", f"{token[:50]}\n{token[50:]}"
        yield "a zero byte behind it", f"{token}\0"
        yield "a list", self.signed(self.header, "[]")
        yield "no JSON", self.signed(self.header, "{")
        yield "not a number", self.signed(self.header, '{"skips":NaN}')
        yield "deep", self.signed(self.header, "[" * 5000)
        yield "too long", self.signed(self.header, {**value, "site": "x" * 20_000})

    def _signed_by(self, key: ec.EllipticCurvePrivateKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
        signed = f"{part(header)}.{part(claims)}"
        return f"{signed}.{encode(raw_signature(key, signed))}"

    def _der(self, signed: str) -> bytes:
        return self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
