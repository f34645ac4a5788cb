"""The standard streams of one program in a WinRM shell."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from winrm.protocol import Protocol

from tasks.errors import FirstbellError, HelperFailed, Timeout, Unreachable
from tasks.transports.base import Buffer, Stream
from tasks.transports.redact import Redactor
from tasks.transports.tail import Tail
from tasks.transports.winrm_link import Link, NothingYetError
from tasks.transports.winrm_settings import WinRmSettings

#: The largest piece of input in one request, in bytes: base64 of it, with its envelope, is below Windows' limit for
#: requests (MaxEnvelopeSizekb 500).
LARGEST_SEND: Final = 350_000
#: How much output is taken ahead of who reads it, in bytes.
_AHEAD: Final = 1024 * 1024
#: How long the host may hear nothing while nobody reads here, in seconds: it ends a shell that seems forgotten.
_SIGN_OF_LIFE: Final = 60.0
#: How long the thread that receives may take to notice that it is over, in seconds.
_JOIN: Final = 1.0


class WinRmStream(Stream):
    """Sends with one link and receives with another, on a thread of its own.

    Not reliable: WinRM's Send and Receive are not idempotent. After a cut connection, output that was on its way is
    lost, and input may arrive twice or, when the host ran out of time, not at all. ``recovered`` counts such times.
    """

    reliable: ClassVar[bool] = False
    unbroken: ClassVar[int] = LARGEST_SEND

    def __init__(
        self,
        host: str,
        settings: WinRmSettings,
        sender: Link,
        receiver: Link,
        shell_id: str,
        command_id: str,
        redactor: Redactor,
    ) -> None:
        self.recovered = 0
        self._host = host
        self._settings = settings
        self._sender = sender
        self._receiver = receiver
        self._shell_id = shell_id
        self._command_id = command_id
        self._tail = Tail(redactor)
        self._changed = threading.Condition()
        self._output: deque[memoryview] = deque()
        self._waiting = 0
        self._exit_code: int | None = None
        self._failure: FirstbellError | None = None
        self._closed = False
        self._input_finished = False
        self._writing = False
        self._stalled_since: float | None = None
        self._pump = threading.Thread(target=self._receive_all, name=f"output of {host}", daemon=True)
        self._pump.start()

    def write(self, data: Buffer) -> None:
        """Write all of ``data`` to standard input, in pieces of at most ``LARGEST_SEND`` bytes."""
        view = memoryview(data).cast("B")
        while view:
            self._check_writable()
            self._send(bytes(view[:LARGEST_SEND]))
            view = view[LARGEST_SEND:]

    def _check_writable(self) -> None:
        with self._changed:
            if self._closed:
                raise Unreachable("the stream was closed", host=self._host)
            self._check_failure()
            if self._input_finished or self._exit_code is not None:
                raise HelperFailed("the program has closed its input or ended", host=self._host)

    def _send(self, piece: bytes, *, end: bool = False) -> None:
        idle = self._settings.idle_timeout
        begun = time.monotonic()
        self._writing = True
        try:
            self._sender.call(
                "sending input",
                lambda protocol: protocol.send_command_input(self._shell_id, self._command_id, piece, end=end),
                operation=max(1, min(self._settings.operation_timeout, math.ceil(idle))),
                recovered=self._note_recovery,
                cancelled=lambda: self._closed,
            )
        except NothingYetError:
            # Usually the host has taken it all the same, and gives it to the program once that reads on.
            self._note_recovery()
            self._stalled_since = self._stalled_since or begun
            if time.monotonic() - self._stalled_since >= idle:
                raise self._stalled("takes no input") from None
        else:
            self._stalled_since = None
        finally:
            self._writing = False

    def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes of standard output, or ``b""`` at its end."""
        with self._changed:
            if not self._changed.wait_for(self._readable, self._settings.idle_timeout):
                raise self._stalled("says nothing")
            if self._closed:
                raise Unreachable("the stream was closed", host=self._host)
            if not self._output:
                self._check_failure()
                return b""
            pieces: list[memoryview] = []
            while self._output and limit > 0:
                piece = self._output.popleft()
                if len(piece) > limit:
                    self._output.appendleft(piece[limit:])
                    piece = piece[:limit]
                pieces.append(piece)
                limit -= len(piece)
                self._waiting -= len(piece)
            self._changed.notify_all()
        return b"".join(pieces)

    def _readable(self) -> bool:
        return bool(self._output) or self._over() or self._closed

    def _over(self) -> bool:
        return self._exit_code is not None or self._failure is not None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come: the program has ended, or the connection has."""
        return self._over() or self._closed

    def finish_input(self) -> None:
        """Close standard input."""
        with self._changed:
            if self._input_finished or self._over() or self._closed:
                return
            self._input_finished = True
        try:
            self._send(b"", end=True)
        except FirstbellError:
            # Whoever reads learns that the host is gone; a program that has ended needs no end of its input.
            return

    def wait(self, timeout: float) -> int:
        """Wait until the program has ended and return its exit code, as Windows knows it: no signals."""
        with self._changed:
            self._changed.wait_for(lambda: self._over() or self._closed, timeout)
            if self._exit_code is not None:
                return self._exit_code
            if self._closed:
                raise Unreachable("the stream was closed", host=self._host)
            self._check_failure()
        raise Timeout(f"the program did not end within {timeout:g} s", host=self._host)

    def error_text(self) -> str:
        """Return the last 64 KiB of standard error so far."""
        return self._tail.text()

    def close(self) -> None:
        """End the program: by the end of its input, after ``close_grace`` by the host. Quick when the host is gone."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            reachable = self._failure is None
            finished = self._input_finished
            self._changed.notify_all()
        if self._writing:
            self._sender.interrupt()
        if reachable:
            if not self._over() and not finished:
                self._goodbye(lambda one: one.send_command_input(self._shell_id, self._command_id, b"", end=True))
            if not self._sender.dead:
                with self._changed:
                    self._changed.wait_for(self._over, self._settings.close_grace)
            self._goodbye(lambda one: one.cleanup_command(self._shell_id, self._command_id))
            # The end of the program answers the last Receive.
            self._pump.join(0 if self._sender.dead else _JOIN)
        self._receiver.close()
        self._pump.join(_JOIN)

    def _goodbye(self, request: Callable[[Protocol], object]) -> None:
        self._sender.say_goodbye("ending a program", request)

    def _receive_all(self) -> None:
        """Take output until the program has ended: it shares its way with standard error."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting < _AHEAD or self._closed, _SIGN_OF_LIFE)
            try:
                output, errors, code, done = self._receiver.call(
                    "receiving output",
                    lambda protocol: protocol.get_command_output_raw(self._shell_id, self._command_id),
                    recovered=self._note_recovery,
                )
            except NothingYetError:
                continue
            except FirstbellError as error:
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            self._tail.add(errors)
            with self._changed:
                # After close nobody reads it.
                if output and not self._closed:
                    self._output.append(memoryview(output))
                    self._waiting += len(output)
                if done:
                    self._exit_code = code
                self._changed.notify_all()
            if done:
                return

    def _note_recovery(self) -> None:
        with self._changed:
            self.recovered += 1
        if self.on_recovered is not None:
            self.on_recovered()

    def _check_failure(self) -> None:
        """Raise what ended the receiver, each time anew: a traceback belongs to one raise."""
        if self._failure is not None:
            raise type(self._failure)(self._failure.message, hint=self._failure.hint, host=self._failure.host)

    def _stalled(self, complaint: str) -> Timeout:
        return Timeout(
            f"the program {complaint} for {self._settings.idle_timeout:g} s",
            hint="Look at what the computer is busy with; a longer idle timeout may be needed.",
            host=self._host,
        )
