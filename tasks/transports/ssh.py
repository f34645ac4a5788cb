"""SSH: programs on a host over exec channels, without PTY, without agent forwarding."""

from __future__ import annotations

import contextlib
import getpass
import shlex
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import paramiko

from tasks.errors import FirstbellError, HelperFailed, InventoryError, Timeout, Unreachable
from tasks.transports.base import AcceptIdentity, Buffer, HostIdentity, Stream, Transport, refuse_unknown
from tasks.transports.redact import Redactor
from tasks.transports.ssh_auth import Login
from tasks.transports.ssh_config import resolve
from tasks.transports.ssh_dial import connect
from tasks.transports.ssh_identity import check_identity, lookup
from tasks.transports.ssh_link import Link
from tasks.transports.ssh_settings import Secret, SshSettings
from tasks.transports.ssh_wire import StalledError
from tasks.transports.tail import Tail

__all__ = ["Secret", "SshSettings", "SshStream", "SshTransport"]

#: How long a program may take to end by itself after its input has ended, in seconds; it tidies up meanwhile.
_GRACE: Final = 0.5
#: How long a goodbye may take on a connection that stands still, in seconds.
_GOODBYE: Final = 2.0


class SshTransport(Transport):
    """A connection to an SSH server, by the settings of the inventory."""

    def __init__(self, host: str, settings: SshSettings) -> None:
        self.host = host
        self.settings = settings
        self.redactor = Redactor(settings.secrets())
        self._links: list[Link] = []
        self._streams: list[SshStream] = []
        self._identity: HostIdentity | None = None

    def __repr__(self) -> str:
        return f"SshTransport({self.host!r}, {self.settings.address!r}, port={self.settings.port})"

    def open(self, accept_identity: AcceptIdentity = refuse_unknown) -> None:
        """Connect, check the host's key against known_hosts, log in.

        ``accept_identity`` is asked when the key is not known, or not the known one, and only about the host itself:
        the hosts on the way must be known. A password is never offered to a host whose key has changed.
        """
        if self._links:
            return
        try:
            self.settings = resolve(self.settings, self.host)
            self._identity = self._connect(self.settings, accept_identity)
        except BaseException:
            self.close()
            raise

    def _connect(self, settings: SshSettings, accept_identity: AcceptIdentity) -> HostIdentity:
        """Open a link by ``settings``, after those it leads through."""
        through: Link | None = None
        if settings.jump is not None:
            self._connect(settings.jump, refuse_unknown)
            through = self._links[-1]
        known = lookup(self.host, settings)
        algorithms = settings.host_key_algorithms or known.algorithms
        link = connect(self.host, settings, self.redactor, algorithms, through)
        self._links.append(link)
        key = link.get_remote_server_key()
        identity, no_password = check_identity(self.host, settings, key, known, accept_identity)
        Login(self.host, link, settings, self.redactor, password_allowed=not no_password).run()
        link.set_keepalive(settings.keepalive)
        return identity

    @property
    def link(self) -> Link:
        """The open connection. Raises ``Unreachable`` when there is none."""
        if not self._links or not self._links[-1].is_active():
            raise Unreachable(
                "the SSH connection is not open",
                hint="The host hung up, or its network was cut: try again.",
                host=self.host,
            )
        return self._links[-1]

    @property
    def platform(self) -> str:  # type: ignore[override]  # the seam has a plain attribute
        """``windows`` when the server calls itself OpenSSH for Windows."""
        version = str(self.link.remote_version or "") if self._links else ""
        return "windows" if "for_Windows" in version else ""

    @property
    def user(self) -> str:
        """The account that is or will be logged in."""
        return self.settings.user or getpass.getuser()

    def start(self, argv: Sequence[str]) -> SshStream:
        """Start a program through the account's login shell, which gets each argument quoted."""
        command = " ".join(shlex.quote(argument) for argument in argv).encode("utf-8", "surrogateescape")
        return self._start("starting a program", lambda channel: channel.exec_command(command))

    def start_line(self, line: str) -> SshStream:
        """Start a command line that the account's login shell takes as it is: for hosts whose shell is not POSIX."""
        return self._start("starting a program", lambda channel: channel.exec_command(line))

    def start_subsystem(self, name: str) -> SshStream:
        """Start a subsystem of the SSH server, such as ``sftp``. Raises ``HelperFailed`` when it has none."""
        try:
            return self._start(f"starting the subsystem {name}", lambda channel: channel.invoke_subsystem(name))
        except Unreachable as error:
            if not self._links[-1].is_active():
                raise
            raise HelperFailed(
                f"the SSH server does not offer the subsystem {name}",
                hint=f"Check 'Subsystem {name}' in the host's sshd_config.",
                host=self.host,
            ) from error

    def _start(self, action: str, begin: Callable[[paramiko.Channel], None]) -> SshStream:
        link = self.link
        with self._translated(action), _deadline(self.settings.connect_timeout) as channels:
            channel = link.open_exec(self.settings.connect_timeout)
            channels.append(channel)
            begin(channel)
        stream = SshStream(self.host, link, channel, self.settings.idle_timeout, self.redactor)
        self._streams.append(stream)
        return stream

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        """Turn what paramiko raises within into ``Timeout`` or ``Unreachable``, without secrets."""
        try:
            yield
        except FirstbellError:
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            text = self.redactor.text(str(error) or type(error).__name__)
            if isinstance(error, TimeoutError) or "timeout" in text.lower() or "timed out" in text.lower():
                raise Timeout(
                    f"{action}: the host did not answer in time",
                    hint="It may be asleep, overloaded or cut off: try again.",
                    host=self.host,
                ) from error
            raise Unreachable(
                f"{action} failed: {text}", hint="The connection may have been cut: try again.", host=self.host
            ) from error

    def identity(self) -> HostIdentity:
        """Return the key that the host showed."""
        if self._identity is None:
            raise Unreachable("the SSH connection is not open", host=self.host)
        return self._identity

    def close(self) -> None:
        """End what was started and disconnect, from the host itself first."""
        while self._streams:
            self._streams.pop().close()
        while self._links:
            link = self._links.pop()
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                link.close()
            if link.is_alive():
                link.join(_GOODBYE)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[list[paramiko.Channel]]:
    """Close the channels in the list when the body takes longer: paramiko waits for ever for an answer to exec."""
    channels: list[paramiko.Channel] = []
    late = threading.Event()

    def give_up() -> None:
        late.set()
        for channel in channels:
            # Nobody would hear of a connection that is gone already: whoever waits notices that by itself.
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                channel.close()

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield channels
    except paramiko.SSHException as error:
        if late.is_set():
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        raise
    finally:
        timer.cancel()


