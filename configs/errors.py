"""The root of every error that firstbell raises on purpose, and the errors of configuration.

The root lives in the lowest layer so that every layer can raise it. ``tasks/errors.py`` draws the whole tree.
"""

from __future__ import annotations

from typing import ClassVar


class FirstbellError(Exception):
    """Something a person can act on: what failed, on which host, why, and the cure.

    ``str(error)`` is one or a few plain lines without secrets. ``hint`` is the cure, a full sentence. ``transient``
    says whether the same call may succeed when it is simply tried again.
    """

    transient: ClassVar[bool] = False
    #: The exit code that the command line ends with (docs/errors.md).
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", host: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.host = host

    def __str__(self) -> str:
        return f"{self.host}: {self.message}" if self.host else self.message


class ConfigError(FirstbellError):
    """A configuration file is wrong; the message lists every problem with its path, all at once."""


class InventoryError(FirstbellError):
    """The inventory is wrong or does not have what was asked for."""
