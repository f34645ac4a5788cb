"""The config file: format version, repository ID, and the secret polynomial of the chunker.

Source: restic's ``doc/design.rst``, "Repository Layout"; ``restic/chunker`` for the polynomial: irreducible over GF(2),
of degree 53. Encrypted, never compressed.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, field
from typing import Final

from tasks.backends.base import Buffer

VERSIONS: Final = (1, 2)
_DEGREE: Final = 53


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The parameters of a repository; ``id`` is hex. The polynomial is secret: it decides the sizes of chunks."""

    version: int
    id: str
    chunker_polynomial: str = field(repr=False)

    @classmethod
    def new(cls, version: int) -> ConfigFile:
        """Return the config of a new repository."""
        return cls(version, os.urandom(32).hex(), f"{random_polynomial():x}")

    def encode(self) -> bytes:
        """Return the JSON form, with the keys in restic's order."""
        document = {"version": self.version, "id": self.id, "chunker_polynomial": self.chunker_polynomial}
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: Buffer) -> ConfigFile:
        """Return the config in a file. Raises ``ValueError`` when it is none."""
        try:
            found = json.loads(bytes(data))
            config = cls(int(found["version"]), str(found["id"]), str(found["chunker_polynomial"]))
            int(config.chunker_polynomial, 16)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a config: {error!r}") from error
        return config


def random_polynomial() -> int:
    """Return a random irreducible polynomial of degree 53, bit n being the coefficient of x^n."""
    while True:
        candidate = secrets.randbits(_DEGREE) | 1 << _DEGREE | 1
        if is_irreducible(candidate):
            return candidate


def is_irreducible(polynomial: int) -> bool:
    """Return whether a polynomial of degree 53 is irreducible, by Rabin's test; 53 being prime, one gcd is enough."""
    power = 2  # the polynomial x
    first = 0
    for step in range(_DEGREE):
        power = _modulo(_square(power), polynomial)
        if step == 0:
            first = power
    return power == 2 and _gcd(polynomial, first ^ 2) == 1


def _square(polynomial: int) -> int:
    # Over GF(2) squaring spreads the bits apart: written in binary and read back in base 4.
    return int(f"{polynomial:b}", 4)


def _modulo(dividend: int, divisor: int) -> int:
    size = divisor.bit_length()
    while (length := dividend.bit_length()) >= size:
        dividend ^= divisor << (length - size)
    return dividend


def _gcd(left: int, right: int) -> int:
    while right:
        left, right = right, _modulo(left, right)
    return left
