"""Maintenance plans before anything happens: found, resolved to computers, and what each would take. Writes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from configs.errors import ConfigError, FirstbellError, InventoryError
from configs.maintenance import MaintenancePlan
from configs.maintenance_file import load_plan, plan_files, plan_path
from configs.model import RepositoryPlace
from configs.people import PeopleFile
from configs.people_file import load_people
from inventory.model import Host
from inventory.select import select
from tasks.actions.registry import make_action
from tasks.policy.estimate import PROOF, Effort, Measured, Slot, efforts, schedule
from tasks.policy.maintenance_state import fold
from tasks.policy.plan_preview import HostPreview, PlanPreview
from tasks.policy.retention import BEFORE_RESTORE
from tasks.policy.school_calendar import Protected, SchoolDays
from tasks.policy.school_time import Stretch, days_of, deadline_of, open_stretches, window_of
from tasks.records.maintenance import load_opening, words
from tasks.records.maintenance_log import StepLog
from tasks.records.store import RecordStore
from tasks.reports.units import count_of, duration, local_day_time
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.verbs.agreement import seats_of
from tasks.verbs.calendars import calendar_path, school_days
from tasks.verbs.context import Context
from tasks.verbs.newest import OURS, snapshots_of_hosts
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
        problems.append(f"of another school than '{plan.site}': {_listed(strange)}")
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


def preview_plan(context: Context, plan: MaintenancePlan, *, now: datetime | None = None) -> PlanPreview:
    """Return what a plan would do, with every reason why it must not begin as it is. Nothing is raised but defects.

    Only the configuration and the list of snapshots are read; no computer is reached.
    """
    now = now or datetime.now(UTC)
    zone = zone_of(context, plan.site)
    window, deadline = window_of(plan, zone), deadline_of(plan, zone)
    refused: list[str] = []
    problems: list[str] = []
    hosts: tuple[Host, ...] = ()
    try:
        hosts = plan_hosts(context, plan)
    except FirstbellError as error:
        refused.append(_sentence(error))
    refused += _times(window, deadline, now, zone)
    left = Stretch(min(max(window.start, now), window.end), window.end)
    days = _school_days(context, plan.site, refused)
    free, class_days, protected = _calendar(days, left, zone, refused)
    asked = _asked(context, plan, hosts, refused)
    found = efforts([host.name for host in hosts], _measured(context, hosts, refused))
    needs = {one.host: _needs(one, plan) for one in found}
    slots = {one.host: one for one in schedule(needs.items(), free, plan.at_once)}
    if free:
        refused += _no_room(slots.values(), free, needs, window, zone)
    refused += _keys(context, asked)
    refused += _action(context, plan, hosts)
    problems += _no_letters(context, asked, plan)
    refused += _others(context, plan, hosts, window, problems)
    return PlanPreview(
        plan,
        zone,
        window,
        deadline,
        tuple(
            HostPreview(host, one, asked.get(host.name, ()), slots[host.name].time, needs[host.name])
            for host, one in zip(hosts, found, strict=True)
        ),
        tuple(class_days),
        tuple(protected),
        tuple(free),
        tuple(refused),
        tuple(problems),
    )


def _needs(effort: Effort, plan: MaintenancePlan) -> timedelta:
    """Return how long a computer is in the making: the last snapshot and its proof, the action, the restore."""
    return timedelta(seconds=round(effort.delta + PROOF + effort.restore), minutes=plan.action_minutes)


def _times(window: Stretch, deadline: datetime, now: datetime, zone: ZoneInfo) -> Iterator[str]:
    if not window.length:
        yield "Nothing is left of the window, since the clock is moved within it. Let it begin earlier or end later."
    elif window.end <= now:
        ended = local_day_time(window.end, zone)
        yield f"The window ended on {ended}. Set another 'window', and give the plan a new name."
    if deadline <= now < window.end:
        yield (
            f"Nobody can agree any more: the deadline was {local_day_time(deadline, zone)}. "
            "Set a later 'deadline', or a later 'window'."
        )


def _school_days(context: Context, site: str, refused: list[str]) -> SchoolDays | None:
    try:
        days = school_days(context, site)
    except ConfigError as error:
        refused.append(_sentence(error))
        return None
    if days is None:
        refused.append(f"No school calendar says when there are classes. Write {calendar_path(context, site)}.")
    return days


def _calendar(
    days: SchoolDays | None, left: Stretch, zone: ZoneInfo, refused: list[str]
) -> tuple[list[Stretch], list[date], list[Protected]]:
    """Return when computers may be wiped in what is left of the window, its class days, and what is protected."""
    if days is None or not left.length:
        return [], [], []
    touched = days_of(left, zone)
    free = open_stretches(left, days, zone)
    protected = days.protects(touched[0], touched[-1])
    gaps = days.gaps(touched[0], touched[-1])
    for first, last in gaps:
        span = f"{first}" if first == last else f"{first} to {last}"
        refused.append(
            f"The school calendar does not cover {span}. Add these days to the calendar, or move the window."
        )
    if not free and not gaps:
        names = [one.why for one in protected] or ["quiet hours"]
        refused.append(f"No computer may be wiped at any time of the window: {_listed(names)}. Move the window.")
    return free, [day for day in touched if days.is_class_day(day)], protected


def _asked(
    context: Context, plan: MaintenancePlan, hosts: Sequence[Host], refused: list[str]
) -> dict[str, tuple[str, ...]]:
    """Return who is asked for each computer, by their keys."""
    found: dict[str, tuple[str, ...]] = {}
    nobody: dict[str, list[str]] = {}
    try:
        for host in hosts:
            asked = seats_of(context, host, plan)
            found[host.name] = tuple(dict.fromkeys(one.key for one in asked if not one.problem))
            for why in dict.fromkeys(one.problem for one in asked if one.problem):
                nobody.setdefault(why, []).append(host.name)
    except ConfigError as error:
        refused.append(_sentence(error))
        return {}
    where = context.folder / Path(context.config.people).expanduser()
    for why, names in nobody.items():
        refused.append(
            f"Not everybody can be asked for {_listed(names)}: {why}. Correct {where}, 'teachers' in the inventory, or "
            "'approvals' of the plan."
        )
    return found


def _measured(context: Context, hosts: Sequence[Host], refused: list[str]) -> list[tuple[str, Measured]]:
    """Return what earlier snapshots of the hosts took."""
    by_place: dict[RepositoryPlace, set[str]] = {}
    found: list[tuple[str, Measured]] = []
    for host in hosts:
        by_place.setdefault(repository_place(context, host.site, host=host.name), set()).add(host.name)
    for place, names in by_place.items():
        try:
            with closing(repository_backend(context, place.location)) as backend:
                repository = Repository.open(backend, context.secret(place.password).get_secret_value())
                snapshots = snapshots_of_hosts(repository, names)
        except FirstbellError as error:
            refused.append(_sentence(error))
            continue
        found += [(one.hostname, run) for one in snapshots if one.hostname in names and (run := _run(one)) is not None]
    return found


def _run(snapshot: Snapshot) -> Measured | None:
    """Return what a snapshot of ours took, by its summary; None when it tells nothing."""
    told = snapshot.summary or {}
    if OURS not in snapshot.tags or BEFORE_RESTORE in snapshot.tags:
        return None
    try:
        begun, ended = (datetime.fromisoformat(told[key]) for key in ("backup_start", "backup_end"))
        covered, added = int(told["total_bytes_processed"]), int(told["data_added"])
    except (KeyError, TypeError, ValueError):
        return None
    # With a parent only what changed is read; what was added is the least that it can have been.
    return Measured(
        snapshot.time, covered, covered if snapshot.parent is None else added, (ended - begun).total_seconds()
    )


def _no_room(
    slots: Iterable[Slot],
    free: Sequence[Stretch],
    needs: dict[str, timedelta],
    window: Stretch,
    zone: ZoneInfo,
) -> Iterator[str]:
    longest = max(one.length for one in free)
    too_long = [name for name, length in needs.items() if length > longest]
    if too_long:
        slowest = max(needs[name] for name in too_long)
        yield (
            f"{_listed(too_long)} would take {duration(slowest.total_seconds())}, and at no time of the window "
            f"computers may be wiped for longer than {duration(longest.total_seconds())} on end. Move the window."
        )
    late = [one.host for one in slots if one.time is None and one.host not in too_long]
    if late:
        yield (
            f"Not all are done by {local_day_time(window.end, zone)}: no time is left for {_listed(late)}. "
            "Begin earlier, end later, name fewer computers, or raise 'at_once'."
        )


def _keys(context: Context, asked: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if any(asked.values()) and context.config.approval.code_key is None:
        yield (
            "Nobody can answer: there is no key to sign their codes with. Make one: firstbell codes keygen FILE. Then "
            "set 'approval.code_key: file:FILE'."
        )
    if context.config.clearance.signing_key is None:
        yield (
            "There is no key to sign clearances with. Make one: firstbell clearance keygen FILE. Then set "
            "'clearance.signing_key: file:FILE'."
        )


def _action(context: Context, plan: MaintenancePlan, hosts: Sequence[Host]) -> Iterator[str]:
    """Yield why the action could be started on no computer, or not on these."""
    try:
        make_action(plan.action, context.secret)
    except ConfigError as error:
        yield _sentence(error)
    if "{mac}" in plan.action.model_dump_json() and (without := [host.name for host in hosts if not host.mac]):
        yield f"The action names '{{mac}}', which is not known of {_listed(without)}. Add 'mac' to the inventory."


def _no_letters(context: Context, asked: Mapping[str, Sequence[str]], plan: MaintenancePlan) -> Iterator[str]:
    """Yield whom no letter reaches, though they are asked."""
    keys = sorted({key for found in asked.values() for key in found})
    if not keys:
        return
    cure = f"Hand them their codes: firstbell codes print --plan {plan.name}."
    if context.config.mail.server is None:
        yield f"No mail is sent ('mail.server' is not set), so that nobody hears of it by itself. {cure}"
        return
    people = people_of(context).people
    without = [key for key in keys if key in people and not people[key].email]
    if without:
        yield f"No letter reaches {_listed(without)}, who have no 'email' in people.yaml. {cure}"


def _others(
    context: Context, plan: MaintenancePlan, hosts: Sequence[Host], window: Stretch, problems: list[str]
) -> Iterator[str]:
    """Yield other plans that want the same computers at the same time."""
    mine = {host.name for host in hosts}
    for name, other in plans(context):
        if name == plan.name:
            continue
        if isinstance(other, ConfigError):
            problems.append(f"Another plan cannot be read: {' '.join(other.message.split())}")
            continue
        if other.site != plan.site:
            continue
        theirs = window_of(other, zone_of(context, other.site))
        if theirs.end <= window.start or window.end <= theirs.start:
            continue
        try:
            both = sorted(mine & {host.name for host in plan_hosts(context, other)})
        except FirstbellError as error:
            problems.append(_sentence(error))
            continue
        state = how_far(context, other) if both else "stopped"
        if state in ("open", "unknown"):
            busy = [host for host in both if not _is_through(context, other, host)]
            if busy:
                yield f"The maintenance '{name}' has {_listed(busy)} at the same time. Leave them out here."
        elif state == "planned":
            problems.append(
                f"The plan '{name}', which was not opened yet, has {_listed(both)} at the same time: only one of both "
                "can be opened."
            )


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


def _is_through(context: Context, plan: MaintenancePlan, host: str) -> bool:
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


def _sentence(error: FirstbellError) -> str:
    text = " ".join(str(error).split())
    text = text[:1].upper() + text[1:]
    return f"{text if text.endswith(('.', '?', '!')) else text + '.'} {error.hint}".rstrip()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
