"""A maintenance: opened once, then walked again and again until every computer has come to its end.

No process waits for anything. A run walks each computer from what is written down about it as far as it can go now,
and ends; the next run goes on. So it does not matter when one dies, nor which worker runs the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

from configs.maintenance import MaintenancePlan
from tasks.errors import ConfigError, FirstbellError, InventoryError, TakenOver
from tasks.events import HostFailed, Reporter, Warned, silent
from tasks.policy.maintenance import Do
from tasks.policy.maintenance_state import fold
from tasks.records.lease import take_lease
from tasks.records.maintenance import (
    Opening,
    Word,
    load_opening,
    note_announced,
    say,
)
from tasks.records.maintenance_log import StepLog
from tasks.records.store import Clock, utc_now
from tasks.verbs.context import Context
from tasks.verbs.maintenance_hands import Hands
from tasks.verbs.maintenance_opening import (
    OpenedPlan,
    open_maintenance,
    opening_of,
    places_of,
    plan_as_told,
    plans_to_walk,
    store_at,
)
from tasks.verbs.maintenance_plan import plan_digest
from tasks.verbs.maintenance_slots import slot
from tasks.verbs.maintenance_standing import HostStanding, standing_of
from tasks.verbs.maintenance_walk import Walk
from tasks.verbs.maintenance_wiring import real_hands
from tasks.verbs.site_repository import repository_place

__all__ = [
    "Hands",
    "HostStanding",
    "OpenedPlan",
    "accept_return",
    "advance_host",
    "advance_plan",
    "cancel_plan",
    "confirm_action",
    "open_maintenance",
    "opening_of",
    "plans_to_walk",
    "standing_of_plan",
]

_LEASE: Final = "maintenance-lease"


def advance_plan(
    context: Context,
    plan: MaintenancePlan,
    *,
    report: Reporter = silent,
    clock: Clock = utc_now,
    hands: Hands | None = None,
    withdrawn: bool = False,
) -> tuple[HostStanding, ...]:
    """Walk every computer of a maintenance that was opened, ``plan.at_once`` at a time; each on its own.

    Of one that is ``withdrawn`` no computer is begun any more, and what has begun comes back. Raises ``ConfigError``
    when it was not opened.
    """
    hands = hands or real_hands()
    opening, untold = _announced(context, plan, report, clock, hands)

    def walk(name: str) -> HostStanding:
        try:
            return _advance(context, plan, opening, name, report, clock, hands, untold, withdrawn)
        except FirstbellError as error:
            return _troubled(name, error, report)
        except Exception as error:  # noqa: BLE001 - a defect met on one computer must not keep the others from coming back
            return _troubled(name, FirstbellError(f"a defect of firstbell: {type(error).__name__}"), report)

    with ThreadPoolExecutor(plan.at_once) as pool:
        try:
            return tuple(pool.map(walk, opening.hosts))
        except BaseException:
            # Ctrl-C must not wait for hours of work in other threads, nor let one of them begin a wipe.
            context.links.cut()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def advance_host(
    context: Context,
    plan: MaintenancePlan,
    host_name: str,
    *,
    report: Reporter = silent,
    clock: Clock = utc_now,
    hands: Hands | None = None,
    withdrawn: bool = False,
) -> HostStanding:
    """Walk one computer as far as it can go now, and return where it then stands; ``withdrawn`` as above."""
    hands = hands or real_hands()
    opening, untold = _announced(context, plan, report, clock, hands)
    return _advance(context, plan, opening, _member(opening, host_name), report, clock, hands, untold, withdrawn)


def standing_of_plan(
    context: Context,
    plan: MaintenancePlan,
    *,
    clock: Clock = utc_now,
    hands: Hands | None = None,
    withdrawn: bool = False,
) -> tuple[HostStanding, ...]:
    """Return where each computer of a maintenance stands, without reaching any; none before it was opened."""
    opening = opening_of(context, plan.name, plan.site)
    if opening is None:
        return ()
    hands = hands or real_hands()
    found = []
    for name in opening.hosts:
        try:
            with _walk(context, plan, opening, name, silent, clock, hands, withdrawn=withdrawn) as walk:
                found.append(standing_of(name, *walk.look()))
        except FirstbellError as error:
            found.append(_troubled(name, error, silent))
    return tuple(found)


def cancel_plan(
    context: Context, plan: MaintenancePlan, *, by: str, reason: str, host: str = "", now: datetime | None = None
) -> None:
    """Stop a maintenance, or one computer of it, before the next wipe; what was begun still comes back."""
    _say(context, plan, Word("cancel", by, now or utc_now(), host, reason))


def confirm_action(
    context: Context, plan: MaintenancePlan, host_name: str, *, by: str, now: datetime | None = None
) -> None:
    """Write down that the action on a computer was done. Raises ``ConfigError`` when none was begun."""
    opening = _opened(context, plan)
    name = _member(opening, host_name)
    place = repository_place(context, plan.site, host=name)
    with store_at(context, place, silent, utc_now) as store:
        log = StepLog(store, plan.name, name)
        log.refresh()
        state = fold(log.steps, log.damage)
    if state.started is None or state.cleared is None:
        raise ConfigError(f"nothing was begun on {name} that could be confirmed", hint="'firstbell maintenance status'")
    _say(context, plan, Word("confirm", by, now or utc_now(), name, clearance=state.cleared.clearance))


def accept_return(
    context: Context, plan: MaintenancePlan, host_name: str, *, by: str, now: datetime | None = None
) -> None:
    """Write down that a computer is as it should be; its snapshot may then go. Raises ``ConfigError`` before that."""
    opening = _opened(context, plan)
    name = _member(opening, host_name)
    with store_at(context, repository_place(context, plan.site, host=name), silent, utc_now) as store:
        log = StepLog(store, plan.name, name)
        log.refresh()
        state = fold(log.steps, log.damage)
    if not state.told or state.ended:
        raise ConfigError(f"{name} was not given back yet", hint="'firstbell maintenance status' tells where it is.")
    _say(context, plan, Word("accept", by, now or utc_now(), name))


def _announced(
    context: Context, plan: MaintenancePlan, report: Reporter, clock: Clock, hands: Hands
) -> tuple[Opening, str]:
    """Return the opening, once people were told of it, and why they cannot be: then the computers wait."""
    opening = _opened(context, plan)
    if opening.announced or opening.digest != plan_digest(plan):
        return opening, ""
    with ExitStack() as held:
        stores = [held.enter_context(store_at(context, place, report, clock)) for place in places_of(context, opening)]
        lease = take_lease(stores[0], _LEASE, f"{plan.name}/announcement")
        if lease is None:
            return opening, ""
        with lease:
            known = {host.name: host for host in context.inventory.hosts.values()}
            hosts = [known[name] for name in opening.hosts if name in known]
            try:
                hands.announce(context, plan, hosts, clock(), report)
            except FirstbellError as error:
                problem = f"people could not be told of the maintenance: {error.message}"
                report(Warned("", problem))
                return opening, problem
            for store in stores:
                note_announced(store, plan.name)
    return _opened(context, plan), ""


def _advance(
    context: Context,
    plan: MaintenancePlan,
    opening: Opening,
    name: str,
    report: Reporter,
    clock: Clock,
    hands: Hands,
    untold: str,
    withdrawn: bool,
) -> HostStanding:
    with _walk(context, plan, opening, name, report, clock, hands, untold, withdrawn) as walk:
        facts, move = walk.look()
        if move.do is not Do.WAIT or move.note is not None:
            # Of the computer, not of the plan: it may be in two of them.
            lease = take_lease(walk.store, _LEASE, name)
            if lease is None:
                return standing_of(name, facts, move, by_another=True)
            with lease, slot(walk.store, walk.plan) as free:
                if not free:
                    waiting = standing_of(name, facts, move)
                    return replace(waiting, state="waits", text="other computers are worked on first", needs="")
                try:
                    walk.go(lease)
                except TakenOver as error:
                    report(Warned(name, error.message))
            facts, move = walk.look()
        standing = standing_of(name, facts, move)
        if facts.state.verified and facts.state.started is None and not facts.state.ended:
            walk.tell("before")
        if facts.state.put_off - facts.state.brought and not facts.state.told:
            # They must sign in first, and the others have theirs.
            walk.tell("after")
        if standing.state == "attention":
            walk.tell("attention", standing.text)
        return standing


@contextmanager
def _walk(
    context: Context,
    plan: MaintenancePlan,
    opening: Opening,
    name: str,
    report: Reporter,
    clock: Clock,
    hands: Hands,
    untold: str = "",
    withdrawn: bool = False,
) -> Iterator[Walk]:
    changed = withdrawn or opening.digest != plan_digest(plan)
    if changed:
        # What has begun goes on as people were told.
        plan = plan_as_told(opening)
    host = context.host(name)
    with store_at(context, repository_place(context, host.site, host=name), report, clock) as store:
        if load_opening(store, plan.name) is None:
            # Its log would begin anew, as if nothing had been done to it.
            raise ConfigError(
                "the records of this maintenance are not where this computer's would be now",
                hint="Was it moved to another school or group? Put it back until the maintenance is over.",
                host=name,
            )
        yield Walk(
            context,
            plan,
            host,
            store,
            hands,
            changed=changed,
            announced=opening.announced,
            untold=untold,
            report=report,
            clock=clock,
        )


def _opened(context: Context, plan: MaintenancePlan) -> Opening:
    opening = opening_of(context, plan.name, plan.site)
    if opening is None:
        raise ConfigError(
            f"the maintenance '{plan.name}' was not begun", hint=f"firstbell maintenance open {plan.name}"
        )
    return opening


def _member(opening: Opening, host: str) -> str:
    found = next((name for name in opening.hosts if name.casefold() == host.casefold()), None)
    if found is None:
        raise InventoryError(
            f"'{host}' is none of the computers of the maintenance '{opening.plan}'",
            hint=f"They are: {', '.join(opening.hosts)}.",
        )
    return found


def _say(context: Context, plan: MaintenancePlan, word: Word) -> None:
    opening = _opened(context, plan)
    host = _member(opening, word.host) if word.host else ""
    places = places_of(context, opening)
    if host and host in context.inventory.hosts:
        places = [repository_place(context, plan.site, host=host)]
    for place in places:
        with store_at(context, place, silent, utc_now) as store:
            say(store, plan.name, Word(word.saying, word.by, word.at, host, word.reason, word.clearance))


def _troubled(name: str, error: FirstbellError, report: Reporter) -> HostStanding:
    report(HostFailed(name, error.message, error.hint))
    return HostStanding(name, "", None, "attention", error.message, error.hint, (error.message,))
