"""The other end of an envelope in a test's own hands: it says and hears single lines. No part of the product."""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from typing import Any

from tasks.errors import FirstbellError, Timeout
from tasks.remote.channels.lines import Line, LineSplitter, encode_line
from tasks.remote.channels.segment import SegmentSeal
from tasks.transports.base import Buffer, Stream


class LinePeer(Stream):
    """A stream whose program is the test. Every wait ends after 10 s."""

    def __init__(self) -> None:
        self.heard: list[Line] = []
        self.closed = False
        self._changed = threading.Condition()
        self._splitter = LineSplitter()
        self._said: deque[bytes | FirstbellError] = deque()
        self._seq = 0
        self.acked = 0

    # What the test does.

    def say(self, kind: str, body: bytes = b"") -> None:
        """Send the next line; all that was heard is acknowledged."""
        self._seq += kind != "a"
        self.put(encode_line(Line(kind, self._seq, self.acked, body)))

    def tell(self, kind: str, document: object) -> None:
        self.say(kind, json.dumps(document).encode())

    def put(self, what: bytes | FirstbellError) -> None:
        """Let the stream return, or raise, this: ``b""`` is its end."""
        with self._changed:
            self._said.append(what)
            self._changed.notify_all()

    def hear(self, kind: str, count: int = 1) -> list[Line]:
        """Return the first ``count`` lines of a kind, when they have come."""
        with self._changed:
            found = self._changed.wait_for(lambda: len(self.of(kind)) >= count, 10)
            assert found, f"no {count} lines of kind {kind}: {[line.kind for line in self.heard]}"
            return self.of(kind)[:count]

    def of(self, kind: str) -> list[Line]:
        return [line for line in self.heard if line.kind == kind]

    def document(self, kind: str, number: int = 1) -> Any:
        """Return what the n-th line of a kind says."""
        return json.loads(self.hear(kind, number)[-1].body)

    def seal(self) -> SegmentSeal:
        return SegmentSeal(base64.b64decode(self.document("k")["key"]))

    # What the stream under test does.

    def write(self, data: Buffer) -> None:
        with self._changed:
            for line in self._splitter.feed(bytes(data)):
                self.heard.append(line)
            self._changed.notify_all()

    def read(self, limit: int) -> bytes:
        with self._changed:
            if not self._changed.wait_for(lambda: self._said or self.closed, 0.05):
                raise Timeout("the program says nothing")
            if self.closed:
                return b""
            said = self._said[0]
            if said != b"":
                self._said.popleft()
            if isinstance(said, FirstbellError):
                raise said
            return said

    def finish_input(self) -> None:
        raise AssertionError("lines end by a line")

    def wait(self, timeout: float) -> int:
        return 0

    def error_text(self) -> str:
        return ""

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._changed.notify_all()
