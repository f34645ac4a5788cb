"""What has come from a host and is to be read, in order: pieces, and segments that are still in the spool."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, Final

from tasks.errors import ProtocolError, Unreachable
from tasks.remote.channels.spool import THREADS, HostSpool

#: Pieces that may wait to be read before the host has to wait, in bytes.
UNREAD: Final = 4 * 1024 * 1024
#: A host that sends more than its window allows is no helper of ours.
_FLOOD: Final = 32 * 1024 * 1024
_LARGEST_SEGMENT: Final = 64 * 1024 * 1024


class _Segment:
    def __init__(self, number: int, size: int, plain: int) -> None:
        self.number, self.size, self.plain = number, size, plain
        self.content: Future[bytes] | None = None


class Arrivals:
    """The queue; whoever uses it holds a lock. ``wake`` is called by other threads when a segment has come."""

    def __init__(self, spool: HostSpool | None, wake: Callable[[Future[bytes]], object]) -> None:
        self._spool = spool
        self._wake = wake
        self._queue: deque[bytes | _Segment] = deque()
        self._at = 0
        #: Bytes that wait, segments apart: of those, a few are in memory, and the others in the spool.
        self.unread = 0
        self._counted = True
        self._segments: deque[_Segment] = deque()
        self._last = 0
        #: The number of the last segment that was taken out of the spool.
        self.taken = 0

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, content: bytes) -> None:
        """Take a piece."""
        if not content:
            return
        self._queue.append(content)
        self.unread += len(content)
        if self.unread > _FLOOD:
            raise ProtocolError("the helper sends more than it may")

    def add_segment(self, fields: dict[str, Any], offered: int) -> int:
        """Take a reference to a segment, whose number is at most ``offered``; return its size in clear."""
        number, size, plain = (_number(fields, name) for name in ("n", "size", "plain"))
        if (
            self._spool is None
            or not self._last < number <= offered
            or not 0 < plain <= _LARGEST_SEGMENT
            or not 0 < size <= 2 * _LARGEST_SEGMENT
        ):
            raise ProtocolError("the helper names a spool segment that cannot be")
        self._last = number
        segment = _Segment(number, size, plain)
        self._queue.append(segment)
        self._segments.append(segment)
        self._prefetch()
        return plain

    def read(self, limit: int) -> bytes | None:
        """Return up to ``limit`` bytes, None when the next ones are not here yet. Raises what fetching them raised."""
        head = self._queue[0] if self._queue else None
        if isinstance(head, _Segment):
            if head.content is None or not head.content.done():
                return None
            try:
                content = head.content.result()
            except CancelledError:
                raise Unreachable("the link to the helper is closed") from None
            self._queue[0] = head = content
            self._counted = False
            self.taken = self._segments.popleft().number
            self._prefetch()
        if head is None:
            return None
        piece = head[self._at : self._at + limit]
        self._at += len(piece)
        if self._counted:
            self.unread -= len(piece)
        if self._at == len(head):
            self._queue.popleft()
            self._at = 0
            self._counted = True
        return piece

    def clear(self) -> None:
        """Drop everything: nobody will read it."""
        self._queue.clear()
        self._segments.clear()
        self._at = self.unread = 0
        self._counted = True

    def _prefetch(self) -> None:
        """Fetch the next few segments, not more: until they are read they lie in memory."""
        for segment, _ in zip(self._segments, range(THREADS), strict=False):
            if segment.content is None and self._spool is not None:
                segment.content = self._spool.fetch(segment.number, segment.size, segment.plain)
                segment.content.add_done_callback(self._wake)


def _number(fields: dict[str, Any], name: str) -> int:
    found = fields.get(name)
    return found if isinstance(found, int) else -1
