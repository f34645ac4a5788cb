"""So many computers of a maintenance are worked on at the same time, however many runs are at it, and wherever.

A run that works on some computers for hours keeps no other from going on with the rest, and both together stay below
``at_once``: each computer takes one of so many numbered leases. One of a worker that died is free again after a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from configs.maintenance import MaintenancePlan
from tasks.records.lease import take_lease
from tasks.records.store import RecordStore

_SLOT: Final = "maintenance-slot"
#: Of two that reach for the same slot at the same moment one gets none, though others may be free.
_TRIES: Final = 2


@contextmanager
def slot(store: RecordStore, plan: MaintenancePlan) -> Iterator[bool]:
    """Hold one of the slots of a plan, and tell whether there was one."""
    for number in [*range(1, plan.at_once + 1)] * _TRIES:
        lease = take_lease(store, _SLOT, f"{plan.name}/{number}")
        if lease is not None:
            with lease:
                yield True
            return
    yield False
