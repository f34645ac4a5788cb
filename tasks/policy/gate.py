"""May this computer be wiped? Facts go in, a verdict with its reasons comes out: ``open`` or ``hold``.

The default is hold (docs/design.md, section 2): each check gives its reasons to hold, a fact that is missing is one of
them, and the gate is open only where no check gives any. No I/O and no clock here: whoever gathers the facts tells also
what could not be gathered.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final

from configs.gate import GateConfig
from tasks.policy.snapshot_state import SnapshotState

#: Clocks of workers may differ by so much; a fact from further ahead is not believed.
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
#: How a snapshot can be proven; a later one includes those before it.
METHODS: Final = ("read-back", "spot", "drill")
#: So many names are told in one reason.
_NAMES: Final = 5


class Verdict(Enum):
    """Whether the computer may be wiped."""

    OPEN = "open"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class SnapshotFact:
    """The newest snapshot of the computer: ID in hex, when it was made, its state (None: it tells none)."""

    id: str
    taken: datetime
    state: SnapshotState | None


@dataclass(frozen=True, slots=True)
class VerificationFact:
    """One verification: of which snapshot (ID in hex), when, by which method, and how it went.

    ``complete`` when every file was looked at and not a sample. ``users`` are the accounts that the snapshot covers.
    """

    snapshot: str
    at: datetime
    method: str
    good: bool
    complete: bool = False
    problem: str = ""
    users: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ProfilesFact:
    """Which user profiles somebody found on the computer, when, and since when each is known to be in use again.

    ``used`` holds, for an account, the last moment at which its profile was in use, as far as that is known.
    """

    at: datetime
    names: tuple[str, ...]
    used: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CalendarFact:
    """What the school's calendar says of now: whether it covers the day, and what is protected, in words."""

    covered: bool
    protected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalFact:
    """All who must agree have: for this computer, in a plan (empty for none), and until when that is good."""

    by: str
    until: datetime
    host: str
    plan: str = ""


@dataclass(frozen=True, slots=True)
class HoldFact:
    """Somebody keeps the computer from being wiped until a moment: an educator's hold, a refusal, a deferral.

    ``code`` is the word for programs, ``text`` who it is and why, ``id`` what it is called in the ledger.
    """

    code: str
    text: str
    until: datetime
    id: str = ""


@dataclass(frozen=True, slots=True)
class GateFacts:
    """All that is known of one computer. None means: not known."""

    host: str
    snapshot: SnapshotFact | None = None
    #: Those of the newest snapshot, in any order.
    verifications: Sequence[VerificationFact] | None = None
    profiles: ProfilesFact | None = None
    calendar: CalendarFact | None = None
    approval: ApprovalFact | None = None
    #: Who keeps the computer from being wiped; whether anybody does must be known.
    holds: Sequence[HoldFact] | None = None
    #: Until when two people went past what else would stand in ``holds``; None where nobody did.
    override_until: datetime | None = None
    #: The maintenance plan that asks, empty for none, and whether it needs people to agree.
    plan: str = ""
    plan_needs_approval: bool = False
    #: Who has not agreed, in words.
    missing: tuple[str, ...] = ()
    #: How many other computers of the site have a clearance right now.
    cleared: int | None = None
    #: Accounts whose profile nobody would miss, besides those of the rules.
    ignored: tuple[str, ...] = ()
    #: Why facts could not be gathered, in words.
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the gate holds: a word for programs, a sentence for people, and what to do about it."""

    code: str
    text: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether one computer may be wiped, and every reason why not."""

    host: str
    verdict: Verdict
    reasons: tuple[Reason, ...]
    snapshot: SnapshotFact | None = None
    #: The verification that the verdict rests on; only when open.
    verification: VerificationFact | None = None

    @property
    def is_open(self) -> bool:
        """Return whether it may be wiped."""
        return self.verdict is Verdict.OPEN


def decide(facts: GateFacts, rules: GateConfig, now: datetime) -> GateVerdict:
    """Return whether the computer may be wiped at ``now``, an aware time."""
    reasons = tuple(reason for check in _CHECKS for reason in check(facts, rules, now))
    proof = _proof(facts, rules, now)
    # The second half cannot be false while the first is true; it stands here so that no later check can make it so.
    opens = not reasons and facts.snapshot is not None and proof is not None
    if not opens and not reasons:
        reasons = (Reason("unknown", "nothing proves that the computer may be wiped"),)
    return GateVerdict(
        facts.host, Verdict.OPEN if opens else Verdict.HOLD, reasons, facts.snapshot, proof if opens else None
    )


