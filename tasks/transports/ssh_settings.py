"""How to reach a host over SSH and who to be there: a value, resolved before it comes here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class Secret(Protocol):
    """A secret whose ``repr`` hides it, such as pydantic's SecretStr."""

    def get_secret_value(self) -> str:
        """Return the secret itself."""


@dataclass(frozen=True, slots=True)
class SshSettings:
    """Where a host is and how to log in. Deadlines in seconds.

    With ``use_ssh_config``, ``address`` may be an alias of ``~/.ssh/config``; what is set here wins over what the file
    says. ``known_hosts`` None means ``~/.ssh/known_hosts`` and the system's file.
    """

    address: str
    port: int = 22
    #: The account on the host; None means the one of ``~/.ssh/config``, else the current user's name.
    user: str | None = None
    password: Secret | None = field(default=None, repr=False)
    key_files: tuple[Path, ...] = ()
    key_passphrase: Secret | None = field(default=None, repr=False)
    use_agent: bool = False
    use_ssh_config: bool = False
    known_hosts: Path | None = None
    #: Host keys to ask for first, by their signature algorithms, instead of those that ``known_hosts`` has.
    host_key_algorithms: tuple[str, ...] = ()
    #: The host to go through; its identity must be known already.
    jump: SshSettings | None = None
    #: Until the host takes the connection, and again until its SSH server has agreed on keys.
    connect_timeout: float = 15.0
    #: For each attempt to log in.
    auth_timeout: float = 30.0
    #: How long a stream may stand still while we wait for it.
    idle_timeout: float = 120.0
    #: How often something is sent over a silent connection, so that nobody on the way forgets it; 0 means never.
    keepalive: float = 15.0

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets in these settings and those of the jump host, for a ``Redactor``."""
        own = tuple(secret.get_secret_value() for secret in (self.password, self.key_passphrase) if secret is not None)
        return own + (self.jump.secrets() if self.jump is not None else ())
