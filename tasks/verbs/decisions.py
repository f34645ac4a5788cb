"""Ask people whether computers may be wiped, take their answers, and tell where a computer stands.

Everything is a line of the school's ledger. What an answer rests on is checked at the moment that its line is written:
two uses of a code at once cannot both count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from configs.errors import InventoryError
from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.answers import Answered, Asked, Decision
from tasks.errors import AnswerRefused, BackendError
from tasks.policy.approval import Standing
from tasks.policy.school_time import deadline_of, window_of
from tasks.records.decisions import event_of
from tasks.records.issued import issued
from tasks.records.ledger import LedgerState
from tasks.records.store import RecordStore
from tasks.reports.units import local_day_time
from tasks.verbs.agreement import seats_of, standing_by, subject_of
from tasks.verbs.codes import Invitation, Presented, give_out, known_person, open_by_code, unused_nonce
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import people_of, zone_of
from tasks.verbs.site_ledger import SiteLines, ledger_location, lines_for_gate, open_ledger, understood
from tasks.verbs.site_repository import repository_backend, repository_place

_LONGEST_CLEARANCE: Final = timedelta(days=1)
_LONGEST_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What was decided, and the next code, so that the person can change their mind."""

    site: str
    person: str
    name: str
    plan: str
    hosts: tuple[str, ...]
    decision: Decision
    until: datetime
    following: Invitation
    #: Computers that were cleared to be wiped before this no; it may come too late for them.
    cleared: tuple[str, ...] = ()


def invite(
    context: Context, plan: MaintenancePlan | None, hosts: Sequence[Host | str], *, now: datetime | None = None
) -> tuple[Invitation, ...]:
    """Return everybody who may decide on these computers of one school, each with the code that is good now.

    Asked twice, nothing is written twice. Nobody is in it for a computer whose teachers nobody knows: ``standing`` says
    so. Raises ``ConfigError``, or a ``BackendError``.
    """
    now = now or datetime.now(UTC)
    found = [context.host(one) if isinstance(one, str) else one for one in hosts]
    if not found:
        return ()
    site = found[0].site
    if any(one.site != site for one in found):
        raise InventoryError("these computers are not all of one school", hint="Ask for each school by itself.")
    who = _deciders(context, plan, found)
    if not who:
        return ()
    if plan is not None:
        zone = zone_of(context, site)
        until, agree_by = window_of(plan, zone).end, deadline_of(plan, zone)
    else:
        until = agree_by = (now + timedelta(days=context.config.approval.valid_days)).replace(microsecond=0)
    if until <= now:
        return ()
    people = people_of(context).people
    invitations = []
    with open_ledger(context, site) as ledger:
        state = ledger.read()
        for person, (names, behalf) in who.items():
            wanted = Asked(
                0, now, "answer", person, people[person].name, "", until, agree_by,
                plan.name if plan is not None else "",
                subject_of(found[0], plan).digest, tuple(names), tuple(behalf),
            )  # fmt: skip
            invitation, state = give_out(ledger, state, wanted, now)
            invitations.append(invitation)
    return tuple(invitations)


