"""What other programs can wait for: ``firstbell.*`` events on the Prefect server.

An event is of one computer, ``firstbell.host.<school>.<computer>``, and tells its school and, in a maintenance, the
plan. It names no person and no file. The server keeps events for a week: what must last is in the records.
"""

from __future__ import annotations

from typing import Final

from prefect.events import emit_event

from tasks.events import Event, Milestone

#: The events of a computer, as an automation names them.
SNAPSHOT_COMPLETED: Final = "firstbell.snapshot.completed"
GATE_HELD: Final = "firstbell.gate.held"
CLEARANCE_ISSUED: Final = "firstbell.clearance.issued"
HOST_RETURNED: Final = "firstbell.host.returned"
RESTORE_COMPLETED: Final = "firstbell.restore.completed"
#: Somebody answered: agreed, put it off, refused, or placed a hold. Of a school, and a plan where it is about one.
ANSWER_GIVEN: Final = "firstbell.answer.given"


def emit(event: Event) -> None:
    """Send a milestone to the server; any other event is none of its business. Never raises."""
    if isinstance(event, Milestone):
        emit_host_event(f"firstbell.{event.kind}", event.site, event.host, plan=event.plan, text=event.text)


def emit_host_event(name: str, site: str, host: str, *, plan: str = "", text: str = "") -> None:
    """Send an event of one computer. Never raises: what cannot be sent costs no work."""
    emit_event(
        name,
        resource={
            "prefect.resource.id": f"firstbell.host.{site}.{host}",
            "prefect.resource.name": host,
            "firstbell.site": site,
            "firstbell.plan": plan,
        },
        payload={"site": site, "host": host, "plan": plan, "text": text},
    )


def emit_answer(site: str, *, plan: str = "") -> None:
    """Say that somebody answered, so that what waited for it goes on at once. Who, and what, is in the ledger only."""
    emit_event(
        ANSWER_GIVEN,
        resource={
            "prefect.resource.id": f"firstbell.site.{site}",
            "prefect.resource.name": site,
            "firstbell.site": site,
            "firstbell.plan": plan,
        },
        payload={"site": site, "plan": plan},
    )
