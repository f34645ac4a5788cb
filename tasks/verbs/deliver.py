"""Deliver the restores that waited for a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tasks.events import Reporter, silent
from tasks.verbs.context import Context
from tasks.verbs.orders import RestoreOrder
from tasks.verbs.pending import Carried, Delivery, deliver_pending
from tasks.verbs.restore import RestoreOutcome, restore_host


def _nothing(order: RestoreOrder, outcome: RestoreOutcome) -> None:
    """Show nothing of a restore."""


def deliver(
    context: Context,
    site: str | None = None,
    *,
    report: Reporter = silent,
    show: Callable[[RestoreOrder, RestoreOutcome], None] = _nothing,
) -> Iterator[Delivery]:
    """Try every restore that waits, at one site or at all; yield what became of each, as it is done.

    ``show`` gets each that was carried out, in full.
    """

    def carry_out(order: RestoreOrder) -> Carried:
        outcome = restore_host(context, order, report=report)
        show(order, outcome)
        failed = outcome.result is not None and bool(outcome.result.failed or not outcome.result.verified)
        message = outcome.message
        if outcome.result is not None:
            restored = f"{outcome.result.restored} restored, {outcome.result.unchanged} there already"
            message = f"{restored}; {message}" if message else restored
        return Carried(delivered=not (outcome.absent or failed), complete=outcome.complete, message=message)

    return deliver_pending(context, site, carry_out=carry_out, report=report)
