"""What else may answer at WinRM's port: it gets nothing readable, and the error says what it was."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr

from tasks.errors import AuthFailed, IdentityRefused, ToolMissing, Unreachable
from tasks.transports.winrm import WinRmSettings, WinRmTransport


@contextmanager
def stranger(reply: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Give a port where everything gets this reply, nothing an end, and what came there."""
    received: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(5)
                    while told := connection.recv(1 << 20):
                        received.append(told)
                        if not reply:
                            break
                        connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], received
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def http(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", Unreachable, "does not speak HTTP"),
        (http("404 Not Found"), Unreachable, "is not there: another service answers"),
        (http("503 Service Unavailable"), Unreachable, "HTTP status 503"),
        (http("200 OK", body=b"welcome"), IdentityRefused, "wanted no login"),
        (http("302 Found", "Location: http://127.0.0.1:9/"), IdentityRefused, "sends us on to somebody else"),
        (http("307 Moved", "Location: http://127.0.0.1:9/"), IdentityRefused, "sends us on to somebody else"),
        (
            http("401 No", 'WWW-Authenticate: Basic realm="x"'),
            AuthFailed,
            "not let anybody log in by ntlm, only by Basic",
        ),
        (http("401 No", "WWW-Authenticate: Negotiate"), AuthFailed, "refused the login of a.ito"),
        (http("200 OK", body=bytes(3 << 20)), Unreachable, "an answer is longer than any of WinRM"),
        (b"", Unreachable, "was cut"),
    ],
)
def test_a_stranger_is_told_and_learns_nothing(reply: bytes, kind: type[Exception], words: str) -> None:
    with stranger(reply) as (port, received):
        settings = WinRmSettings("127.0.0.1", port, "http", user="a.ito", password=SecretStr("not for strangers"))
        with pytest.raises(kind, match=f"^lab3-07: .*{words}") as caught:
            WinRmTransport("lab3-07", settings).open()
    assert type(caught.value) is kind
    told = b"".join(received)
    assert told.startswith(b"POST /wsman ")
    # Over http only logins: no envelope, and no answer to a challenge that nobody gave.
    assert b"Envelope" not in told
    assert b"not for strangers" not in told


@pytest.mark.skipif(importlib.util.find_spec("kerberos") is not None, reason="pykerberos is installed")
def test_kerberos_without_its_package_is_told() -> None:
    settings = WinRmSettings("127.0.0.1", 9, "http", auth="kerberos")
    with pytest.raises(ToolMissing, match="needs the Python package pykerberos") as caught:
        WinRmTransport("lab3-07", settings).open()
    assert "pywinrm[kerberos]" in caught.value.hint
