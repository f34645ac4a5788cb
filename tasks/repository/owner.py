"""Who we are, as lock and key files tell it to people."""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path


def user_name() -> str:
    """Return the name of the user that runs us, empty where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""


def host_name() -> str:
    """Return the name of this computer."""
    return socket.gethostname()


def is_running(pid: int) -> bool:
    """Return whether a process of this computer runs; True where that cannot be told."""
    if pid <= 0 or os.name != "posix":
        # On Windows signal 0 would end the process.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        # Not Linux.
        return True
    # One that has ended stays a zombie until its parent, or init, looks after it.
    return state not in (b"Z", b"X")
