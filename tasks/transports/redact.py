"""Keeps secrets out of messages and log records.

There is no registry of secrets: whoever holds some makes a ``Redactor`` of them and passes it on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

#: What stands in place of a secret.
MASK: Final = "[secret]"
#: Shorter secrets are not looked for: masking each "a" would tell more than it hides.
_SHORTEST: Final = 4


class Redactor:
    """Replaces known secrets in text. As a value it can be shared between threads; its ``repr`` shows none."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                # repr() is how a secret looks inside a quoted list or a bytes literal.
                spellings.update((secret, repr(secret)[1:-1], repr(secret.encode("utf-8", "surrogateescape"))[2:-1]))
        # The longest first, so that a secret which begins with another one leaves no rest.
        self._secrets = tuple(sorted(spellings, key=len, reverse=True))

    def text(self, text: str) -> str:
        """Return ``text`` with each secret replaced by ``MASK``."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def __repr__(self) -> str:
        return "Redactor(...)"


class RedactingFilter(logging.Filter):
    """Lets each record pass, without secrets in its message and without a traceback, which could have one."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the record's message by its redacted text; always True."""
        record.msg = self._redactor.text(record.getMessage())
        record.args = None
        record.exc_info = None
        record.exc_text = None
        return True
