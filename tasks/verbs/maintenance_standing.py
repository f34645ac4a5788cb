"""Where a computer of a maintenance stands, in words: for the command line, the pages and programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tasks.policy.maintenance import Do, Facts, Move, Where
from tasks.policy.maintenance_state import HostState, Kind

#: What a computer is about to do, when nothing keeps it.
_GOING: Final = {
    Do.OPEN: "it is about to be opened",
    Do.ANNOUNCE: "people are about to be told",
    Do.LOOK: "it was handed over, and is waited for",
    Do.CANCEL: "it was stopped, and stays as it is",
    Do.LEAVE: "the time for it is over, and it stays as it is",
}
#: What somebody said, and took back since: there is something to do now.
_ANSWERS: Final = (Kind.REFUSED, Kind.DEFERRED)


@dataclass(frozen=True, slots=True)
class HostStanding:
    """Where one computer stands. ``text`` is a sentence for people; ``needs`` says who must do what, if anybody."""

    host: str
    step: str
    since: datetime | None
    state: Where
    text: str
    needs: str = ""
    reasons: tuple[str, ...] = ()
    #: The snapshot that counts, ID in hex: that it was cleared on, or else the last one.
    snapshot: str = ""
    #: Until when it may be wiped; None when it may not, or has been.
    clearance_until: datetime | None = None


def standing_of(host: str, facts: Facts, move: Move, *, by_another: bool = False) -> HostStanding:
    """Return where a computer stands when ``move`` comes next."""
    state = facts.state
    note = state.note
    where, text, needs = move.where, move.text, move.needs
    if by_another:
        where, text, needs = "running", "another worker is at it", ""
    elif move.do is not Do.WAIT:
        where, text = "waits", _GOING.get(move.do, "it goes on with the next run")
        if note is not None and note.kind not in _ANSWERS:
            text = note.reason or text
            where = "attention" if note.kind in (Kind.ATTENTION, Kind.FAILED) else "waits"
            needs = "IT looks at this computer" if where == "attention" else ""
        elif move.do is Do.LOOK and not state.done:
            needs = "whoever sets it up says when it is done, if firstbell cannot see it: 'maintenance confirm'"
    reasons = (note.reason,) if note is not None and note.reason else ()
    step = note.kind if note is not None else state.step
    return HostStanding(
        host,
        str(step or ""),
        note.at if note is not None else state.since,
        where,
        text,
        needs,
        reasons if reasons else ((state.damage,) if state.damage else ()),
        _snapshot(state),
        state.cleared.expiry if state.cleared is not None and not state.returned else None,
    )


def _snapshot(state: HostState) -> str:
    found = state.cleared or state.refreshed or state.saved
    return found.snapshot if found is not None else ""
