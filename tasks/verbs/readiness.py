"""Whether the rooms of a school are ready for its next class day, from what is written down; no computer is reached.

A computer is not ready from the moment that its wipe was begun until everything is back and was compared, while files
of somebody wait to be put back, and when somebody must look at it. One that was not saved lately can be taught with: it
is told, and keeps no room from being ready.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from configs.maintenance import MaintenancePlan
from configs.whole_file import write_whole
from inventory.model import Host
from inventory.select import select
from tasks.errors import ConfigError
from tasks.events import Reporter, Warned, silent
from tasks.policy.maintenance_state import HostState, Kind, fold
from tasks.policy.school_calendar import SchoolDays
from tasks.records.maintenance import PLAN, load_opening
from tasks.records.maintenance_log import StepLog
from tasks.records.store import FOLDER, RecordStore
from tasks.reports.html_page import html_page
from tasks.reports.maintenance_model import NotReady, Overdue, ReadinessPage, Room, Trouble
from tasks.reports.model import natural
from tasks.reports.plain_text import plain_line
from tasks.reports.school_pages import readiness_page
from tasks.reports.templates import Page
from tasks.verbs.alerts import overdue, room_of
from tasks.verbs.calendars import school_days
from tasks.verbs.context import Context
from tasks.verbs.letters import reader_of, templates_of
from tasks.verbs.maintenance_plan import zone_of
from tasks.verbs.site_repository import repository_backend, repository_place, repository_places

#: From noon on, "is everything ready?" is a question about another day.
_NOON: Final = 12
_FAR: Final = 180


def readiness(
    context: Context,
    site: str,
    *,
    plan: MaintenancePlan | str | None = None,
    now: datetime | None = None,
    report: Reporter = silent,
) -> ReadinessPage:
    """Return the rooms of a school, and what keeps each from being ready; with ``plan``, only for its computers.

    Raises ``InventoryError`` for a school without computers, ``ConfigError`` where records cannot be read, and what
    opening the repository raises.
    """
    now = now or datetime.now(UTC)
    name = plan.name if isinstance(plan, MaintenancePlan) else plan
    hosts = select(context.inventory, site=site)
    troubles, members = _troubles(context, site, hosts, name)
    if name is not None:
        hosts = tuple(host for host in hosts if host.name in members)
    late = overdue(context, site, now=now)
    rooms: dict[str, list[Host]] = {}
    for host in hosts:
        rooms.setdefault(room_of(context, host), []).append(host)
    return ReadinessPage(
        made=now,
        next_class_day=next_class_day(context, site, now, report),
        rooms=tuple(
            Room(title, len(own), tuple(troubles[one.name] for one in own if one.name in troubles))
            for title, own in sorted(rooms.items(), key=lambda item: (not item[0], natural(item[0])))
        ),
        overdue=_usable(late.computers, {host.name for host in hosts} - troubles.keys()),
        days=late.days,
    )


def _usable(computers: Sequence[Overdue], names: set[str]) -> tuple[Overdue, ...]:
    return tuple(one for one in computers if one.host in names)


def _troubles(
    context: Context, site: str, hosts: Sequence[Host], only: str | None
) -> tuple[dict[str, NotReady], set[str]]:
    """Return what keeps computers from being ready, and the computers of the plan ``only`` (of all plans for None)."""
    found: dict[str, NotReady] = {}
    members: set[str] = set()
    known = {host.name: host for host in hosts}
    for place in repository_places(context, site):
        with closing(repository_backend(context, place.location)) as backend:
            store = RecordStore(backend)
            here = {name for name in known if repository_place(context, site, host=name) == place}
            # The newest maintenance of a computer is the one that tells how it is.
            for opening in sorted(_openings(store), key=lambda one: one[1]):
                plan, _, names = opening
                for name in here.intersection(names):
                    members.update({name} if only in (None, plan) else ())
                    state = _state(store, plan, name)
                    if state.started is None and not state.damage:
                        continue
                    trouble = trouble_of(name, state)
                    if trouble is None:
                        found.pop(name, None)
                    else:
                        found[name] = trouble
            for pending in store.pending():
                target = str(pending.request.get("to_host") or pending.host)
                if target in here and target not in found:
                    found[target] = NotReady(target, "files")
    return found, members


def _openings(store: RecordStore) -> Iterator[tuple[str, datetime, tuple[str, ...]]]:
    prefix = f"{FOLDER}{PLAN}/"
    plans = {info.name.removeprefix(prefix).partition("/")[0] for info in store.backend.list(prefix)}
    for plan in plans:
        opening = load_opening(store, plan)
        if opening is not None:
            yield plan, opening.opened_at, opening.hosts


def trouble_of(host: str, state: HostState) -> NotReady | None:
    """Return what keeps a computer from being ready by the log of its maintenance, None when nothing does."""
    if state.damage:
        return NotReady(host, "attention")
    if state.started is None or state.accepted or (state.checked and state.good):
        return None
    since = state.since or state.started
    needs_somebody = state.note is not None and state.note.kind in (Kind.ATTENTION, Kind.FAILED, Kind.HELD)
    trouble: Trouble
    if state.checked or (state.identified and not needs_somebody):
        trouble = "files"
    elif not state.returned and state.note is not None and state.note.kind is Kind.ATTENTION:
        trouble, since = "lost", state.started
    elif needs_somebody:
        trouble = "attention"
    else:
        trouble = "away"
    return NotReady(host, trouble, since)


def _state(store: RecordStore, plan: str, host: str) -> HostState:
    log = StepLog(store, plan, host)
    log.refresh()
    return fold(log.steps, log.damage)


def state_in(context: Context, plan: str, host: Host) -> HostState:
    """Return where a computer stands in a maintenance; its number is 0 where it was not begun."""
    place = repository_place(context, host.site, host=host.name)
    with closing(repository_backend(context, place.location)) as backend:
        return _state(RecordStore(backend), plan, host.name)


def next_class_day(context: Context, site: str, now: datetime, report: Reporter = silent) -> date | None:
    """Return the next day with classes, today until noon; None where the calendar tells none, or is wrong."""
    try:
        days = school_days(context, site)
    except ConfigError as error:
        report(Warned("", f"the school calendar cannot be read: {error.message}"))
        return None
    return None if days is None else _next(days, now, zone_of(context, site))


def _next(days: SchoolDays, now: datetime, zone: ZoneInfo) -> date | None:
    local = now.astimezone(zone)
    first = local.date() + timedelta(days=1 if local.hour >= _NOON else 0)
    ahead = (first + timedelta(days=number) for number in range(_FAR))
    return next((day for day in ahead if days.is_class_day(day)), None)


def render(context: Context, site: str, page: ReadinessPage, *, language: str = "") -> Page:
    """Return the page as markdown."""
    return readiness_page(templates_of(context), page, reader_of(context, site, language=language))


def write_page(path: Path, page: Page) -> None:
    """Write a page as one HTML file, as a whole or not at all. Raises ``ConfigError``."""
    text = html_page(page.markdown, title=plain_line(page.heading), language=page.language)
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}", hint="Name a file in a folder of yours."
        ) from None
