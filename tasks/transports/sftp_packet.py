"""The fields of SFTP packets: numbers, strings, attributes (draft-ietf-secsh-filexfer-02, sections 3 and 5)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from tasks.errors import ProtocolError

# Types of answers.
STATUS: Final = 101
HANDLE: Final = 102
DATA: Final = 103
NAME: Final = 104
ATTRIBUTES: Final = 105

_SIZE: Final = 0x01
_OWNER: Final = 0x02
_MODE: Final = 0x04
_TIMES: Final = 0x08
_EXTENDED: Final = 0x80000000


def string(value: bytes) -> bytes:
    """Return a string as it goes over the wire."""
    return struct.pack(">I", len(value)) + value


class Attributes(NamedTuple):
    """What SFTP knows of a file; None where the server did not say. Times are whole seconds, in 32 bits."""

    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    atime: int | None = None
    mtime: int | None = None

    def pack(self) -> bytes:
        """Return the attributes as they go over the wire."""
        flags = 0
        parts: list[bytes] = []
        if self.size is not None:
            flags |= _SIZE
            parts.append(struct.pack(">Q", self.size))
        if self.uid is not None and self.gid is not None:
            flags |= _OWNER
            parts.append(struct.pack(">II", self.uid, self.gid))
        if self.mode is not None:
            flags |= _MODE
            parts.append(struct.pack(">I", self.mode))
        if self.atime is not None and self.mtime is not None:
            flags |= _TIMES
            parts.append(struct.pack(">II", self.atime, self.mtime))
        return struct.pack(">I", flags) + b"".join(parts)


class Packet:
    """A packet's fields, taken one after the other. Raises ``ProtocolError`` when it is too short."""

    __slots__ = ("_at", "_body")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def _skip(self, length: int) -> int:
        start = self._at
        self._at = start + length
        if self._at > len(self._body):
            raise ProtocolError("an SFTP packet is too short for what it says")
        return start

    def u32(self) -> int:
        """Take a number of 4 bytes."""
        start = self._skip(4)
        return int.from_bytes(self._body[start : start + 4], "big")

    def u64(self) -> int:
        """Take a number of 8 bytes."""
        start = self._skip(8)
        return int.from_bytes(self._body[start : start + 8], "big")

    def string(self) -> bytes:
        """Take a string."""
        length = self.u32()
        start = self._skip(length)
        return self._body[start : start + length]

    def rest(self) -> bytes:
        """Return what was not taken yet."""
        return self._body[self._at :]

    def status(self) -> tuple[int, str]:
        """Take a status: its code and what the server says about it, which some leave out."""
        code = self.u32()
        return code, self.string().decode("utf-8", "replace") if self.rest() else ""

    def attributes(self) -> Attributes:
        """Take attributes."""
        flags = self.u32()
        size = self.u64() if flags & _SIZE else None
        uid, gid = (self.u32(), self.u32()) if flags & _OWNER else (None, None)
        mode = self.u32() if flags & _MODE else None
        atime, mtime = (self.u32(), self.u32()) if flags & _TIMES else (None, None)
        if flags & _EXTENDED:
            for _ in range(self.u32()):
                self.string()
                self.string()
        return Attributes(size, uid, gid, mode, atime, mtime)
