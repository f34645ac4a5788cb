"""The end of what a program says on its standard error."""

from __future__ import annotations

import threading
from typing import Final

from tasks.transports.redact import Redactor

#: How much is kept, in bytes.
KEPT: Final = 64 * 1024


class Tail:
    """Keeps the last ``KEPT`` bytes of what is added. One thread may add while others read."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._lock = threading.Lock()
        self._kept = bytearray()

    def add(self, piece: bytes) -> None:
        """Add ``piece``; the oldest bytes beyond ``KEPT`` are forgotten."""
        with self._lock:
            self._kept += piece
            if len(self._kept) > KEPT:
                del self._kept[: len(self._kept) - KEPT]

    def text(self) -> str:
        """Return what is kept as text: undecodable bytes as U+FFFD, secrets redacted."""
        with self._lock:
            kept = bytes(self._kept)
        return self._redactor.text(kept.decode("utf-8", "replace"))
