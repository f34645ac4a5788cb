"""What goes wrong with a WinRM server on demand: what networks and services do to a client on a bad day."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Faults:
    """What goes wrong; may be changed while the server runs. Requests are those of a client that is logged in."""

    #: Cut the connection at each so-manyth request, 0 never: before it is carried out, before its answer is sent, or
    #: right after it was answered.
    drop_every: int = 0
    drop_when: Literal["before", "unanswered", "answered"] = "before"
    #: How many connections are cut so at most; None for no limit.
    drop_at_most: int | None = None
    #: Which operations are counted for that, empty for all: Create, Command, Send, Receive, Signal, Delete.
    drop_only: frozenset[str] = frozenset()
    #: So many connections are cut as soon as somebody has logged in.
    drop_logins: int = 0
    #: So many Receives take output from the program that never arrives.
    lose_receives: int = 0
    #: So many requests find the seal stale: 400 without a body, on a connection that stays open.
    stale_seals: int = 0
    #: The time of these operations runs out, as on a computer that is very busy.
    late: frozenset[str] = frozenset()
    #: Seconds before each answer.
    delay: float = 0.0
    #: Nothing is answered any more: the computer was switched off.
    silent: bool = False
    #: Answers to sealed requests are sent in clear, as somebody in between would: as such, or as if they were sealed.
    answer_in_clear: Literal["", "openly", "disguised"] = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: How many were cut because of ``drop_every``.
    dropped: int = 0
    _counted: int = 0

    def drops(self, operation: str) -> bool:
        """Count a request and tell whether its connection is to be cut."""
        with self.lock:
            if not self.drop_every or (self.drop_only and operation not in self.drop_only):
                return False
            self._counted += 1
            if self._counted % self.drop_every or self.drop_at_most == self.dropped:
                return False
            self.dropped += 1
            return True

    def take(self, name: Literal["drop_logins", "lose_receives", "stale_seals"]) -> bool:
        """Take one of a number of faults, if any is left."""
        with self.lock:
            left = getattr(self, name)
            if left:
                setattr(self, name, left - 1)
            return bool(left)
