"""One SSH connection: paramiko's Transport, made quiet, given deadlines, and told what to prefer."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from typing import Any, Final

import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST, cMSG_CHANNEL_REQUEST
from paramiko.message import Message

from tasks.transports.redact import Redactor
from tasks.transports.ssh_wire import BURST, BufferingPacketizer, ChannelData, ChunkPipe

#: paramiko lists these last; with AES instructions they cost half of aes-ctr with a MAC.
_FIRST_CIPHERS: Final = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
#: How many bytes a host may send ahead on a channel.
WINDOW: Final = 4 * 1024 * 1024
#: Largest packet that we take, in bytes. sshd sends up to this much in one; its own limit is 256 KiB with overhead.
MAX_PACKET: Final = 240 * 1024
#: How long a host gets for making room for more than a few packets, in seconds.
_PAUSE: Final = 0.001
#: The signals that a host names when a program ended by one (RFC 4254, section 6.10), as POSIX numbers them.
_SIGNALS: Final = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9, "SEGV": 11, "PIPE": 13, "ALRM": 14,
    "TERM": 15,
}  # fmt: skip

_log = logging.getLogger(__name__)


def _handle_request(channel: paramiko.Channel, message: Message) -> None:
    """Take a request about a channel: ``exit-signal``, which paramiko does not know, becomes an exit code."""
    start = message.packet.tell()
    if message.get_text() == "exit-signal":
        message.get_boolean()
        channel.exit_status = 128 + _SIGNALS.get(message.get_text(), 0)
        channel.status_event.set()
        return
    message.packet.seek(start)
    channel._handle_request(message)  # type: ignore[attr-defined]


class Link(paramiko.Transport):
    """An SSH connection. Its log goes to ours at the level DEBUG, redacted: paramiko writes tracebacks into its own."""

    _channel_handler_table = {  # noqa: RUF012 - declared so by paramiko
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_REQUEST: _handle_request,
    }

    packetizer: BufferingPacketizer

    def __init__(self, sock: socket.socket | paramiko.Channel, redactor: Redactor) -> None:
        self._redactor = redactor
        #: What the host said when it hung up on us.
        self.disconnect_reason = ""
        #: What our reading thread has to say while keys are exchanged anew.
        self._postponed: list[Message] = []
        super().__init__(
            sock,
            default_window_size=WINDOW,
            default_max_packet_size=MAX_PACKET,
            packetizer_class=BufferingPacketizer,
        )
        self.name = "ssh"
        self.set_log_channel(f"{__name__}.wire")
        options = self.get_security_options()
        options.ciphers = _FIRST_CIPHERS + tuple(name for name in options.ciphers if name not in _FIRST_CIPHERS)

    def prefer_host_keys(self, algorithms: tuple[str, ...]) -> None:
        """Ask for host keys of these algorithms first, as OpenSSH does with those it knows of the host."""
        options = self.get_security_options()
        known = tuple(name for name in algorithms if name in options.key_types)
        options.key_types = known + tuple(name for name in options.key_types if name not in known)

    def open_exec(self, timeout: float) -> paramiko.Channel:
        """Return a session channel for one program or subsystem, not yet started."""
        channel = self.open_session(WINDOW, MAX_PACKET, timeout=timeout)
        # Nothing comes before the program is started, so that nothing is lost here.
        channel.in_buffer = ChunkPipe()
        return channel

    def send_data(self, channel: paramiko.Channel, content: memoryview, *, window: int) -> int:
        """Send as much of ``content`` as the host takes now, and return how much; 0 when it takes nothing any more.

        Waits and raises as ``channel.send`` does, but sends several packets at a time. ``window`` is how many bytes the
        host took ahead when the channel was new.
        """
        # paramiko keeps this many bytes of a packet to itself.
        largest = channel.out_max_packet_size - 64
        burst = largest * BURST
        if 4 * burst <= window and channel.out_window_size < min(len(content), burst):
            # sshd gives way in small steps, and each would wake us for a few packets; much is under way meanwhile.
            time.sleep(_PAUSE)
        with channel.lock:
            if channel.closed:
                raise OSError("the channel is closed")
            size = channel._wait_for_send_window(len(content))  # type: ignore[attr-defined]
            if size == 0:
                return 0
            more = max(0, min(len(content), burst, channel.out_window_size + size) - size)
            channel.out_window_size -= more
            size += more
        # Not under the lock of the channel: while keys are exchanged anew, both would wait for each other.
        self._send_user_message(ChannelData(channel, content[:size], largest))
        return int(size)

    def stop_thread(self) -> None:
        """Let the thread that reads end now: paramiko's looks up from its socket ten times a second."""
        self.active = False
        if isinstance(self.sock, socket.socket):
            # Closing alone, which follows, wakes nobody.
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
        super().stop_thread()

    def send_signal(self, channel: paramiko.Channel, name: str) -> None:
        """Ask the host to send a signal to the program of a channel (RFC 4254, section 6.9); there is no answer."""
        message = Message()
        message.add_byte(cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string(name)
        self._send_user_message(message)

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            for line in msg if isinstance(msg, list) else [msg]:
                _log.debug("%s", self._redactor.text(str(line) % args if args else str(line)))

    def _send_user_message(self, data: Message | ChannelData) -> None:
        """Send a message, not before new keys are agreed on.

        paramiko would wait for them also in the thread that takes them in, when a channel is closed just then.
        """
        if threading.current_thread() is self and not self.clear_to_send.is_set() and isinstance(data, Message):
            self._postponed.append(data)
        else:
            super()._send_user_message(data)  # type: ignore[misc]

    def _parse_newkeys(self, m: Message) -> None:
        super()._parse_newkeys(m)  # type: ignore[misc]
        postponed, self._postponed = self._postponed, []
        for data in postponed:
            self._send_user_message(data)

    def _parse_disconnect(self, m: Message) -> None:
        start = m.packet.tell()
        m.get_int()
        self.disconnect_reason = m.get_text()
        m.packet.seek(start)
        super()._parse_disconnect(m)  # type: ignore[misc]

    def redacted(self, text: str) -> str:
        """Return ``text`` without secrets."""
        return self._redactor.text(text)
