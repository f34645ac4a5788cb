"""What the log of a computer in maintenance amounts to, and which step may follow which.

The same rules are asked before a step is written and while one is read, so that no log can exist that leads to a wipe
by a way that is not allowed: a log which breaks them is damaged, and a person must look. No I/O and no clock here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Protocol


class Kind(StrEnum):
    """A step of one computer."""

    OPENED = "opened"
    ANNOUNCED = "announced"
    AGREED = "agreed"
    WOKEN = "woken"
    SAVED = "saved"
    VERIFIED = "verified"
    #: The snapshot right before the wipe, verified.
    REFRESHED = "refreshed"
    CLEARED = "cleared"
    #: Written before the action: at most once for each clearance.
    STARTED = "started"
    #: The action has begun elsewhere, such as on an imaging server.
    BEGUN = "begun"
    DONE = "done"
    #: The action came to nothing: the clearance is over and the computer as it was.
    UNDONE = "undone"
    RETURNED = "returned"
    IDENTIFIED = "identified"
    #: The restore of one person waits for a profile, or is there.
    PUT_OFF = "put-off"
    BROUGHT = "brought"
    RESTORED = "restored"
    CHECKED = "checked"
    TOLD = "told"
    ACCEPTED = "accepted"
    #: It ended without a wipe: stopped by a person, or the window was over.
    CANCELLED = "cancelled"
    UNTOUCHED = "untouched"
    # What kept it, for the moment: each is noted when it changes, and tried again.
    REFUSED = "refused"
    DEFERRED = "deferred"
    HELD = "held"
    UNREACHABLE = "unreachable"
    FAILED = "failed"
    ATTENTION = "attention"


NOTES: Final = frozenset({Kind.REFUSED, Kind.DEFERRED, Kind.HELD, Kind.UNREACHABLE, Kind.FAILED, Kind.ATTENTION})
#: What a wipe rests on. None of it happens to a computer whose wipe has begun.
_BEFORE: Final = frozenset(
    {Kind.ANNOUNCED, Kind.AGREED, Kind.WOKEN, Kind.SAVED, Kind.VERIFIED, Kind.REFRESHED, Kind.CLEARED}
)


class Entry(Protocol):
    """One record of a log, as it is stored."""

    @property
    def number(self) -> int:
        """Return its number, from 1 on."""

    @property
    def step(self) -> str:
        """Return the value of its kind."""

    @property
    def at(self) -> datetime:
        """Return when it was written, an aware time."""

    @property
    def detail(self) -> Mapping[str, Any]:
        """Return what it tells."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A snapshot of the computer: ID in hex, when that was written down, how many files it has."""

    snapshot: str
    at: datetime
    files: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """A clearance: its id, the snapshot that it names, until when it is good, and the accounts that it covers."""

    clearance: str
    snapshot: str
    expiry: datetime
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """What kept a computer last, and why."""

    kind: Kind
    reason: str
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class HostState:
    """Where one computer stands."""

    number: int = 0
    step: Kind | None = None
    since: datetime | None = None
    #: The latest time in the log.
    latest: datetime | None = None
    announced: bool = False
    agreed: bool = False
    woken: bool = False
    saved: Saved | None = None
    verified: bool = False
    refreshed: Saved | None = None
    cleared: Cleared | None = None
    #: When the action with ``cleared`` was begun; None before, and again when it came to nothing.
    started: datetime | None = None
    starts: int = 0
    #: Every clearance that an action was begun with.
    used: frozenset[str] = frozenset()
    begun: bool = False
    done: bool = False
    returned: bool = False
    identified: bool = False
    put_off: frozenset[str] = frozenset()
    brought: frozenset[str] = frozenset()
    restored: bool = False
    checked: bool = False
    #: Whether all that was to come back was found there.
    good: bool = False
    ended: Kind | None = None
    told: bool = False
    accepted: bool = False
    #: What keeps it, since the last step that was no note.
    note: Note | None = None
    damage: str = ""


def fold(entries: Iterable[Entry], damage: str | None = None) -> HostState:
    """Return what a log amounts to; ``damage`` is what its reader found wrong with it."""
    state = HostState()
    for entry in entries:
        state = after(state, entry)
        if state.damage:
            return state
    return replace(state, damage=damage) if damage else state


