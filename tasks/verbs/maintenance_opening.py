"""How a maintenance was begun: once, with its plan and its computers; and which ones are still going on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime

from configs.maintenance import MaintenancePlan
from configs.model import RepositoryPlace
from inventory.model import Host
from tasks.errors import ConfigError
from tasks.events import Reporter, silent
from tasks.policy.maintenance_state import fold
from tasks.records.maintenance import Opening, load_opening, note_over, open_plan, plans_going_on
from tasks.records.maintenance_log import StepLog
from tasks.records.store import Clock, RecordStore, utc_now
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import plan_digest, plan_hosts, plan_of
from tasks.verbs.maintenance_preview import preview_plan
from tasks.verbs.site_repository import repository_backend, repository_place, repository_places


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
    for place in places_of(context, opening):
        with store_at(context, place, silent, utc_now) as store:
            opening = open_plan(store, opening)
            if opening.digest != digest:
                raise _changed(plan.name)
    return opening


def opening_of(context: Context, plan: str, site: str) -> Opening | None:
    """Return how a maintenance was begun, None when it was not. Raises ``ConfigError`` where that cannot be read."""
    found = None
    for place in repository_places(context, site):
        with store_at(context, place, silent, utc_now) as store:
            found = found or load_opening(store, plan)
    return found


@dataclass(frozen=True, slots=True)
class OpenedPlan:
    """A maintenance as people were told of it; ``withdrawn`` when its file is gone, or says something else."""

    plan: MaintenancePlan
    withdrawn: bool


def plans_to_walk(context: Context, site: str) -> tuple[OpenedPlan, ...]:
    """Return every maintenance of a school with a computer that is not at its end.

    By what is written down, and not by the files of plans: whoever walks these forgets no computer that was wiped,
    whatever became of a file. Raises ``ConfigError``.
    """
    names: set[str] = set()
    for place in repository_places(context, site):
        with store_at(context, place, silent, utc_now) as store:
            names.update(plans_going_on(store))
    found = []
    for name in sorted(names):
        opening = opening_of(context, name, site)
        if opening is None or opening.site != site:
            continue
        if all(_is_over(context, opening, host) for host in opening.hosts):
            for place in places_of(context, opening):
                with store_at(context, place, silent, utc_now) as store:
                    note_over(store, name)
            continue
        try:
            withdrawn = plan_digest(plan_of(context, name)) != opening.digest
        except ConfigError:
            withdrawn = True
        found.append(OpenedPlan(plan_as_told(opening), withdrawn))
    return tuple(found)


def _is_over(context: Context, opening: Opening, host: str) -> bool:
    if host not in context.inventory.hosts:
        return False
    with store_at(context, repository_place(context, opening.site, host=host), silent, utc_now) as store:
        log = StepLog(store, opening.plan, host)
        log.refresh()
    state = fold(log.steps, log.damage)
    return not state.damage and (state.accepted or (state.ended is not None and state.told))


@contextmanager
def store_at(context: Context, place: RepositoryPlace, report: Reporter, clock: Clock) -> Iterator[RecordStore]:
    """Open the records of one repository; they need no password."""
    with closing(repository_backend(context, place.location)) as backend:
        yield RecordStore(backend, report, clock=clock)


def places_of(context: Context, opening: Opening) -> list[RepositoryPlace]:
    """Return the repositories that have records of a maintenance."""
    known = context.inventory.hosts
    hosts: Sequence[Host] = [known[name] for name in opening.hosts if name in known]
    return list(dict.fromkeys(repository_place(context, host.site, host=host.name) for host in hosts))


def plan_as_told(opening: Opening) -> MaintenancePlan:
    """Return the plan that people were told of. Raises ``ConfigError``."""
    try:
        return MaintenancePlan.model_validate(json.loads(opening.text))
    except ValueError:
        raise ConfigError(
            f"the plan that '{opening.plan}' was begun with cannot be read",
            hint="Was it begun with a newer version of firstbell? Go on with that one.",
        ) from None


def _changed(name: str) -> ConfigError:
    return ConfigError(
        f"the plan '{name}' is not the one that people were told of",
        hint="Put it back as it was, or give the new plan a name of its own.",
    )
