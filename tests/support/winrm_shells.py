"""The shells of a WinRM server and the programs that run in them, with bounded buffers and quotas."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.support import winrm_soap as soap

#: Starts a command line as cmd.exe would; the standard streams are binary pipes.
Runner = Callable[[str], "subprocess.Popen[bytes]"]

#: How often a thread that waits for a pipe looks whether it is still wanted, in seconds.
_GLANCE = 0.1


@dataclass(slots=True)
class Quotas:
    """The limits of a server; sizes in bytes, times in seconds. Defaults are Windows' own."""

    max_shells: int = 30
    max_commands_per_shell: int = 25
    #: MaxEnvelopeSizekb: the largest request.
    envelope: int = 500 * 1024
    #: The longest command line that cmd.exe takes, in characters.
    command_line: int = 8191
    #: How long a shell may be idle; None means what the client asked for, else two hours.
    idle_timeout: float | None = None
    #: How much output of a program waits for a Receive, on each stream.
    output_buffer: int = 256 * 1024
    #: How much input waits for a program.
    input_buffer: int = 256 * 1024


class Command:
    """A program in a shell: its pipes behind bounded buffers."""

    def __init__(self, process: subprocess.Popen[bytes], quotas: Quotas) -> None:
        self.id = str(uuid.uuid4()).upper()
        self.process = process
        self._quotas = quotas
        self._changed = threading.Condition()
        self._output: dict[str, deque[bytes]] = {"stdout": deque(), "stderr": deque()}
        self._waiting = {"stdout": 0, "stderr": 0}
        self._open = {"stdout", "stderr"}
        self._input: deque[bytes] = deque()
        self._input_waiting = 0
        self._input_ended = False
        self._input_broken = False
        self._ended = False
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._threads = [
            threading.Thread(target=self._take, args=("stdout", process.stdout.fileno()), daemon=True),
            threading.Thread(target=self._take, args=("stderr", process.stderr.fileno()), daemon=True),
            threading.Thread(target=self._feed, args=(process.stdin.fileno(),), daemon=True),
            threading.Thread(target=self._await_exit, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def send(self, data: bytes, *, end: bool, timeout: float) -> None:
        """Hand over input. Raises ``SoapFault`` TimedOut when the program does not take it in time.

        As on Windows, input may arrive later although its Send has timed out, or not at all when there was no room.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            if self._input_ended or self._input_broken or self._ended:
                raise soap.SoapFault(232, "w:InternalError", "The pipe is being closed.")
            while self._input_waiting and self._input_waiting + len(data) > self._quotas.input_buffer:
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise soap.timed_out()
                if self._input_broken or self._ended:
                    raise soap.SoapFault(109, "w:InternalError", "The pipe has been ended.")
            if data:
                self._input.append(data)
                self._input_waiting += len(data)
            self._input_ended = end
            self._changed.notify_all()
            while self._input_waiting > self._quotas.input_buffer:
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise soap.timed_out()

    def receive(self, room: int, timeout: float) -> tuple[dict[str, bytes], int | None, bool]:
        """Return what came on each stream, at most ``room`` bytes in all, the exit code, and whether that was all.

        Raises ``SoapFault`` TimedOut.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while not any(self._output.values()) and not self._done():
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise soap.timed_out()
            pieces = {}
            for name in ("stdout", "stderr"):
                pieces[name] = self._dequeue(name, room)
                room -= len(pieces[name])
            self._changed.notify_all()
            done = self._done() and not any(self._output.values())
            return pieces, self.process.returncode if done else None, done

    def _done(self) -> bool:
        return self._ended and not self._open

    def _dequeue(self, name: str, room: int) -> bytes:
        taken = []
        queue = self._output[name]
        while queue and room > 0:
            piece = queue.popleft()
            if len(piece) > room:
                queue.appendleft(piece[room:])
                piece = piece[:room]
            taken.append(piece)
            room -= len(piece)
            self._waiting[name] -= len(piece)
        return b"".join(taken)

    def terminate(self) -> None:
        """End the program and what it started."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                if os.getpgid(self.process.pid) == self.process.pid:
                    os.killpg(self.process.pid, signal.SIGKILL)
                else:
                    self.process.kill()
        with self._changed:
            self._input_broken = True
            self._changed.notify_all()

    def close(self) -> None:
        """End the program and free its pipes."""
        self.terminate()
        for thread in self._threads:
            thread.join(10)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def _await_exit(self) -> None:
        self.process.wait()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take(self, name: str, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        patience = 0.0
        while True:
            with self._changed:
                while self._waiting[name] >= self._quotas.output_buffer and not self._ended:
                    self._changed.wait()
            if not poll.poll(_GLANCE * 1000):
                # What the program started may hold the pipe open after its end, for a while.
                patience = patience + _GLANCE if self._ended else 0.0
                if patience > 1.0 or (self._ended and self._input_broken):
                    break
                continue
            piece = os.read(descriptor, 65536)
            if not piece:
                break
            with self._changed:
                self._output[name].append(piece)
                self._waiting[name] += len(piece)
                self._changed.notify_all()
        with self._changed:
            self._open.discard(name)
            self._changed.notify_all()

    def _feed(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        while True:
            with self._changed:
                while not self._input and not self._input_ended and not self._input_broken and not self._ended:
                    self._changed.wait()
                if self._input_broken or self._ended or not self._input:
                    break
                view = memoryview(self._input.popleft())
            while view and not self._input_broken and not self._ended:
                if not poll.poll(_GLANCE * 1000):
                    continue
                try:
                    written = os.write(descriptor, view)
                except BlockingIOError:
                    continue
                except OSError:
                    self._input_broken = True
                    break
                view = view[written:]
                with self._changed:
                    self._input_waiting -= written
                    self._changed.notify_all()
        with self._changed:
            self._input_broken = self._input_broken or not self._input_ended
            self._input.clear()
            self._input_waiting = 0
            self._changed.notify_all()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()


class Shell:
    """A shell of one user."""

    def __init__(self, user: str, idle_timeout: float) -> None:
        self.id = str(uuid.uuid4()).upper()
        self.user = user
        self.idle_timeout = idle_timeout
        self.commands: dict[str, Command] = {}
        self.busy = 0
        self.last_used = time.monotonic()

    @property
    def idle(self) -> float:
        """For how many seconds nobody has asked for anything."""
        return 0.0 if self.busy else time.monotonic() - self.last_used

    def close(self) -> None:
        """End its programs."""
        for command in self.commands.values():
            command.close()


class Shells:
    """All shells of a server. Those idle for too long are removed."""

    def __init__(self, runner: Runner, quotas: Quotas) -> None:
        self._runner = runner
        self.quotas = quotas
        self.lock = threading.Lock()
        self._shells: dict[str, Shell] = {}
        self._stopped = threading.Event()
        self._reaper = threading.Thread(target=self._reap, name="WinRM shell reaper", daemon=True)
        self._reaper.start()

    def __len__(self) -> int:
        with self.lock:
            return len(self._shells)

    def commands(self) -> list[Command]:
        """Return the commands that nobody has cleaned up."""
        with self.lock:
            return [command for shell in self._shells.values() for command in shell.commands.values()]

    def create(self, user: str, idle_timeout: float | None) -> Shell:
        """Make a shell. Raises ``SoapFault`` beyond the quota."""
        limit = self.quotas.idle_timeout
        shell = Shell(user, (idle_timeout or 7200.0) if limit is None else limit)
        with self.lock:
            if sum(one.user == user for one in self._shells.values()) >= self.quotas.max_shells:
                raise soap.SoapFault(
                    soap.MAX_SHELLS,
                    "w:QuotaLimit",
                    "The WS-Management service cannot process the request. This user is allowed a maximum number of "
                    f"{self.quotas.max_shells} concurrent shells, which has been exceeded. Close existing shells or "
                    "raise the quota for this user.",
                )
            self._shells[shell.id] = shell
        return shell

    @contextlib.contextmanager
    def use(self, shell_id: str, user: str) -> Iterator[Shell]:
        """Give the shell, which is not idle meanwhile. Raises ``SoapFault`` when it is gone or somebody else's."""
        with self.lock:
            shell = self._shells.get(shell_id)
            if shell is None:
                raise soap.SoapFault(
                    soap.INVALID_SELECTORS,
                    "w:InvalidSelectors",
                    f"The request for the Windows Remote Shell with ShellId {shell_id} failed because the shell was "
                    "not found on the server.",
                )
            if shell.user != user:
                raise soap.SoapFault(soap.ACCESS_DENIED, "w:AccessDenied", "Access is denied.")
            shell.busy += 1
        try:
            yield shell
        finally:
            with self.lock:
                shell.busy -= 1
                shell.last_used = time.monotonic()

    def start(self, shell: Shell, line: str) -> Command:
        """Start a command line. Raises ``SoapFault``."""
        if len(line) > self.quotas.command_line:
            raise soap.SoapFault(206, "w:InternalError", "The command line is too long.")
        if len(shell.commands) >= self.quotas.max_commands_per_shell:
            raise soap.SoapFault(soap.MAX_COMMANDS, "w:QuotaLimit", "The maximum number of commands is exceeded.")
        try:
            process = self._runner(line)
        except OSError as error:
            raise soap.SoapFault(soap.INVALID_PARAMETER, "w:InternalError", str(error)) from error
        command = Command(process, self.quotas)
        with self.lock:
            if self._shells.get(shell.id) is shell:
                shell.commands[command.id] = command
                return command
        command.close()
        raise soap.SoapFault(soap.INVALID_SELECTORS, "w:InvalidSelectors", "The shell was closed meanwhile.")

    def remove(self, shell_id: str) -> None:
        """Close a shell and end its programs; one that is gone already is no matter."""
        with self.lock:
            shell = self._shells.pop(shell_id, None)
        if shell is not None:
            shell.close()

    def clear(self) -> None:
        """Close all shells, as the end of the service does."""
        with self.lock:
            shells, self._shells = list(self._shells.values()), {}
        for shell in shells:
            shell.close()

    def stop(self) -> None:
        """Close all shells, for good."""
        self._stopped.set()
        self._reaper.join(10)
        self.clear()

    def _reap(self) -> None:
        while not self._stopped.wait(_GLANCE):
            with self.lock:
                late = [shell.id for shell in self._shells.values() if shell.idle > shell.idle_timeout]
            for shell_id in late:
                self.remove(shell_id)
