"""zstd for blobs and files of format version 2.

Source: restic's ``doc/design.rst``, "Unpacked Data Format": a version byte 2 before the zstd frame; plain JSON begins
with ``{`` or ``[``.
"""

from __future__ import annotations

import threading
from typing import Final

import zstandard

from tasks.backends.base import Buffer

#: zstd's own default, and about what the stock client's "auto" gives.
LEVEL: Final = 3
_COMPRESSED_FILE: Final = b"\x02"
#: No file but packs comes near this, in bytes; a frame that claims more is not unpacked.
_MAX_FILE: Final = 1 << 30


class Zstd:
    """Compressor and decompressor for any thread: zstd's contexts serve one at a time, so each thread has its own."""

    def __init__(self, level: int = LEVEL) -> None:
        self._level = level
        self._local = threading.local()

    def compress(self, data: Buffer) -> bytes:
        """Return one zstd frame that tells its content size."""
        context = getattr(self._local, "compressor", None)
        if context is None:
            context = self._local.compressor = zstandard.ZstdCompressor(level=self._level)
        compressed: bytes = context.compress(data)
        return compressed

    def decompress(self, data: Buffer, size: int) -> bytes:
        """Return the content of a frame, at most ``size`` bytes. Raises ``ValueError``."""
        context = getattr(self._local, "decompressor", None)
        if context is None:
            context = self._local.decompressor = zstandard.ZstdDecompressor()
        try:
            claimed = zstandard.frame_content_size(data)
            if claimed > size:
                raise ValueError(f"a zstd frame of {claimed} bytes where {size} are expected")
            plain: bytes = context.decompress(data, max_output_size=size)
        except zstandard.ZstdError as error:
            raise ValueError(f"not a zstd frame: {error}") from error
        return plain

    def wrap_file(self, data: Buffer) -> bytes:
        """Return the content of a file in the form that version 2 stores."""
        return _COMPRESSED_FILE + self.compress(data)

    def unwrap_file(self, data: bytes) -> bytes:
        """Return the content behind either form. Raises ``ValueError`` on any other."""
        if data[:1] in (b"{", b"["):
            return data
        if data[:1] != _COMPRESSED_FILE:
            raise ValueError(f"a file that begins with byte {data[:1].hex()}: written by a newer client?")
        frame = memoryview(data)[1:]
        try:
            claimed = zstandard.frame_content_size(frame)
        except zstandard.ZstdError as error:
            raise ValueError(f"not a zstd frame: {error}") from error
        # A frame may keep its size to itself; then the buffer has to be of the largest possible.
        return self.decompress(frame, claimed if 0 <= claimed <= _MAX_FILE else _MAX_FILE)
