"""What the two ends of a link say to each other about the spool: its key, URLs, what is wanted anew, and its end.

``PROTOCOL.md`` has the lines ``k``, ``u`` and ``n``. What is large itself is no matter of this module.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from tasks.errors import FirstbellError
from tasks.remote.channels.arrivals import Arrivals
from tasks.remote.channels.departures import Departures
from tasks.remote.channels.dialogue import Dialogue
from tasks.remote.channels.spool import OFFERED, HostSpool


class SpoolTalk:
    """The worker's part of it. ``changed`` is the stream's lock, held by whoever calls ``hear`` and ``withdraw``."""

    def __init__(
        self,
        spool: HostSpool | None,
        key: bytes,
        segment: int,
        proxy: str | None,
        changed: threading.Condition,
        dialogue: Dialogue,
        arrivals: Arrivals,
        departures: Departures,
        on_note: Callable[[str], None] | None,
    ) -> None:
        self._spool = spool
        self._key = key
        self._segment = segment
        self._proxy = proxy
        self._changed = changed
        self._dialogue = dialogue
        self._arrivals = arrivals
        self._departures = departures
        self._on_note = on_note
        self._notes: list[str] = []
        #: Why the spool is not used, None while it is.
        self.inline_because: str | None = None if spool is not None else "there is no spool"
        #: The last segment that the host has a URL for.
        self.offered = 0
        self._puts_wanted: dict[int, None] = {}
        self._gets_wanted: dict[int, None] = {}

    @property
    def depth(self) -> int:
        """Bytes of output on their way when the spool is as full as it may be."""
        return 0 if self.inline_because is not None else (OFFERED - 2) * self._segment

    def greet(self) -> None:
        """Queue the key and the first offers: the very first lines."""
        offers: list[tuple[int, str]] = []
        try:
            offers = [(number, self._spool.offer(number)) for number in range(1, OFFERED + 1)] if self._spool else []
        except FirstbellError as error:
            with self._changed:
                self._go_inline(error.message)
        fields = {
            "key": base64.b64encode(self._key).decode("ascii"),
            "spool": bool(offers),
            "segment": self._segment,
            "proxy": self._proxy,
        }
        with self._changed:
            now = time.monotonic()
            self._dialogue.queue("k", _json(fields), now)
            if offers:
                self._dialogue.queue("u", _json(offers), now)
                self.offered = OFFERED

    def offer(self) -> None:
        """Queue the URLs that are due. Signing may take a while, so it is done without the lock."""
        with self._changed:
            if not self._departures.spooling or self._spool is None:
                return
            puts = [*self._puts_wanted, *range(self.offered + 1, self._arrivals.taken + OFFERED + 1)]
            gets = [*self._gets_wanted]
            self._puts_wanted.clear()
            self._gets_wanted.clear()
        if not puts and not gets:
            return
        offers: list[tuple[int, str] | tuple[int, str, str]] = []
        try:
            offers += [(number, self._spool.offer(number)) for number in puts]
            offers += [(number, self._spool.offer_again(number), "get") for number in gets]
        except FirstbellError as error:
            with self._changed:
                self.withdraw(error)
            return
        with self._changed:
            self._dialogue.queue("u", _json(offers), time.monotonic())
            self.offered = max([self.offered, *puts])

    def hear(self, fields: dict[str, Any]) -> int:
        """Take what the host says of the spool; return how many bytes of the stream it has got from there now."""
        got = 0
        for number in _numbers(fields, "got"):
            size = self._departures.got(number)
            if size and self._spool is not None:
                self._spool.discard(number)
                got += size
        wanted = [number for number in _numbers(fields, "want") if self._arrivals.taken < number <= self.offered]
        self._puts_wanted.update(dict.fromkeys(wanted))
        self._gets_wanted.update(dict.fromkeys(self._departures.missing(_numbers(fields, "get"))))
        broken = fields.get("broken")
        if isinstance(broken, str) and self._departures.spooling:
            self._go_inline(f"the host cannot use it: {broken[:300]}")
        return got

    def withdraw(self, error: FirstbellError) -> None:
        """Let the host go on inline, because the spool fails us."""
        if self._departures.spooling:
            self._go_inline(error.message)
            self._dialogue.queue("u", b"null", time.monotonic())

    def tell(self) -> None:
        """Tell the notes to whom they concern, without the lock."""
        while self._notes:
            note = self._notes.pop(0)
            if self._on_note is not None:
                self._on_note(note)

    def _go_inline(self, why: str) -> None:
        self.inline_because = why
        self._departures.go_inline()
        self._notes.append(
            f"S3 is not used as a spool: {why}; file contents go through the control link, which is slow"
        )


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _numbers(fields: dict[str, Any], name: str) -> list[int]:
    found = fields.get(name)
    return [number for number in found if isinstance(number, int)] if isinstance(found, list) else []
