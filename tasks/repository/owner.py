"""Who we are, as lock and key files tell it to people."""

from __future__ import annotations

import getpass
import socket


def user_name() -> str:
    """Return the name of the user that runs us, empty where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def host_name() -> str:
    """Return the name of this computer."""
    return socket.gethostname()
