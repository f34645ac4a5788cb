"""Logging in over SSH: with what the settings give, and only by what the host allows.

Order as OpenSSH's: keys from files, keys of the agent, then the password (plain, or as the answer to
keyboard-interactive). A host may ask for several of these one after the other.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence

import paramiko

from tasks.errors import AuthFailed, Timeout, Unreachable
from tasks.transports.redact import Redactor
from tasks.transports.ssh_keys import KeyUnusableError, agent_keys, default_key_files, load_key
from tasks.transports.ssh_link import Link
from tasks.transports.ssh_settings import Secret, SshSettings

#: One way to log in: its SSH method, what a person calls it, and the attempt, which returns the methods still wanted.
_Attempt = tuple[str, str, Callable[[], list[str]]]


class Login:
    """Logs in on one connection. ``password_allowed`` is False where a stranger could be listening."""

    def __init__(self, host: str, link: Link, settings: SshSettings, redactor: Redactor, *, password_allowed: bool):
        self._host = host
        self._link = link
        self._settings = settings
        self._redactor = redactor
        self._password_allowed = password_allowed
        self._user = settings.user or getpass.getuser()
        self._tried: list[str] = []
        self._notes: list[str] = []

    def run(self) -> None:
        """Log in. Raises ``AuthFailed``, ``Timeout`` or ``Unreachable``."""
        self._link.auth_timeout = self._settings.auth_timeout
        allowed = self._ask_methods()
        if not allowed:
            return
        agent: paramiko.Agent | None = None
        try:
            keys: Sequence[paramiko.AgentKey] = ()
            if self._settings.use_agent:
                agent, keys = agent_keys()
                if not keys:
                    self._notes.append("no SSH agent answers" if agent is None else "the SSH agent holds no key")
            for method, name, attempt in self._attempts(keys):
                if method not in allowed:
                    continue
                self._tried.append(name)
                wanted = self._attempt(attempt)
                if wanted is None:
                    continue
                if not wanted:
                    return
                # One of several steps is done; the host says which may come next.
                allowed = wanted
        finally:
            if agent is not None:
                agent.close()
        raise self._failed(allowed)

    def _ask_methods(self) -> list[str]:
        """Return the methods that the host allows; empty when it lets us in without any."""
        try:
            return self._call(lambda: self._link.auth_none(self._user))
        except paramiko.BadAuthenticationType as error:
            return list(error.allowed_types)
        except paramiko.AuthenticationException:
            # It allows "none", only not to us: which others there are, each attempt will tell.
            return ["publickey", "password", "keyboard-interactive"]

    def _attempts(self, keys: Sequence[paramiko.AgentKey]) -> Iterator[_Attempt]:
        settings = self._settings
        files = settings.key_files or (default_key_files() if settings.use_ssh_config else ())
        for file in files:
            try:
                key = load_key(file, settings.key_passphrase)
            except KeyUnusableError as error:
                self._notes.append(str(error))
                continue
            yield "publickey", f"key {file}", self._with_key(key)
        for agent_key in keys:
            yield "publickey", f"agent key {agent_key.comment or agent_key.fingerprint}", self._with_key(agent_key)
        password = settings.password
        if password is None:
            return
        if not self._password_allowed:
            self._notes.append("the password was not offered, because the host's key has changed")
            return
        secret = password
        yield "password", "password", lambda: self._with_password(secret)
        yield "keyboard-interactive", "keyboard-interactive", lambda: self._interactive(secret)

    def _with_key(self, key: paramiko.PKey) -> Callable[[], list[str]]:
        return lambda: self._link.auth_publickey(self._user, key)

    def _with_password(self, password: Secret) -> list[str]:
        return self._link.auth_password(self._user, password.get_secret_value(), fallback=False)

    def _interactive(self, password: Secret) -> list[str]:
        """Answer the host's questions with the password: once, and only a single one whose answer is not shown."""
        answered = False

        def answer(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            nonlocal answered
            if len(prompts) == 1 and not prompts[0][1] and not answered:
                answered = True
                return [password.get_secret_value()]
            for prompt, _ in prompts:
                self._notes.append(f"the host asked {prompt.strip()[:80]!r}, which the password does not answer")
            return ["" for _ in prompts]

        return self._link.auth_interactive(self._user, answer)

    def _attempt(self, attempt: Callable[[], list[str]]) -> list[str] | None:
        """Return the methods still wanted, empty when logged in, None when this attempt was refused."""
        try:
            return self._call(attempt)
        except paramiko.AuthenticationException:
            if not self._link.is_active():
                raise self._failed(()) from None
            return None

    def _call(self, attempt: Callable[[], list[str]]) -> list[str]:
        try:
            return attempt()
        except paramiko.BadAuthenticationType:
            raise
        except paramiko.AuthenticationException as error:
            # paramiko has one error for both; only this text tells.
            if "timeout" in str(error).lower():
                raise Timeout(
                    f"{self._host_name} did not decide on the login of {self._user!r} within "
                    f"{self._settings.auth_timeout:g} s",
                    hint="The host may be waiting for its directory server (LDAP, Active Directory) or for its disk.",
                    host=self._host,
                ) from None
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self._link.disconnect_reason:
                raise self._failed(()) from None
            reason = self._redactor.text(str(error) or "end of data")
            raise Unreachable(
                f"{self._host_name} cut the connection during login: {reason}",
                hint="Look at sshd's log on the host.",
                host=self._host,
            ) from error

    @property
    def _host_name(self) -> str:
        return f"{self._settings.address} port {self._settings.port}"

    def _failed(self, allowed: Sequence[str]) -> AuthFailed:
        parts = [f"{self._host_name} did not let {self._user!r} in"]
        parts.append(f"tried: {', '.join(self._tried) or 'nothing'}")
        if allowed:
            parts.append(f"the host allows: {', '.join(allowed)}")
        if self._link.disconnect_reason:
            parts.append(f"the host said: {self._link.disconnect_reason}")
        parts.extend(self._notes)
        if not (self._settings.key_files or self._settings.password or self._settings.use_agent):
            hint = "Configure a key file, the SSH agent or a password for this host."
        elif self._notes and not self._tried:
            hint = "Correct what is named above, then try again."
        else:
            hint = (
                f"Check the user name, and that the host's ~{self._user}/.ssh/authorized_keys holds the public key; "
                "sshd's log on the host says why it refused."
            )
        return AuthFailed(self._redactor.text("; ".join(parts)), hint=hint, host=self._host)
