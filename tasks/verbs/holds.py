"""Holds that educators place and IT cannot lift alone, and overrides by two people."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from configs.errors import InventoryError
from configs.maintenance import MaintenancePlan
from configs.people import Role
from inventory.model import Host
from tasks.answers import HoldLifted, HoldPlaced, Overridden, ScopeKind
from tasks.errors import AnswerRefused
from tasks.policy.approval import live_holds
from tasks.policy.school_time import window_of
from tasks.records.decisions import event_of
from tasks.records.ledger import LedgerState
from tasks.verbs.agreement import must_agree, standing_by
from tasks.verbs.codes import (
    Invitation,
    Presented,
    known_person,
    open_by_code,
    unused_nonce,
)
from tasks.verbs.context import Context
from tasks.verbs.decisions import checked_reason, read_ledger
from tasks.verbs.maintenance_plan import zone_of
from tasks.verbs.site_ledger import understood

#: An override without a plan is good for so long.
_OVERRIDE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Placed:
    """What was written, by the number of its line, and each person's next code."""

    number: int
    following: tuple[Invitation, ...]
    until: datetime | None = None
    #: What was gone past, in words.
    past: tuple[str, ...] = ()


def place_hold(
    context: Context,
    *,
    code: str,
    scope: ScopeKind,
    target: str,
    until: datetime,
    reason: str,
    site: str = "",
    now: datetime | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Placed:
    """Keep a computer, the computers of a room or those of a school from being wiped until a moment.

    Without a zone the moment is one of the school's clock.
    ``target`` is the name of the computer, the group or the school. The code is the person's own, who must have the
    role ``educator``. Raises ``AnswerRefused``: then nothing was placed.
    """
    now = now or datetime.now(UTC)
    reason = _needed(reason)
    with open_by_code(context, code, purpose="own", now=now, site=site, sleep=sleep) as shown:
        until = shown.moment(until)
        if until <= now:
            raise AnswerRefused("a hold ends on a day that is still to come", hint="Name a later day.")
        _check_role(context, shown, "educator")
        hosts, target = _computers(context, shown.site, scope, target)

        def place(state: LedgerState) -> tuple[str, dict[str, Any]]:
            live = shown.fresh(state, now)
            line = HoldPlaced(
                seq=0,
                at=now,
                person=live.asked.person,
                name=live.asked.name,
                nonce=live.nonce,
                following=unused_nonce(state),
                scope=scope,
                target=target,
                hosts=hosts,
                until=until,
                reason=reason,
            )
            return event_of(line)

        shown.append(place, now)
        return Placed(shown.number, (shown.following(),), until)


def lift_hold(
    context: Context,
    *,
    code: str,
    hold: int,
    reason: str = "",
    site: str = "",
    now: datetime | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Placed:
    """Take a hold back, which only the one who placed it can. Raises ``AnswerRefused``."""
    now = now or datetime.now(UTC)
    reason = checked_reason(reason)
    with open_by_code(context, code, purpose="own", now=now, site=site, sleep=sleep) as shown:

        def lift(state: LedgerState) -> tuple[str, dict[str, Any]]:
            live = shown.fresh(state, now)
            found = next((one for one in live_holds(understood(state).lines, now) if one.seq == hold), None)
            if found is None:
                raise AnswerRefused(f"there is no hold {hold}", hint="See 'firstbell hold list'.")
            if found.person != live.asked.person:
                raise AnswerRefused(
                    f"hold {hold} is {found.name}'s, who alone can lift it",
                    hint="Ask them; or two people with the role 'override' go past it: firstbell override.",
                )
            line = HoldLifted(0, now, live.asked.person, live.asked.name, live.nonce, unused_nonce(state), hold, reason)
            return event_of(line)

        shown.append(lift, now)
        return Placed(shown.number, (shown.following(),))


def list_holds(context: Context, site: str, *, now: datetime | None = None) -> list[HoldPlaced]:
    """Return the holds of a school that stand now, the oldest first."""
    found = read_ledger(context, site)
    if found.problems:
        raise AnswerRefused(
            f"the ledger cannot be believed: {'; '.join(found.problems)}", hint="See 'firstbell ledger --verify'."
        )
    return live_holds(found.lines, now or datetime.now(UTC))


def override(
    context: Context,
    *,
    codes: Sequence[str],
    hosts: Sequence[Host | str],
    reason: str,
    plan: MaintenancePlan | None = None,
    now: datetime | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Placed:
    """Go past what stands against wiping these computers of one school now, in a plan or for a week without one.

    That are holds, refusals, deferrals, and those who have not answered; what is said later is not gone past. It takes
    the own codes of two different people with the role ``override``, and a reason. Raises ``AnswerRefused``.
    """
    now = now or datetime.now(UTC)
    reason = _needed(reason)
    found = [context.host(one) if isinstance(one, str) else one for one in hosts]
    sites = {one.site for one in found}
    if len(sites) != 1:
        raise InventoryError("name computers of one school", hint="Override for each school by itself.")
    (site,) = sites
    if len(codes) != 2:
        raise AnswerRefused("an override needs the codes of two people", hint="Each enters their own.")
    zone = zone_of(context, site)
    until = window_of(plan, zone).end if plan is not None else (now + _OVERRIDE).replace(microsecond=0)
    if until <= now:
        raise AnswerRefused("the window of the plan is over", hint="Make a new plan.")
    asked = must_agree(context, site, plan)
    told: list[str] = []
    with (
        open_by_code(context, codes[0], purpose="own", now=now, site=site, sleep=sleep) as first,
        open_by_code(context, codes[1], purpose="own", now=now, site=site, sleep=sleep) as second,
    ):
        _check_two(context, first, second)

        def go_past(state: LedgerState) -> tuple[str, dict[str, Any]]:
            pair = (first.fresh(state, now), second.fresh(state, now))
            ledger = understood(state)
            standings = [standing_by(context, host, plan, ledger, now) for host in found]
            against = sorted({seq for one in standings for seq in one.against})
            # Nobody is silent who does not have to agree.
            silent = sorted({key for one in standings for key in one.silent if asked})
            texts = (
                text for one in standings for text in (*(x.text for x in one.stops), *(one.missing if asked else ()))
            )
            told[:] = dict.fromkeys(texts)
            if not against and not silent:
                raise AnswerRefused("nothing stands against it", hint="No override is needed.")
            following = unused_nonce(state)
            other = unused_nonce(state)
            while other == following:
                other = unused_nonce(state)
            line = Overridden(
                seq=0,
                at=now,
                people=tuple(one.asked.person for one in pair),
                names=tuple(one.asked.name for one in pair),
                nonces=tuple(one.nonce for one in pair),
                following=(following, other),
                plan=plan.name if plan is not None else "",
                hosts=tuple(one.name for one in found),
                past=tuple(against),
                silent=tuple(silent),
                until=until,
                reason=reason,
            )
            return event_of(line)

        first.append(go_past, now)
        second.state = first.state
        return Placed(first.number, (first.following(), second.following()), until, tuple(told))


def _check_role(context: Context, shown: Presented, role: Role) -> None:
    asked = shown.code.asked
    person = known_person(context, shown.site, asked.person)
    if role not in person.roles:
        raise AnswerRefused(
            f"{asked.name} has not the role '{role}'", hint="It is given in people.yaml. Nothing was decided."
        )


def _check_two(context: Context, first: Presented, second: Presented) -> None:
    for shown in (first, second):
        _check_role(context, shown, "override")
    keys = [shown.code.asked.person for shown in (first, second)]
    people = [known_person(context, first.site, key) for key in keys]
    mails = {one.email.casefold() for one in people if one.email}
    both = sum(bool(one.email) for one in people)
    if keys[0] == keys[1] or len({one.name.casefold() for one in people}) < 2 or len(mails) < both:
        raise AnswerRefused("an override needs two different people", hint="The second one enters a code of their own.")


def _computers(context: Context, site: str, scope: ScopeKind, target: str) -> tuple[tuple[str, ...], str]:
    """Return the names of the computers that a hold is about, and its target as the inventory spells it."""
    own = [one for one in context.inventory.hosts.values() if one.site == site]
    if scope == "host":
        host = context.host(target)
        if host.site != site:
            raise AnswerRefused(f"{host.name} is at another school", hint="Its own educators can hold it.")
        return (host.name,), host.name
    if scope == "site":
        if target not in ("", site):
            raise AnswerRefused(f"your code is for the school {site}", hint="Its own educators can hold another one.")
        return tuple(one.name for one in own), site
    found = [one for one in own if target in one.groups]
    if not found:
        raise AnswerRefused(f"no computer of {site} is in the room '{target}'", hint="See 'firstbell inventory'.")
    return tuple(one.name for one in found), target


def _needed(reason: str) -> str:
    reason = checked_reason(reason)
    if not reason:
        raise AnswerRefused("a reason is needed", hint="In a few words: why?")
    return reason
