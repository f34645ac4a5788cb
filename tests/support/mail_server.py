"""A real mail server (aiosmtpd) in a process of its own, over TLS, that wants a login and keeps what it takes in files.

Who a letter is for decides what it does: ``unknown@`` is refused, ``busy@`` is put off, ``spam@`` is refused once the
letter is there, and for ``cut@`` it takes the letter and goes away without a word.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.certificate import make_certificate

USER = "firstbell"
PASSWORD = "correct horse"


class _Keeper:
    """Keeps letters, and how it was spoken to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("unknown@"):
            return "550 5.1.1 no such user here"
        if address.startswith("busy@"):
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if envelope.rcpt_tos[0].startswith("spam@"):
            return "554 5.7.1 we do not like this"
        self.count += 1
        note = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "login": bool(session.authenticated),
        }
        name = f"{self.count:03}-{time.monotonic_ns()}"
        (self.folder / f"{name}.eml").write_bytes(envelope.original_content or b"")
        # Complete letters have it.
        (self.folder / f"{name}.json").write_text(json.dumps(note))
        if envelope.rcpt_tos[0].startswith("cut@") and server.transport is not None:
            server.transport.abort()
        return "250 taken"


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


def serve() -> None:
    """Serve until the standard input ends, or until somebody ends this process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode", choices=("starttls", "tls", "plain"), default="starttls")
    parser.add_argument("--untied", action="store_true", help="go on when the standard input ends")
    arguments = parser.parse_args()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(arguments.folder / "certificate.pem", arguments.folder / "key.pem")
    asyncio.run(_serve(arguments.folder, arguments.mode, tls, tied=not arguments.untied))


async def _serve(folder: Path, mode: str, tls: ssl.SSLContext, *, tied: bool) -> None:
    options: dict[str, Any] = {}
    if mode == "starttls":
        options = {"tls_context": tls, "require_starttls": True}
    elif mode == "tls":
        options = {"auth_require_tls": False}
    if mode != "plain":
        options |= {"authenticator": _authenticate, "auth_required": True}
    keeper = _Keeper(folder / "letters")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(keeper, hostname="mail.north.example", loop=loop, **options),
        "127.0.0.1",
        0,
        ssl=tls if mode == "tls" else None,
    )
    async with server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        if not tied:
            await server.serve_forever()
        await loop.run_in_executor(None, sys.stdin.read)


@dataclass
class MailServer:
    """A running server; ``letters`` are those that it took, in order."""

    folder: Path
    port: int
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, folder: Path, mode: str = "starttls", *, tied: bool = True) -> MailServer:
        """Start it; with ``tied=False`` it outlives this process."""
        (folder / "letters").mkdir(parents=True)
        make_certificate(folder)
        command = [sys.executable, "-m", "tests.support.mail_server", str(folder), "--mode", mode]
        command += [] if tied else ["--untied"]
        root = Path(__file__).resolve().parents[2]
        with (folder / "server.log").open("w") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=root,
                start_new_session=not tied,
            )
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        found = cls(folder, int(port or 0), process)
        if not port:
            found.stop()
            raise AssertionError(f"the mail server did not start: {(folder / 'server.log').read_text()}")
        return found

    def stop(self) -> None:
        """End it, and wait until it has."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        if "--untied" in self.process.args:  # type: ignore[operator]
            self.process.terminate()
        self.process.wait(timeout=60)

    @property
    def certificate(self) -> Path:
        """Return the certificate to trust."""
        return self.folder / "certificate.pem"

    @property
    def notes(self) -> list[dict[str, Any]]:
        """Return how each letter came in."""
        return [json.loads(path.read_text()) for path in self._complete()]

    @property
    def letters(self) -> list[EmailMessage]:
        """Return the letters."""
        found = []
        for path in self._complete():
            message = message_from_bytes(path.with_suffix(".eml").read_bytes(), policy=policy.default)
            assert isinstance(message, EmailMessage)
            found.append(message)
        return found

    def to(self, address: str) -> list[EmailMessage]:
        """Return the letters for an address."""
        return [one for one in self.letters if one["To"].addresses[0].addr_spec == address]

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return the section ``mail`` of a configuration that uses this server."""
        return {
            "server": "127.0.0.1",
            "port": self.port,
            "user": USER,
            "password": "env:FIRSTBELL_MAIL_PASSWORD",
            "sender": "firstbell@north.example",
            "ca_file": str(self.certificate),
            "timeout_seconds": 10,
            **changes,
        }

    def _complete(self) -> list[Path]:
        return sorted((self.folder / "letters").glob("*.json"))


if __name__ == "__main__":
    serve()
