"""The lines of an envelope: numbered, checked, replayable.

``<kind> <seq> <ack> <check> <body>``, ASCII; ``check`` is the start of the SHA-256 of the other four, ``body`` is
base64, ``-`` when empty. A line that does not match its check is not there: the numbers tell that it is missing.

``Outbox`` and ``Inbox`` are the two ends of one direction: what was sent and is not acknowledged, and what is due next.
They know no threads and no clock.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

#: Kinds that count; any other is a remark that carries the last number sent.
NUMBERED: Final = frozenset("dskuxni")
#: What is kept of what came too early, in bytes: more than a window, so nothing of the agreed sort is lost.
_EARLY: Final = 8 * 1024 * 1024
#: A line longer than this is damage: the largest legal one is 192 KiB as base64, in bytes.
MAX_LINE: Final = 512 * 1024

_LINE: Final = re.compile(rb"([a-z]) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-f]{8}) ([A-Za-z0-9+/=-]+)\r?")


class Line(NamedTuple):
    """One line: its kind, number, the number it acknowledges, and the body in clear."""

    kind: str
    seq: int
    ack: int
    body: bytes = b""


def encode_line(line: Line) -> bytes:
    """Return the text of a line, with its newline."""
    head = b"%s %d %d" % (line.kind.encode("ascii"), line.seq, line.ack)
    body = base64.b64encode(line.body) or b"-"
    return b"%s %s %s\n" % (head, _check(head, body), body)


def decode_line(text: bytes) -> Line | None:
    """Return the line that ``text`` (without its newline) is, or None when it is damaged or no line at all."""
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    kind, seq, ack, check, body = found.groups()
    if _check(b"%s %s %s" % (kind, seq, ack), body) != check:
        return None
    try:
        content = b"" if body == b"-" else binascii.a2b_base64(body)
    except binascii.Error:
        return None
    return Line(kind.decode("ascii"), int(seq), int(ack), content)


def _check(head: bytes, body: bytes) -> bytes:
    return hashlib.sha256(b"%s %s" % (head, body)).hexdigest()[:8].encode("ascii")


class LineSplitter:
    """Cuts a stream of bytes into lines; ``damaged`` counts what was none."""

    def __init__(self) -> None:
        self.damaged = 0
        self._begun: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that end within ``piece``."""
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            text = piece[start:end]
            if self._begun:
                text = b"".join([*self._begun, text])
                self._begun.clear()
                self._size = 0
            start = end + 1
            line = decode_line(text)
            if line is not None:
                yield line
            elif text.strip():
                self.damaged += 1
        if start < len(piece):
            self._size += len(piece) - start
            # Of a line that is too long, the beginning alone is kept: enough for its check to fail.
            if self._size <= MAX_LINE or not self._begun:
                self._begun.append(piece[start : start + MAX_LINE])


class Outbox:
    """What was sent and is not acknowledged. Lines leave in order; ``rewind`` lets them leave once more."""

    def __init__(self) -> None:
        #: Bytes of all lines kept.
        self.size = 0
        #: The highest number acknowledged.
        self.acked = 0
        #: The highest acknowledgement of the other direction that has left.
        self.told = 0
        self._lines: deque[tuple[bytes, int]] = deque()
        self._next = 0

    def add(self, kind: str, body: bytes, ack: int) -> None:
        """Number a line and keep it."""
        text = encode_line(Line(kind, self.last + 1, ack, body))
        self._lines.append((text, ack))
        self.size += len(text)

    @property
    def last(self) -> int:
        """The highest number given."""
        return self.acked + len(self._lines)

    @property
    def sent(self) -> int:
        """The number of the line that left last: what a remark has to carry."""
        return self.acked + self._next

    def next(self) -> bytes | None:
        """Return the next line to write, None when all have left."""
        if self._next == len(self._lines):
            return None
        text, ack = self._lines[self._next]
        self._next += 1
        self.told = max(self.told, ack)
        return text

    def remark(self, body: bytes, ack: int) -> bytes:
        """Return a line without a number of its own, to be written now."""
        self.told = max(self.told, ack)
        return encode_line(Line("a", self.sent, ack, body))

    def acknowledge(self, number: int) -> bool:
        """Forget what has arrived; return whether that was anything."""
        count = min(number - self.acked, len(self._lines))
        if count <= 0:
            return False
        for _ in range(count):
            self.size -= len(self._lines.popleft()[0])
        self.acked += count
        self._next = max(0, self._next - count)
        return True

    def rewind(self) -> None:
        """Let all lines that are not acknowledged leave once more."""
        self._next = 0


class Inbox:
    """What is due next. What comes behind a gap is kept, so that only what is missing has to come once more.

    A gap is asked for when the numbers jump over what is due, and so again whenever a replay does.
    """

    def __init__(self) -> None:
        #: The highest number received in order.
        self.last = 0
        #: Whether 'again' is to be sent now; whoever sends it takes this back.
        self.ask = False
        #: Whether the other end should know at once how far we are: it is repeating what has arrived.
        self.answer = False
        self._highest = 0
        self._before = 0
        self._early: dict[int, Line] = {}
        self._early_size = 0

    @property
    def missing(self) -> bool:
        """Whether something behind ``last`` is known to be missing."""
        return self.last < self._highest

    def accept(self, line: Line) -> list[Line]:
        """Return the lines to act on: a remark, or all that are in order now."""
        before, seq = self._before, line.seq
        self._highest = max(self._highest, seq)
        if line.kind not in NUMBERED:
            if seq > self.last and before <= self.last:
                self.ask = True
            self._before = max(before, seq)
            return [line]
        self._before = seq
        if seq == self.last + 1:
            return self._in_order(line)
        if seq <= self.last:
            self.answer = True
            return []
        if before <= self.last or seq < before:
            self.ask = True
        if seq not in self._early and self._early_size < _EARLY:
            self._early[seq] = line
            self._early_size += len(line.body)
        return []

    def _in_order(self, line: Line) -> list[Line]:
        found = [line]
        while (follower := self._early.pop(found[-1].seq + 1, None)) is not None:
            self._early_size -= len(follower.body)
            found.append(follower)
        self.last = found[-1].seq
        if len(found) > 1:
            self.answer = True
        self.ask = self.ask and self.missing
        return found
