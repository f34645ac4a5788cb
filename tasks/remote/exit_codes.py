"""What the exit code of a launcher or helper means, as advice. ``PROTOCOL.md`` lists the codes."""

from __future__ import annotations

from typing import Final

from tasks.errors import HelperFailed

RESTRICTED: Final = 95
NO_SUDO: Final = 96
NO_INTERPRETER: Final = 97
OTHER_VERSION: Final = 98
BROKEN: Final = 99
NO_SHELL: Final = 126
NO_COMMAND: Final = 127

_SHOWN: Final = 1000
_UNKNOWN: Final = (
    "Try it by hand, with the same account: ssh HOST 'echo works'. If that fails too, look for a forced command in"
    " sshd_config or authorized_keys, and for an 'exit' in the account's shell start files."
)

_ADVICE: Final = {
    RESTRICTED: (
        "PowerShell is restricted on the host (its language mode is not FullLanguage)",
        "An application control policy (AppLocker, WDAC) restricts scripts there: allow those of this account in it.",
    ),
    NO_SUDO: (
        "sudo is not installed on the host",
        "Install sudo there, sign in as root, or leave 'become' out of the inventory.",
    ),
    NO_INTERPRETER: (
        "there is no Python 3.6 or newer on the host",
        "Install it there: 'apt install python3', 'dnf install python3', on macOS 'xcode-select --install'.",
    ),
    OTHER_VERSION: (
        "the helper speaks another version of the protocol",
        "The files of this installation do not belong together: install firstbell on the worker anew.",
    ),
    BROKEN: ("the helper failed", "Run it again; if it fails the same way, report what it said."),
    NO_SHELL: (
        "the host does not let the account start programs",
        "Give the account a login shell that may run programs.",
    ),
    NO_COMMAND: ("the host has no such command", "The account needs a POSIX shell at /bin/sh."),
    137: ("the helper was killed on the host", "Look there for a lack of memory, or for who killed it."),
}

#: What sudo says, in any case -> the cure.
_SUDO: Final = (
    ("password is required", "Let the account run commands without a password: 'NOPASSWD:' in /etc/sudoers.d."),
    ("a terminal is required", "Let the account run commands without a password: 'NOPASSWD:' in /etc/sudoers.d."),
    ("not in the sudoers file", "Allow the account in /etc/sudoers.d, or leave 'become' out of the inventory."),
    ("is not allowed to", "Allow the account to run /bin/sh in /etc/sudoers.d."),
    ("must have a tty", "Take 'requiretty' out of the sudo settings of the host for this account."),
)


def failure(code: int, said: str, host: str) -> HelperFailed:
    """Return the error for a program that ended with ``code`` and ``said`` so on its standard error (redacted)."""
    message, hint = _ADVICE.get(code, (f"the helper ended with exit code {code}", _UNKNOWN))
    for phrase, cure in _SUDO:
        if phrase in said and "sudo" in said:
            message, hint = "sudo refused", cure
            break
    if code == 0:
        message, hint = "the helper ended before its work was done", "The connection may have been cut: try again."
    tail = said.strip()[-_SHOWN:]
    return HelperFailed(f"{message}; it said: {tail}" if tail else message, hint=hint, host=host)
