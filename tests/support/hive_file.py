"""A registry hive as a file, such as NTUSER.DAT: what Windows reads of somebody who is not signed in.

As small as may be: keys, and values of text. Format: "Windows registry file format specification" by M. Suhanov.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

#: A key: its values (text, expanded where it holds a per cent sign, or kind and bytes) and its keys, by name.
Key = Mapping[str, "str | tuple[int, bytes] | Key"]

_NONE = 0xFFFFFFFF
_HEADER = 4096
_REG_SZ, _REG_EXPAND_SZ = 1, 2
_ROOT, _LATIN = 0x2C, 0x20
#: Up to four bytes lie in the place of their offset; more than this in several cells.
_INLINE, _SEGMENT = 0x80000000, 16344


def hive(root: Key) -> bytes:
    """Return the file that holds these keys."""
    cells = _Cells()
    top = cells.key("ROOT", root, _ROOT)
    size = -(-len(cells.data) // 4096) * 4096
    free = size - len(cells.data)
    data = bytearray(cells.data + (struct.pack("<i", free) + bytes(free - 4) if free else b""))
    struct.pack_into("<4sII", data, 0, b"hbin", 0, size)
    header = bytearray(_HEADER)
    struct.pack_into("<4sIIQIIIIIII", header, 0, b"regf", 1, 1, 0, 1, 5, 0, 1, top, size, 1)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", header[:508]):
        checksum ^= word
    struct.pack_into("<I", header, 508, checksum)
    return bytes(header + data)


class _Cells:
    """The one bin of the file; offsets count from its beginning."""

    def __init__(self) -> None:
        self.data = bytearray(32)

    def add(self, content: bytes) -> int:
        """Put a cell there and return its offset."""
        offset = len(self.data)
        size = -(-(len(content) + 4) // 8) * 8
        self.data += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return offset

    def key(self, name: str, content: Key, flags: int = _LATIN, parent: int = 0) -> int:
        """Put a key there, with everything in it."""
        raw = name.encode("latin-1")
        values = [self._value(one, value) for one, value in content.items() if isinstance(value, str | tuple)]
        list_at = self.add(struct.pack(f"<{len(values)}I", *values)) if values else _NONE
        keys = [(one, below) for one, below in content.items() if not isinstance(below, str | tuple)]
        keys.sort(key=lambda pair: pair[0].upper())
        offset = self.add(
            struct.pack("<2sHQI", b"nk", flags, 0, 0)
            + struct.pack("<IIIII", parent, len(keys), 0, _NONE, _NONE)
            + struct.pack("<IIII", len(values), list_at, _NONE, _NONE)
            + struct.pack("<IIIIIHH", 0, 0, 0, 0, 0, len(raw), 0)
            + raw
        )
        if keys:
            children = [(self.key(one, below, parent=offset), one) for one, below in keys]
            leaf = b"".join(struct.pack("<II", at, _hash(one)) for at, one in children)
            struct.pack_into("<I", self.data, offset + 4 + 28, self.add(struct.pack("<2sH", b"lh", len(keys)) + leaf))
        return offset

    def _value(self, name: str, value: str | tuple[int, bytes]) -> int:
        if isinstance(value, str):
            value = (_REG_EXPAND_SZ if "%" in value else _REG_SZ, f"{value}\0".encode("utf-16-le"))
        kind, data = value
        raw = name.encode("latin-1")
        size, at = len(data), int.from_bytes(data, "little")
        if size <= 4:
            size |= _INLINE
        elif size > _SEGMENT:
            parts = [self.add(data[start : start + _SEGMENT]) for start in range(0, size, _SEGMENT)]
            at = self.add(struct.pack("<2sHI", b"db", len(parts), self.add(struct.pack(f"<{len(parts)}I", *parts))))
        else:
            at = self.add(data)
        return self.add(struct.pack("<2sHIIIHH", b"vk", len(raw), size, at, kind, 1, 0) + raw)


def _hash(name: str) -> int:
    value = 0
    for letter in name.upper():
        value = (value * 37 + ord(letter)) & 0xFFFFFFFF
    return value