def _gathered(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    for problem in facts.problems:
        yield Reason("unreadable", problem, "Mend that first: while it is not known, nothing may be wiped.")


def _complete(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    snapshot = facts.snapshot
    cure = f"firstbell snapshot {facts.host}"
    if snapshot is None:
        # What kept it from being found is told already.
        if not facts.problems:
            yield Reason("no-snapshot", "there is no snapshot of this computer", cure)
    elif snapshot.state is None:
        yield Reason("state-unknown", "the newest snapshot does not say whether it is complete", cure)
    elif not snapshot.state.usable:
        text = "the newest snapshot is partial: something is missing in it that nobody answers for"
        yield Reason("partial", text, f"See what is missing, and mend it: {cure}")


def _fresh(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    snapshot = facts.snapshot
    if snapshot is None:
        return
    if snapshot.taken > now + CLOCK_TOLERANCE:
        text = f"the newest snapshot is of {_when(snapshot.taken)}, which is still to come: a clock is wrong"
        yield Reason("clock", text, "Set the clocks of the workers (timedatectl), then make a new snapshot.")
    elif snapshot.taken < rules.max_age.before(now):
        text = f"the newest snapshot is of {_when(snapshot.taken)}, older than {rules.max_age}"
        yield Reason("stale", text, f"firstbell snapshot {facts.host}")


def _verified(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    if facts.snapshot is None:
        return
    cure = f"firstbell verify {facts.host}"
    if facts.verifications is None:
        if not facts.problems:
            yield Reason("not-verified", "it is not known whether the snapshot was verified", cure)
        return
    own = _own(facts, now)
    failed = _standing_failure(own)
    if failed is not None:
        text = f"the snapshot failed its verification of {_when(failed.at)}"
        yield Reason(
            "verification-failed",
            f"{text}: {failed.problem}" if failed.problem else text,
            f"Make a new one and verify that: firstbell snapshot {facts.host}",
        )
    elif not own:
        yield Reason("not-verified", "the newest snapshot was never verified", cure)
    elif _proof(facts, rules, now) is None:
        done = max((METHODS.index(one.method) for one in own if one.good and one.method in METHODS), default=None)
        how = f"was verified by {METHODS[done]} only" if done is not None else "was not verified by a known method"
        yield Reason("method", f"the snapshot {how}, and '{rules.min_method}' is asked for", cure)


def _profiles(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    if facts.snapshot is None:
        return
    cure = f"With the computer on: firstbell verify {facts.host}"
    users = next((one.users for one in _newest_first(_own(facts, now)) if one.users is not None), None)
    if facts.profiles is None or users is None:
        if not facts.problems and _own(facts, now):
            text = "it is not known whose user profiles are on the computer and in the snapshot"
            yield Reason("profiles-unknown", text, cure)
        return
    if facts.profiles.at < facts.snapshot.taken:
        yield Reason("profiles-unknown", "nobody looked at the user profiles since the snapshot was made", cure)
    elif facts.profiles.at > now + CLOCK_TOLERANCE:
        yield Reason("clock", "the user profiles were looked at in the future: a clock is wrong", cure)
    # Whoever looked told everybody who is in the snapshot by their name there, so that a name is spelled one way.
    covered = set(users)
    patterns = [name.casefold() for name in (*rules.ignore_profiles, *facts.ignored)]
    there = [name for name in facts.profiles.names if name not in covered]
    strange = [name for name in there if not _is_ignored(name, patterns)]
    if strange:
        text = f"on the computer, but not in the snapshot: {_listed(strange)}"
        yield Reason(
            "not-covered",
            text,
            "Add them to 'teachers' in the inventory and make a new snapshot, or name them in 'gate.ignore_profiles'.",
        )
    again = sorted(
        name for name, used in facts.profiles.used.items() if used > facts.snapshot.taken and name in covered
    )
    if again:
        text = f"used after the snapshot was made: the user profile of {_listed(again)}"
        yield Reason("used-since", text, f"Once they have signed out: firstbell snapshot {facts.host}")


def _calendar(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    cure = "See what it says: firstbell calendar check"
    if facts.calendar is None or not facts.calendar.covered:
        yield Reason("no-calendar", "no school calendar covers this day", cure)
        return
    for text in facts.calendar.protected:
        yield Reason("protected", text, cure)


def _held(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    if facts.holds is None:
        if not facts.problems:
            yield Reason("holds-unknown", "it is not known whether somebody holds this computer")
        return
    for one in facts.holds:
        if one.until > now:
            cure = "Only whoever said so can take it back, or two people with the role 'override' go past it."
            yield Reason(one.code, f"{one.text} (until {_when(one.until)})", cure)
    if facts.override_until is not None and facts.override_until <= now:
        yield Reason("override-over", f"the override was good until {_when(facts.override_until)}")


def _approved(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    if rules.approval == "none" and not facts.plan_needs_approval:
        return
    found, cure = facts.approval, "Ask again: docs/people.md."
    if found is None:
        if facts.missing:
            for text in facts.missing:
                yield Reason("no-approval", f"it needs an approval: {text}", cure)
        elif not facts.problems:
            yield Reason("no-approval", "it needs an approval, and not everybody has given one", cure)
    elif found.host != facts.host or found.plan != facts.plan:
        yield Reason("no-approval", f"the approval of {found.by} is not for this computer in this plan", cure)
    elif found.until <= now:
        yield Reason("no-approval", f"the approval of {found.by} was good until {_when(found.until)}", cure)


def _room(facts: GateFacts, rules: GateConfig, now: datetime) -> Iterator[Reason]:
    if facts.cleared is None:
        if not facts.problems:
            yield Reason("clearances-unknown", "it is not known how many other computers are cleared right now")
    elif facts.cleared >= rules.max_hosts:
        text = f"{facts.cleared} other computers are cleared right now, and no more than {rules.max_hosts} may be"
        yield Reason("too-many", text, "Wait until those are done, or raise 'gate.max_hosts'.")


_Check = Callable[[GateFacts, GateConfig, datetime], Iterator[Reason]]
_CHECKS: Final[tuple[_Check, ...]] = (
    _gathered,
    _complete,
    _fresh,
    _verified,
    _profiles,
    _calendar,
    _held,
    _approved,
    _room,
)


def _own(facts: GateFacts, now: datetime) -> list[VerificationFact]:
    """Return the verifications of the newest snapshot: good ones made after it and not in the future, and all failed.

    A failed one is believed whatever the clock said of the worker that wrote it.
    """
    snapshot = facts.snapshot
    if snapshot is None:
        return []
    return [
        one
        for one in facts.verifications or ()
        if one.snapshot == snapshot.id and (not one.good or snapshot.taken <= one.at <= now + CLOCK_TOLERANCE)
    ]


def _standing_failure(own: Sequence[VerificationFact]) -> VerificationFact | None:
    """Return the newest failure that nothing later has taken back: a sample may miss what was wrong.

    Only a look at every file, by the same method or a better one, does.
    """
    taken_back = -1
    for one in _newest_first(own):
        if not one.good and (one.method not in METHODS or METHODS.index(one.method) > taken_back):
            return one
        if one.good and one.complete and one.method in METHODS:
            taken_back = max(taken_back, METHODS.index(one.method))
    return None


def _proof(facts: GateFacts, rules: GateConfig, now: datetime) -> VerificationFact | None:
    """Return the newest verification that is enough."""
    enough = METHODS[METHODS.index(rules.min_method) :]
    own = _own(facts, now)
    if _standing_failure(own) is not None:
        return None
    return next((one for one in _newest_first(own) if one.good and one.method in enough), None)


def _newest_first(own: Sequence[VerificationFact]) -> list[VerificationFact]:
    # Of two at the same moment the failed one counts as the later.
    return sorted(own, key=lambda one: (one.at, not one.good), reverse=True)


def _is_ignored(name: str, patterns: Sequence[str]) -> bool:
    folded = name.casefold()
    account = folded.rpartition("\\")[2]
    return any(fnmatch.fnmatchcase(one, pattern) for pattern in patterns for one in (folded, account))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES])
    return f"{shown} and {len(names) - _NAMES} more" if len(names) > _NAMES else shown


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
