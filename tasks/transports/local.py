"""The worker itself as a host, for development, tests and file servers that run a worker.

Programs run in a process group of their own with little of the worker's environment: what the worker keeps in its
variables (S3 credentials, passwords) is nothing that a host may see.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from tasks.errors import HelperFailed, Timeout, Unreachable
from tasks.transports.base import AcceptIdentity, Buffer, HostIdentity, Stream, Transport, refuse_unknown
from tasks.transports.redact import Redactor
from tasks.transports.tail import Tail

#: Variables that a program gets, as sshd would set them.
_PASSED: Final = ("HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
#: How long a program may take to end by itself after its input has ended, in seconds; it tidies up meanwhile.
_GRACE: Final = 0.5
#: The same after the signal that asks it to end.
_GRACE_AFTER_SIGNAL: Final = 5.0
#: Pipe size asked of Linux, in bytes: the default 64 KiB costs a context switch for each read.
_PIPE_SIZE: Final = 1024 * 1024


class LocalTransport(Transport):
    """Runs programs on this computer. Deadlines in seconds; ``environment`` replaces the variables passed on."""

    def __init__(self, host: str, *, idle_timeout: float = 120.0, environment: Mapping[str, str] | None = None) -> None:
        self.host = host
        self._idle_timeout = idle_timeout
        self._environment = (
            {name: os.environ[name] for name in _PASSED if name in os.environ}
            if environment is None
            else dict(environment)
        )
        self._streams: list[LocalStream] = []
        self._open = False

    def open(self, accept_identity: AcceptIdentity = refuse_unknown) -> None:
        """Do nothing: we know ourselves."""
        self._open = True

    def start(self, argv: Sequence[str]) -> LocalStream:
        """Start a program; a missing one ends with exit code 127 and a reason on standard error, as over SSH."""
        if not self._open:
            raise Unreachable("the transport is not open", host=self.host)
        stream = LocalStream(self.host, argv, self._environment, self._idle_timeout)
        self._streams.append(stream)
        return stream

    def identity(self) -> HostIdentity:
        """Return the identity of ourselves, without a fingerprint."""
        return HostIdentity("local", "", "")

    def close(self) -> None:
        """End what was started."""
        self._open = False
        while self._streams:
            self._streams.pop().close()


class LocalStream(Stream):
    """The standard streams of one program on this computer."""

    def __init__(self, host: str, argv: Sequence[str], environment: Mapping[str, str], idle_timeout: float) -> None:
        self._host = host
        self._idle_timeout = idle_timeout
        child_input, self._input = os.pipe()
        self._output, child_output = os.pipe()
        self._errors, child_errors = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$@"', "sh", *argv],
                stdin=child_input,
                stdout=child_output,
                stderr=child_errors,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            for descriptor in (self._input, self._output, self._errors):
                os.close(descriptor)
            raise HelperFailed(f"cannot start a program: {error}", host=host) from error
        finally:
            for descriptor in (child_input, child_output, child_errors):
                os.close(descriptor)
        for descriptor in (self._input, self._output, self._errors):
            _tune(descriptor)
        # Closing the one end wakes everybody who polls the other: close() may come from any thread.
        self._wake, self._wake_end = os.pipe()
        self._closed = False
        self._ended = False
        self._close_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._tail = Tail(Redactor())
        self._drain = threading.Thread(target=self._drain_errors, name=f"stderr of {host}", daemon=True)
        self._drain.start()

    def write(self, data: Buffer) -> None:
        """Write all of ``data`` to standard input."""
        view = memoryview(data).cast("B")
        with self._write_lock:
            while view:
                if self._input < 0:
                    raise self._gone()
                try:
                    view = view[os.write(self._input, view) :]
                except BlockingIOError:
                    self._await(self._input, select.POLLOUT, "takes no input")
                except OSError as error:
                    raise HelperFailed("the program has closed its input", host=self._host) from error

    def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes of standard output, or ``b""`` at its end."""
        with self._read_lock:
            while True:
                if self._output < 0:
                    raise self._gone()
                try:
                    return os.read(self._output, limit)
                except BlockingIOError:
                    self._await(self._output, select.POLLIN, "says nothing")

    def finish_input(self) -> None:
        """Close standard input."""
        with self._write_lock:
            if self._input >= 0:
                os.close(self._input)
                self._input = -1

    def wait(self, timeout: float) -> int:
        """Wait until the program has ended and return its exit code, 128 + n for signal n."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Timeout(f"the program did not end within {timeout:g} s", host=self._host) from None
        return code if code >= 0 else 128 - code

    def error_text(self) -> str:
        """Return the last 64 KiB of standard error so far."""
        if self._process.poll() is not None:
            # It has ended: what it said last is about to arrive.
            self._drain.join(1.0)
        return self._tail.text()

    def close(self) -> None:
        """End the program if it still runs: first by the end of its input, then by signals to its group."""
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        os.close(self._wake_end)
        self.finish_input()
        with self._read_lock:
            os.close(self._output)
            self._output = -1
        for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE_AFTER_SIGNAL)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                break
            # Not yet waited for, so its number, and that of its group, cannot be anybody else's.
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, number)
        else:
            self._process.wait()
        self._ended = True
        self._drain.join()
        os.close(self._errors)
        os.close(self._wake)

    def _gone(self) -> Unreachable | HelperFailed:
        if self._closed:
            return Unreachable("the stream was closed", host=self._host)
        return HelperFailed("the program's input is finished", host=self._host)

    def _await(self, descriptor: int, event: int, complaint: str) -> None:
        """Wait until ``descriptor`` is ready, ``close`` is called (raises ``Unreachable``) or the deadline passes."""
        poll = select.poll()
        poll.register(descriptor, event)
        poll.register(self._wake, 0)
        ready = poll.poll(self._idle_timeout * 1000)
        if self._closed:
            raise self._gone()
        if not ready:
            raise Timeout(
                f"the program {complaint} for {self._idle_timeout:g} s",
                hint="Look at what the computer is busy with; a longer idle timeout may be needed.",
                host=self._host,
            )

    def _drain_errors(self) -> None:
        """Take standard error as it comes, so that a program that says much is never blocked by it."""
        poll = select.poll()
        poll.register(self._errors, select.POLLIN)
        poll.register(self._wake, 0)
        deadline = None
        while True:
            poll.poll(deadline)
            try:
                piece = os.read(self._errors, 65536)
            except BlockingIOError:
                if self._ended:
                    # A child that outlives the program could hold the pipe open for ever.
                    return
            else:
                if not piece:
                    return
                self._tail.add(piece)
            if self._closed and deadline is None:
                poll.unregister(self._wake)
                deadline = 50


def _tune(descriptor: int) -> None:
    """Make a pipe's end non-blocking, and of a good size where the system lets us choose."""
    os.set_blocking(descriptor, False)
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # Refused beyond the user's share of pipe memory: then it stays small.
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


def make(host: str, settings: object) -> LocalTransport:
    """Return the transport for ``registry``; there is nothing to set."""
    return LocalTransport(host)
