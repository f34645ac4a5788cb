"""A whole maintenance in Prefect, over SSH: the right computers, and runs that are cancelled or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tasks.verbs.decisions import decide, invite
from tests.support.classroom import Classroom, wait_for_key
from tests.support.prefect_records import artifacts_of
from tests.support.prefect_stack import PrefectStack
from tests.support.room_site import TEACHERS, Room, fill

pytestmark = [pytest.mark.prefect, pytest.mark.ssh, pytest.mark.namespaces]

GOOD = ("lab3-01", "lab3-03")


@pytest.fixture
def room(prefect: PrefectStack, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FIRSTBELL_CONFIG", str(tmp_path / "school" / "app.yaml"))
    monkeypatch.setenv("FIRSTBELL_INVENTORY", str(tmp_path / "school" / "inventory"))
    with Classroom(tmp_path / "room", TEACHERS) as classroom:
        fill(classroom)
        made = Room(tmp_path / "school", capsys, classroom)
        made.init("secret enough")
        yield made


def run(flow: Any, **parameters: Any) -> Any:
    """Run a flow here and return the state it ends in."""
    return flow(**parameters, return_state=True)


def test_exactly_those_are_wiped_that_may_be_and_everything_comes_back(room: Room) -> None:
    from flows.alerts import show_readiness
    from flows.maintenance import open_plan, run_maintenance, run_open_maintenance

    before = {name: room.files(name) for name in TEACHERS}
    keys = {name: room.classroom[name].fingerprint for name in TEACHERS}
    assert run(open_plan, plan="lab3").message == "lab3 is open: 5 computers wait"
    assert run(run_open_maintenance, site="north").message == "lab3: 5 computers wait"
    codes = {one.person: one.code for one in invite(room.context(), room.plan, list(TEACHERS))}
    for name, teacher in TEACHERS.items():
        decide(room.context(), code=codes[teacher], decision="refuse" if name == "lab3-04" else "approve")
    room.classroom["lab3-03"].stop()
    run(run_maintenance, plan="lab3")
    for name in room.asked:
        wait_for_key(room.classroom[name])
    # Their sshd may have been away at that moment: the schedule begins it again.
    state = run(run_open_maintenance, site="north")
    assert state.name == "PartlyDone"
    assert "lab3: 1 of 5 computers needs somebody, 3 wait, 1 is done. lab3-05: " in state.message
    page = artifacts_of(state)["maintenance-lab3"].data
    assert "**lab3-04**: S.Roy said no." in page
    assert "**lab3-01**: everything is back." in page
    assert sorted(room.asked) == ["lab3-01", "lab3-05"]
    assert {name for name in TEACHERS if room.classroom[name].fingerprint != keys[name]} == {"lab3-01", "lab3-05"}
    # The stranger got nothing; the others are as they were.
    assert {name: room.files(name) for name in TEACHERS} == {**before, "lab3-05": {}}
    state = run(show_readiness, site="north")
    assert (state.name, "1 needs attention" in state.message) == ("PartlyDone", True)
    # The right computer is found, and the one that was off is switched on: all goes on by itself.
    room.classroom["lab3-05"].serial = "SN-LAB3-05"
    room.classroom["lab3-03"].start()
    run(run_open_maintenance, site="north")
    wait_for_key(room.classroom["lab3-03"])
    state = run(run_open_maintenance, site="north")
    assert (state.name, state.message) == ("Completed", "lab3: 2 of 5 computers wait, 3 are done")
    assert {name: room.files(name) for name in TEACHERS} == before
    assert sorted(room.asked) == ["lab3-01", "lab3-03", "lab3-05"]


def test_a_killed_run_is_gone_on_with_by_the_schedule(room: Room, prefect: PrefectStack) -> None:
    from flows.maintenance import open_plan, run_open_maintenance

    before, wait = prepared(room)
    run(open_plan, plan="lab3")
    program = "from flows.maintenance import run_maintenance; run_maintenance(plan='lab3')"
    with worker(room, prefect, "-c", program) as (process, log):
        wait_for(lambda: len(room.asked) == 1, "a wipe to begin", log)
        os.killpg(process.pid, signal.SIGKILL)
    (first,) = room.asked
    # Whether it is being wiped nobody knows: it is not begun again.
    run(run_open_maintenance, site="north")
    assert room.asked.count(first) == 1
    wait.unlink()
    wait_for(lambda: first in room.ended, "the imager to end")
    for _ in range(4):
        for name in room.asked:
            wait_for_key(room.classroom[name])
        state = run(run_open_maintenance, site="north")
        if state.message == "lab3: 2 computers are done":
            break
    assert state.message == "lab3: 2 computers are done"
    assert {name: room.files(name) for name in GOOD} == before
    assert sorted(room.asked) == sorted(GOOD)


def test_cancelling_a_run_stops_before_the_next_wipe(room: Room, prefect: PrefectStack) -> None:
    from flows.maintenance import open_plan, run_open_maintenance

    before, wait = prepared(room)
    run(open_plan, plan="lab3")
    number = flow_run(prefect)
    with worker(room, prefect, "-m", "prefect", "flow-run", "execute", number) as (process, log):
        wait_for(lambda: len(room.asked) == 1, "a wipe to begin", log)
        cancelling: dict[str, Any] = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        prefect.call("POST", f"/flow_runs/{number}/set_state", cancelling)
        process.wait(120)
    assert prefect.call("GET", f"/flow_runs/{number}")["state"]["type"] == "CANCELLED", log.read_text()
    assert "is stopped: no computer is wiped any more" in log.read_text()
    (first,) = room.asked
    wait.unlink()
    for _ in range(4):
        wait_for_key(room.classroom[first])
        run(run_open_maintenance, site="north")
    # What was begun comes back, and the other one was never begun.
    assert room.asked == [first]
    assert {name: room.files(name) for name in GOOD} == before


def prepared(room: Room) -> tuple[dict[str, dict[str, str]], Path]:
    """Make the plan one of two computers, one at a time; the first wipe waits for the returned file to be gone."""
    changes: dict[str, Any] = {"hosts": {"hosts": list(GOOD)}, "approvals": {"by": "none"}, "at_once": 1}
    room.write_maintenance(**{**changes, "action": room.plan.action.model_dump(mode="json")})
    wait = room.classroom.folder / "wait"
    wait.touch()
    return {name: room.files(name) for name in GOOD}, wait


@contextmanager
def worker(room: Room, prefect: PrefectStack, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run Python as a worker of this school would, with a log; whatever becomes of it, it is gone afterwards."""
    log = room.folder / "worker.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment(prefect), stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process, log
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment(prefect: PrefectStack) -> dict[str, str]:
    """Return the environment of a worker of this school."""
    own = {name: value for name, value in os.environ.items() if name.startswith(("FIRSTBELL_", "XDG_"))}
    return {**prefect.environment(), **own, "PYTHONPATH": str(Path(__file__).parents[2])}


def flow_run(prefect: PrefectStack) -> str:
    """Make a run of the flow, by a deployment of it, and return its number."""
    flow = prefect.call("POST", "/flows/", {"name": "run-maintenance"})
    about = {"flow_id": flow["id"], "name": "cancelled", "entrypoint": "flows.maintenance.run_maintenance"}
    deployment = prefect.call("POST", "/deployments/", about)
    made = prefect.call("POST", f"/deployments/{deployment['id']}/create_flow_run", {"parameters": {"plan": "lab3"}})
    return str(made["id"])


def wait_for(there: Callable[[], bool], what: str, log: Path | None = None) -> None:
    deadline = time.monotonic() + 150
    while not there():
        assert time.monotonic() < deadline, f"waited for {what}\n{log.read_text()[-3000:] if log else ''}"
        threading.Event().wait(0.05)
