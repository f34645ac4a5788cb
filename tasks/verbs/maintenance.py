"""A maintenance: opened once, then walked again and again until every computer has come to its end.

No process waits for anything. A run walks each computer from what is written down about it as far as it can go now,
and ends; the next run goes on. So it does not matter when one dies, nor which worker runs the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

from configs.maintenance import MaintenancePlan
from configs.model import RepositoryPlace
from inventory.model import Host
from tasks.errors import ConfigError, FirstbellError, InventoryError, TakenOver
from tasks.events import HostFailed, Reporter, Warned, silent
from tasks.policy.maintenance import Do
from tasks.policy.maintenance_state import fold
from tasks.records.lease import take_lease
from tasks.records.maintenance import Opening, Word, load_opening, note_announced, open_plan, say
from tasks.records.maintenance_log import StepLog
from tasks.records.store import Clock, RecordStore, utc_now
from tasks.verbs.context import Context
from tasks.verbs.maintenance_hands import Hands, Telling
from tasks.verbs.maintenance_plan import plan_digest, plan_hosts, preview_plan
from tasks.verbs.maintenance_slots import slot
from tasks.verbs.maintenance_standing import HostStanding, standing_of
from tasks.verbs.maintenance_walk import Walk
from tasks.verbs.maintenance_wiring import real_hands
from tasks.verbs.site_repository import repository_backend, repository_place, repository_places

__all__ = [
    "Hands",
    "HostStanding",
    "accept_return",
    "advance_host",
    "advance_plan",
    "cancel_plan",
    "confirm_action",
    "open_maintenance",
    "opening_of",
    "standing_of_plan",
]

_LEASE: Final = "maintenance-lease"


def open_maintenance(context: Context, plan: MaintenancePlan, *, now: datetime | None = None) -> Opening:
    """Write down that a maintenance begins, with its plan and its computers; one that has begun stays as it is.

    Raises ``ConfigError`` when the plan cannot be carried out as it stands, or is another than the one of this name
    that people were told of; ``InventoryError`` for computers that are none.
    """
    now = now or utc_now()
    known = opening_of(context, plan.name, plan.site)
    digest = plan_digest(plan)
    if known is None:
        preview = preview_plan(context, plan, now=now)
        if preview.refused:
            raise ConfigError(
                f"the plan '{plan.name}' cannot be carried out: {' '.join(preview.refused)}",
                hint=f"'firstbell maintenance plan {plan.name}' shows all of it.",
            )
    elif known.digest != digest:
        raise _changed(plan.name)
    hosts = known.hosts if known is not None else tuple(host.name for host in plan_hosts(context, plan))
    text = json.dumps(plan.model_dump(mode="json"), sort_keys=True)
    opening = known or Opening(plan.name, plan.site, digest, text, hosts, now)
    # In each repository that has records of its computers: the first one may have been all that a dying run wrote.
    for place in _places(context, opening):
        with _store(context, place, silent, utc_now) as store:
            opening = open_plan(store, opening)
            if opening.digest != digest:
                raise _changed(plan.name)
    return opening


def opening_of(context: Context, plan: str, site: str) -> Opening | None:
    """Return how a maintenance was begun, None when it was not. Raises ``ConfigError`` where that cannot be read."""
    found = None
    for place in repository_places(context, site):
        with _store(context, place, silent, utc_now) as store:
            found = found or load_opening(store, plan)
    return found


def advance_plan(
    context: Context,
    plan: MaintenancePlan,
    *,
    report: Reporter = silent,
    clock: Clock = utc_now,
    hands: Hands | None = None,
) -> tuple[HostStanding, ...]:
    """Walk every computer of a maintenance that was opened, ``plan.at_once`` at a time; each on its own.

    Raises ``ConfigError`` when it was not opened.
    """
    hands = hands or real_hands()
    opening, untold = _announced(context, plan, report, clock, hands)

    def walk(name: str) -> HostStanding:
        try:
            return _advance(context, plan, opening, name, report, clock, hands, untold)
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
) -> HostStanding:
    """Walk one computer as far as it can go now, and return where it then stands."""
    hands = hands or real_hands()
    opening, untold = _announced(context, plan, report, clock, hands)
    return _advance(context, plan, opening, _member(opening, host_name), report, clock, hands, untold)


def standing_of_plan(
    context: Context, plan: MaintenancePlan, *, clock: Clock = utc_now, hands: Hands | None = None
) -> tuple[HostStanding, ...]:
    """Return where each computer of a maintenance stands, without reaching any; none before it was opened."""
    opening = opening_of(context, plan.name, plan.site)
    if opening is None:
        return ()
    hands = hands or real_hands()
    found = []
    for name in opening.hosts:
        try:
            with _walk(context, plan, opening, name, silent, clock, hands) as walk:
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
    with _store(context, place, silent, utc_now) as store:
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
    with _store(context, repository_place(context, plan.site, host=name), silent, utc_now) as store:
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
        stores = [held.enter_context(_store(context, place, report, clock)) for place in _places(context, opening)]
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
) -> HostStanding:
    with _walk(context, plan, opening, name, report, clock, hands, untold) as walk:
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
            _tell(hands, context, walk, "before", "", report)
        if standing.state == "attention":
            _tell(hands, context, walk, "attention", standing.text, report)
        return standing


def _tell(hands: Hands, context: Context, walk: Walk, about: Telling, text: str, report: Reporter) -> None:
    """Tell people; what cannot be told now keeps no computer from coming back, and is tried again by the next run."""
    try:
        hands.tell(context, walk.plan, walk.host, about, text, walk.clock(), report)
    except FirstbellError as error:
        report(Warned(walk.host.name, f"nobody could be told of it: {error.message}"))


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
) -> Iterator[Walk]:
    changed = opening.digest != plan_digest(plan)
    if changed:
        # What has begun goes on as people were told.
        plan = MaintenancePlan.model_validate(json.loads(opening.text))
    host = context.host(name)
    with _store(context, repository_place(context, host.site, host=name), report, clock) as store:
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


@contextmanager
def _store(context: Context, place: RepositoryPlace, report: Reporter, clock: Clock) -> Iterator[RecordStore]:
    with closing(repository_backend(context, place.location)) as backend:
        yield RecordStore(backend, report, clock=clock)


def _places(context: Context, opening: Opening) -> list[RepositoryPlace]:
    known = context.inventory.hosts
    hosts: Sequence[Host] = [known[name] for name in opening.hosts if name in known]
    return list(dict.fromkeys(repository_place(context, host.site, host=host.name) for host in hosts))


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
    places = _places(context, opening)
    if host and host in context.inventory.hosts:
        places = [repository_place(context, plan.site, host=host)]
    for place in places:
        with _store(context, place, silent, utc_now) as store:
            say(store, plan.name, Word(word.saying, word.by, word.at, host, word.reason, word.clearance))


def _troubled(name: str, error: FirstbellError, report: Reporter) -> HostStanding:
    report(HostFailed(name, error.message, error.hint))
    return HostStanding(name, "", None, "attention", error.message, error.hint, (error.message,))


def _changed(name: str) -> ConfigError:
    return ConfigError(
        f"the plan '{name}' is not the one that people were told of",
        hint="Put it back as it was, or give the new plan a name of its own.",
    )
