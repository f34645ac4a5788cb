"""What a maintenance plan would do, before anything happens: its times, its people, and every reason against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from configs.errors import ConfigError, FirstbellError
from configs.maintenance import MaintenancePlan
from configs.model import RepositoryPlace
from inventory.model import Host
from tasks.actions.registry import make_action
from tasks.policy.estimate import PROOF, Effort, Measured, Slot, efforts, schedule
from tasks.policy.plan_preview import HostPreview, PlanPreview
from tasks.policy.retention import BEFORE_RESTORE
from tasks.policy.school_calendar import Protected, SchoolDays
from tasks.policy.school_time import Stretch, days_of, deadline_of, open_stretches, window_of
from tasks.reports.units import duration, local_day_time
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.verbs.agreement import seats_of
from tasks.verbs.calendars import calendar_path, school_days
from tasks.verbs.context import Context
from tasks.verbs.maintenance_plan import how_far, is_through, listed, people_of, plan_hosts, plans, zone_of
from tasks.verbs.newest import OURS, snapshots_of_hosts
from tasks.verbs.site_repository import repository_backend, repository_place


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
        refused.append(f"No computer may be wiped at any time of the window: {listed(names)}. Move the window.")
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
            f"Not everybody can be asked for {listed(names)}: {why}. Correct {where}, 'teachers' in the inventory, or "
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
            f"{listed(too_long)} would take {duration(slowest.total_seconds())}, and at no time of the window "
            f"computers may be wiped for longer than {duration(longest.total_seconds())} on end. Move the window."
        )
    late = [one.host for one in slots if one.time is None and one.host not in too_long]
    if late:
        yield (
            f"Not all are done by {local_day_time(window.end, zone)}: no time is left for {listed(late)}. "
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
        yield f"The action names '{{mac}}', which is not known of {listed(without)}. Add 'mac' to the inventory."


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
        yield f"No letter reaches {listed(without)}, who have no 'email' in people.yaml. {cure}"


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
            busy = [host for host in both if not is_through(context, other, host)]
            if busy:
                yield f"The maintenance '{name}' has {listed(busy)} at the same time. Leave them out here."
        elif state == "planned":
            problems.append(
                f"The plan '{name}', which was not opened yet, has {listed(both)} at the same time: only one of both "
                "can be opened."
            )


def _sentence(error: FirstbellError) -> str:
    text = " ".join(str(error).split())
    text = text[:1].upper() + text[1:]
    return f"{text if text.endswith(('.', '?', '!')) else text + '.'} {error.hint}".rstrip()
