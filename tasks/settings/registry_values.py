"""Values of the registry as Windows stores them, bytes and a number for their kind, and as entries have them.

Numbers of kinds: ``winnt.h``. A value that is not what its kind says, or of a kind that is no setting (links, resource
lists of drivers), is none here: it is not captured.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

from tasks.settings.values import Value

_KINDS: Final[Mapping[int, str]] = {
    0: "REG_NONE",
    1: "REG_SZ",
    2: "REG_EXPAND_SZ",
    3: "REG_BINARY",
    4: "REG_DWORD",
    7: "REG_MULTI_SZ",
    11: "REG_QWORD",
}
_NUMBERS: Final[Mapping[str, int]] = {name: number for number, name in _KINDS.items()}
_SIZES: Final[Mapping[str, int]] = {"REG_DWORD": 4, "REG_QWORD": 8}


def from_stored(number: int, data: bytes) -> Value | None:
    """Return the value that Windows stores so; None when it is none of those that settings have."""
    kind = _KINDS.get(number)
    if kind is None:
        return None
    if kind in _SIZES:
        return Value(kind, int.from_bytes(data, "little")) if len(data) == _SIZES[kind] else None
    if kind in ("REG_BINARY", "REG_NONE"):
        return Value(kind, base64.b64encode(data).decode("ascii"))
    try:
        text = data.decode("utf-16-le")
    except UnicodeDecodeError:
        return None
    return Value(kind, _texts(text)) if kind == "REG_MULTI_SZ" else Value(kind, text.rstrip("\0"))


def to_stored(value: Value) -> tuple[int, bytes]:
    """Return the number of a value's kind and its bytes. Raises ``KeyError`` when it is no value of the registry."""
    number = _NUMBERS[value.kind]
    if value.kind in _SIZES:
        return number, int(value.data).to_bytes(_SIZES[value.kind], "little")
    if value.kind in ("REG_BINARY", "REG_NONE"):
        return number, base64.b64decode(value.data)
    text = "".join(f"{one}\0" for one in value.data) if value.kind == "REG_MULTI_SZ" else value.data
    return number, f"{text}\0".encode("utf-16-le")


def _texts(text: str) -> tuple[str, ...]:
    """Return the texts of a list: each ends with a NUL, and the list with another one, which some writers forget."""
    parts = text.removesuffix("\0").split("\0")
    if parts[-1] == "":
        parts.pop()
    return tuple(parts)
