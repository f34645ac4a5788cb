"""From an address to an SSH connection that has agreed on keys, before anybody's identity is checked."""

from __future__ import annotations

import contextlib
import socket
import time

import paramiko

from tasks.errors import Timeout, Unreachable
from tasks.transports.redact import Redactor
from tasks.transports.ssh_link import MAX_PACKET, WINDOW, Link
from tasks.transports.ssh_settings import SshSettings


def connect(
    host: str, settings: SshSettings, redactor: Redactor, algorithms: tuple[str, ...], through: Link | None
) -> Link:
    """Return a link that has agreed on keys; ``through`` leads there, ``algorithms`` of host keys are asked for first.

    Raises ``Unreachable`` or ``Timeout``.
    """
    sock = _socket(host, settings) if through is None else _tunnel(host, settings, through)
    link = Link(sock, redactor)
    try:
        return _agree(host, settings, link, algorithms)
    except BaseException:
        link.close()
        sock.close()
        raise


def _agree(host: str, settings: SshSettings, link: Link, algorithms: tuple[str, ...]) -> Link:
    timeout = settings.connect_timeout
    link.banner_timeout = link.handshake_timeout = timeout
    link.clear_to_send_timeout = link.packetizer.stall_timeout = settings.idle_timeout
    link.channel_timeout = settings.connect_timeout
    link.prefer_host_keys(algorithms)
    place = f"{settings.address} port {settings.port}"
    started = time.monotonic()
    try:
        link.start_client(timeout=timeout)
    except (paramiko.SSHException, EOFError, OSError) as error:
        # At its deadline paramiko raises the same errors as when the other side hangs up.
        if time.monotonic() - started < timeout * 0.95:
            text = _reason(link, error)
            raise Unreachable(
                f"{place} hung up before the SSH handshake was done: {text}",
                hint="Check that this port is an SSH server's, and that it does not refuse this address (sshd's log).",
                host=host,
            ) from error
    if not link.initial_kex_done:
        raise Timeout(
            f"{place} took the connection, but its SSH server did not finish the handshake within {timeout:g} s",
            hint="The computer may be asleep, overloaded, or out of memory; or this port is no SSH server's.",
            host=host,
        )
    return link


def _reason(link: Link, error: BaseException) -> str:
    """Return why a link failed, in the host's words where it gave some."""
    return link.redacted(link.disconnect_reason or str(error) or "end of data")


def _socket(host: str, settings: SshSettings) -> socket.socket:
    address, port, timeout = settings.address, settings.port, settings.connect_timeout
    deadline = time.monotonic() + timeout
    try:
        candidates = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(
            f"the name {address!r} is unknown: {getattr(error, 'strerror', None) or error}",
            hint="Check the address in the inventory, and the name server.",
            host=host,
        ) from error
    reasons: list[str] = []
    for position, (family, kind, protocol, _, place) in enumerate(candidates):
        sock = socket.socket(family, kind, protocol)
        # An address that swallows everything must leave time for the next one.
        sock.settimeout(max(0.05, (deadline - time.monotonic()) / (len(candidates) - position)))
        try:
            sock.connect(place)
        except TimeoutError:
            sock.close()
            reasons.append(f"{place[0]}: no answer within {timeout:g} s")
        except OSError as error:
            sock.close()
            reasons.append(f"{place[0]}: {error.strerror or error}")
        else:
            _tune(sock, settings)
            return sock
    raise Unreachable(
        f"port {port} of {address} cannot be reached ({'; '.join(dict.fromkeys(reasons))})",
        hint="Check that the computer is on, in this network, and that its SSH server runs on that port.",
        host=host,
    )


def _tune(sock: socket.socket, settings: SshSettings) -> None:
    """Send small packets at once, and notice a peer that is gone without a word."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.idle_timeout * 1000))


def _tunnel(host: str, settings: SshSettings, through: Link) -> paramiko.Channel:
    target = (settings.address, settings.port)
    try:
        return through.open_channel(
            "direct-tcpip", target, ("127.0.0.1", 0), WINDOW, MAX_PACKET, timeout=settings.connect_timeout
        )
    except (paramiko.SSHException, EOFError, OSError) as error:
        text = _reason(through, error)
        if "timeout" in text.lower():
            raise Timeout(
                f"the jump host did not reach {settings.address} port {settings.port} within "
                f"{settings.connect_timeout:g} s",
                host=host,
            ) from error
        raise Unreachable(
            f"the jump host cannot reach {settings.address} port {settings.port}: {text}",
            hint="Check that the computer is on, and that the jump host allows TCP forwarding (AllowTcpForwarding).",
            host=host,
        ) from error