def after(state: HostState, entry: Entry) -> HostState:
    """Return the state after one more record; damaged when it may not follow or does not tell what it must."""
    try:
        kind = Kind(entry.step)
    except ValueError:
        return _damaged(state, entry, f"'{entry.step}' is a step that this version does not know")
    if entry.number != state.number + 1:
        return _damaged(state, entry, "it is not the next one")
    why = refused(state, kind, entry.detail)
    if why:
        return _damaged(state, entry, why)
    note = kind in NOTES
    latest = entry.at if state.latest is None else max(entry.at, state.latest)
    common: dict[str, Any] = {"number": entry.number, "latest": latest, "note": None}
    if note:
        common["note"] = Note(kind, str(entry.detail.get("reason", "")), entry.at, _moment(entry.detail.get("until")))
    else:
        common |= {"step": kind, "since": entry.at}
    return replace(state, **common, **_CHANGES.get(kind, _nothing)(state, entry))


def refused(state: HostState, kind: Kind, detail: Mapping[str, Any]) -> str:
    """Return why a step may not follow now, or an empty text: the law of a maintenance, in one place."""
    if state.damage:
        return state.damage
    missing = [key for key, legal in _MUST_TELL.get(kind, {}).items() if not legal(detail.get(key))]
    if missing:
        return f"'{missing[0]}' is missing or not as it should be"
    if (kind is Kind.OPENED) != (state.number == 0):
        return "a log begins with 'opened', once"
    if state.accepted:
        return "it was accepted before"
    if state.ended and kind is not Kind.TOLD and kind not in NOTES:
        return f"it ended before ('{state.ended}')"
    if kind in _BEFORE and state.started is not None:
        return "the wipe has begun before"
    law = _LAW.get(kind)
    return "" if law is None else law(state, detail)


def _cleared_ok(state: HostState, detail: Mapping[str, Any]) -> str:
    if not (state.announced and state.agreed and state.saved and state.verified):
        return "nobody agreed, or nothing was saved and verified"
    if state.refreshed is None:
        return "there is no snapshot from right before"
    if detail["snapshot"] != state.refreshed.snapshot:
        return "the clearance is for another snapshot than that from right before"
    if detail["clearance"] in state.used:
        return "this clearance was used before"
    return ""


def _started_ok(state: HostState, detail: Mapping[str, Any]) -> str:
    if state.started is not None:
        return "it was begun before"
    if state.cleared is None or detail["clearance"] != state.cleared.clearance:
        return "there is no such clearance since the snapshot from right before"
    if detail["clearance"] in state.used:
        return "this clearance was used before"
    return ""


def _of_this_start(state: HostState, detail: Mapping[str, Any]) -> str:
    if state.started is None or state.cleared is None:
        return "nothing was begun"
    if detail["clearance"] != state.cleared.clearance:
        return "it is about another clearance"
    return "it is back before" if state.returned else ""


def _brought_ok(state: HostState, detail: Mapping[str, Any]) -> str:
    if not state.identified:
        return "it is not known which computer came back"
    if state.restored:
        return "it was restored before"
    users = state.cleared.users if state.cleared else ()
    return "" if detail["account"] in users else "the clearance does not cover this account"


def _restored_ok(state: HostState, detail: Mapping[str, Any]) -> str:
    if not state.identified or state.restored:
        return "it is not known which computer came back, or it was restored before"
    users = state.cleared.users if state.cleared else ()
    return "" if set(users) <= state.brought else "somebody's files are not back yet"


def _ended_ok(state: HostState, detail: Mapping[str, Any]) -> str:
    return "the wipe has begun before" if state.started is not None else ""


def _told_ok(state: HostState, detail: Mapping[str, Any]) -> str:
    return "" if state.checked or state.ended else "there is nothing to tell yet"


_Law = Callable[[HostState, Mapping[str, Any]], str]
_LAW: Final[Mapping[Kind, _Law]] = {
    Kind.VERIFIED: lambda state, _: "" if state.saved else "nothing was saved",
    Kind.CLEARED: _cleared_ok,
    Kind.STARTED: _started_ok,
    Kind.BEGUN: _of_this_start,
    Kind.DONE: _of_this_start,
    Kind.UNDONE: _of_this_start,
    Kind.RETURNED: _of_this_start,
    Kind.IDENTIFIED: lambda state, _: "" if state.returned else "it is not back",
    Kind.PUT_OFF: _brought_ok,
    Kind.BROUGHT: _brought_ok,
    Kind.RESTORED: _restored_ok,
    Kind.CHECKED: lambda state, _: "" if state.restored else "it is not restored",
    Kind.TOLD: _told_ok,
    Kind.ACCEPTED: lambda state, _: "" if state.told and state.checked else "nobody was told yet",
    Kind.CANCELLED: _ended_ok,
    Kind.UNTOUCHED: _ended_ok,
}


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


