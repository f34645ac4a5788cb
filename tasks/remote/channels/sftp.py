"""Frames for an SSH host without Python: the worker answers them itself, over SFTP.

A thread of the channel plays the helper. As with a real one, requests wait while it works, and it waits while nobody
takes its answers. What SFTP cannot do is told in the field ``limits`` of ``hello``.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Final

from tasks.errors import FirstbellError, HelperFailed, Timeout
from tasks.remote.channels.base import Channel
from tasks.remote.frames import Frame
from tasks.remote.sftp.server import Server
from tasks.transports.sftp_client import SftpClient, SftpError
from tasks.transports.ssh import SshTransport

#: What may wait on its way in, and on its way out, in bytes.
_HELD: Final = 8 * 1024 * 1024
#: A frame counts so much, besides its payload.
_OVERHEAD: Final = 512
#: How long a close waits for the clean-up on the host, in seconds.
_GRACE: Final = 5.0


class _ClosedError(Exception):
    """Nobody wants answers any more."""


class _Queue:
    """Frames on their way, bounded by their size."""

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._frames: deque[Frame] = deque()
        self._size = 0

    def has_room(self) -> bool:
        """Tell whether one more frame may come."""
        return self._size < _HELD

    def add(self, frame: Frame) -> None:
        """Add a frame, and tell who waits."""
        self._frames.append(frame)
        self._size += len(frame.payload) + _OVERHEAD
        self._changed.notify_all()

    def take(self) -> Frame:
        """Take the oldest frame, and tell who waits."""
        frame = self._frames.popleft()
        self._size -= len(frame.payload) + _OVERHEAD
        self._changed.notify_all()
        return frame

    def __bool__(self) -> bool:
        return bool(self._frames)


class SftpChannel(Channel):
    """A channel to an SSH host's files. Raises ``HelperFailed`` when the host has no SFTP."""

    def __init__(self, transport: SshTransport) -> None:
        self._host = transport.host
        self._idle_timeout = transport.settings.idle_timeout
        self._stream = transport.start_subsystem("sftp")
        self._changed = threading.Condition()
        self._requests = _Queue(self._changed)
        self._answers = _Queue(self._changed)
        self._working = False
        self._closing = False
        self._end: FirstbellError | None = None
        try:
            client = SftpClient(self._stream, self._host)
        except BaseException:
            self._stream.close()
            raise
        self._server = Server(client, self._put, transport.user, transport.settings.address)
        self._thread = threading.Thread(target=self._run, name=f"sftp of {self._host}", daemon=True)
        self._thread.start()

    def send(self, frame: Frame) -> None:
        """Hand over one frame; waits while too much is waiting already."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests.has_room() or self._end is not None or self._closing)
            if self._end is not None:
                raise self._end
            if self._closing:
                raise HelperFailed("the channel is closed", host=self._host)
            self._requests.add(frame)

    def receive(self) -> Frame:
        """Return the next frame; each step on the host has its own deadline."""
        with self._changed:
            while not self._answers and self._end is None and not self._closing:
                # Nothing to wait for is a mistake of the caller; it must not wait for ever.
                woken = self._changed.wait(self._idle_timeout)
                if not (woken or self._working or self._requests):
                    raise Timeout(f"nothing came over SFTP for {self._idle_timeout:g} s", host=self._host)
            if self._answers:
                return self._answers.take()
            raise self._end or HelperFailed("the channel is closed", host=self._host)

    def close(self) -> None:
        """Remove temporary files on the host and give up the session."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_GRACE)
        self._stream.close()
        self._thread.join(_GRACE)

    def _put(self, frame: Frame) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._answers.has_room() or self._closing)
            if self._closing:
                raise _ClosedError
            self._answers.add(frame)

    def _next(self) -> Frame | None:
        with self._changed:
            self._working = False
            self._changed.wait_for(lambda: self._requests or self._closing)
            if self._closing:
                return None
            self._working = True
            return self._requests.take()

    def _run(self) -> None:
        end: FirstbellError = HelperFailed("the SFTP session is over", host=self._host)
        try:
            while (frame := self._next()) is not None:
                if not self._server.serve(frame):
                    break
        except _ClosedError:
            end = HelperFailed("the channel is closed", host=self._host)
        except FirstbellError as error:
            end = error
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer must hear of it, not this thread's end
            end = HelperFailed(f"serving files over SFTP failed: {type(error).__name__}: {error}", host=self._host)
        with contextlib.suppress(FirstbellError, SftpError):
            self._server.cleanup()
        with self._changed:
            self._end = end
            self._working = False
            self._changed.notify_all()
