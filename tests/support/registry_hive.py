"""Writes small registry hives as Windows has them on the disk (NTUSER.DAT).

Format: "Windows registry file format specification" by M. Suhanov. Keys are nested dicts; a value is a text (REG_SZ),
or a ``bytes`` for REG_EXPAND_SZ in UTF-16.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

Key = Mapping[str, Any]
_NONE = 0xFFFFFFFF


def expand(text: str) -> bytes:
    """Return a REG_EXPAND_SZ of this text."""
    return text.encode("utf-16-le") + b"\0\0"


def hive(root: Key) -> bytes:
    """Return a hive with these keys below its root."""
    writer = _Writer()
    top = writer.key("ROOT", root)
    cells = writer.cells
    size = -len(cells) % 4096 + len(cells)
    base = struct.pack("<4sIIQIIIIII", b"regf", 1, 1, 0, 1, 5, 0, 1, top, size)
    return base.ljust(4096, b"\0") + cells.ljust(size, b"\0")


class _Writer:
    def __init__(self) -> None:
        self.cells = bytearray(b"hbin".ljust(32, b"\0"))

    def cell(self, content: bytes) -> int:
        """Add a cell; return its offset."""
        offset = len(self.cells)
        size = 4 + len(content) + -(4 + len(content)) % 8
        self.cells += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return offset

    def key(self, name: str, content: Key) -> int:
        children = [self.key(below, part) for below, part in content.items() if isinstance(part, Mapping)]
        values = [self.value(below, part) for below, part in content.items() if not isinstance(part, Mapping)]
        keys_list = self.children(children)
        values_list = self.cell(struct.pack(f"<{len(values)}I", *values)) if values else _NONE
        latin = name.isascii()
        text = name.encode("latin-1") if latin else name.encode("utf-16-le")
        head = struct.pack("<2sHQIIIIII", b"nk", 0x20 if latin else 0, 0, 0, 0, len(children), 0, keys_list, _NONE)
        head += struct.pack("<IIII", len(values), values_list, _NONE, _NONE) + bytes(20)
        return self.cell(head + struct.pack("<HH", len(text), 0) + text)

    def children(self, keys: list[int]) -> int:
        if not keys:
            return _NONE
        # Long lists are lists of lists in Windows; here from three keys on, so that both kinds are read.
        if len(keys) >= 3:
            parts = [self.children(keys[:2]), self.children(keys[2:])]
            return self.cell(struct.pack("<2sH2I", b"ri", 2, *parts))
        return self.cell(
            struct.pack("<2sH", b"lf", len(keys)) + b"".join(struct.pack("<I4s", key, b"") for key in keys)
        )

    def value(self, name: str, value: str | bytes) -> int:
        kind, data = (2, value) if isinstance(value, bytes) else (1, expand(value))
        size, at = len(data), 0
        if size <= 4:
            size, at = size | 0x80000000, int.from_bytes(data.ljust(4, b"\0"), "little")
        else:
            at = self.cell(data)
        text = name.encode("latin-1")
        return self.cell(struct.pack("<2sHIIIHH", b"vk", len(text), size, at, kind, 1, 0) + text)
