"""What was written for a host and is to become lines: pieces inline, or segments as soon as they are in the spool."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from typing import Final

from tasks.errors import FirstbellError
from tasks.remote.channels.spool import HostSpool, Stored

#: A larger piece goes through the spool, in bytes.
SPOOLED: Final = 64 * 1024
#: Largest piece in one line, before base64, in bytes.
_LINE: Final = 192 * 1024
#: Bytes that wait to be cut into pieces when there is no spool.
_UNCUT: Final = 1024 * 1024
#: Segments that are not in the spool yet, or that the host has not got yet: they are kept in memory.
_KEPT: Final = 6
#: Less than a whole segment is made into one only while fewer than this are under way.
_FEW: Final = 2


class _Piece:
    def __init__(self, content: bytes, number: int = 0, stored: Future[Stored] | None = None) -> None:
        self.content, self.number, self.stored = content, number, stored
        self.at = 0


class Departures:
    """The queue; whoever uses it holds a lock. ``wake`` is called by other threads when a segment is stored."""

    def __init__(self, spool: HostSpool | None, segment: int, wake: Callable[[Future[Stored]], object]) -> None:
        self._spool = spool
        #: Whether the spool is used; see ``go_inline``.
        self.spooling = spool is not None
        self._segment = segment
        self._wake = wake
        self._uncut = bytearray()
        self._pieces: deque[_Piece] = deque()
        #: What lies in the spool and the host has not got yet.
        self._not_got: dict[int, bytes] = {}
        self._again: deque[_Piece] = deque()
        self._made = 0

    def __bool__(self) -> bool:
        return bool(self._uncut or self._pieces or self._again)

    @property
    def size(self) -> int:
        """Bytes that have not become lines."""
        return len(self._uncut) + sum(len(piece.content) - piece.at for piece in self._pieces)

    def add(self, data: memoryview) -> int:
        """Take as much of ``data`` as there is room for, and return how much that is."""
        room = (self._segment if self.spooling else _UNCUT) - len(self._uncut)
        if room <= 0:
            return 0
        self._uncut += data[:room]
        return min(room, len(data))

    def clear(self) -> None:
        """Drop everything."""
        self._uncut.clear()
        self._pieces.clear()

    def cut(self) -> bool:
        """Make pieces of what was added; return whether there is more room now.

        What is small waits for more as long as other pieces are under way, so there are large ones where it counts.
        """
        before = len(self._uncut)
        while self._uncut:
            size = len(self._uncut)
            waiting = len(self._pieces) + len(self._not_got) + len(self._again)
            if self.spooling and self._spool is not None and size >= SPOOLED:
                if waiting >= (_KEPT if size >= self._segment else _FEW):
                    break
                content = bytes(memoryview(self._uncut)[: self._segment])
                self._made += 1
                piece = _Piece(content, self._made, self._spool.store(self._made, content))
            elif self._pieces:
                break
            else:
                content = bytes(self._uncut)
                piece = _Piece(content)
            self._pieces.append(piece)
            if piece.stored is not None:
                piece.stored.add_done_callback(self._wake)
            del self._uncut[: len(content)]
        return len(self._uncut) != before

    def next_line(self) -> tuple[str, bytes] | None:
        """Return kind and body of the next line, None while there is none. Raises what storing a segment raised."""
        if self._again:
            piece = self._again[0]
            body = piece.number.to_bytes(8, "big") + self._part(piece, self._again)
            return "i", body
        if not self._pieces:
            return None
        piece = self._pieces[0]
        if piece.stored is not None:
            if not piece.stored.done():
                return None
            stored = self._result(piece.stored)
            self._pieces.popleft()
            self._not_got[piece.number] = piece.content
            fields = {"n": piece.number, "size": stored.size, "plain": len(piece.content), "url": stored.url}
            return "s", json.dumps(fields, separators=(",", ":")).encode("ascii")
        return "d", self._part(piece, self._pieces)

    def _result(self, stored: Future[Stored]) -> Stored:
        try:
            return stored.result()
        except CancelledError:
            raise FirstbellError("the link to the helper is closed") from None

    def _part(self, piece: _Piece, queue: deque[_Piece]) -> bytes:
        part = piece.content[piece.at : piece.at + _LINE]
        piece.at += len(part)
        if piece.at == len(piece.content):
            queue.popleft()
        return part

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Return those of the segments in the spool that the host has not got."""
        return [number for number in numbers if number in self._not_got]

    def got(self, number: int) -> int:
        """Forget a segment that the host has; return its size in clear, 0 when it is none of ours."""
        return len(self._not_got.pop(number, b""))

    def go_inline(self) -> None:
        """Use the spool no more; what the host has not got from there goes inline, too."""
        self.spooling = False
        self._again.extend(_Piece(content, number) for number, content in self._not_got.items())
        self._not_got.clear()
        for piece in self._pieces:
            piece.stored = None