def _yes_or_no(value: object) -> bool:
    return isinstance(value, bool)


_CLEARANCE: Final = {"clearance": _text}
_ACCOUNT: Final = {"account": _text}
_MUST_TELL: Final[Mapping[Kind, Mapping[str, Callable[[object], bool]]]] = {
    Kind.SAVED: {"snapshot": _text, "files": _count},
    Kind.REFRESHED: {"snapshot": _text, "files": _count},
    Kind.CLEARED: {**_CLEARANCE, "snapshot": _text, "users": _texts, "expiry": lambda one: _moment(one) is not None},
    Kind.STARTED: _CLEARANCE,
    Kind.BEGUN: _CLEARANCE,
    Kind.DONE: _CLEARANCE,
    Kind.UNDONE: _CLEARANCE,
    Kind.RETURNED: _CLEARANCE,
    Kind.PUT_OFF: _ACCOUNT,
    Kind.BROUGHT: _ACCOUNT,
    Kind.CHECKED: {"good": _yes_or_no},
    **{kind: {"reason": lambda one: isinstance(one, str)} for kind in NOTES},
}


def _saved(entry: Entry) -> Saved:
    return Saved(entry.detail["snapshot"], entry.at, entry.detail["files"])


def _on_cleared(state: HostState, entry: Entry) -> dict[str, Any]:
    detail, expiry = entry.detail, _moment(entry.detail["expiry"])
    return {"cleared": Cleared(detail["clearance"], detail["snapshot"], expiry or entry.at, tuple(detail["users"]))}


def _on_started(state: HostState, entry: Entry) -> dict[str, Any]:
    used = state.used | {entry.detail["clearance"]}
    return {"started": entry.at, "starts": state.starts + 1, "used": used, "begun": False, "done": False}


def _on_undone(state: HostState, entry: Entry) -> dict[str, Any]:
    return {"started": None, "cleared": None, "refreshed": None, "begun": False, "done": False, "woken": False}


def _nothing(state: HostState, entry: Entry) -> dict[str, Any]:
    return {}


_CHANGES: Final[Mapping[Kind, Callable[[HostState, Entry], dict[str, Any]]]] = {
    Kind.ANNOUNCED: lambda state, entry: {"announced": True},
    Kind.AGREED: lambda state, entry: {"agreed": True},
    Kind.WOKEN: lambda state, entry: {"woken": True},
    Kind.SAVED: lambda state, entry: {"saved": _saved(entry), "verified": False},
    Kind.VERIFIED: lambda state, entry: {"verified": True},
    # A clearance from before names another snapshot.
    Kind.REFRESHED: lambda state, entry: {"refreshed": _saved(entry), "cleared": None},
    Kind.CLEARED: _on_cleared,
    Kind.STARTED: _on_started,
    Kind.BEGUN: lambda state, entry: {"begun": True},
    Kind.DONE: lambda state, entry: {"done": True},
    Kind.UNDONE: _on_undone,
    Kind.RETURNED: lambda state, entry: {"returned": True},
    Kind.IDENTIFIED: lambda state, entry: {"identified": True},
    Kind.PUT_OFF: lambda state, entry: {"put_off": state.put_off | {entry.detail["account"]}},
    Kind.BROUGHT: lambda state, entry: {"brought": state.brought | {entry.detail["account"]}},
    Kind.RESTORED: lambda state, entry: {"restored": True},
    Kind.CHECKED: lambda state, entry: {"checked": True, "good": entry.detail["good"]},
    Kind.TOLD: lambda state, entry: {"told": True},
    Kind.ACCEPTED: lambda state, entry: {"accepted": True},
    Kind.CANCELLED: lambda state, entry: {"ended": Kind.CANCELLED},
    Kind.UNTOUCHED: lambda state, entry: {"ended": Kind.UNTOUCHED},
}


def _damaged(state: HostState, entry: Entry, why: str) -> HostState:
    return replace(state, damage=f"its record {entry.number} ('{entry.step}') cannot be right: {why}")


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
