"""How a client of a WinRM server logs in: NTLM with sealing, basic and client certificates inside TLS.

NTLM is per connection: whoever comes over a new one has to log in again, and what was sealed for the old one cannot be
opened there.
"""

from __future__ import annotations

import base64
import binascii
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import spnego
import spnego.channel_bindings
from spnego.exceptions import SpnegoError

BOUNDARY = b"--Encrypted Boundary"
SEALED = "application/HTTP-SPNEGO-session-encrypted"
MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"

#: pyspnego takes the file of accounts from the environment, which all servers of this process share.
_ACCOUNTS = threading.Lock()


class Refused(Exception):
    """The answer is 401; ``challenge`` goes along, for a login that is under way."""

    def __init__(self, challenge: bytes | None = None) -> None:
        super().__init__()
        self.challenge = challenge


class BadSeal(Exception):
    """What came was not sealed with this connection's key."""


@dataclass(slots=True)
class Accounts:
    """Who may log in, and who has tried: ``logins`` are user names with what came of it."""

    file: Path
    passwords: dict[str, str]
    #: Subject common names of client certificates -> user.
    certificates: dict[str, str] = field(default_factory=dict)
    logins: list[tuple[str, bool]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.write()

    def set_password(self, user: str, password: str) -> None:
        """Change a password; connections that are logged in stay so."""
        self.passwords[user] = password
        self.write()

    def write(self) -> None:
        """Write the file of accounts in Heimdal's format."""
        lines = []
        for user, password in self.passwords.items():
            domain, _, name = user.rpartition("\\")
            lines.append(f"{domain}:{name}:{password}\n")
        self.file.write_text("".join(lines))

    def note(self, user: str, *, ok: bool) -> None:
        """Keep that somebody has tried to log in."""
        with self.lock:
            self.logins.append((user, ok))

    @contextmanager
    def in_environment(self) -> Iterator[None]:
        """Let pyspnego see these accounts."""
        with _ACCOUNTS:
            before = os.environ.get("NTLM_USER_FILE")
            os.environ["NTLM_USER_FILE"] = str(self.file)
            try:
                yield
            finally:
                if before is None:
                    del os.environ["NTLM_USER_FILE"]
                else:
                    os.environ["NTLM_USER_FILE"] = before


class Login:
    """The login of one connection. ``certificate_hash`` is SHA-256 of the server's certificate inside TLS."""

    def __init__(self, accounts: Accounts, certificate_hash: bytes | None, client_name: str, *, basic: bool) -> None:
        self._accounts = accounts
        self._certificate_hash = certificate_hash
        self._client_name = client_name
        self._basic = basic
        self._context: spnego.ContextProxy | None = None
        self.user = ""

    def check(self, authorization: str | None) -> str:
        """Return who sends a request with this header. Raises ``Refused``."""
        scheme, _, token = (authorization or "").partition(" ")
        if authorization == MUTUAL:
            return self._by_certificate()
        if scheme.lower() in ("negotiate", "ntlm"):
            self._negotiate(token)
        elif scheme.lower() == "basic" and self._basic:
            # Never kept: each request brings it.
            return self._by_password(token)
        if not self.user:
            raise Refused
        return self.user

    def _by_certificate(self) -> str:
        user = self._accounts.certificates.get(self._client_name, "")
        self._accounts.note(user or self._client_name, ok=bool(user))
        if not user:
            raise Refused
        return user

    def _by_password(self, token: str) -> str:
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise Refused from None
        ok = self._accounts.passwords.get(user) == password
        self._accounts.note(user, ok=ok)
        if not ok:
            raise Refused
        return user

    def _negotiate(self, token: str) -> None:
        self.user = ""
        try:
            data = base64.b64decode(token, validate=True)
            first = data.startswith(b"NTLMSSP\0\1\0\0\0")
            with self._accounts.in_environment():
                if self._context is None or first:
                    self._context = self._new_context()
                answer = self._context.step(data)
        except (binascii.Error, SpnegoError, ValueError):
            if self._context is not None:
                self._accounts.note(_claimed(token), ok=False)
            self._context = None
            raise Refused from None
        if not self._context.complete:
            raise Refused(answer)
        self.user = self._context.client_principal or ""
        self._accounts.note(self.user, ok=True)

    def _new_context(self) -> spnego.ContextProxy:
        bindings = None
        if self._certificate_hash is not None:
            bindings = spnego.channel_bindings.GssChannelBindings(
                application_data=b"tls-server-end-point:" + self._certificate_hash
            )
        return spnego.server(protocol="negotiate", channel_bindings=bindings)

    def unseal(self, body: bytes) -> bytes:
        """Return what was sealed. Raises ``BadSeal``."""
        try:
            _, header, rest = body.split(BOUNDARY + b"\r\n", 2)
            length = int(header.rsplit(b"Length=", 1)[1])
            payload = rest.removeprefix(b"\tContent-Type: application/octet-stream\r\n")
            payload = payload.removesuffix(BOUNDARY + b"--\r\n")
            (signed,) = struct.unpack("<i", payload[:4])
            if self._context is None or not self.user or signed != 16:
                raise BadSeal
            plain = self._context.unwrap(payload[4:]).data
        except (ValueError, IndexError, struct.error, SpnegoError) as error:
            raise BadSeal from error
        if len(plain) != length:
            raise BadSeal
        return plain

    def seal(self, data: bytes) -> bytes:
        """Return ``data`` sealed for this connection."""
        assert self._context is not None
        wrapped = self._context.wrap(data).data
        return b"".join(
            (
                BOUNDARY,
                b"\r\n\tContent-Type: " + SEALED.encode() + b"\r\n",
                b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n" % len(data),
                BOUNDARY,
                b"\r\n\tContent-Type: application/octet-stream\r\n",
                struct.pack("<i", 16),
                wrapped,
                BOUNDARY,
                b"--\r\n",
            )
        )


def _claimed(token: str) -> str:
    """Return the user name in an NTLM Authenticate message (MS-NLMP 2.2.1.3), as far as it has one."""
    try:
        data = base64.b64decode(token)
        length, _, offset = struct.unpack_from("<HHI", data, 36)
        return data[offset : offset + length].decode("utf-16-le")
    except (ValueError, struct.error):
        return "?"
