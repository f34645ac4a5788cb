"""What a Prefect server has noted of runs that were called in this process."""

from __future__ import annotations

import json
from typing import Any

from tests.support.prefect_stack import PrefectStack


def deliver() -> None:
    """Wait until all logs and events of this process are at the server; later ones start new senders."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.instance().drain()
    EventsWorker.drain_all()


def flow_run_of(state: Any) -> Any:
    """Return the flow run that ended in ``state``."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id)


def artifacts_of(state: Any) -> dict[str, Any]:
    """Return the artifacts of a run by key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        return {artifact.key: artifact for artifact in client.read_artifacts(artifact_filter=wanted)}


def task_runs_of(state: Any) -> dict[str, Any]:
    """Return the task runs of a run by name. The server learns of them by events."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    deliver()
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    with get_client(sync_client=True) as client:
        return {task_run.name: task_run for task_run in client.read_task_runs(flow_run_filter=wanted)}


def everything(stack: PrefectStack) -> str:
    """Return what any user of the API can read about runs: parameters, states, logs, artifacts, tags."""
    deliver()
    parts: list[Any] = []
    for path in ("flow_runs", "task_runs", "logs", "artifacts"):
        offset = 0
        while page := stack.call("POST", f"/{path}/filter", {"limit": 200, "offset": offset}):
            parts += page
            offset += len(page)
    return json.dumps(parts, ensure_ascii=False)
