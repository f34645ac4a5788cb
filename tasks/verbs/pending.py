"""Restores that wait for a profile: noted when an account has none on a fresh image, delivered once it does.

The note keeps its snapshot: ``forget`` holds what an open one names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from configs.errors import FirstbellError, InventoryError
from tasks.backends.base import Backend
from tasks.errors import RestoreRefused
from tasks.events import Reporter, silent
from tasks.policy.retention import Hold
from tasks.records.model import PendingRestore
from tasks.records.store import RecordStore
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.request import Mode
from tasks.verbs.context import Context
from tasks.verbs.orders import RestoreOrder
from tasks.verbs.site_repository import open_repository, repository_places

_LISTS: Final = ("what", "exclude", "overwrite_newer")
_TEXTS: Final = ("host", "teacher", "snapshot", "to_host", "to_teacher", "into", "request")


def order_data(order: RestoreOrder) -> dict[str, Any]:
    """Return an order as JSON values, for a record."""
    data: dict[str, Any] = {name: list(getattr(order, name)) for name in _LISTS}
    data |= {name: getattr(order, name) for name in _TEXTS}
    return {**data, "mode": order.mode}


def order_of(data: Mapping[str, Any]) -> RestoreOrder:
    """Return the order in a record. Raises ``RestoreRefused`` when there is none that this version understands."""
    values: dict[str, Any] = {name: data.get(name) for name in _TEXTS}
    values |= {name: tuple(data.get(name) or ()) for name in _LISTS}
    legal = all(one is None or isinstance(one, str) for one in values.values() if not isinstance(one, tuple))
    texts = all(isinstance(text, str) for name in _LISTS for text in values[name])
    if not (legal and texts and data.get("mode") in get_args(Mode) and values["snapshot"]):
        raise RestoreRefused(
            "this waiting restore is not written as this version of firstbell does",
            hint="Deliver it with the version that wrote it, or restore by hand: firstbell restore.",
        )
    return RestoreOrder(**{**values, "request": values["request"] or "", "mode": data["mode"]})


def put_off(
    backend: Backend, order: RestoreOrder, snapshot: Snapshot, host: str, person: str, name: str, report: Reporter
) -> PendingRestore:
    """Note that the restore of one person of a snapshot waits for the profile ``name`` on ``host``."""
    one = replace(
        order,
        host=snapshot.hostname,
        teacher=person,
        snapshot=(snapshot.id or b"").hex(),
        as_of=None,
        to_host=host if host != snapshot.hostname else None,
        to_teacher=name if name != person else None,
    )
    pending = PendingRestore(host, name, one.snapshot, order_data(one))
    store = RecordStore(backend, report)
    if not any(_key(pending) == _key(known) for known in store.pending()):
        store.add_pending(pending)
    return pending


def holds(store: RecordStore) -> list[Hold]:
    """Return what keeps the snapshots that open restores wait for."""
    return [
        Hold(f"a restore for {one.teacher} on {one.host} is still to be delivered", frozenset({one.snapshot}))
        for one in store.pending()
    ]


@dataclass(frozen=True, slots=True)
class Carried:
    """How a restore that waited went: whether it need not be tried again, whether all came back, and a sentence."""

    delivered: bool
    complete: bool
    message: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one waiting restore: it goes on to wait, or not; ``message`` says why, or what was done."""

    host: str
    teacher: str
    snapshot: str
    waiting: bool
    message: str = ""
    #: Whether all of it came back; of one that is delivered.
    complete: bool = True
    error: FirstbellError | None = None


def waiting(context: Context, site: str | None = None, *, report: Reporter = silent) -> list[Delivery]:
    """Return the restores that wait, at one site or at all, the oldest first."""
    return [
        Delivery(one.host, one.teacher, one.snapshot, waiting=True)
        for _, _, found in _stores(context, site, report)
        for one in found
    ]


def deliver_pending(
    context: Context,
    site: str | None = None,
    *,
    carry_out: Callable[[RestoreOrder], Carried],
    report: Reporter = silent,
) -> Iterator[Delivery]:
    """Try each waiting restore, and yield what became of it; one that failed does not stop the others.

    A computer that is out of reach, or where there is still no profile, is tried again the next time.
    """
    for store_site, location, found in _stores(context, site, report):
        for one in found:
            yield _deliver(context, store_site, location, one, carry_out, report)


def _deliver(
    context: Context,
    site: str,
    location: str,
    one: PendingRestore,
    carry_out: Callable[[RestoreOrder], Carried],
    report: Reporter,
) -> Delivery:
    try:
        done = carry_out(order_of(one.request))
    except FirstbellError as error:
        return Delivery(one.host, one.teacher, one.snapshot, waiting=True, message=str(error), error=error)
    if done.delivered:
        _close(context, site, location, one, report)
    return Delivery(
        one.host, one.teacher, one.snapshot, waiting=not done.delivered, message=done.message, complete=done.complete
    )


def cancel_pending(
    context: Context, host: str, teacher: str | None = None, *, report: Reporter = silent
) -> list[Delivery]:
    """Let waiting restores of a computer go, those of one teacher or all; return them. Their snapshots may go, too.

    Raises ``InventoryError`` when there is none.
    """
    gone: list[Delivery] = []
    for site, location, found in _stores(context, None, report):
        for one in found:
            if one.host == host and teacher in (None, one.teacher):
                _close(context, site, location, one, report)
                gone.append(Delivery(one.host, one.teacher, one.snapshot, waiting=False, message="let go"))
    if not gone:
        whose = f" for {teacher}" if teacher else ""
        raise InventoryError(f"no restore waits on {host}{whose}", hint="'firstbell pending' lists them.")
    return gone


def _close(context: Context, site: str, location: str, one: PendingRestore, report: Reporter) -> None:
    with open_repository(context, site, location=location, lock=False) as opened:
        RecordStore(opened.repository.backend, report).add_pending(replace(one, open=False))


def _stores(
    context: Context, site: str | None, report: Reporter
) -> Iterator[tuple[str, str, Sequence[PendingRestore]]]:
    """Yield site and location of each repository, and what waits there; each repository once."""
    seen: set[str] = set()
    for name in (site,) if site else context.inventory.sites():
        for place in repository_places(context, name):
            if place.location in seen:
                continue
            seen.add(place.location)
            with open_repository(context, name, location=place.location, lock=False) as opened:
                found = RecordStore(opened.repository.backend, report).pending()
            yield name, place.location, found


def _key(pending: PendingRestore) -> tuple[str, str, str]:
    return pending.host, pending.teacher, pending.snapshot
