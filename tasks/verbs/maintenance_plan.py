"""Maintenance plans: found, resolved to computers, and how far each has come. Writes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from configs.errors import ConfigError, FirstbellError, InventoryError
from configs.maintenance import MaintenancePlan
from configs.maintenance_file import load_plan, plan_files, plan_path
from configs.people import PeopleFile
from configs.people_file import load_people
from inventory.model import Host
from inventory.select import select
from tasks.policy.maintenance_state import fold
from tasks.records.maintenance import load_opening, words
from tasks.records.maintenance_log import StepLog
from tasks.records.store import RecordStore
from tasks.reports.units import count_of
from tasks.verbs.context import Context
from tasks.verbs.site_repository import repository_backend, repository_place, repository_places

#: So many names stand in one sentence.
_NAMED = 6


def plans_folder(context: Context) -> Path:
    """Return the folder of the maintenance plans."""
    return context.folder / Path(context.config.maintenance).expanduser()


def plan_of(context: Context, name: str) -> MaintenancePlan:
    """Return the plan of that name. Raises ``ConfigError`` when there is none, or it is wrong."""
    return load_plan(plan_path(plans_folder(context), name))


def plans(context: Context) -> Iterator[tuple[str, MaintenancePlan | ConfigError]]:
    """Yield the name of each plan, and the plan or what is wrong with its file."""
    for path in plan_files(plans_folder(context)):
        try:
            yield path.stem, load_plan(path)
        except ConfigError as error:
            yield path.stem, error


def people_of(context: Context) -> PeopleFile:
    """Return the people who are asked and told. Raises ``ConfigError``."""
    path = context.folder / Path(context.config.people).expanduser()
    return load_people(path, sites=tuple(context.config.sites))


def plan_digest(plan: MaintenancePlan) -> str:
    """Return the digest of everything that a plan says, in hex: people agree to this plan and no other."""
    content = plan.model_dump(mode="json")
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def zone_of(context: Context, site: str) -> ZoneInfo:
    """Return the time zone of a school."""
    return ZoneInfo(context.config.site(site).time_zone)


def plan_hosts(context: Context, plan: MaintenancePlan) -> tuple[Host, ...]:
    """Return the computers of a plan, in the order of the inventory.

    Raises ``InventoryError`` for a name that matches nothing or a computer of another school, and ``ConfigError`` for a
    school that is not configured, or more computers than the plan allows; each tells all that it found.
    """
    if context.config.sites and plan.site not in context.config.sites:
        known = ", ".join(sorted(context.config.sites))
        raise ConfigError(
            f"the plan '{plan.name}' is for the site '{plan.site}', which is not configured; there are: {known}"
        )
    found: dict[str, Host] = {}
    problems: list[str] = []
    for group in plan.hosts.groups:
        _take(context, found, problems, group=group)
    for name in plan.hosts.hosts:
        _take(context, found, problems, host=name)
    out: dict[str, Host] = {}
    for name in plan.hosts.leave_out:
        _take(context, out, problems, host=name)
    problems += [f"'{one.name}' is left out, and not chosen anyway" for one in out.values() if one.name not in found]
    chosen = {one.name: one for one in context.inventory.hosts.values() if one.name in found and one.name not in out}
    strange = [f"{one.name} ({one.site})" for one in chosen.values() if one.site != plan.site]
    if strange:
        problems.append(f"of another school than '{plan.site}': {listed(strange)}")
    if problems:
        raise InventoryError(
            f"the plan '{plan.name}' does not fit the inventory: {'; '.join(problems)}",
            hint="Correct 'hosts' in the plan; 'firstbell inventory' lists every computer with its groups.",
        )
    if not chosen:
        raise InventoryError(f"the plan '{plan.name}' leaves out every computer that it names", hint="Correct 'hosts'.")
    if len(chosen) > plan.max_hosts:
        raise ConfigError(
            f"the plan '{plan.name}' would touch {count_of(len(chosen), 'computer')}, and 'max_hosts' allows "
            f"{plan.max_hosts}",
            hint="Name fewer computers, or raise 'max_hosts' when all of them are meant.",
        )
    return tuple(chosen.values())


def _take(context: Context, found: dict[str, Host], problems: list[str], **chosen: str) -> None:
    try:
        found.update({one.name: one for one in select(context.inventory, **chosen)})
    except InventoryError as error:
        problems.append(error.message)


def how_far(context: Context, plan: MaintenancePlan) -> Literal["planned", "open", "stopped", "unknown"]:
    """Return how far a plan is: opened, stopped before its end, or not even opened; unknown when nobody can tell."""
    try:
        for place in repository_places(context, plan.site):
            with closing(repository_backend(context, place.location)) as backend:
                store = RecordStore(backend)
                if load_opening(store, plan.name) is not None:
                    stopped = any(one.saying == "cancel" and not one.host for one in words(store, plan.name))
                    return "stopped" if stopped else "open"
    except FirstbellError:
        return "unknown"
    return "planned"


def is_through(context: Context, plan: MaintenancePlan, host: str) -> bool:
    """Return whether a computer is at the end of another maintenance, but for its acceptance."""
    try:
        place = repository_place(context, plan.site, host=host)
        with closing(repository_backend(context, place.location)) as backend:
            log = StepLog(RecordStore(backend), plan.name, host)
            log.refresh()
    except FirstbellError:
        return False
    found = fold(log.steps, log.damage)
    return not found.damage and (found.told or found.ended is not None)


def listed(names: Sequence[str]) -> str:
    """Return the first few names as part of a sentence, and how many more there are."""
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
