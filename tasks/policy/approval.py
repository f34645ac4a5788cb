"""Who must agree to a computer being wiped, and whether they did. Pure: lines of the ledger in, a standing out.

Silence means no. A *seat* is one who must agree: a teacher, whose delegates may speak for them. The teacher's own word
goes over what delegates said before it; afterwards a delegate can only make it stricter. A refusal, a deferral and a
hold stand until they end, are taken back by whom they are of, or until two people with the role ``override`` went past
them: past what stood at that moment, and nothing that came later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from configs.maintenance import Approvals
from configs.people import Person
from configs.people_file import accounts_of
from tasks.answers import Answered, Asked, Decision, HoldLifted, HoldPlaced, Line, Overridden
from tasks.policy.gate import CLOCK_TOLERANCE, HoldFact

SameAccount = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Seat:
    """One who must agree: ``key`` of the person (or the account, where nobody is known for it) and who may speak."""

    key: str
    name: str
    delegates: tuple[str, ...] = ()
    #: Why nobody can agree here, in words.
    problem: str = ""

    @property
    def deciders(self) -> tuple[str, ...]:
        """Return the keys of all who may decide."""
        return () if self.problem else (self.key, *self.delegates)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked about: a computer with its rooms, in a plan (empty for none) of a digest."""

    host: str
    groups: tuple[str, ...]
    site: str
    plan: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether all who must agree have, by whom and until when; and else what is missing, in words for people."""

    agreed: bool
    by: tuple[str, ...] = ()
    until: datetime | None = None
    missing: tuple[str, ...] = ()
    refused_by: tuple[str, ...] = ()
    deferred_until: datetime | None = None
    holds: tuple[str, ...] = ()
    #: Who went past something, and why; empty where nobody did.
    override: str = ""
    override_until: datetime | None = None
    #: Everything that keeps the computer from being wiped whatever else is said: holds, refusals, deferrals.
    stops: tuple[HoldFact, ...] = ()
    #: The lines of the ledger behind ``stops``, and the keys of the seats that have not agreed.
    against: tuple[int, ...] = ()
    silent: tuple[str, ...] = ()
    #: What of the ledger cannot be believed. With any, nothing is agreed.
    problems: tuple[str, ...] = ()


def seats(
    approvals: Approvals, accounts: Sequence[str], site: str, people: Mapping[str, Person], same: SameAccount
) -> tuple[Seat, ...]:
    """Return who must agree for a computer with these teachers' accounts. None only for ``by: none``.

    ``same`` tells whether two names of accounts may be one person's.
    """
    if approvals.by == "none":
        return ()
    if approvals.by == "teachers" and accounts:
        return tuple(dict.fromkeys(_seat_of(account, site, people, same) for account in accounts))
    if not approvals.people:
        return (Seat("", "", problem="no teacher is named for this computer, and nobody else is to be asked"),)
    return tuple(_seat(key, site, people) for key in dict.fromkeys(approvals.people))


def belongs(person: Person, site: str) -> bool:
    """Return whether somebody belongs to a school."""
    return not person.sites or site in person.sites


def standing_of(
    subject: Subject, asked_for: Sequence[Seat], lines: Sequence[Line], now: datetime, problems: Sequence[str] = ()
) -> Standing:
    """Return where a computer stands at ``now``. With no seats nobody is asked, and only stops count."""
    overrides = [one for one in lines if isinstance(one, Overridden) and _covers(one, subject, now)]
    past = {seq for one in overrides for seq in one.past}
    silent = {key for one in overrides for key in one.silent}
    last = _last_words(subject, lines, now)
    held = [one for one in _holds(subject, lines, now) if one.seq not in past]
    against = {key: one for key, one in last.items() if _is_no(one, now) and one.seq not in past}
    agreed, missing, quiet, by = [], [], [], []
    standing_no: dict[int, Answered] = {}
    for seat in asked_for:
        said = _said(seat, last)
        noes = [one for one in said if _is_no(one, now)]
        standing_no |= {one.seq: one for one in noes if one.seq not in past}
        yes = [one for one in said if _is_yes(one, subject, now)]
        if yes and not noes:
            agreed.append(max(yes, key=lambda one: one.seq))
            by.append(_by(seat, agreed[-1]))
        elif (noes and all(one.seq in past for one in noes)) or (not noes and seat.key in silent):
            continue
        else:
            quiet.append(seat.key)
            if not noes:
                missing.append(seat.problem or _silence(seat, subject, lines))
    # Whoever said no and has no seat here (any more) is heard as well.
    heard = {key for seat in asked_for for key in seat.deciders}
    standing_no |= {one.seq: one for key, one in against.items() if key not in heard}
    stops = tuple(map(_stop, held)) + tuple(_no(standing_no[seq]) for seq in sorted(standing_no))
    refused = [one for one in standing_no.values() if one.decision is Decision.REFUSE]
    deferred = [one.until for one in standing_no.values() if one.decision is Decision.DEFER]
    complete = not stops and not missing and not quiet and not problems
    ends = [one.until for one in agreed] + [one.until for one in overrides]
    return Standing(
        agreed=complete,
        by=tuple(by) + tuple(name for one in overrides for name in one.names),
        until=min(ends, default=None),
        missing=tuple(missing),
        refused_by=tuple(dict.fromkeys(one.name for one in refused)),
        deferred_until=max(deferred, default=None),
        holds=tuple(_stop(one).text for one in held),
        override="; ".join(f"{' and '.join(one.names)}: {one.reason}" for one in overrides),
        override_until=min((one.until for one in overrides), default=None),
        stops=stops,
        against=tuple(sorted({*standing_no, *(one.seq for one in held)})),
        silent=tuple(quiet),
        problems=tuple(problems),
    )


def live_holds(lines: Iterable[Line], now: datetime) -> list[HoldPlaced]:
    """Return the holds that nobody took back and that have not ended, the oldest first."""
    placed: dict[int, HoldPlaced] = {}
    for line in lines:
        if isinstance(line, HoldPlaced) and line.until > now:
            placed[line.seq] = line
        elif isinstance(line, HoldLifted):
            placed.pop(line.hold, None)
    return list(placed.values())


def _holds(subject: Subject, lines: Iterable[Line], now: datetime) -> Iterator[HoldPlaced]:
    for hold in live_holds(lines, now):
        if (
            subject.host in hold.hosts
            or (hold.scope == "host" and hold.target == subject.host)
            or (hold.scope == "group" and hold.target in subject.groups)
            or (hold.scope == "site" and hold.target == subject.site)
        ):
            yield hold


def _last_words(subject: Subject, lines: Iterable[Line], now: datetime) -> dict[str, Answered]:
    """Return of each person the last answer that concerns this computer in this plan.

    An answer to another plan concerns it where it still puts the computer off, or refuses it beyond any plan; where no
    plan asks, every refusal that still stands does.
    """
    newest: dict[tuple[str, str], Answered] = {}
    for line in lines:
        if isinstance(line, Answered) and subject.host in line.hosts:
            newest[line.person, line.plan] = line
    found: dict[str, Answered] = {}
    for (person, plan), one in newest.items():
        beyond = one.decision is Decision.DEFER or "" in (subject.plan, plan)
        if plan != subject.plan and not (beyond and _is_no(one, now)):
            continue
        if person not in found or found[person].seq < one.seq:
            found[person] = one
    return found


def _said(seat: Seat, last: Mapping[str, Answered]) -> list[Answered]:
    own = None if seat.problem else last.get(seat.key)
    others = [last[key] for key in seat.delegates if key in last and not seat.problem]
    if own is None:
        return others
    # A delegate's word counts beside the teacher's own only when it came later.
    return [own, *(one for one in others if one.seq > own.seq)]


def _is_no(one: Answered, now: datetime) -> bool:
    return one.decision is not Decision.APPROVE and one.until > now


def _is_yes(one: Answered, subject: Subject, now: datetime) -> bool:
    return (
        one.decision is Decision.APPROVE
        and (one.plan, one.digest) == (subject.plan, subject.digest)
        and one.at - CLOCK_TOLERANCE <= now < one.until
    )


def _covers(one: Overridden, subject: Subject, now: datetime) -> bool:
    return (
        subject.host in one.hosts
        and one.plan == subject.plan
        and len(set(one.people)) > 1
        and one.at - CLOCK_TOLERANCE <= now < one.until
    )


def _silence(seat: Seat, subject: Subject, lines: Iterable[Line]) -> str:
    who = f"{seat.name} (or a delegate)" if seat.delegates else seat.name
    answers = [
        one
        for one in lines
        if isinstance(one, Answered)
        and one.person in seat.deciders
        and one.plan == subject.plan
        and subject.host in one.hosts
    ]
    if answers and answers[-1].decision is Decision.DEFER:
        return f"{who} put it off; that is over, and there is no new answer"
    if answers and answers[-1].decision is Decision.APPROVE:
        return f"{who} agreed to another version of the plan, or for a time that is over"
    asked = any(
        isinstance(one, Asked)
        and one.person in seat.deciders
        and one.plan == subject.plan
        and subject.host in one.hosts
        for one in lines
    )
    return f"{who} has not answered" if asked else f"{who} has not been asked"


def _by(seat: Seat, one: Answered) -> str:
    return one.name if one.person == seat.key else f"{one.name} for {seat.name}"


def _stop(hold: HoldPlaced) -> HoldFact:
    where = {"host": "this computer", "group": f"the room {hold.target}", "site": "the whole school"}[hold.scope]
    return HoldFact("educator-hold", f"{hold.name} holds {where}: {hold.reason}", hold.until, str(hold.seq))


def _no(one: Answered) -> HoldFact:
    why = f": {one.reason}" if one.reason else ""
    if one.decision is Decision.DEFER:
        return HoldFact("deferred", f"{one.name} put it off{why}", one.until, str(one.seq))
    return HoldFact("refused", f"{one.name} refused{why}", one.until, str(one.seq))


def _seat_of(account: str, site: str, people: Mapping[str, Person], same: SameAccount) -> Seat:
    found = [
        key
        for key, person in people.items()
        if belongs(person, site) and any(same(own, account) for own in accounts_of(key, person))
    ]
    if not found:
        return Seat(account, account, problem=f"nobody in people.yaml has the account {account}")
    if len(found) > 1:
        return Seat(account, account, problem=f"several people have the account {account}: {', '.join(sorted(found))}")
    person = people[found[0]]
    if "teacher" not in person.roles:
        return Seat(found[0], person.name, problem=f"{person.name} has not the role 'teacher' in people.yaml")
    return _seat(found[0], site, people)


def _seat(key: str, site: str, people: Mapping[str, Person]) -> Seat:
    person = people.get(key)
    if person is None:
        return Seat(key, key, problem=f"there is no '{key}' in people.yaml")
    if not belongs(person, site):
        return Seat(key, person.name, problem=f"{person.name} does not belong to this school, by people.yaml")
    return Seat(
        key, person.name, tuple(one for one in person.delegates if one in people and belongs(people[one], site))
    )
