"""A WinRM server of one's own on a free loopback port, over http or https: real NTLM, real processes, no Windows.

It behaves as the reference says that Windows does, where that is known; what stands behind is whatever ``runner``
starts. What it cannot show: Kerberos, CredSSP, and Windows itself. ``Faults`` are what a network and a service do to a
client on a bad day.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from tests.support import winrm_soap as soap
from tests.support.winrm_faults import Faults
from tests.support.winrm_login import SEALED, Accounts, BadSeal, Login, Refused
from tests.support.winrm_shells import Quotas, Runner, Shells

#: What a part of an answer costs besides the output itself, in bytes.
_ENVELOPE_OVERHEAD = 2048


class _Cut(Exception):
    """The connection is to be cut without an answer."""


class WinRmServer:
    """Listens from ``start`` to ``stop``; also a context manager.

    ``certificate`` (certificate and key as PEM files) makes it https; ``client_ca`` lets client certificates in whose
    common name is in ``accounts.certificates``. Without TLS, what is not sealed is refused.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        user: str = "a.ito",
        password: str = "pw of a.ito",
        certificate: tuple[Path, Path] | None = None,
        client_ca: Path | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self.user = user
        self.password = password
        self._folder = tempfile.TemporaryDirectory(prefix="firstbell-winrm-")
        self.accounts = Accounts(Path(self._folder.name) / "accounts", {user: password})
        self.quotas = quotas or Quotas()
        self.shells = Shells(runner, self.quotas)
        self.faults = Faults()
        #: How often each operation was carried out.
        self.operations: Counter[str] = Counter()
        #: How many bytes each stream of all programs has carried: stdin, stdout, stderr.
        self.carried: Counter[str] = Counter()
        #: How many connections there were, how many requests came in clear, how many with a stale seal.
        self.connections = self.in_clear = self.stale = 0
        #: Connections are taken, and cut at once.
        self.down = False
        self.address = "127.0.0.1"
        self.stopped = threading.Event()
        self.tls: ssl.SSLContext | None = None
        self.certificate_hash: bytes | None = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
            der = ssl.PEM_cert_to_DER_cert(certificate[0].read_text())
            self.certificate_hash = hashlib.sha256(der).digest()
            if client_ca is not None:
                self.tls.load_verify_locations(client_ca)
                self.tls.verify_mode = ssl.CERT_OPTIONAL
        self._http = _Listener(self)
        self.port = self._http.server_address[1]
        self._thread: threading.Thread | None = None
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()

    def start(self) -> WinRmServer:
        """Listen."""
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End everything."""
        self.stopped.set()
        if self._thread is not None:
            self._http.shutdown()
            self._thread.join(10)
            self._thread = None
        self.drop_connections()
        self.shells.stop()
        self._http.server_close()
        self._folder.cleanup()

    def __enter__(self) -> WinRmServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def drop_connections(self) -> None:
        """Cut all connections; who comes again must log in anew."""
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def restart(self) -> None:
        """End the service and start it again: all shells are gone, their programs killed."""
        self.down = True
        self.drop_connections()
        self.shells.clear()
        self.drop_connections()
        self.down = False

    def reach(self, connection: socket.socket) -> None:
        """Count a connection in."""
        with self._lock:
            self.connections += 1
            self._sockets.add(connection)

    def leave(self, connection: socket.socket) -> None:
        """Count a connection out."""
        with self._lock:
            self._sockets.discard(connection)

    def count(self, name: Literal["in_clear", "stale"]) -> None:
        """Count one more of what should not come."""
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)

    def perform(self, request: soap.Request, user: str) -> bytes:
        """Carry a request out and return the answer. Raises ``SoapFault``."""
        operation = request.action.rpartition("/")[2]
        handlers: dict[str, Callable[[soap.Request, str], str]] = {
            f"{soap.TRANSFER}/Create": self._create,
            f"{soap.TRANSFER}/Delete": self._delete,
            f"{soap.SHELL}/Command": self._command,
            f"{soap.SHELL}/Send": self._send,
            f"{soap.SHELL}/Receive": self._receive,
            f"{soap.SHELL}/Signal": self._signal,
        }
        handler = handlers.get(request.action)
        if handler is None or request.resource != soap.CMD_SHELL:
            raise soap.SoapFault(soap.ACTION_NOT_SUPPORTED, "a:ActionNotSupported", "No such action.")
        with self._lock:
            self.operations[operation] += 1
        if operation in self.faults.late:
            raise soap.timed_out()
        return soap.envelope(request.message_id, f"{request.action}Response", handler(request, user))

    def _create(self, request: soap.Request, user: str) -> str:
        idle = request.text("IdleTimeOut")
        return soap.shell_created(self.shells.create(user, soap.seconds(idle) if idle else None).id)

    def _delete(self, request: soap.Request, user: str) -> str:
        with self.shells.use(request.shell_id, user):
            self.shells.remove(request.shell_id)
        return ""

    def _command(self, request: soap.Request, user: str) -> str:
        line = " ".join(filter(None, (request.find("Command").text, request.text("Arguments"))))
        with self.shells.use(request.shell_id, user) as shell:
            command = self.shells.start(shell, line)
        return f"<rsp:CommandResponse><rsp:CommandId>{command.id}</rsp:CommandId></rsp:CommandResponse>"

    def _send(self, request: soap.Request, user: str) -> str:
        stream = request.find("Stream")
        data, end = soap.stream_data(stream), stream.get("End", "false").lower() in ("true", "1")
        with self._lock:
            self.carried["stdin"] += len(data)
        with self.shells.use(request.shell_id, user) as shell:
            self._known(shell.commands, stream).send(data, end=end, timeout=request.operation_timeout)
        return "<rsp:SendResponse></rsp:SendResponse>"

    def _receive(self, request: soap.Request, user: str) -> str:
        room = max(1024, (min(request.envelope_limit, self.quotas.envelope) - _ENVELOPE_OVERHEAD) // 4 * 3)
        with self.shells.use(request.shell_id, user) as shell:
            command = self._known(shell.commands, request.find("DesiredStream"))
            pieces, code, done = command.receive(room, request.operation_timeout)
        with self._lock:
            self.carried.update({name: len(piece) for name, piece in pieces.items()})
        if any(pieces.values()) and self.faults.take("lose_receives"):
            raise _Cut
        return soap.output(command.id, pieces, code, done=done)

    def _signal(self, request: soap.Request, user: str) -> str:
        code = request.text("Code")
        with self.shells.use(request.shell_id, user) as shell:
            assert request.body is not None
            command = self._known(shell.commands, request.body)
            if code in (soap.TERMINATE, soap.CTRL_C):
                command.terminate()
            if code == soap.TERMINATE:
                command.close()
                shell.commands.pop(command.id, None)
        return "<rsp:SignalResponse></rsp:SignalResponse>"

    @staticmethod
    def _known(commands: dict[str, Any], element: Any) -> Any:
        command = commands.get(element.get("CommandId", ""))
        if command is None:
            raise soap.SoapFault(soap.INVALID_PARAMETER, "w:InvalidParameter", "The parameter is incorrect.")
        return command


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, owner: WinRmServer) -> None:
        self.owner = owner
        super().__init__((owner.address, 0), _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections are cut here all the time."""


