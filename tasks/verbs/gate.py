"""The gate: gather what is known of hosts, without reaching one, and decide whether each may be wiped.

Only the list of snapshots and the records beside the repository are read, so that it takes a moment. What cannot be
read, or does not answer in time, becomes a reason to hold; no error of the repository makes a host pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from configs.gate import GateConfig
from configs.maintenance import MaintenancePlan
from configs.model import RepositoryPlace
from inventory.model import Host
from tasks.errors import ConfigError, FirstbellError
from tasks.events import Event, Warned
from tasks.policy.gate import (
    CLOCK_TOLERANCE,
    CalendarFact,
    GateFacts,
    GateVerdict,
    ProfilesFact,
    SnapshotFact,
    VerificationFact,
    decide,
)
from tasks.policy.snapshot_state import state_of
from tasks.records.issued import issued
from tasks.records.store import RecordStore
from tasks.records.verification import Verification, verifications
from tasks.reports.units import count_of
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.verbs.agreement import with_people
from tasks.verbs.context import Context
from tasks.verbs.newest import newest_snapshot, snapshots_of_hosts
from tasks.verbs.site_ledger import SiteLines, lines_for_gate
from tasks.verbs.site_repository import repository_backend, repository_place

#: No clearance is good for longer (``clearance.valid_minutes``): older records of them need not be read.
LONGEST_CLEARANCE: Final = timedelta(days=1)
#: A worker whose clock is behind may have written a failure earlier than the snapshot was made by another's.
_CLOCKS_APART: Final = timedelta(days=1)

#: Return what the calendar of a site says of a moment; None where there is none.
Calendar = Callable[[str, datetime], CalendarFact | None]


@dataclass(frozen=True, slots=True)
class HostGate:
    """The verdict on one host, and what it rests on."""

    host: Host
    rules: GateConfig
    facts: GateFacts
    verdict: GateVerdict
    verification: Verification | None = None


def gate_hosts(
    context: Context,
    names: Sequence[str],
    *,
    calendar: Calendar,
    now: datetime | None = None,
    plan: MaintenancePlan | None = None,
) -> list[HostGate]:
    """Return a verdict on each host, in the order asked. Raises ``InventoryError`` for a name that is none.

    With a ``plan``, those must have agreed whom it names; an approval given for one plan is none for another.
    """
    now = now or datetime.now(UTC)
    by_place: dict[RepositoryPlace, list[Host]] = {}
    for name in dict.fromkeys(context.host(one).name for one in names):
        host = context.host(name)
        by_place.setdefault(repository_place(context, host.site, host=name), []).append(host)
    gathered: dict[str, _Gathered] = {}
    running = [(hosts, _start(context, place, hosts, now)) for place, hosts in by_place.items()]
    for hosts, future in running:
        gathered |= _result(context, hosts, future)
    found = {}
    for name, one in gathered.items():
        host = context.host(name)
        rules = context.config.gate_for(host.site)
        facts = _with_calendar(one.facts, calendar, host.site, now)
        if one.ledger is not None:
            facts = with_people(context, facts, host, plan, one.ledger, now)
        verdict = decide(facts, rules, now)
        found[name] = HostGate(host, rules, facts, verdict, _resting_on(verdict, one.records))
    return [found[context.host(name).name] for name in names]


def _with_calendar(facts: GateFacts, calendar: Calendar, site: str, now: datetime) -> GateFacts:
    try:
        return replace(facts, calendar=calendar(site, now))
    except ConfigError as error:
        return replace(facts, problems=(*facts.problems, f"the school calendar cannot be read: {error.message}"))


@dataclass(frozen=True, slots=True)
class _Gathered:
    facts: GateFacts
    records: tuple[Verification, ...] = ()
    #: What people said at this host's school; None where nothing could be read at all.
    ledger: SiteLines | None = None


def _start(
    context: Context, place: RepositoryPlace, hosts: Sequence[Host], now: datetime
) -> Future[dict[str, _Gathered]]:
    """Gather on a thread that nobody waits for when it hangs: a store that does not answer is a fact, too."""
    future: Future[dict[str, _Gathered]] = Future()

    def run() -> None:
        try:
            future.set_result(_gather(context, place, hosts, now))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, name="firstbell-gate", daemon=True).start()
    return future


def _result(context: Context, hosts: Sequence[Host], future: Future[dict[str, _Gathered]]) -> dict[str, _Gathered]:
    seconds = context.config.gate_for(hosts[0].site).deadline_seconds
    try:
        return future.result(seconds)
    except Late:
        problem = f"the repository did not answer within {count_of(seconds, 'second')}"
    except FirstbellError as error:
        problem = f"the repository cannot be read: {error.message}"
    return {host.name: _Gathered(GateFacts(host.name, problems=(problem,))) for host in hosts}


def _gather(context: Context, place: RepositoryPlace, hosts: Sequence[Host], now: datetime) -> dict[str, _Gathered]:
    backend = repository_backend(context, place.location)
    try:
        repository = Repository.open(backend, context.secret(place.password).get_secret_value())
    except BaseException:
        backend.close()
        raise
    try:
        snapshots = snapshots_of_hosts(repository, {host.name for host in hosts})
        told: list[str] = []
        cleared = {
            one.host
            for one in issued(_store(repository, told), since=now - LONGEST_CLEARANCE - CLOCK_TOLERANCE, now=now)
        }
        said = {site: lines_for_gate(context, site, backend, place.location) for site in {one.site for one in hosts}}
        found = {host.name: _gather_host(repository, host, snapshots, cleared, told) for host in hosts}
        return {host.name: replace(found[host.name], ledger=said[host.site]) for host in hosts}
    finally:
        repository.close()


def _gather_host(
    repository: Repository, host: Host, snapshots: Sequence[Snapshot], cleared: set[str], told: Sequence[str]
) -> _Gathered:
    problems = list(told)
    snapshot = newest_snapshot(snapshots, host.name)
    facts = GateFacts(host.name, cleared=len(cleared - {host.name}), ignored=_own_account(host))
    if snapshot is None or snapshot.id is None:
        return _Gathered(replace(facts, problems=tuple(problems)))
    id_ = snapshot.id.hex()
    found = [
        one
        for _, one in verifications(_store(repository, problems), host.name, since=snapshot.time - _CLOCKS_APART)
        if one.snapshot == id_
    ]
    facts = replace(
        facts,
        snapshot=SnapshotFact(id_, snapshot.time, state_of(snapshot.tags)),
        verifications=tuple(map(_fact, found)),
        profiles=_profiles(host, snapshot, found),
        problems=tuple(problems),
    )
    return _Gathered(facts, tuple(found))


def _store(repository: Repository, problems: list[str]) -> RecordStore:
    """Return the records; one that cannot be read may be the one that says no, so each is a problem."""

    def report(event: Event) -> None:
        if isinstance(event, Warned):
            problems.append(event.message)

    return RecordStore(repository.backend, report)


def _fact(one: Verification) -> VerificationFact:
    return VerificationFact(
        snapshot=one.snapshot,
        at=one.begun_at,
        method=one.method,
        good=one.good,
        complete=one.complete,
        problem=one.problem,
        users=one.users,
    )


def _profiles(host: Host, snapshot: Snapshot, found: Sequence[Verification]) -> ProfilesFact | None:
    """Return whose profiles are on the host, from the last look at it, and since when each is in use again."""
    looks = sorted((one for one in found if one.profiles is not None), key=lambda one: one.begun_at)
    used = {name: one.begun_at for one in looks for name in one.in_use}
    if looks:
        return ProfilesFact(looks[-1].begun_at, looks[-1].profiles or (), used)
    if found and not host.teachers:
        # The snapshot covers everybody who had a profile when it was made.
        return ProfilesFact(snapshot.time, found[0].users)
    return None


def _own_account(host: Host) -> tuple[str, ...]:
    """Return the account that firstbell logs in with, with and without its domain: nobody misses its profile."""
    if not host.user:
        return ()
    account = host.user.rpartition("\\")[2].partition("@")[0]
    return tuple(dict.fromkeys((_literal(host.user), _literal(account))))


def _literal(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _resting_on(verdict: GateVerdict, records: Sequence[Verification]) -> Verification | None:
    proof = verdict.verification
    return next((one for one in records if proof is not None and _fact(one) == proof), None)
