"""The real hands of a maintenance: each made of the verbs that people use by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Final

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.actions.base import Action
from tasks.actions.registry import make_action
from tasks.actions.wake import wake
from tasks.errors import ActionFailed, Damaged, GateHold, InventoryError, RestoreRefused, Timeout, Unreachable
from tasks.events import Reporter
from tasks.policy.gate import Reason
from tasks.policy.maintenance import Agreement
from tasks.policy.maintenance_state import Kind
from tasks.records.maintenance import MaintenanceRecord
from tasks.records.store import Clock
from tasks.reports.units import local_day_time
from tasks.restorer.verify import AtLeast, verify
from tasks.transports.base import HostIdentity
from tasks.verbs.agreement import standing_by
from tasks.verbs.calendars import calendar_lookup
from tasks.verbs.clearance import issue_clearance
from tasks.verbs.connection import connect
from tasks.verbs.context import Context
from tasks.verbs.gate import gate_hosts
from tasks.verbs.maintenance_hands import Brought, Compared, Issue, Proof, Seen, Taken
from tasks.verbs.maintenance_plan import zone_of
from tasks.verbs.maintenance_time import too_late
from tasks.verbs.orders import RestoreOrder
from tasks.verbs.restore import RestoreOutcome, restore_host
from tasks.verbs.returning import Away, accept_returned, look_for_return
from tasks.verbs.site_ledger import lines_for_gate
from tasks.verbs.site_repository import open_repository, repository_backend, repository_place
from tasks.verbs.snapshot import snapshot_host
from tasks.verbs.verify import SAMPLE, verify_host

#: Reasons of the gate that a new snapshot, verified, may take away; all others stay whatever is saved.
CURABLE: Final = frozenset(
    {
        "no-snapshot",
        "partial",
        "state-unknown",
        "stale",
        "not-verified",
        "method",
        "verification-failed",
        "used-since",
        "profiles-unknown",
    }
)

#: A computer that lost more than this share of the files that are looked for is taken for wiped.
_GONE: Final = 0.5


def agreement(context: Context, plan: MaintenancePlan, host: Host, now: datetime) -> Agreement:
    """Return whether everybody who must agree does, by the ledger of the school."""
    place = repository_place(context, host.site, host=host.name)
    with closing(repository_backend(context, place.location)) as backend:
        lines = lines_for_gate(context, host.site, backend, place.location)
    found = standing_by(context, host, plan, lines, now)
    if found.agreed and not found.stops and not found.problems:
        return Agreement(agreed=True, until=found.until, by=found.by)
    if found.problems:
        return Agreement(agreed=False, note=Kind.HELD, text="; ".join(found.problems), needs="IT mends that")
    if found.refused_by:
        who = " and ".join(found.refused_by)
        return Agreement(agreed=False, note=Kind.REFUSED, text=f"{who} said no", needs=f"{who} may still agree")
    if found.deferred_until is not None:
        when = local_day_time(found.deferred_until, zone_of(context, host.site))
        text = f"it was put off until {when}"
        return Agreement(agreed=False, note=Kind.DEFERRED, text=text, until=found.deferred_until)
    if found.holds:
        return Agreement(agreed=False, note=Kind.HELD, text="; ".join(found.holds), needs="whoever holds it lifts it")
    text = "; ".join(found.missing)
    return Agreement(agreed=False, text=text or "nobody has agreed yet", needs="whoever is asked answers")


def wake_up(host: Host) -> str:
    """Send the packet that wakes a computer; return why that could not be done."""
    if host.transport == "local":
        return ""
    try:
        wake(host)
    except (InventoryError, ActionFailed) as error:
        return error.message
    return ""


def save(context: Context, host: Host, clock: Clock, report: Reporter) -> Taken:
    """Snapshot a computer, and note who it is."""
    made = snapshot_host(context, host.name, reason="maintenance", report=report, now=clock()).result
    if made.snapshot is None or made.snapshot.id is None:
        raise Damaged("no snapshot was written", hint="Look at what the run said.", host=host.name)
    told: list[HostIdentity] = []
    with connect(context, host, seen=told.append) as remote:
        serial = host.serial or remote.hello.serial
    return Taken(made.snapshot.id.hex(), made.files, told[-1], serial)


def prove(context: Context, host: Host, clock: Clock, report: Reporter) -> Proof:
    """Verify the newest snapshot: read back, and compared with the computer."""
    found = verify_host(context, host.name, report=report, clock=clock).verification
    return Proof(found.good, found.snapshot, found.problem)


def barriers(context: Context, plan: MaintenancePlan, host: Host, now: datetime) -> tuple[Reason, ...]:
    """Return why the gate holds whatever is saved; what a new snapshot may cure is left out."""
    (found,) = gate_hosts(context, [host.name], calendar=calendar_lookup(context), now=now, plan=plan)
    reasons = tuple(reason for reason in found.verdict.reasons if reason.code not in CURABLE)
    return reasons + too_late(context, plan, now)


def clear(context: Context, plan: MaintenancePlan, host: Host, until: datetime, now: datetime) -> Issue:
    """Issue a clearance that ends by ``until``. Raises ``GateHold``."""
    if until <= now:
        raise GateHold("the window has ended", hint="Do not wipe.", host=host.name)
    for reason in too_late(context, plan, now):
        raise GateHold(reason.text, hint=reason.cure, host=host.name)
    issued = issue_clearance(context, host.name, calendar=calendar_lookup(context), now=now, plan=plan, until=until)
    return Issue(issued.clearance, issued.token)


def action(context: Context, plan: MaintenancePlan) -> Action:
    """Return what does it."""
    return make_action(plan.action, context.secret)


def look(context: Context, host: Host, record: MaintenanceRecord, now: datetime) -> Seen:
    """Look whether a computer is back, without accepting it. Raises ``IdentityRefused`` for another one."""
    found = look_for_return(context, host, record, now=now)
    if isinstance(found, Away):
        return Seen(there=False, why=found.why)
    if found.fresh:
        return Seen(there=True, fresh=True, identity=found.identity, serial=found.serial)
    # By its identity it is as it was, which an image may have kept: its files tell.
    try:
        missing = share_missing(context, host, record.snapshot)
    except (Unreachable, Timeout) as error:
        return Seen(there=False, why=error.message)
    gone = missing is not None and missing > _GONE
    return Seen(there=True, fresh=gone, identity=found.identity, serial=found.serial)


def identify(context: Context, host: Host, record: MaintenanceRecord, now: datetime) -> Seen:
    """Accept a computer as the one that was cleared, from now on and for every worker."""
    found = accept_returned(context, host, record, now=now)
    if isinstance(found, Away):
        return Seen(there=False, why=found.why)
    return Seen(there=True, fresh=found.fresh, identity=found.identity, serial=found.serial)


def restore(context: Context, host: Host, snapshot: str, request: str, clock: Clock, report: Reporter) -> Brought:
    """Bring back everything of a snapshot to its own computer, never over newer work."""
    order = RestoreOrder(host=host.name, snapshot=snapshot, mode="apply", request=request)
    outcome = restore_host(context, order, report=report, now=clock())
    result, plan = outcome.result, outcome.plan
    if result is not None:
        failed = result.failed + (0 if result.verified or result.failed else 1)
        return Brought(
            outcome.absent,
            failed,
            result.restored,
            result.kept_newer,
            result.conflicts,
            result.skipped,
            outcome.undo_id,
            outcome.message,
        )
    counts = plan.counts if plan is not None else {}
    if plan is not None and plan.writes:
        raise RestoreRefused("the restore was not carried out", hint=outcome.message, host=host.name)
    return Brought(
        outcome.absent,
        kept_newer=counts.get("keep-newer", 0),
        conflicts=counts.get("conflict", 0),
        skipped=counts.get("skip", 0),
        undo=outcome.undo_id,
        message=outcome.message,
    )


def compare(context: Context, host: Host, snapshot: str, people: Sequence[str] | None, now: datetime) -> Compared:
    """Compare a computer with a snapshot: every file by size and time, a sample by the computer's own hashes."""
    order = RestoreOrder(host=host.name, snapshot=snapshot, mode="plan")
    orders = [order] if people is None else [replace(order, teacher=name) for name in people]
    found = Compared(good=True, compared=0, missing=0, different=0)
    for one in orders:
        found = _both(found, _compared(context, host, restore_host(context, one, now=now)))
    return found


