"""The open links of a run, so that a run that is stopped can cut them.

A host's work may take hours, in threads that nobody can interrupt. Cutting its link ends it within moments, by an error
like any lost connection: no snapshot file is written, and what was stored is found again by the next run.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import TransportError
from tasks.transports.base import Transport


class Links:
    """The open links of one run; thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._open: set[Transport] = set()
        self._cut = False

    @contextmanager
    def holding(self, transport: Transport) -> Iterator[None]:
        """Count a link as open, and close it at the end. Raises ``TransportError`` when the run was stopped already."""
        with self._guard:
            if self._cut:
                raise TransportError("the run was stopped", host=transport.host)
            self._open.add(transport)
        try:
            yield
        finally:
            with self._guard:
                self._open.discard(transport)
            transport.close()

    def check(self, host: str) -> None:
        """Raise ``TransportError`` when the run was stopped: for what needs no link, and must not be begun then."""
        with self._guard:
            if self._cut:
                raise TransportError("the run was stopped", host=host)

    def cut(self) -> None:
        """Close all links, and let none be opened any more."""
        with self._guard:
            self._cut = True
            links = list(self._open)
        for transport in links:
            transport.close()
