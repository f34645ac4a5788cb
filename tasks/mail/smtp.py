"""Hand letters to a mail server over SMTP (RFC 5321), by STARTTLS (RFC 3207) or TLS (RFC 8314), certificate checked."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, Self

from pydantic import SecretStr

from tasks.errors import MailError, MailUnavailable, MailUncertain, RecipientRefused
from tasks.mail.letter import Letter, Sender, message_of

#: Answers of a mail server that are final begin at this code; lower ones mean: not now.
_FINAL: Final = 500
_LATER: Final = "Nothing to do: the next run sends what is not sent yet."


@dataclass(frozen=True, slots=True)
class MailServer:
    """How to reach a mail server; ``timeout`` in seconds is for each of its answers."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None = None
    password: SecretStr | None = None
    ca_file: str | None = None
    timeout: float = 30.0


def utc_now() -> datetime:
    """Return the time by this worker's clock."""
    return datetime.now(UTC)


class Mailer:
    """A connection to a mail server, made when the first letter goes out and again after it was cut. For one thread."""

    def __init__(self, server: MailServer, sender: Sender, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._server = server
        self._sender = sender
        self._clock = clock
        self._link: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        connection, self._link = self._link, None
        if connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()

    def open(self) -> None:
        """Call the server, or see that it still answers. Raises ``MailUnavailable`` or ``MailError``."""
        try:
            self._connection()
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise self._failure(error) from None

    def send(self, letter: Letter) -> None:
        """Hand over one letter; when this returns, the server has taken it.

        Raises:
            RecipientRefused: the server takes no letter for this address, or not this letter.
            MailUnavailable: not now.
            MailUncertain: the connection broke when all was said, so the server may have taken it.
            MailError: the server, the login or the sender is not as configured; no letter will pass.
        """
        message = message_of(letter, self._sender, self._clock())
        try:
            connection = self._connection()
            self._address(connection, message["To"].addresses[0].addr_spec)
            self._hand_over(connection, message.as_bytes())
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise self._failure(error) from None

    def _address(self, connection: smtplib.SMTP, address: str) -> None:
        """Name sender and recipient. ``RCPT`` is where a server says that it does not know somebody."""
        code, text = connection.mail(self._sender.address)
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, text, self._sender.address)
        code, text = connection.rcpt(address)
        if code in (250, 251):
            return
        self._reset()
        if code < _FINAL:
            raise self._unavailable(f"the mail server does not take it now ({_said(code, text)})")
        raise RecipientRefused(
            f"the mail server takes no letter for this address ({_said(code, text)})",
            hint="Correct the address in people.yaml.",
        )

    def _hand_over(self, connection: smtplib.SMTP, message: bytes) -> None:
        try:
            code, text = connection.data(message)
        except (smtplib.SMTPServerDisconnected, OSError):
            # The server may have taken it, and only its answer was lost, or came too late.
            self._drop()
            raise MailUncertain(
                f"the mail server {self._server.host} did not say whether it took the letter", hint=_LATER
            ) from None
        if code == 250:
            return
        self._reset()
        if code < _FINAL:
            raise self._unavailable(f"the mail server does not take it now ({_said(code, text)})")
        raise RecipientRefused(
            f"the mail server refuses this letter ({_said(code, text)})", hint="Ask whoever runs the mail server why."
        )

    def _connection(self) -> smtplib.SMTP:
        """Return a connection that is alive: the one there is, when it still answers."""
        if self._link is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._link.noop()[0] == 250:
                    return self._link
            self._drop()
        self._link = self._connect()
        return self._link

    def _connect(self) -> smtplib.SMTP:
        server = self._server
        tls = ssl.create_default_context(cafile=server.ca_file)
        if server.security == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=tls)
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
        try:
            if server.security == "starttls":
                # Without it nothing more is said: neither password nor letter travels readable.
                connection.starttls(context=tls)
            if server.user is not None and server.password is not None:
                _log_in(connection, server.user, server.password)
            # The greeting is said by itself only where something asks for what the server can do.
            connection.ehlo_or_helo_if_needed()
        except BaseException:
            connection.close()
            raise
        return connection

    def _reset(self) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            if self._link is not None:
                self._link.rset()

    def _drop(self) -> None:
        connection, self._link = self._link, None
        if connection is not None:
            connection.close()

    def _unavailable(self, what: str) -> MailUnavailable:
        return MailUnavailable(f"{what}: {self._server.host}", hint=_LATER)

    def _failure(self, error: smtplib.SMTPException | OSError) -> MailError:
        """Return what an error means. Its text is the server's, and never holds the password."""
        name = self._server.host
        if isinstance(error, ssl.SSLCertVerificationError):
            return MailError(
                f"the certificate of the mail server {name} is not trusted: {error.verify_message}",
                hint="Name the authority that signed it in 'mail.ca_file', and the server as its certificate has it.",
            )
        if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= _FINAL:
            return MailError(
                f"the mail server {name} refuses the login ({error.smtp_code})",
                hint="Check 'mail.user' and the password that 'mail.password' refers to.",
            )
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return MailError(
                f"the mail server {name} does not offer what 'mail.security' or 'mail.user' asks for",
                hint="Check 'mail.security' and 'mail.port'.",
            )
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= _FINAL:
            return MailError(
                f"the mail server {name} refuses the letter ({_said(error.smtp_code, error.smtp_error)})",
                hint="Check 'mail.sender', and whether this account may send as it.",
            )
        if isinstance(error, FileNotFoundError | PermissionError):
            return MailError("the file of 'mail.ca_file' cannot be read", hint="Check its path and its rights.")
        if isinstance(error, smtplib.SMTPResponseException):
            return self._unavailable(f"the mail server says: not now ({_said(error.smtp_code, error.smtp_error)})")
        return self._unavailable(f"the mail server cannot be reached ({type(error).__name__})")


def _log_in(connection: smtplib.SMTP, user: str, password: SecretStr) -> None:
    """Log in by one way. ``smtplib.login`` tries a wrong password by each of them, which locks accounts early."""
    connection.ehlo_or_helo_if_needed()
    offered = connection.esmtp_features.get("auth", "").upper().split()
    ways: dict[str, Any] = {
        "PLAIN": connection.auth_plain,
        "LOGIN": connection.auth_login,
        "CRAM-MD5": connection.auth_cram_md5,
    }
    name = next((name for name in ways if name in offered), None)
    if name is None:
        raise smtplib.SMTPNotSupportedError("no way to log in that is known here")
    connection.user, connection.password = user, password.get_secret_value()
    try:
        connection.auth(name, ways[name])
    finally:
        connection.password = ""


def _said(code: int, text: bytes | str) -> str:
    """Return an answer of the server in one short line."""
    shown = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(''.join(one if one.isprintable() else ' ' for one in shown).split())}"[:200]
