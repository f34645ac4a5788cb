"""Automations for the Prefect server, as code: ``python -m flows.automations [--notify TYPE/NAME]``.

Run it again after a change: each is found by its name and brought up to date. Those that write to somebody need a
notification block of the server, such as ``slack-webhook/it-desk``, and are left out without one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from flows.events import ANSWER_GIVEN, GATE_HELD
from flows.outcome import PARTLY_DONE

#: What our runs can end in or wait in, by the name of the state. A run that says none of these any more, and gives no
#: sign of life either, is lost.
_ENDS: Final = ("Completed", PARTLY_DONE, "Failed", "Cancelled", "Crashed", "TimedOut", "Paused", "Suspended")
_HEARTBEAT: Final = "prefect.flow-run.heartbeat"
#: About three times PREFECT_FLOWS_HEARTBEAT_FREQUENCY of ``prefect.yaml``.
LOST_AFTER: Final = timedelta(seconds=95)
_TAG: Final = "firstbell"


def lost_runs() -> AutomationCore:
    """Return what marks a run as crashed when its process is gone without a word: a stopped worker, a power cut."""
    return AutomationCore(
        name="firstbell: lost runs",
        description="Marks a run as crashed that gives no sign of life any more. The next run goes on with its work.",
        tags=[_TAG],
        trigger=EventTrigger(
            posture=Posture.Proactive,
            threshold=1,
            within=LOST_AFTER,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            after={_HEARTBEAT},
            expect={_HEARTBEAT, *(f"prefect.flow-run.{end}" for end in _ENDS)},
        ),
        actions=[
            # Never by force: a run that ended meanwhile keeps its state.
            ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message="No sign of life any more", force=False)
        ],
    )


def go_on_after_answer(site: str, deployment: UUID) -> AutomationCore:
    """Return what goes on with the maintenance of a school as soon as somebody has answered."""
    return AutomationCore(
        name=f"firstbell: go on when somebody answers ({site})",
        description="Saves a computer as soon as its teachers have agreed, instead of ten minutes later.",
        tags=[_TAG],
        trigger=EventTrigger(
            posture=Posture.Reactive,
            threshold=1,
            match={"prefect.resource.id": f"firstbell.site.{site}"},
            for_each={"prefect.resource.id"},
            expect={ANSWER_GIVEN},
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment, parameters=None, job_variables=None)],
    )


def tell_when_held(block: UUID) -> AutomationCore:
    """Return what tells IT that a computer must not be wiped now, and why."""
    return AutomationCore(
        name="firstbell: tell when a computer must not be wiped",
        description="Writes to the notification block when the gate holds a computer within its maintenance.",
        tags=[_TAG],
        trigger=EventTrigger(
            posture=Posture.Reactive,
            threshold=1,
            match={"prefect.resource.id": "firstbell.host.*"},
            for_each={"prefect.resource.id"},
            expect={GATE_HELD},
        ),
        actions=[
            SendNotification(
                block_document_id=block,
                subject="{{ event.resource.name }} is not wiped",
                body=(
                    "{{ event.resource.name }} ({{ event.payload.site }}) is not wiped now: {{ event.payload.text }}.\n"
                    "Nothing is lost. See what to do: firstbell gate {{ event.resource.name }}"
                ),
            )
        ],
    )


def tell_when_failed(block: UUID) -> AutomationCore:
    """Return what tells IT of a run that failed or crashed."""
    return AutomationCore(
        name="firstbell: tell when a run failed",
        description="Writes to the notification block when a run of firstbell failed or crashed.",
        tags=[_TAG],
        trigger=EventTrigger(
            posture=Posture.Reactive,
            threshold=1,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.id": f"prefect.tag.{_TAG}"},
            for_each={"prefect.resource.id"},
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"},
        ),
        actions=[
            SendNotification(
                block_document_id=block,
                subject="{{ flow_run.name }}: {{ flow_run.state.name }}",
                body="{{ flow_run.name }}: {{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
            )
        ],
    )


def wanted(client: SyncPrefectClient, notify: str = "") -> list[AutomationCore]:
    """Return what this server should have, by its deployments and the notification block."""
    found = [lost_runs()]
    found += [go_on_after_answer(site, id_) for site, id_ in _maintenance_deployments(client)]
    if notify:
        block = _block(client, notify)
        found += [tell_when_held(block), tell_when_failed(block)]
    return found


def put(client: SyncPrefectClient, automation: AutomationCore) -> bool:
    """Create an automation, or bring the one of that name up to date; one that people switched off stays off.

    Return whether it is new.
    """
    there = client.read_automations_by_name(automation.name)
    if not there:
        client.create_automation(automation)
        return True
    enabled = there[0].enabled
    client.update_automation(there[0].id, automation.model_copy(update={"enabled": enabled}))
    return False


def _maintenance_deployments(client: SyncPrefectClient) -> Iterator[tuple[str, UUID]]:
    for one in client.read_deployments():
        site = (one.parameters or {}).get("site")
        if isinstance(site, str) and one.name == f"maintenance-{site}":
            yield site, one.id


def _block(client: SyncPrefectClient, notify: str) -> UUID:
    kind, _, name = notify.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound:
        raise SystemExit(
            f"there is no notification block '{notify}' on the server. Make one in the UI under Blocks, and name it as "
            "TYPE/NAME, for example slack-webhook/it-desk."
        ) from None


def main(argv: Sequence[str] | None = None) -> int:
    """Bring the automations of the server up to date, and say which there are."""
    parser = argparse.ArgumentParser(prog="python -m flows.automations", description=__doc__)
    parser.add_argument("--notify", default="", metavar="TYPE/NAME", help="notification block to write to")
    arguments = parser.parse_args(argv)
    with get_client(sync_client=True) as client:
        automations = wanted(client, arguments.notify)
        for one in automations:
            sys.stdout.write(f"{'new' if put(client, one) else 'up to date'}: {one.name}\n")
    if not any(one.name.startswith("firstbell: go on") for one in automations):
        sys.stdout.write("note: there is no deployment maintenance-SCHOOL yet; run 'prefect deploy --all' first\n")
    if not arguments.notify:
        sys.stdout.write("note: nobody is written to without --notify TYPE/NAME\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
