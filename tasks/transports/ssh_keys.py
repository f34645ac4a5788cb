"""Private keys to log in with: from files and from the agent."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm

from tasks.transports.ssh_settings import Secret

#: What OpenSSH looks for when nothing is configured.
DEFAULT_NAMES: Final = ("id_ed25519", "id_ecdsa", "id_rsa")
#: How long the agent may take to list its keys, in seconds.
_AGENT_TIMEOUT: Final = 10.0


class KeyUnusableError(Exception):
    """A key file cannot be used; the text says why, without secrets."""


def load_key(path: Path, passphrase: Secret | None) -> paramiko.PKey:
    """Return the private key in ``path``, with its certificate when one lies beside it (``path``-cert.pub).

    Raises ``KeyUnusableError``.
    """
    path = path.expanduser()
    secret = passphrase.get_secret_value().encode() if passphrase is not None else None
    try:
        return _load(path, secret)
    except TypeError as error:
        # cryptography's way to say that a password is missing, or one was given that is not needed.
        if secret is None:
            raise KeyUnusableError(f"{path} is protected by a passphrase, and none is configured") from error
        return _load_plain(path)
    except OSError as error:
        raise KeyUnusableError(f"{path}: {error.strerror}") from error
    except paramiko.PasswordRequiredException as error:
        raise KeyUnusableError(f"{path} is protected by a passphrase, and none is configured") from error
    except (paramiko.SSHException, ValueError, UnsupportedAlgorithm) as error:
        # What the libraries say about a wrong passphrase and about a broken file does not tell them apart.
        reason = "it is no private key" if secret is None else "the passphrase is wrong, or it is no private key"
        raise KeyUnusableError(f"{path} cannot be used: {reason}") from error


def _load(path: Path, secret: bytes | None) -> paramiko.PKey:
    return paramiko.PKey.from_path(path, secret)  # type: ignore[arg-type]


def _load_plain(path: Path) -> paramiko.PKey:
    try:
        return _load(path, None)
    except (paramiko.SSHException, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusableError(f"{path} cannot be used: it is no private key") from error


def default_key_files() -> tuple[Path, ...]:
    """Return the user's key files under their usual names, those that exist."""
    folder = Path.home() / ".ssh"
    return tuple(folder / name for name in DEFAULT_NAMES if (folder / name).exists())


def agent_keys() -> tuple[paramiko.Agent | None, Sequence[paramiko.AgentKey]]:
    """Return the agent and its keys; the agent must be closed after use. None when no agent answers in time."""
    found: list[paramiko.Agent] = []
    if not _agent_listens():
        return None, ()

    def ask() -> None:
        try:
            found.append(paramiko.Agent())
        except (paramiko.SSHException, OSError):
            return

    # paramiko waits for an agent without a deadline.
    thread = threading.Thread(target=ask, name="ssh agent", daemon=True)
    thread.start()
    thread.join(_AGENT_TIMEOUT)
    if not found:
        return None, ()
    return found[0], found[0].get_keys()


def _agent_listens() -> bool:
    """Tell whether there is an agent; paramiko would lose a socket over one that is gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_AGENT_TIMEOUT)
        try:
            probe.connect(os.environ["SSH_AUTH_SOCK"])
        except (KeyError, OSError):
            return False
    return True
