"""What a school runs: ``prefect deploy --all``, a worker, and runs that are started and cancelled from outside."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.loopback_site import LoopbackSite
from tests.support.prefect_stack import PrefectStack

# The server, forty deployments and the worker take their time on a busy machine.
pytestmark = [pytest.mark.prefect, pytest.mark.restic, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def deployed(prefect_stack: PrefectStack) -> PrefectStack:
    """The server with every deployment of ``prefect.yaml``, and nobody who runs them."""
    prefect_stack.deploy()
    return prefect_stack


@pytest.fixture(scope="module")
def worker(deployed: PrefectStack) -> PrefectStack:
    """The same with a process worker, which ends with the server.

    Nothing begins by its schedule: what does depends on the day and the hour at which the tests run.
    """
    for one in deployed.call("POST", "/deployments/filter", {"limit": 100}):
        if one["schedules"]:
            deployed.call("POST", f"/deployments/{one['id']}/pause_deployment", {})
    deployed.start_worker()
    return deployed


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port on which somebody accepts a connection and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_server_makes_runs_by_their_schedules(deployed: PrefectStack) -> None:
    """With SQLAlchemy 2.1 it does not, and nothing but its log says so: no night would be saved."""
    found = deployed.call("GET", "/deployments/name/run-open-maintenance/maintenance-north")
    wanted = {"flow_runs": {"deployment_id": {"any_": [found["id"]]}, "state": {"type": {"any_": ["SCHEDULED"]}}}}
    _wait_for(lambda: deployed.call("POST", "/flow_runs/filter", wanted), "a run to be scheduled; see the server's log")


def test_all_is_deployed_and_a_worker_saves_a_computer(worker: PrefectStack, school: LoopbackSite, home: Path) -> None:
    deployed = worker.call("POST", "/deployments/filter", {"limit": 100})
    assert {one["name"] for one in deployed} >= {
        "before-reimage",
        "restore-request",
        "nightly-north",
        "nightly-south",
        "look-at-plan",
        "maintenance-north",
    }
    for one in deployed:
        assert one["pull_steps"] in (None, []), one["name"]
        assert "path" not in one or one["path"] in (None, ".", ""), one["name"]
    state = worker.run_deployment("snapshot-now/before-reimage", {"host": "lab3-07", "reason": "before reimage"})
    assert (state["type"], state["name"]) == ("COMPLETED", "Completed"), state["message"]
    assert state["message"].startswith("lab3-07: saved, ")
    # What a form sends for fields that were left empty.
    state = worker.run_deployment(
        "restore-request/restore-request",
        {"computer": "lab3-07", "teacher": "", "name": "", "as_of": None, "step": "only show what would happen"},
    )
    assert state["type"] == "COMPLETED", state["message"]
    # What the schedule begins every ten minutes.
    state = worker.run_deployment("run-open-maintenance/maintenance-north", {"site": "north"})
    assert (state["name"], state["message"]) == ("Completed", "no maintenance of north is open")


def test_a_cancelled_run_gives_its_lock_back(
    worker: PrefectStack, school: LoopbackSite, home: Path, silent_port: int
) -> None:
    school.add_host("lab3-07", "a.ito", home, port=silent_port, transport="ssh")
    deployment = worker.call("GET", "/deployments/name/snapshot-now/before-reimage")
    run = worker.call("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": {"host": "lab3-07"}})
    _wait_for(lambda: school.restic("list", "locks").stdout, "the run to lock the repository")
    cancelling: dict[str, Any] = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    worker.call("POST", f"/flow_runs/{run['id']}/set_state", cancelling)
    _wait_for(
        lambda: worker.call("GET", f"/flow_runs/{run['id']}")["state"]["type"] == "CANCELLED", "the run to be cancelled"
    )
    assert school.restic("list", "locks").stdout == ""


def _wait_for(condition: Any, what: str, timeout: float = 120.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:.0f} s for {what}"
        time.sleep(0.2)