def _compared(context: Context, host: Host, outcome: RestoreOutcome) -> Compared:
    plan = outcome.plan
    if plan is None:
        return Compared(good=not outcome.absent, compared=0, missing=0, different=0)
    counts = plan.counts
    with (
        open_repository(context, host.site, host=host.name, lock=False) as opened,
        connect(context, host) as remote,
    ):
        sample = verify(opened.repository, remote.sink(), plan, SAMPLE)
    files = [item for item in plan.items if item.node.type == "file"]
    missing = sum(item.action == "create" for item in files)
    different = sum(item.action == "overwrite" for item in files) + counts.get("conflict", 0)
    different = max(different, len(sample.mismatches) - missing)
    return Compared(not (missing or different or sample.mismatches), sample.checked, missing, different)


def _both(one: Compared, other: Compared) -> Compared:
    return Compared(
        one.good and other.good,
        one.compared + other.compared,
        one.missing + other.missing,
        one.different + other.different,
    )


def share_missing(context: Context, host: Host, snapshot: str) -> float | None:
    """Return which share of some files of a snapshot is no longer on the computer, between 0.0 and 1.0.

    None for a snapshot without files.
    """
    with open_repository(context, host.site, host=host.name, lock=False) as opened:
        found = opened.repository.find_snapshot(snapshot)
        if found.id is None or found.id.hex() != snapshot:
            raise Damaged("the snapshot that the computer was cleared on is not there", host=host.name)
        with connect(context, host) as remote:
            result = verify(opened.repository, remote.sink(), found, AtLeast(0.0, 40), seed=1)
    if not result.checked:
        return None
    return sum(miss.kind == "missing" for miss in result.mismatches) / result.checked
