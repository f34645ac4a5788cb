"""pywinrm's protocol over connections of our own: pinned, never in clear, and with an end from another thread.

What of pywinrm 0.5 and requests_ntlm 1.3 must not be left as it is:

- after a login that failed half-way pywinrm sends the next message in clear, and it takes an answer in clear for a
  sealed one: both are refused here;
- after a cut connection requests_ntlm logs in anew, but sends what was sealed with the old key, and nothing works from
  then on: here, a session has one connection, and a new one needs a new session;
- it takes proxies, netrc and certificates of authorities from the environment: nothing is taken from there.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from http import HTTPStatus
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from winrm.encryption import Encryption
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm.protocol import Protocol
from winrm.transport import Transport as WinRmSession

from tasks.transports.winrm_fingerprint import hexadecimal
from tasks.transports.winrm_settings import SEALING, WinRmSettings

#: The longest answer that is taken, in bytes; we ask for envelopes of at most 150 KiB.
_LARGEST_ANSWER: Final = 2 * 1024 * 1024


class InClearError(Exception):
    """Something would have been sent, or was answered, in clear."""


class Adapter(HTTPAdapter):
    """Makes the connections of one session, remembers their sockets, and refuses a second one after the login."""

    def __init__(self, fingerprint: str | None) -> None:
        self._fingerprint = fingerprint
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        #: No further connection may be made: it would not be logged in.
        self.settled = False
        self._over = False
        #: The ways to log in that the host offered when it last refused one.
        self.offered = ""
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        """Make the pool, whose connections tell us of their sockets."""
        if self._fingerprint is not None:
            kwargs["assert_fingerprint"] = hexadecimal(self._fingerprint)
        super().init_poolmanager(connections, maxsize, block, **kwargs)
        adapter = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                adapter.admit(self)
                super().connect()
                adapter.keep(self.sock)

        class Wrapped(HTTPSConnection):
            def connect(self) -> None:
                adapter.admit(self)
                super().connect()
                adapter.keep(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class WrappedPool(HTTPSConnectionPool):
            ConnectionCls = Wrapped

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": WrappedPool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send, and note what the host offers when it wants a login."""
        response = super().send(request, *args, **kwargs)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self.offered = response.headers.get("WWW-Authenticate", "")
        return response

    def admit(self, connection: HTTPConnection) -> None:
        """Raise urllib3's ``NewConnectionError`` when no connection may be made any more."""
        if self.settled or self._over:
            raise NewConnectionError(connection, "the connection was cut")

    def keep(self, sock: Any) -> None:
        """Remember a socket, to end it."""
        with self._lock:
            self._sockets = {one for one in self._sockets if one.fileno() >= 0}
            self._sockets.add(sock)
        if self._over:
            self.abort()

    def abort(self) -> None:
        """End the connections at once: who waits for an answer gets an error. May be called from any thread."""
        self._over = True
        with self._lock:
            for sock in self._sockets:
                # Not SSLSocket's own, which would change what the other thread is using.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Session(WinRmSession):
    """pywinrm's transport: one login over one connection."""

    def __init__(self, settings: WinRmSettings, fingerprint: str | None) -> None:
        password = settings.password.get_secret_value() if settings.password is not None else None
        super().__init__(
            endpoint=settings.endpoint,
            username=settings.user,
            password=password,
            service="HTTP",
            ca_trust_path=None,  # type: ignore[arg-type] # what its own documentation says
            cert_pem=str(settings.certificate_file) if settings.auth == "certificate" else None,
            cert_key_pem=str(settings.key_file) if settings.auth == "certificate" else None,
            auth_method=settings.auth,
            proxy=None,
        )
        #: For connecting and for the answer, in seconds; requests takes both where pywinrm means one.
        self.read_timeout_sec: tuple[float, float]  # type: ignore[assignment]
        if settings.auth == "basic" and settings.user is not None and password is not None:
            # requests would take text for Latin-1, which not all passwords are.
            self.username = settings.user.encode()  # type: ignore[assignment]
            self.password = password.encode()  # type: ignore[assignment]
        self._sealed = settings.scheme == "http"
        self._per_connection = settings.auth in SEALING
        self._fingerprint = fingerprint
        self.adapter: Adapter | None = None
        #: The ways to log in that the host offered when it last refused one.
        self.offered = ""

    def log_in(self) -> None:
        """Log in, unless that is done."""
        if self.session is not None:
            return
        try:
            session = self.build_session()
            if not self._sealed:
                self._prepare(session)
                if self._per_connection:
                    # A request without a body logs in; with sealing, pywinrm itself has sent one.
                    self._send_message_request(session, session.prepare_request(self._blank()))
                    self._check_login(session)
            if self.adapter is not None:
                self.adapter.settled = self._per_connection
        except BaseException:
            self.close_session()
            raise

    def _blank(self) -> requests.Request:
        return requests.Request("POST", self.endpoint, data=None)

    def _prepare(self, session: requests.Session) -> None:
        session.trust_env = False
        session.max_redirects = 0
        session.proxies = {}
        # The certificate is pinned instead: chain and name were checked when it was accepted.
        session.verify = False
        self.adapter = Adapter(self._fingerprint)
        for scheme in list(session.adapters):
            session.adapters.pop(scheme)
        session.mount(self.endpoint.partition("://")[0] + "://", self.adapter)

    def setup_encryption(self, session: requests.Session) -> None:
        """Log in by a request without a body, which gives the key to seal with."""
        self._prepare(session)
        super().setup_encryption(session)
        self._check_login(session)

    def _check_login(self, session: requests.Session) -> None:
        """Raise ``InClearError`` when the host wanted no login."""
        if self.auth_method == "ntlm" and getattr(session.auth, "session_security", None) is None:
            raise InClearError("the host wanted no login")

    def send_message(self, message: str | bytes) -> bytes:
        """Send an envelope and return the answer. Raises ``InClearError``."""
        self.log_in()
        if self._sealed and self.encryption is None:
            raise InClearError("the login gave no key to seal with")
        answer: bytes = super().send_message(message)
        return answer

    def _send_message_request(
        self, session: requests.Session, prepared_request: requests.PreparedRequest
    ) -> requests.Response:
        """As pywinrm's own, but without reading an answer that has no end."""
        response = session.send(prepared_request, timeout=self.read_timeout_sec, stream=True)
        content = response.raw.read(_LARGEST_ANSWER + 1, decode_content=True)
        if len(content) > _LARGEST_ANSWER:
            response.close()
            raise requests.exceptions.ContentDecodingError("an answer is longer than any of WinRM")
        response._content, response._content_consumed = content, True
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            raise InvalidCredentialsError
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            text = self._get_message_response_text(response) if content else b""
            raise WinRMTransportError("http", response.status_code, text.decode("utf-8", "replace"))
        return response

    def _get_message_response_text(self, response: requests.Response) -> bytes:
        # By pywinrm's own measure: what does not fit it is taken as it came.
        if self._sealed and not (self.encryption and _is_sealed(response, self.encryption)):
            if response.status_code == HTTPStatus.OK:
                raise InClearError("an answer came in clear")
            # Anybody in between could have said this; nothing of it is believed but that it went wrong.
            raise WinRMTransportError("http", response.status_code, "")
        text: bytes = super()._get_message_response_text(response)
        return text

    def close_session(self) -> None:
        """Disconnect; the next message logs in anew."""
        super().close_session()
        self.encryption = None
        if self.adapter is not None:
            self.offered = self.adapter.offered
            self.adapter = None

    @property
    def settled(self) -> bool:
        """Whether the connection is logged in, and another one would not be."""
        return self.adapter is not None and self.adapter.settled

    def abort(self) -> None:
        """End the connection at once, from any thread."""
        adapter = self.adapter
        if adapter is not None:
            adapter.abort()


def _is_sealed(response: requests.Response, encryption: Encryption) -> bool:
    return f'protocol="{encryption.protocol_string.decode()}"' in response.headers.get("Content-Type", "")


def make_protocol(settings: WinRmSettings, fingerprint: str | None) -> tuple[Protocol, Session]:
    """Return pywinrm's protocol over a ``Session``, not logged in yet. ``fingerprint`` pins the certificate."""
    protocol = Protocol(
        settings.endpoint,
        transport="plaintext",
        username="-",
        password="-",  # noqa: S106 - what it makes of these is replaced in the next line
        # It insists on this; the times that hold are set for each call.
        read_timeout_sec=settings.operation_timeout + 1,
        operation_timeout_sec=settings.operation_timeout,
        proxy=None,
    )
    session = Session(settings, fingerprint)
    protocol.transport = session
    return protocol, session
