"""Requests and their answers over one channel: numbers, order, and who gets which frame.

Several requests are under way at once. Frames are sent by a thread of its own, because a helper need not read while it
writes; they are received by whoever waits for an answer, who hands the frames of other answers on. Memory stays bounded
because the worker asks for pages (``PROTOCOL.md``), and because content to write waits while too much is unsent.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tasks.errors import FirstbellError, HelperFailed, ProtocolError, TransportError
from tasks.remote.channels.base import Channel
from tasks.remote.frames import Buffer, Frame

#: Content is gathered up to this size before it is sent, in bytes: small files in few writes.
GATHERED: Final = 128 * 1024
#: Content that may wait to be sent, in bytes.
MAX_UNSENT: Final = 8 * 1024 * 1024
#: Answers that may stay untaken while content is sent, in bytes: what the smallest pipe holds, with room to spare.
MAX_UNTAKEN: Final = 32 * 1024
#: The weight of an answer that may be large.
LARGE: Final = MAX_UNTAKEN + 1
_CLOSED: Final = "the link to the helper is closed"
_AGAIN: Final = "It was cut, or this run is being stopped: try again."
#: How long a close waits for the sender, in seconds.
_GRACE: Final = 5.0


class Answer:
    """What comes back for one request: an iterator of its frames up to ``done``, which is ``last`` then."""

    def __init__(self, session: Session, number: int, weight: int) -> None:
        self.number = number
        self.weight = weight
        self.last: Frame | None = None
        self.dropped = False
        self._session = session
        self._frames: deque[Frame] = deque()
        self._seq = 0
        self._error: TransportError | None = None

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.next()) is not None:
            yield frame

    def next(self) -> Frame | None:
        """Return the next frame, None after the last one. Raises ``HelperFailed`` when the helper answers ``error``."""
        while not self._frames and self.last is None:
            self._session.receive_for(self)
        if self._frames:
            return self._frames.popleft()
        if self._error is not None:
            raise self._error
        return None

    def wait(self) -> Frame:
        """Return the ``done`` of an answer that has no other frames. Raises ``ProtocolError`` when it has."""
        frame = self.next()
        if frame is not None or self.last is None:
            raise ProtocolError(f"the helper sent {frame.type if frame else 'nothing'!r} where only done may follow")
        return self.last

    def drop(self) -> None:
        """Want no more of this answer: what still comes is thrown away."""
        self.dropped = True
        self._frames.clear()

    @property
    def complete(self) -> bool:
        """Whether its last frame has arrived."""
        return self.last is not None

    def take(self, frame: Frame) -> None:
        """Take a frame of this answer off the wire; ``Session`` calls it."""
        kind = frame.type
        if kind == "error":
            code, message = frame.header.get("code"), frame.header.get("message")
            self._error = HelperFailed(f"the helper refused a request: {message} ({code})")
            self.last = frame
            return
        if frame.header.get("seq") != self._seq:
            raise ProtocolError(f"frame {frame.header.get('seq')!r} came where {self._seq} was due")
        self._seq += 1
        if kind == "done":
            self.last = frame
        elif kind != "progress" and not self.dropped:
            self._frames.append(frame)


class Session:
    """Sends requests over a channel and hands out their answers. Threads may share it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._receiving = threading.Lock()
        self._answers: dict[int, Answer] = {}
        #: The weight of all of them.
        self._untaken = 0
        self._number = 0
        self._changed = threading.Condition()
        self._unsent: deque[Frame] = deque()
        self._unsent_size = 0
        self._due = False
        self._send_error: FirstbellError | None = None
        self._closed = False
        self._sender = threading.Thread(target=self._send, name="frames to the helper", daemon=True)
        self._sender.start()

    @property
    def depth(self) -> int:
        """How many bytes of answers should be on their way, or the link stands idle; 0 where a few MiB do."""
        return self._channel.depth

    def request(
        self, kind: str, fields: Mapping[str, Any] | None = None, payload: Buffer = b"", *, weight: int = LARGE
    ) -> Answer:
        """Send a request, without waiting, and return its answer. ``weight`` is about how many bytes that has."""
        answer = self.expect(weight)
        self.post(answer.number, kind, fields, payload)
        return answer

    def expect(self, weight: int = LARGE) -> Answer:
        """Return the answer to a request that is to be sent with ``post`` under its number."""
        with self._changed:
            self._number += 1
            answer = Answer(self, self._number, weight)
            self._answers[answer.number] = answer
            self._untaken += weight
        return answer

    def post(self, number: int, kind: str, fields: Mapping[str, Any] | None = None, payload: Buffer = b"") -> None:
        """Send a frame without waiting."""
        with self._changed:
            self._enqueue(Frame({"t": kind, "id": number, **(fields or {})}, payload))
            self._due = True
            self._changed.notify_all()

    def stream(self, kind: str, fields: Mapping[str, Any], payload: Buffer = b"") -> None:
        """Send a frame of content that has no answer, at the latest with the next request.

        Waits while too much is unsent.

        ``payload`` must not change afterwards.
        """
        self._settle()
        with self._changed:
            while self._unsent_size >= MAX_UNSENT and self._send_error is None and not self._closed:
                self._changed.wait()
            if self._send_error is None:
                self._number += 1
                self._enqueue(Frame({"t": kind, "id": self._number, **fields}, payload))
                if self._unsent_size >= GATHERED and not self._due:
                    self._due = True
                    self._changed.notify_all()
                return
        raise self._cause()

    def _enqueue(self, frame: Frame) -> None:
        if self._closed:
            raise HelperFailed(_CLOSED, hint=_AGAIN)
        self._unsent.append(frame)
        self._unsent_size += len(frame.payload) + 256

    def _settle(self) -> None:
        """Take what has been answered, so that the helper is never stuck with its answers while we send content."""
        while self._untaken > MAX_UNTAKEN:
            first = next(iter(tuple(self._answers.values())), None)
            if first is not None:
                self.receive_for(first)

    def receive_for(self, answer: Answer) -> None:
        """Receive one frame, for ``answer`` or for another one, unless somebody else just did."""
        before = answer.complete, len(answer._frames)
        with self._receiving:
            if (answer.complete, len(answer._frames)) != before:
                return
            frame = self._channel.receive()
            number = frame.header.get("id")
            wanted = self._answers.get(number) if isinstance(number, int) else None
            if wanted is not None:
                wanted.take(frame)
                if wanted.complete:
                    with self._changed:
                        self._untaken -= wanted.weight
                        self._answers.pop(wanted.number, None)
            elif frame.type == "error":
                raise HelperFailed(f"the helper refused: {frame.header.get('message')} ({frame.header.get('code')})")
            else:
                raise ProtocolError(f"a {frame.type!r} frame answers {number!r}, which nobody asked")

    def _send(self) -> None:
        while True:
            with self._changed:
                while not self._due and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                frames = list(self._unsent)
                self._unsent.clear()
                self._due = False
            try:
                self._channel.send_all(frames)
            except FirstbellError as error:
                with self._changed:
                    self._send_error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._unsent_size -= sum(len(frame.payload) + 256 for frame in frames)
                self._changed.notify_all()

    def _cause(self) -> FirstbellError:
        """Return why sending failed: the helper's own last words, when it has ended."""
        if isinstance(self._send_error, HelperFailed):
            try:
                while True:
                    self._channel.receive()
            except FirstbellError as error:
                return error
        return self._send_error or HelperFailed(_CLOSED, hint=_AGAIN)

    def close(self) -> None:
        """Say goodbye and give up the channel. Never raises."""
        with contextlib.suppress(FirstbellError), self._changed:
            if self._send_error is None and not self._unsent and not self._answers:
                # The helper ends by itself then; otherwise it does when its input ends.
                self._enqueue(Frame({"t": "bye", "id": self._number + 1}))
                self._due = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: not self._unsent_size or self._send_error, _GRACE)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._channel.close()
        self._sender.join(_GRACE)
