"""Make a repository, check it, and let old snapshots go. How bytes go is the stock restic client's work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from configs.errors import InventoryError
from tasks.backends.s3_location import parse_s3_location
from tasks.backends.s3_spool import S3Spool
from tasks.backends.spool import ABANDONED, sweep
from tasks.errors import Damaged
from tasks.policy.retention import Decision, Hold, decide
from tasks.records.issued import issued
from tasks.records.maintenance import open_maintenance_records
from tasks.records.store import RecordStore
from tasks.repository.repository import Repository
from tasks.repository.restic_client import ResticClient
from tasks.repository.snapshot_file import Snapshot
from tasks.verbs.context import Context
from tasks.verbs.pending import holds
from tasks.verbs.site_repository import (
    open_repository,
    repository_backend,
    repository_place,
    repository_places,
    s3_options,
)

#: The tag of every snapshot that firstbell made; others in the repository are not ours to forget.
OURS = "firstbell"


@dataclass(frozen=True, slots=True)
class InitResult:
    """A new repository: where, and its id in hex."""

    location: str
    id: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether the repositories of a site are sound, and what restic said when one is not."""

    sound: bool
    locations: tuple[str, ...]
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForgetResult:
    """What stays and what goes, each with its reasons; ``done`` is False for a dry run."""

    decisions: tuple[Decision[Snapshot], ...]
    done: bool

    @property
    def forgotten(self) -> tuple[Decision[Snapshot], ...]:
        """What goes."""
        return tuple(decision for decision in self.decisions if not decision.keep)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Where the spool of a site is, None without one, and how many leftovers were removed from it."""

    location: str | None
    removed: int


def init_repository(context: Context, site: str, *, host: str = "") -> InitResult:
    """Make the repository of a site, its bucket or folder included.

    Raises a ``RepositoryError`` when there is one already: it is left as it is; ``InventoryError`` for a site that
    stands nowhere, since a slip of the pen would make a repository that nobody looks into.
    """
    known = sorted({*context.config.sites, *context.inventory.sites()})
    if site not in known:
        raise InventoryError(
            f"there is no site '{site}'. There are: {', '.join(known) or 'none'}.",
            hint="Name it under 'sites' in the configuration, or give it a host in the inventory.",
        )
    place = repository_place(context, site, host=host)
    password = context.secret(place.password).get_secret_value()
    repository = Repository.init(repository_backend(context, place.location), password)
    try:
        return InitResult(place.location, repository.config.id)
    finally:
        repository.close()


def check_repository(
    context: Context, site: str, *, read_data: bool = False, report: Callable[[str], None] | None = None
) -> CheckResult:
    """Check the repositories of a site by the stock restic client; with ``read_data`` every stored byte is read again.

    Raises ``ToolMissing`` without restic, and what keeps it from looking (wrong password, no repository, locked).
    """
    messages: list[str] = []
    sound = True
    clients = list(_clients(context, site, report).items())
    for location, client in clients:
        try:
            client.check(read_data=read_data)
        except Damaged as error:
            sound = False
            messages.append(f"{location}: {error.message}")
    return CheckResult(sound, tuple(location for location, _ in clients), tuple(messages))


def forget(
    context: Context,
    site: str,
    *,
    dry_run: bool = False,
    prune: bool = False,
    now: datetime | None = None,
    report: Callable[[str], None] | None = None,
) -> ForgetResult:
    """Let the snapshots of a site go that its retention does not keep; with ``prune`` also the data only they need.

    Which snapshots go is decided here, how they go is restic's. Snapshots that firstbell did not make always stay.
    """
    now = now or datetime.now(UTC)
    rules = context.config.retention_for(site)
    zone = ZoneInfo(context.config.site(site).time_zone)
    decisions: list[Decision[Snapshot]] = []
    for location, client in _clients(context, site, report).items():
        with open_repository(context, site, location=location, lock=False) as opened:
            ours = [snapshot for snapshot in opened.snapshots() if OURS in snapshot.tags]
            records = RecordStore(opened.repository.backend)
            cleared = _cleared(records, rules.keep_before_restore.before(now))
            held = [*holds(records), *cleared, *maintenance_holds(records)]
        here = decide(ours, rules, held, now, time_zone=zone)
        decisions += here
        if dry_run:
            continue
        gone = [decision.snapshot.id.hex() for decision in here if not decision.keep and decision.snapshot.id]
        if gone:
            client.forget(gone)
        if prune:
            client.prune()
    return ForgetResult(tuple(decisions), done=not dry_run)


def _cleared(records: RecordStore, since: datetime) -> list[Hold]:
    """Return what keeps the snapshots that computers were wiped on: what came later is of the fresh image."""
    return [
        Hold(f"{one.host} was cleared to be wiped on it", frozenset({one.snapshot}))
        for one in issued(records, since=since)
    ]


def maintenance_holds(records: RecordStore) -> list[Hold]:
    """Return what keeps the snapshots of computers that are in maintenance, until somebody accepts that all is back.

    Raises ``ConfigError`` when a record of one cannot be read: then nothing is let go.
    """
    return [
        Hold(f"{one.host} is in maintenance ('{one.plan}'), and nobody has accepted it yet", frozenset({one.snapshot}))
        for one in open_maintenance_records(records)
    ]


def sweep_spool(context: Context, site: str, *, older_than: float = ABANDONED) -> SweepResult:
    """Remove what runs that were cut off left in the spool of a site, when it is older than so many seconds.

    Raises a ``BackendError`` when the spool cannot be reached.
    """
    location = context.config.spool_for(site)
    if location is None:
        return SweepResult(None, 0)
    store = S3Spool(
        parse_s3_location(location.removeprefix("s3:")), s3_options(context), connections=context.config.s3.connections
    )
    with closing(store):
        return SweepResult(location, sweep(store, older_than))


def _clients(context: Context, site: str, report: Callable[[str], None] | None) -> dict[str, ResticClient]:
    return {
        place.location: ResticClient(
            place.location,
            context.secret(place.password).get_secret_value(),
            options=s3_options(context),
            report=report,
        )
        for place in repository_places(context, site)
    }
