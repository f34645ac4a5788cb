"""What the two ends of a link owe each other: acknowledgements, replays, questions, signs of life.

It knows neither threads nor a clock: whoever uses it holds a lock and tells the time, in seconds of any origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tasks.remote.channels.lines import Inbox, Line, Outbox

#: Lines that may be unacknowledged, in bytes.
WINDOW: Final = 4 * 1024 * 1024
#: An acknowledgement is due at the latest after so many bytes.
_UNTOLD: Final = 512 * 1024
#: Lines are written together up to about this size, in bytes.
_BATCH: Final = 256 * 1024
_SLOWEST_PROBE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long what may take, in seconds.

    ``silence``: without any line from the host, which sends one every 5 s. ``idle``: while somebody waits to read or
    write and nothing moves. ``heartbeat``: our own silence; after 180 s of it the helper ends. ``acknowledge``: what
    has arrived is acknowledged. ``probe``: something unacknowledged or missing is asked about, then more seldom.
    ``goodbye``: the helper ends after its input has ended.
    """

    silence: float = 90.0
    idle: float = 600.0
    heartbeat: float = 20.0
    acknowledge: float = 1.0
    probe: float = 2.0
    goodbye: float = 15.0


class Dialogue:
    """One end of it."""

    def __init__(self, deadlines: Deadlines, now: float) -> None:
        self._deadlines = deadlines
        self._in = Inbox()
        self._out = Outbox()
        #: When the last line came, and when ours went.
        self.heard = self._written = now
        #: When the other end last acknowledged something.
        self.moved = now
        self._acking = 0
        self._untold = 0
        self._owed_since = now
        self._answer_now = False
        self._asked_at = self._probed_at = now
        self._ask_wait = self._probe_wait = deadlines.probe

    @property
    def has_room(self) -> bool:
        """Whether the window lets more lines be queued."""
        return self._out.size < WINDOW

    @property
    def settled(self) -> bool:
        """Whether everything was acknowledged, both ways, and nothing is known to be missing."""
        return not self._out.size and not self._in.missing and self._acking == self._out.told

    @property
    def urgent(self) -> bool:
        """Whether there is something to write at once."""
        more = self._out.sent != self._out.last or self._untold >= _UNTOLD
        return more or self._in.ask or self._answer_now

    def queue(self, kind: str, body: bytes, now: float) -> None:
        """Give the next number to a line that is to leave."""
        if not self._out.size:
            self._probed_at = now
        self._out.add(kind, body, self._acking)

    def hear(self, line: Line, now: float) -> list[Line]:
        """Take a line; return those that are new and in order now, to be acted on by their kind."""
        self.heard = now
        if self._out.acknowledge(line.ack):
            self.moved = self._probed_at = now
            self._probe_wait = self._deadlines.probe
        before = self._in.last
        found = self._in.accept(line)
        self._answer_now = self._answer_now or self._in.answer
        self._in.answer = False
        if self._in.last == before:
            for remark in found:
                self._hear_remark(remark.body)
            return []
        self._ask_wait = self._deadlines.probe
        self._asked_at = now
        if self._acking == self._out.told:
            self._owed_since = now
        self._untold += sum(len(each.body) for each in found)
        return found

    def _hear_remark(self, said: bytes) -> None:
        if said == b"again":
            self._out.rewind()
        elif said == b"ack":
            self._answer_now = True

    def acknowledge(self) -> None:
        """Let what has arrived so far be acknowledged: there is room for more of it."""
        self._acking = self._in.last

    def answer(self) -> None:
        """Let the next remark be made at once."""
        self._answer_now = True

    def ask(self) -> None:
        """Let the other end repeat what we do not have, because something may be lost."""
        self._in.ask = True

    def batch(self, now: float) -> bytes:
        """Return what is to be written now: lines, then a remark if one is due."""
        texts: list[bytes] = []
        size = 0
        while size < _BATCH and (text := self._out.next()) is not None:
            texts.append(text)
            size += len(text)
        remark = self._remark(now, bool(texts))
        if remark is not None:
            texts.append(self._out.remark(remark, self._acking))
        if self._out.told == self._acking:
            self._untold = 0
        if texts:
            self._written = now
        return b"".join(texts)

    def _remark(self, now: float, others: bool) -> bytes | None:
        """Return the body of the remark that is due, None when there is none."""
        if self._in.missing and now - self._asked_at >= self._ask_wait:
            self._ask_wait = min(2 * self._ask_wait, _SLOWEST_PROBE)
            self._in.ask = True
        if self._in.ask:
            self._in.ask = False
            self._asked_at = now
            return b"again"
        owed = self._acking != self._out.told
        late = self._untold >= _UNTOLD or now - self._owed_since >= self._deadlines.acknowledge
        if self._answer_now or (owed and late):
            self._answer_now = False
            return b""
        if self._out.acked < self._out.sent == self._out.last and now - self._probed_at >= self._probe_wait:
            self._probe_wait = min(2 * self._probe_wait, _SLOWEST_PROBE)
            self._probed_at = now
            return b"ack"
        return b"" if not others and now - self._written >= self._deadlines.heartbeat else None
