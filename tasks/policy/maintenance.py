"""What happens next with one computer in a maintenance: facts go in, one move comes out.

The default is to wait. An action is begun only with everything there at that very moment: an open window, agreement,
no cancellation, a verified snapshot from right before, and a clearance for it that nothing was begun with yet. What
has begun is followed to its end whatever people say meanwhile: the computer comes back, and everything with it. No I/O
and no clock here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Literal

from tasks.policy.gate import CLOCK_TOLERANCE
from tasks.policy.maintenance_state import HostState, Kind

#: For so long the snapshot from right before counts as from right before; after that another one is made: where a
#: computer does not tell who is signed in, whatever was done meanwhile would be lost.
RIGHT_BEFORE: Final = timedelta(minutes=5)
#: A clearance must be good for longer than this when the action is begun with it.
LEAST_LEFT: Final = timedelta(minutes=2)
#: After so many actions that came to nothing a person must look.
MOST_STARTS: Final = 3

#: A computer whose files are gone, and that is known by the same identity still, may be in the midst of being wiped: it
#: is left alone for so long, and looked at again.
SETTLING: Final = timedelta(minutes=5)
_SETTLING: Final = "its files are gone; before anything is brought back it is looked at once more"

#: ``untouched`` and ``done`` are ends, as far as firstbell goes; ``waits`` goes on by itself once that is there.
Where = Literal["waits", "running", "done", "attention", "untouched"]


class Do(Enum):
    """What to do with a computer now."""

    OPEN = "open"
    ANNOUNCE = "announce"
    AGREE = "agree"
    SAVE = "save"
    VERIFY = "verify"
    WAKE = "wake"
    REFRESH = "refresh"
    CLEAR = "clear"
    START = "start"
    CONFIRM = "confirm"
    #: Look whether it is back. It is not known whether anything was done to it at all.
    LOOK = "look"
    IDENTIFY = "identify"
    RESTORE = "restore"
    FINISH_RESTORE = "finish-restore"
    CHECK = "check"
    TELL = "tell"
    ACCEPT = "accept"
    CANCEL = "cancel"
    LEAVE = "leave"
    WAIT = "wait"


#: What logs in to the computer.
_REACHING: Final = frozenset(
    {Do.SAVE, Do.VERIFY, Do.REFRESH, Do.CLEAR, Do.START, Do.LOOK, Do.IDENTIFY, Do.RESTORE, Do.CHECK}
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether everybody who must agree does, right now; if not, which note says why, and who must do what."""

    agreed: bool
    note: Literal[Kind.REFUSED, Kind.DEFERRED, Kind.HELD] | None = None
    text: str = ""
    needs: str = ""
    until: datetime | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that decides what happens next with one computer. Times are aware."""

    state: HostState
    now: datetime
    window_start: datetime
    window_end: datetime
    return_within: timedelta
    #: For so long the action itself may still be going on, whatever became of the worker that began it.
    action_within: timedelta = timedelta()
    #: None: it is not known, which is no agreement.
    agreement: Agreement | None = None
    #: Whether the plan is another one than people were told of.
    changed: bool = False
    cancelled: bool = False
    #: Whether a person said that the action with the clearance now in use was done.
    confirmed: bool = False
    accepted: bool = False
    #: The other maintenance that has this computer, if one does.
    other: str = ""
    #: The clearance whose token is at hand. It is written down nowhere, so a walk that begins anew has none.
    holding: str = ""
    #: Accounts whose restore still waits for a profile.
    waiting: frozenset[str] = frozenset()
    #: What could not be found out, in words.
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """What to do, or for what to wait: in words for people, and who must do something about it."""

    do: Do
    where: Where = "running"
    text: str = ""
    needs: str = ""
    #: What is written down, when it is not written down already.
    note: Kind | None = None
    until: datetime | None = None


def next_step(facts: Facts) -> Move:
    """Return what happens next with a computer."""
    move = _next_step(facts)
    note = facts.state.note
    if move.do not in _REACHING or note is None or note.kind not in (Kind.FAILED, Kind.ATTENTION):
        return move
    if note.until is None or facts.now >= note.until:
        return move
    # Each attempt to log in brings its account nearer to being locked.
    return Move(Do.WAIT, "attention", note.reason, "IT looks at the login; it is tried again in an hour")


def _next_step(facts: Facts) -> Move:
    state = facts.state
    if state.damage:
        needs = "IT looks at the records of this maintenance; nothing more is done by itself"
        return Move(Do.WAIT, "attention", f"what was written down cannot be relied on: {state.damage}", needs)
    if state.accepted:
        return Move(Do.WAIT, "done", "everything is back and was accepted")
    if state.ended:
        return _ended(state)
    if state.started is not None:
        return _begun(facts)
    return _before(facts)


def _ended(state: HostState) -> Move:
    if not state.told:
        return Move(Do.TELL)
    why = state.note.reason if state.note is not None else ""
    return Move(Do.WAIT, "untouched", why or "it was not touched")


def _begun(facts: Facts) -> Move:
    """Follow what has begun to its end."""
    state = facts.state
    if not state.returned:
        if facts.confirmed and not state.done:
            return Move(Do.CONFIRM)
        return Move(Do.LOOK)
    if not state.identified:
        return Move(Do.IDENTIFY)
    if not state.restored:
        users = state.cleared.users if state.cleared else ()
        rest = [name for name in users if name not in state.brought]
        if not rest:
            return Move(Do.FINISH_RESTORE)
        if any(name not in facts.waiting or name not in state.put_off for name in rest):
            return Move(Do.RESTORE)
        text = f"the files of {', '.join(rest)} wait for a first sign-in"
        return Move(Do.WAIT, "waits", text, f"{', '.join(rest)} signs in on this computer once")
    if not state.checked:
        return Move(Do.CHECK)
    if not state.told:
        return Move(Do.TELL)
    if facts.accepted:
        return Move(Do.ACCEPT)
    needs = "the teacher or IT looks, and accepts it"
    if not state.good:
        return Move(Do.WAIT, "attention", "it is back, but not everything was found there", needs)
    return Move(Do.WAIT, "done", "everything is back", needs)


def _before(facts: Facts) -> Move:
    """Go towards a wipe, or leave the computer as it is."""
    state = facts.state
    if state.number == 0:
        return Move(Do.OPEN)
    if facts.cancelled:
        return Move(Do.CANCEL)
    if state.latest is not None and state.latest > facts.now + CLOCK_TOLERANCE:
        text = "something was written down at a time that is still to come: a clock is wrong"
        return Move(Do.WAIT, "attention", text, "IT sets the clocks of the workers right")
    if facts.now >= facts.window_end:
        return Move(Do.LEAVE, text=state.note.reason if state.note else "the time for it was over")
    if facts.changed:
        text = "the plan was changed after people were told of it"
        return Move(Do.WAIT, "attention", text, "IT puts it back, or gives the new plan a name of its own")
    if facts.problems:
        return Move(Do.WAIT, "attention", "; ".join(facts.problems), "IT mends that", Kind.HELD)
    if facts.other:
        return Move(Do.WAIT, "waits", f"the maintenance '{facts.other}' has this computer", "that one ends first")
    if state.starts >= MOST_STARTS:
        text = f"it was tried {state.starts} times, and nothing came of it"
        return Move(Do.WAIT, "attention", text, "IT looks at the action and at this computer", Kind.ATTENTION)
    if not state.announced:
        return Move(Do.ANNOUNCE)
    agreement = facts.agreement
    if agreement is None or not agreement.agreed:
        return _not_agreed(agreement)
    if not state.agreed:
        return Move(Do.AGREE)
    return _agreed(facts)


def _not_agreed(agreement: Agreement | None) -> Move:
    if agreement is None:
        return Move(Do.WAIT, "waits", "it is not known whether people agree", "IT looks why", Kind.HELD)
    text = agreement.text or "not everybody has agreed yet"
    return Move(Do.WAIT, "waits", text, agreement.needs, agreement.note, agreement.until)


def _agreed(facts: Facts) -> Move:
    """Save as soon as people agree; wipe within the window."""
    state = facts.state
    open_now = facts.window_start <= facts.now < facts.window_end
    if open_now and not state.woken:
        return Move(Do.WAKE)
    if state.saved is None:
        return Move(Do.SAVE)
    if not state.verified:
        return Move(Do.VERIFY)
    if not open_now:
        return Move(Do.WAIT, "waits", "it is saved, and waits for its time")
    fresh = state.refreshed
    if fresh is None or not fresh.at - CLOCK_TOLERANCE <= facts.now < fresh.at + RIGHT_BEFORE:
        return Move(Do.REFRESH)
    cleared = state.cleared
    held = cleared is not None and facts.holding == cleared.clearance and cleared.clearance not in state.used
    if cleared is None or not held or facts.now + LEAST_LEFT >= cleared.expiry:
        return Move(Do.CLEAR)
    return Move(Do.START)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a computer showed whose wipe was begun.

    ``there`` when it answered; ``fresh`` when it is another one than before: a new identity, or the files are gone;
    ``known`` when it is known by the same identity still.
    """

    there: bool
    fresh: bool = False
    known: bool = False


