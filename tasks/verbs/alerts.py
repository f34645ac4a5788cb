"""Which computers were not saved for too long, and telling IT and their teachers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from inventory.model import Host
from inventory.select import select
from tasks.events import Reporter, silent
from tasks.policy.retention import BEFORE_RESTORE
from tasks.policy.snapshot_state import state_of
from tasks.reports.maintenance_model import Overdue, OverduePage
from tasks.reports.model import natural
from tasks.reports.school_pages import overdue_page, overdue_teacher_page
from tasks.reports.templates import Page
from tasks.repository.repository import Repository
from tasks.verbs.context import Context
from tasks.verbs.letters import Post, Told, open_post, reader_of, templates_of
from tasks.verbs.newest import OURS, snapshots_of_hosts
from tasks.verbs.site_repository import repository_backend, repository_place

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LastSaved:
    """When a computer was last saved with nothing missing, and when partly since."""

    good: datetime | None = None
    partly: datetime | None = None


def last_saved(context: Context, site: str, *, now: datetime) -> Mapping[str, LastSaved]:
    """Return of every computer of a school when it was last saved.

    Raises ``InventoryError`` for a school without computers, and what opening its repository raises: where nobody can
    look, nobody may say that all is well.
    """
    hosts = select(context.inventory, site=site)
    places: dict[object, list[Host]] = {}
    for host in hosts:
        places.setdefault(repository_place(context, site, host=host.name), []).append(host)
    found: dict[str, LastSaved] = {host.name: LastSaved() for host in hosts}
    for own in places.values():
        place = repository_place(context, site, host=own[0].name)
        backend = repository_backend(context, place.location)
        try:
            repository = Repository.open(backend, context.secret(place.password).get_secret_value())
        except BaseException:
            backend.close()
            raise
        try:
            _look(repository, found, {host.name for host in own}, now)
        finally:
            repository.close()
    return found


def _look(repository: Repository, found: dict[str, LastSaved], names: set[str], now: datetime) -> None:
    for one in snapshots_of_hosts(repository, names):
        if one.hostname not in names or OURS not in one.tags or BEFORE_RESTORE in one.tags or one.time > now:
            # One from the future, by a clock that ran ahead, says nothing of today.
            continue
        state, last = state_of(one.tags), found[one.hostname]
        if state is not None and state.usable:
            found[one.hostname] = LastSaved(max(one.time, last.good or _NEVER), last.partly)
        else:
            found[one.hostname] = LastSaved(last.good, max(one.time, last.partly or _NEVER))


def overdue(context: Context, site: str, *, days: int | None = None, now: datetime | None = None) -> OverduePage:
    """Return the computers of a school without a good snapshot for ``days`` (``alerts.days``) or more, worst first."""
    now = now or datetime.now(UTC)
    days = days or context.config.alerts.days
    saved = last_saved(context, site, now=now)
    found = []
    for name, last in saved.items():
        age = None if last.good is None else now - last.good
        if age is not None and age < timedelta(days=days):
            continue
        host = context.host(name)
        partly = last.partly if last.partly is not None and last.partly > (last.good or _NEVER) else None
        found.append(Overdue(name, room_of(context, host), last.good, age.days if age else None, host.teachers, partly))
    found.sort(key=lambda one: (one.last_good or _NEVER, natural(one.host)))
    return OverduePage(days, now, tuple(found), len(saved))


def room_of(context: Context, host: Host) -> str:
    """Return the room of a computer as people say it; empty when it is in none."""
    rooms = context.inventory.rooms
    return next((context.inventory.groups.get(name) or name for name in host.groups if name in rooms), "")


def overdue_report(context: Context, site: str, page: OverduePage, *, language: str = "") -> Page:
    """Return the page for IT."""
    return overdue_page(templates_of(context), page, reader_of(context, site, language=language))


def alert(
    context: Context, site: str, page: OverduePage, *, now: datetime | None = None, report: Reporter = silent
) -> tuple[Told, ...]:
    """Tell IT of the computers that are overdue, and each teacher of theirs.

    The same computers are told of again after ``alerts.again_days``; one more of them is told at once. Raises
    ``MailError`` when a letter could not be sent now, after all others were.
    """
    if not page.computers:
        return ()
    told: list[Told] = []
    with open_post(context, site, now=now, report=report) as post:
        again = timedelta(days=context.config.alerts.again_days)
        about = sorted(one.host for one in page.computers)
        for person in post.with_role("it"):
            letter = overdue_page(post.templates, page, post.reader(person.person))
            told.append(post.send(person, "overdue", about, letter, again_after=again))
        if context.config.alerts.teachers:
            told += _tell_teachers(post, page, again)
        if post.trouble is not None:
            raise post.trouble
    return tuple(told)


def _tell_teachers(post: Post, page: OverduePage, again: timedelta) -> list[Told]:
    told: list[Told] = []
    theirs: dict[str, list[Overdue]] = {}
    for one in page.computers:
        for account in one.teachers:
            theirs.setdefault(post.of_account(account).key, []).append(one)
    for key, computers in theirs.items():
        account = next(name for one in computers for name in one.teachers if post.of_account(name).key == key)
        person = post.of_account(account)
        own = tuple(dict.fromkeys(computers))
        letter = overdue_teacher_page(post.templates, own, post.reader(person.person))
        about = sorted(one.host for one in own)
        told.append(post.send(person, "overdue-teacher", about, letter, again_after=again))
    return told
