"""Frames over the standard streams of a program: an SSH exec channel or a local pipe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tasks.errors import ProtocolError, Timeout
from tasks.remote.channels.base import Channel
from tasks.remote.exit_codes import failure
from tasks.remote.frames import MAX_HEADER, Frame, decode_header, encode_header
from tasks.transports.base import Buffer, Stream

#: How much is asked of the stream at once, in bytes.
_READ: Final = 1024 * 1024
#: Payloads below this size are copied, so that a small file does not keep a large piece of input alive.
_SMALL: Final = 64 * 1024
#: Small frames are joined up to about this size, in bytes.
_JOINED: Final = 256 * 1024
#: How long a program that has closed its output may take to end, in seconds.
_GRACE: Final = 5.0


class StreamChannel(Channel):
    """Carries frames over one stream; ``begun`` is what was read of it already."""

    def __init__(self, stream: Stream, host: str, begun: bytes = b"") -> None:
        self._stream = stream
        self._host = host
        self._piece: bytes = begun
        self._at = 0

    @property
    def depth(self) -> int:
        """What the stream says."""
        return self._stream.depth

    def send(self, frame: Frame) -> None:
        """Send one frame."""
        self.send_all((frame,))

    def send_all(self, frames: Iterable[Frame]) -> None:
        """Send frames in order, small ones in one write."""
        parts: list[Buffer] = []
        size = 0
        for frame in frames:
            header = encode_header(frame.header, len(frame.payload))
            parts.append(header)
            size += len(header) + len(frame.payload)
            if len(frame.payload) >= _JOINED:
                # Only its beginning is copied, so that the header does not go out alone.
                payload = memoryview(frame.payload)
                self._stream.write(b"".join((*parts, payload[:_SMALL])))
                self._stream.write(payload[_SMALL:])
                parts, size = [], 0
                continue
            if len(frame.payload):
                parts.append(frame.payload)
            if size >= _JOINED:
                self._stream.write(b"".join(parts))
                parts, size = [], 0
        if parts:
            self._stream.write(b"".join(parts))

    def receive(self) -> Frame:
        """Return the next frame; a large payload is a view of the input, not a copy."""
        header = decode_header(self._line())
        length = header.get("length", 0)
        return Frame(header, self._take(length) if length else b"")

    def _line(self) -> bytes:
        end = self._piece.find(b"\n", self._at)
        if end >= 0:
            line = self._piece[self._at : end]
            self._at = end + 1
            return line
        begun = [self._piece[self._at :]]
        size = len(begun[0])
        while True:
            piece = self._read()
            end = piece.find(b"\n")
            begun.append(piece if end < 0 else piece[:end])
            size += len(begun[-1])
            if size >= MAX_HEADER:
                raise ProtocolError(f"a frame's header exceeds {MAX_HEADER} bytes", host=self._host)
            if end >= 0:
                self._piece, self._at = piece, end + 1
                return b"".join(begun)

    def _take(self, length: int) -> Buffer:
        start, end = self._at, self._at + length
        if end <= len(self._piece):
            self._at = end
            return self._piece[start:end] if length < _SMALL else memoryview(self._piece)[start:end]
        payload = bytearray(length)
        have = len(self._piece) - start
        payload[:have] = memoryview(self._piece)[start:]
        while True:
            piece = self._read()
            if have + len(piece) >= length:
                self._piece, self._at = piece, length - have
                payload[have:] = memoryview(piece)[: self._at]
                return memoryview(payload) if length >= _SMALL else bytes(payload)
            payload[have : have + len(piece)] = piece
            have += len(piece)

    def _read(self) -> bytes:
        piece = self._stream.read(_READ)
        if piece:
            return piece
        try:
            code = self._stream.wait(_GRACE)
        except Timeout:
            code = 0
        raise failure(code, self._stream.error_text(), self._host)

    def close(self) -> None:
        """End the program."""
        self._stream.close()