def after_look(facts: Facts, looked: Looked, *, stays_itself: bool, skew: timedelta) -> Move | Kind:
    """Return what a look means: ``RETURNED``, ``UNDONE`` (begin again with another clearance), or what to wait for.

    ``stays_itself`` for an upgrade or a change: the computer does not come back as another, so that only whoever did
    it can say that it is done. ``skew`` is how much later the clock may be of whoever checks clearances.
    """
    state = facts.state
    started = state.started or facts.now
    empty = state.refreshed is not None and state.refreshed.files == 0
    if looked.there and looked.fresh and looked.known and not state.done:
        note = state.note
        if note is None or note.reason != _SETTLING:
            return Move(Do.WAIT, "waits", _SETTLING, "", Kind.HELD)
        if facts.now < note.at + SETTLING:
            return Move(Do.WAIT, "waits", _SETTLING)
    if looked.there and (looked.fresh or (state.done and (stays_itself or empty))):
        return Kind.RETURNED
    overdue = facts.now >= started + facts.return_within
    over = facts.now >= started + facts.action_within
    over = over and state.cleared is not None and facts.now >= state.cleared.expiry + skew
    if looked.there and over and facts.cancelled and (state.done or stays_itself):
        # Nobody may wipe it any more. To restore what is all there changes nothing.
        return Kind.RETURNED
    if looked.there and not state.done and over and not (stays_itself and state.begun):
        return Kind.UNDONE
    if overdue:
        what = "is not back" if not looked.there else "is there, but nothing was done to it"
        needs = "IT looks at this computer"
        return Move(Do.WAIT, "attention", f"it {what} since it was handed over", needs, Kind.ATTENTION)
    if looked.there:
        text = "it is handed over and looks as before"
        needs = "" if state.done else "whoever does it says so, if firstbell cannot see it: 'maintenance confirm'"
        return Move(Do.WAIT, "waits", text, needs)
    return Move(Do.WAIT, "waits", "it is being set up anew")
