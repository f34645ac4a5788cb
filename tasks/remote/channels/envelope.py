"""A reliable byte stream over an unreliable one, with or without a spool for what is large.

Over WinRM, an interruption that was recovered may lose or repeat pieces of either direction. So the stream travels as
the lines of ``lines.py``: both sides keep what is not acknowledged, ask for what is missing, and drop what comes twice.
``PROTOCOL.md`` has the kinds of lines; the other end is ``remote/windows/Link*.cs``.

With a ``SpoolStore``, pieces of 64 KiB and more go through it, and only a reference through the link. When the host
cannot reach it, everything goes inline, which is slow: ``rate`` tells how slow.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final

from tasks.backends.spool import SpoolStore
from tasks.errors import FirstbellError, HelperFailed, ProtocolError, Timeout, Unreachable
from tasks.remote.channels.arrivals import UNREAD, Arrivals
from tasks.remote.channels.departures import SPOOLED, Departures
from tasks.remote.channels.dialogue import Deadlines, Dialogue
from tasks.remote.channels.lines import Line, LineSplitter
from tasks.remote.channels.meter import Meter
from tasks.remote.channels.spool import HostSpool
from tasks.remote.channels.spool_talk import SpoolTalk
from tasks.transports.base import Buffer, Stream

__all__ = ["Deadlines", "EnvelopeStream"]

_READ: Final = 1024 * 1024
#: How often the threads look at the clock, in seconds: while something is open, and else.
_TICK: Final = 0.2
_IDLE_TICK: Final = 1.0
#: How long a close waits for its threads, in seconds.
_JOIN: Final = 5.0


class EnvelopeStream(Stream):
    """The reliable stream; ``write``, ``finish_input`` and ``read`` may each have a thread of their own.

    Two threads of its own carry the lines, one each way; everything else is a matter of the lock ``_changed``.
    """

    reliable: ClassVar[bool] = True

    def __init__(
        self,
        stream: Stream,
        host: str = "",
        *,
        begun: bytes = b"",
        spool: SpoolStore | None = None,
        proxy: str | None = None,
        segment: int = 8 * 1024 * 1024,
        deadlines: Deadlines | None = None,
        on_note: Callable[[str], None] | None = None,
    ) -> None:
        """Speak lines over ``stream``, whose helper has just announced itself.

        ``begun`` is what was read behind that. ``proxy`` is how the host reaches the spool: an address, ``system``, or
        None for directly. ``segment`` is the largest piece of the stream in one object, in bytes. ``on_note`` is told,
        in a sentence, when the spool cannot be used; by a thread of the stream.
        """
        self._stream = stream
        self._host = host
        self._deadlines = deadlines or Deadlines()
        key = secrets.token_bytes(32)
        self._spool = HostSpool(spool, key) if spool is not None else None

        self._changed = threading.Condition()
        self._error: FirstbellError | None = None
        self._finishing = False
        self._finished = self._aborted = False
        #: The helper has ended its output; its program has ended.
        self._ended = self._over = False
        self._closed = self._stopped = False
        now = time.monotonic()
        self._moved = now
        self._meter = Meter()
        self._splitter = LineSplitter()
        self._dialogue = Dialogue(self._deadlines, now)
        self._arrivals = Arrivals(self._spool, self._wake)
        self._departures = Departures(self._spool, segment, self._wake)
        self._talk = SpoolTalk(
            self._spool, key, segment, proxy, self._changed, self._dialogue, self._arrivals, self._departures, on_note
        )

        stream.on_recovered = self.reconnected
        self._threads = [
            threading.Thread(target=self._guard, args=(self._receive, begun), name="lines from the host", daemon=True),
            threading.Thread(target=self._guard, args=(self._send,), name="lines to the host", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def rate(self) -> float | None:
        """Bytes of the stream per second, both directions, while something moved; None when too little has."""
        return self._meter.rate

    @property
    def inline_because(self) -> str | None:
        """Why the spool is not used, None while it is."""
        return self._talk.inline_because

    @property
    def depth(self) -> int:
        """Bytes of output on their way when the spool is as full as it may be."""
        return self._talk.depth

    @property
    def damaged(self) -> int:
        """How many lines have arrived damaged so far: a sign of a link that was interrupted."""
        return self._splitter.damaged

    def write(self, data: Buffer) -> None:
        """Take all of ``data``; it leaves while others go on."""
        view = memoryview(data).cast("B")
        with self._changed:
            started = time.monotonic()
            while view:
                self._check()
                if self._finishing or self._ended:
                    raise HelperFailed("the helper has closed its input", host=self._host)
                taken = self._departures.add(view)
                view = view[taken:]
                if taken:
                    self._changed.notify_all()
                else:
                    self._wait_for_move(started, "took nothing more")

    def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes, or ``b""`` at the end."""
        with self._changed:
            started = time.monotonic()
            while True:
                if self._closed:
                    raise Unreachable("the link to the helper is closed", host=self._host)
                taken = self._arrivals.taken
                piece = self._arrivals.read(limit)
                if piece:
                    self._make_room()
                    if self._arrivals.taken != taken:
                        self._changed.notify_all()
                    return piece
                if not self._arrivals:
                    if self._ended:
                        return b""
                    self._check()
                self._wait_for_move(started, "sent nothing more")

    def finish_input(self) -> None:
        """Let the helper see the end of its input, behind all that was written."""
        with self._changed:
            self._finishing = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> int:
        """Wait until the helper has ended."""
        return self._stream.wait(timeout)

    def error_text(self) -> str:
        """Return what the helper wrote to standard error."""
        return self._stream.error_text()

    def reconnected(self) -> None:
        """Be told that the stream below was interrupted: both sides repeat at once what may be lost."""
        with self._changed:
            self._dialogue.ask()
            self._changed.notify_all()

    def close(self) -> None:
        """Let the helper end, at the latest after the goodbye; give up the stream and clear the spool."""
        with self._changed:
            if self._closed:
                return
            self._closed = self._finishing = True
            self._arrivals.clear()
            self._make_room()
            if self._departures.size >= SPOOLED:
                # More than a goodbye: the work was broken off, and what is under way is of no use to anybody.
                self._departures.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._over or self._error is not None, self._deadlines.goodbye)
            self._stopped = True
            self._changed.notify_all()
        self._stream.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_JOIN)
        if self._spool is not None:
            self._spool.close()

    def _check(self) -> None:
        """Raise what ended the link, each time anew: a traceback belongs to one raise."""
        error = self._error
        if error is not None:
            raise type(error)(error.message, hint=error.hint, host=error.host or self._host) from error.__cause__

    def _wait_for_move(self, started: float, what: str) -> None:
        self._changed.wait(_IDLE_TICK)
        idle = self._deadlines.idle
        if time.monotonic() - max(started, self._moved, self._dialogue.moved) > idle:
            raise Timeout(f"the helper {what} for {idle:.0f} s", host=self._host)

    def _make_room(self) -> None:
        """Let the host send more when what it has sent was read."""
        if self._arrivals.unread <= UNREAD:
            self._dialogue.acknowledge()
            if self._dialogue.urgent:
                self._changed.notify_all()

    def _wake(self, _: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def _guard(self, work: Callable[..., None], *arguments: Any) -> None:
        """Run a thread; whatever ends it early reaches those who read and write."""
        failure: FirstbellError
        try:
            work(*arguments)
        except FirstbellError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a thread that dies in silence would let its user wait for ever
            failure = ProtocolError(f"the link to the helper broke: {type(error).__name__}", host=self._host)
            failure.__cause__ = error
        else:
            return
        with self._changed:
            self._error = self._error or failure
            self._changed.notify_all()

    # Lines from the host: a thread.

    def _receive(self, begun: bytes) -> None:
        piece = begun
        while True:
            for line in self._splitter.feed(piece):
                with self._changed:
                    if self._stopped:
                        return
                    self._hear(line)
                self._talk.tell()
            try:
                piece = self._stream.read(_READ)
            except Timeout:
                # Nothing came; how long that may last is decided in one place, where we send.
                piece = b""
                continue
            if not piece:
                with self._changed:
                    self._ended = self._over = True
                    self._changed.notify_all()
                return

    def _hear(self, line: Line) -> None:
        for due in self._dialogue.hear(line, time.monotonic()):
            self._act(due)
        self._make_room()
        self._changed.notify_all()

    def _act(self, line: Line) -> None:
        """Do what a new line says."""
        now = time.monotonic()
        match line.kind:
            case "d":
                self._moved = now
                self._meter.add(len(line.body), now)
                if not self._closed:
                    self._arrivals.add(line.body)
            case "s":
                fields = _document(line)
                self._moved = now
                if not self._closed:
                    self._meter.add(self._arrivals.add_segment(fields, self._talk.offered), now)
            case "n":
                got = self._talk.hear(_document(line))
                if got:
                    self._moved = now
                    self._meter.add(got, now)
            case "x":
                # The helper ends as soon as it knows that we have it all.
                self._ended = True
                self._dialogue.answer()
            case _:
                raise ProtocolError(f"the helper sent a line of kind {line.kind!r}")

    # Lines to the host: a thread.

    def _send(self) -> None:
        self._talk.greet()
        while True:
            self._talk.offer()
            self._talk.tell()
            with self._changed:
                if self._stopped or self._over:
                    return
                now = time.monotonic()
                self._check_silence(now)
                self._fill(now)
                batch = self._dialogue.batch(now)
                if not batch:
                    self._changed.wait(_IDLE_TICK if self._dialogue.settled else _TICK)
            if batch:
                self._stream.write(batch)

    def _check_silence(self, now: float) -> None:
        silence = self._deadlines.silence
        if now - self._dialogue.heard > silence:
            raise Timeout(
                f"nothing was heard of the helper for {silence:.0f} s",
                hint="The computer may have gone to sleep or lost its network: try again.",
                host=self._host,
            )

    def _fill(self, now: float) -> None:
        """Make lines of what was written, as far as the window lets."""
        if self._departures.cut():
            self._changed.notify_all()
        while self._dialogue.has_room:
            try:
                line = self._departures.next_line()
            except FirstbellError as error:
                self._talk.withdraw(error)
                continue
            if line is None:
                if not self._departures.cut():
                    break
                self._changed.notify_all()
                continue
            kind, body = line
            self._dialogue.queue(kind, body, now)
            if kind == "d":
                self._meter.add(len(body), now)
        if self._finishing and not self._finished and not self._departures:
            self._finished = True
            self._dialogue.queue("x", b"", now)
        if self._closed and not self._aborted and self._finished:
            self._aborted = True
            self._dialogue.queue("x", b"abort", now)


def _document(line: Line) -> dict[str, Any]:
    try:
        fields = json.loads(line.body)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise ProtocolError(f"the helper sent a line of kind {line.kind!r} that says nothing")
    return fields