def decide(
    context: Context,
    *,
    code: str,
    decision: Decision | str,
    until: datetime | None = None,
    reason: str = "",
    hosts: Iterable[str] | None = None,
    plan: str = "",
    site: str = "",
    now: datetime | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Write down what somebody decided with their code, on all computers that it is for or some of them.

    ``until`` is when to ask again, for a deferral; without a zone it is by the school's clock. ``plan``, when named,
    must be the one that the code is for.
    The code is spent, and the answer holds the next one. Raises ``AnswerRefused``: then nothing was decided.
    """
    now = now or datetime.now(UTC)
    decision = Decision(decision)
    reason = checked_reason(reason)
    with open_by_code(context, code, purpose="answer", now=now, site=site, sleep=sleep) as shown:
        chosen = _chosen(context, shown, hosts, plan)
        if decision is not Decision.REFUSE:
            # Whoever left the school can still say no, which does no harm.
            known_person(context, shown.site, shown.code.asked.person)
        until = shown.moment(until) if until is not None else None
        if decision is Decision.DEFER and until is None:
            raise AnswerRefused("until when? A deferral needs a day", hint="Name the day to be asked again.")
        if until is not None and (decision is not Decision.DEFER or until <= now):
            raise AnswerRefused("only a deferral has a day, and one that is still to come", hint="Name a later day.")

        def answer(state: LedgerState) -> tuple[str, dict[str, Any]]:
            live = shown.fresh(state, now)
            asked = live.asked
            if decision is not Decision.REFUSE and asked.agree_by <= now:
                raise AnswerRefused(
                    f"it could be agreed to until {local_day_time(asked.agree_by, shown.zone)}",
                    hint="That is over. You can still refuse; and whatever nobody agreed to is not wiped.",
                )
            ends = until if decision is Decision.DEFER and until is not None else asked.until
            line = Answered(
                seq=0,
                at=now,
                person=asked.person,
                name=asked.name,
                nonce=live.nonce,
                following=unused_nonce(state),
                plan=asked.plan,
                digest=asked.digest,
                hosts=chosen,
                decision=decision,
                until=ends,
                reason=reason,
            )
            return event_of(line)

        shown.append(answer, now)
        asked = shown.code.asked
        return Answer(
            site=shown.site,
            person=asked.person,
            name=asked.name,
            plan=asked.plan,
            hosts=chosen,
            decision=decision,
            until=until if decision is Decision.DEFER and until is not None else asked.until,
            following=shown.following(),
            cleared=_cleared(context, chosen, now) if decision is not Decision.APPROVE else (),
        )


def standing(
    context: Context, plan: MaintenancePlan | None, host: Host | str, *, now: datetime | None = None
) -> Standing:
    """Return where one computer stands; see ``standings``."""
    found = context.host(host) if isinstance(host, str) else host
    return standings(context, plan, [found], now=now)[found.name]


def standings(
    context: Context, plan: MaintenancePlan | None, hosts: Sequence[Host], *, now: datetime | None = None
) -> Mapping[str, Standing]:
    """Return where each computer stands in a plan, or without one; the ledger of each school is read once.

    What of it cannot be read is among the problems, and then nothing is agreed. Raises ``ConfigError`` when
    ``people.yaml`` is wrong, or a ``BackendError``.
    """
    now = now or datetime.now(UTC)
    ledgers = {site: read_ledger(context, site) for site in {one.site for one in hosts}}
    return {one.name: standing_by(context, one, plan, ledgers[one.site], now) for one in hosts}


def read_ledger(context: Context, site: str, *, everything: bool = False) -> SiteLines:
    """Return the lines of a school's ledger; with ``everything`` each is read again from where it lies."""
    if everything:
        with open_ledger(context, site) as ledger:
            return understood(ledger.read(everything=True))
    location = ledger_location(context, site)
    with closing(repository_backend(context, location)) as backend:
        return lines_for_gate(context, site, backend, location)


def checked_reason(reason: str) -> str:
    """Return a reason in one line. Raises ``AnswerRefused`` when it is a whole letter."""
    reason = " ".join(reason.split())
    if len(reason) > _LONGEST_REASON:
        raise AnswerRefused(f"a reason has at most {_LONGEST_REASON} characters", hint="Make it shorter.")
    return reason


def _deciders(
    context: Context, plan: MaintenancePlan | None, hosts: Iterable[Host]
) -> dict[str, tuple[dict[str, None], dict[str, None]]]:
    """Return by person the computers to decide on, and for whom; in the order of the computers."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for host in hosts:
        for seat in seats_of(context, host, plan):
            for person in seat.deciders:
                names, behalf = found.setdefault(person, ({}, {}))
                names[host.name] = None
                behalf[seat.key] = None
    return found


def _chosen(context: Context, shown: Presented, hosts: Iterable[str] | None, plan: str) -> tuple[str, ...]:
    asked = shown.code.asked
    if plan and plan != asked.plan:
        raise AnswerRefused(
            f"this code is for {asked.plan or 'computers without a plan'}, not for {plan}",
            hint="Use the code of the letter about that plan.",
        )
    if hosts is None:
        return asked.hosts
    by_name = {one.casefold(): one for one in asked.hosts}
    strange = [one for one in hosts if one.casefold() not in by_name]
    chosen = tuple(dict.fromkeys(by_name[one.casefold()] for one in hosts if one.casefold() in by_name))
    if strange or not chosen:
        raise AnswerRefused(
            f"this code is not for {', '.join(strange) or 'no computer'}", hint=f"It is for: {', '.join(asked.hosts)}."
        )
    return chosen


def _cleared(context: Context, hosts: Iterable[str], now: datetime) -> tuple[str, ...]:
    """Return which of these computers have a clearance that is good now, as far as that can be seen."""
    found: list[str] = []
    for name in hosts:
        if name not in context.inventory.hosts:
            continue
        place = repository_place(context, context.host(name).site, host=name)
        try:
            with closing(repository_backend(context, place.location)) as backend:
                store = RecordStore(backend)
                if any(one.host == name for one in issued(store, since=now - _LONGEST_CLEARANCE, now=now)):
                    found.append(name)
        except BackendError:
            # The answer is written down; that it may be late can then not be told.
            continue
    return tuple(found)