class _Connection(BaseHTTPRequestHandler):
    """One connection of a client, with its own login."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        self.owner = self.server.owner
        self._raw = self.request
        self.owner.reach(self._raw)
        client_name = ""
        if self.owner.tls is not None:
            self._raw.settimeout(30)
            with contextlib.ExitStack() as stack:
                stack.callback(self.owner.leave, self._raw)
                self.request = self.owner.tls.wrap_socket(self._raw, server_side=True)
                stack.pop_all()
            self.owner.leave(self._raw)
            self._raw = self.request
            self.owner.reach(self._raw)
            self.request.settimeout(None)
            subject = (self.request.getpeercert() or {}).get("subject", ())
            client_name = dict(pair for part in subject for pair in part).get("commonName", "")
        self.login = Login(
            self.owner.accounts, self.owner.certificate_hash, client_name, basic=self.owner.tls is not None
        )
        super().setup()

    def finish(self) -> None:
        self.owner.leave(self._raw)
        super().finish()
        self._raw.close()

    def do_POST(self) -> None:
        try:
            self._serve()
        except _Cut:
            self.close_connection = True
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._raw, socket.SHUT_RDWR)

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if self.path != "/wsman":
            return self._answer(404)
        try:
            user = self.login.check(self.headers.get("Authorization"))
        except Refused as refused:
            return self._refuse(refused.challenge)
        self._disturb()
        if not body:
            if self.owner.faults.take("drop_logins"):
                raise _Cut
            return self._answer(200)
        sealed = SEALED in self.headers.get("Content-Type", "")
        if sealed:
            if self.owner.faults.take("stale_seals"):
                return self._answer(400)
            try:
                body = self.login.unseal(body)
            except BadSeal:
                self.owner.count("stale")
                return self._answer(400)
        elif self.owner.tls is None:
            # AllowUnencrypted=false; how exactly Windows says it is not known.
            self.owner.count("in_clear")
            return self._answer(500)
        if length > self.owner.quotas.envelope:
            return self._answer(413)
        status, answer, drop = self._carry_out(body, user)
        if in_clear := self.owner.faults.answer_in_clear:
            disguise = 'multipart/encrypted;protocol="none"' if in_clear == "disguised" else ""
            return self._answer(status, answer, content_type=disguise)
        self._answer(status, self.login.seal(answer) if sealed else answer, sealed=sealed)
        if drop:
            raise _Cut
        return None

    def _carry_out(self, body: bytes, user: str) -> tuple[int, bytes, bool]:
        """Return the status, the answer, and whether the connection is to be cut after it."""
        faults = self.owner.faults
        message_id, drop = "", False
        try:
            request = soap.parse(body)
            message_id = request.message_id
            drop = faults.drops(request.action.rpartition("/")[2])
            if drop and faults.drop_when == "before":
                raise _Cut
            status, answer = 200, self.owner.perform(request, user)
        except soap.SoapFault as fault:
            status, answer = 500, soap.fault_envelope(message_id, fault)
        if drop and faults.drop_when == "unanswered":
            raise _Cut
        return status, answer, drop

    def _disturb(self) -> None:
        faults = self.owner.faults
        if self.owner.down:
            raise _Cut
        if faults.delay:
            self.owner.stopped.wait(faults.delay)
        while faults.silent and not self.owner.stopped.wait(0.05):
            pass

    def _refuse(self, challenge: bytes | None) -> None:
        offers = ["Negotiate"]
        if challenge is not None:
            offers = [f"Negotiate {base64.b64encode(challenge).decode()}"]
        elif self.owner.tls is not None:
            offers.append('Basic realm="WSMAN"')
        self._answer(401, offers=offers)

    def _answer(
        self,
        status: int,
        body: bytes = b"",
        *,
        sealed: bool = False,
        offers: list[str] | None = None,
        content_type: str = "",
    ) -> None:
        lines = [f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}", "Server: Microsoft-HTTPAPI/2.0"]
        lines += [f"WWW-Authenticate: {offer}" for offer in offers or ()]
        if sealed:
            lines.append(f'Content-Type: multipart/encrypted;protocol="{SEALED}";boundary="Encrypted Boundary"')
        elif body:
            lines.append(f"Content-Type: {content_type or 'application/soap+xml;charset=UTF-8'}")
        lines += [f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S GMT', time.gmtime())}", f"Content-Length: {len(body)}"]
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
