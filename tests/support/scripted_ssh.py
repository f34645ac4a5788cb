"""A scripted SSH server on loopback, made of paramiko's server side.

For what a real sshd cannot be brought to without PAM and root: passwords, keyboard-interactive questions, several
steps, and a host that stops answering in the middle. It runs no programs.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import paramiko


class Script(paramiko.ServerInterface):
    """What the server answers. ``steps`` are the methods it wants, each in turn; other methods it refuses."""

    def __init__(
        self,
        password: str,
        *,
        steps: Sequence[str] = ("password",),
        questions: Sequence[tuple[str, bool]] = (("Password: ", False),),
        hang: bool = False,
    ) -> None:
        self.steps = list(steps)
        self.questions = list(questions)
        self.hang = hang
        #: Each attempt as (method, what was sent).
        self.seen: list[tuple[str, str]] = []
        self.released = threading.Event()
        #: Set once something came that only keeps the connection alive.
        self.kept_alive = threading.Event()
        self._password = password

    def get_allowed_auths(self, username: str) -> str:
        return self.steps[0] if self.steps else ""

    def _step(self, method: str, sent: str, right: bool) -> int:
        self.seen.append((method, sent))
        if self.hang:
            self.released.wait(30)
        if not right or not self.steps or self.steps[0] != method:
            return paramiko.AUTH_FAILED
        self.steps.pop(0)
        return paramiko.AUTH_PARTIALLY_SUCCESSFUL if self.steps else paramiko.AUTH_SUCCESSFUL

    def check_auth_none(self, username: str) -> int:
        return paramiko.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        return self._step("password", password, password == self._password)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._step("publickey", key.get_name(), True)

    def check_auth_interactive(self, username: str, submethods: str) -> int | paramiko.InteractiveQuery:
        query = paramiko.InteractiveQuery("", "")
        for prompt, echo in self.questions:
            query.add_prompt(prompt, echo)
        return query

    def check_auth_interactive_response(self, responses: Sequence[str]) -> int:
        return self._step("keyboard-interactive", ",".join(responses), list(responses) == [self._password])

    def check_global_request(self, kind: str, msg: paramiko.Message) -> bool:
        if kind.startswith("keepalive@"):
            self.kept_alive.set()
        return False

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.released.wait(30)
        return False


class ScriptedSshServer:
    """Serves connections by one ``Script``, one after the other."""

    def __init__(self, script: Script, host_key: Path) -> None:
        self.script = script
        self.address = "127.0.0.1"
        self._key = paramiko.PKey.from_path(host_key)
        self._listener = socket.create_server((self.address, 0))
        self.port = int(self._listener.getsockname()[1])
        self._transports: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def known_line(self) -> str:
        """The line of known_hosts."""
        return f"[{self.address}]:{self.port} {self._key.get_name()} {self._key.get_base64()}\n"

    def __enter__(self) -> ScriptedSshServer:
        self._thread.start()
        return self

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.set_log_channel("scripted")
            transport.add_server_key(self._key)
            self._transports.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(event=threading.Event(), server=self.script)

    def __exit__(self, *_: object) -> None:
        self.script.released.set()
        # Closing alone does not wake accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for transport in self._transports:
            transport.close()
            transport.join(5)