class SshStream(Stream):
    """The standard streams of one program on the host."""

    def __init__(self, host: str, link: Link, channel: paramiko.Channel, idle_timeout: float, redactor: Redactor):
        self._host = host
        self._link = link
        self._channel = channel
        self._window = channel.out_window_size
        self._idle_timeout = idle_timeout
        self._redactor = redactor
        self._closed = False
        self._close_lock = threading.Lock()
        self._tail = Tail(redactor)
        channel.settimeout(idle_timeout)
        self._drain = threading.Thread(target=self._drain_errors, name=f"stderr of {host}", daemon=True)
        self._drain.start()

    def write(self, data: Buffer) -> None:
        """Write all of ``data`` to standard input."""
        view = memoryview(data).cast("B")
        while view:
            try:
                sent = self._link.send_data(self._channel, view, window=self._window)
            except TimeoutError:
                raise self._stalled("takes no input") from None
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise self._gone(error) from error
            if sent == 0:
                raise self._gone(None)
            view = view[sent:]

    def read(self, limit: int) -> bytes:
        """Return 1 to ``limit`` bytes of standard output, or ``b""`` at its end."""
        if self._closed:
            raise self._gone(None)
        try:
            data = self._channel.recv(limit)
        except TimeoutError:
            raise self._stalled("says nothing") from None
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._gone(error) from error
        if not data and (self._closed or not self._channel.eof_received):
            raise self._gone(None)
        return data

    def finish_input(self) -> None:
        """Close standard input."""
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            self._channel.shutdown_write()

    def wait(self, timeout: float) -> int:
        """Wait until the program has ended and return its exit code, 128 + n for signal n."""
        if not self._channel.status_event.wait(timeout):
            raise Timeout(f"the program did not end within {timeout:g} s", host=self._host)
        if self._channel.exit_status < 0:
            raise self._gone(None)
        return self._channel.exit_status

    def error_text(self) -> str:
        """Return the last 64 KiB of standard error so far."""
        if self._channel.closed or self._channel.eof_received:
            # It has ended: what it said last is about to arrive.
            self._drain.join(1.0)
        return self._tail.text()

    def close(self) -> None:
        """End the program by the end of its input, and give up the channel.

        What heeds neither that nor a closed output gets a signal, where the host passes it on: OpenSSH since 7.9, but
        not for root.
        """
        with self._close_lock:
            if self._closed:
                return
            self._closed = True
        # A connection that stands still must not hold us up for the whole idle deadline.
        packetizer = self._link.packetizer
        packetizer.stall_timeout = min(packetizer.stall_timeout, _GOODBYE)
        self.finish_input()
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            if not self._channel.status_event.wait(_GRACE):
                self._link.send_signal(self._channel, "TERM")
            self._channel.close()
        self._drain.join(_GOODBYE)

    def _drain_errors(self) -> None:
        """Take standard error as it comes: it shares the channel's window with standard output."""
        while True:
            try:
                piece = self._channel.recv_stderr(65536)
            except TimeoutError:
                if self._closed:
                    return
                continue
            except (paramiko.SSHException, EOFError, OSError):
                return
            if not piece:
                return
            self._tail.add(piece)

    def _stalled(self, complaint: str) -> Timeout:
        return Timeout(
            f"the program {complaint} for {self._idle_timeout:g} s",
            hint="Look at what the computer is busy with; a longer idle timeout may be needed.",
            host=self._host,
        )

    def _gone(self, error: BaseException | None) -> Unreachable | HelperFailed | Timeout:
        """Say why a stream cannot go on."""
        if self._closed:
            return Unreachable("the stream was closed", host=self._host)
        if isinstance(error, StalledError | paramiko.SSHException):
            return self._stalled(f"or its host takes nothing ({self._redactor.text(str(error))})")
        channel = self._channel
        # paramiko closes the channels of a broken connection a moment before it tells that it is broken.
        ended = channel.eof_received or channel.eof_sent or channel.exit_status >= 0
        if ended and self._link.is_active() and not isinstance(error, EOFError):
            return HelperFailed("the program has closed its input or ended", host=self._host)
        reason = self._link.disconnect_reason or str(error or self._link.get_exception() or "")
        return Unreachable(
            self._redactor.text("the SSH connection was cut" + (f": {reason}" if reason else "")),
            hint="The computer may have been switched off or lost its network: try again.",
            host=self._host,
        )


def make(host: str, settings: SshSettings | None) -> SshTransport:
    """Return the transport for ``registry``. Raises ``InventoryError`` without settings."""
    if settings is None:
        raise InventoryError("no address is set", hint="Set 'address' for this host in the inventory.", host=host)
    return SshTransport(host, settings)
