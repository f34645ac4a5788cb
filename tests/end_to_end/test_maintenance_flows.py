"""Maintenance in Prefect, against a real server: plans are looked at, run, confirmed, stopped, and events are told."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.plan_site import PlanSite
from tests.support.prefect_records import artifacts_of, deliver, flow_run_of, task_runs_of
from tests.support.prefect_stack import PrefectStack

pytestmark = pytest.mark.prefect

WIPE = (
    "import pathlib, shutil, sys; [shutil.rmtree(one) for one in pathlib.Path(sys.argv[1]).iterdir() if one.is_dir()]"
)


@pytest.fixture
def site(prefect: PrefectStack, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> PlanSite:
    made = PlanSite(tmp_path, capsys)
    other = tmp_path / "homes" / "m.okafor"
    shutil.copytree(made.home, other)
    made.hosts["lab3-08"] |= {"teachers": ["m.okafor"], "homes": {"m.okafor": str(other)}}
    made.people["m.okafor"] = {"name": "Mary Okafor", "sites": ["north"]}
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "the password of the school")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("FIRSTBELL_CONFIG", str(tmp_path / "app.yaml"))
    monkeypatch.setenv("FIRSTBELL_INVENTORY", str(tmp_path / "inventory"))
    made.config["clearance"]["signing_key"] = f"file:{tmp_path}/clearance.key"
    made.config["approval"]["code_key"] = f"file:{tmp_path}/code.key"
    made.write_all()
    made.init("the password of the school")
    made.write_calendar()
    made.say("clearance", "keygen", str(tmp_path / "clearance.key"))
    made.say("codes", "keygen", str(tmp_path / "code.key"))
    return made


def run(flow: Any, **parameters: Any) -> Any:
    """Run a flow here and return the state it ends in."""
    return flow(**parameters, return_state=True)


def events_of(stack: PrefectStack, plan: str, since: datetime) -> list[str]:
    """Return what was told of a plan, the oldest first, once the server has taken it all."""
    deliver()
    deadline, found, before = time.monotonic() + 20, [], None
    while time.monotonic() < deadline:
        # Other tests talk to the same server, some of a plan of the same name.
        wanted = {"event": {"prefix": ["firstbell."]}, "occurred": {"since": since.isoformat()}}
        answer = stack.call("POST", "/events/filter", {"filter": wanted, "limit": 50})
        found = [one["event"] for one in reversed(answer["events"]) if one["payload"].get("plan") == plan]
        if found and found == before:
            break
        before = found
    return found


def test_a_plan_is_looked_at_and_a_form_writes_nothing(site: PlanSite) -> None:
    from flows.maintenance import draft_maintenance, plan_maintenance

    site.write_plan(at_once=1, action_minutes=5 * 60)
    state = run(plan_maintenance, plan="lab3")
    assert state.type.value == "FAILED"
    assert "no time is left for lab3-08" in state.message
    page = artifacts_of(state)["maintenance-plan-lab3"].data
    assert "### What to change first" in page
    assert flow_run_of(state).name == "look at lab3"

    there = sorted(site.folder.rglob("*.yaml"))
    window = {"start": "2099-11-27 17:00", "end": "2099-11-28 06:00"}
    state = run(draft_maintenance, name="summer", site="north", groups=["lab-3"], detail="Boot `it`.", **window)
    # Nobody has a calendar for that year.
    assert "The school calendar does not cover 2099-11-27 to 2099-11-28" in state.message
    page = artifacts_of(state)["maintenance-plan-summer"].data
    assert "    name: summer\n    kind: reimage\n" in page
    assert sorted(site.folder.rglob("*.yaml")) == there
    state = run(draft_maintenance, name="summer", site="north", groups=["lab-3"], start="tomorrow", end="")
    assert (state.type.value, "At 'window.start'" in state.message) == ("FAILED", True)


def test_one_teacher_agrees_and_one_refuses(prefect: PrefectStack, site: PlanSite) -> None:
    from flows.decision_forms import YourAnswer
    from flows.decisions import answer_maintenance
    from flows.maintenance import accept_host, open_plan, run_maintenance, run_open_maintenance

    begun = datetime.now(UTC)
    argv = [sys.executable, "-c", WIPE, str(site.home)]
    site.write_open_plan(action={"kind": "command", "argv": argv})
    before = {one.name: one.read_bytes() for one in (site.home / "Desktop").iterdir()}
    assert run(run_open_maintenance, site="north").message == "no maintenance of north is open"
    assert run(run_maintenance, plan="lab3").message.startswith("the maintenance 'lab3' was not opened")
    assert run(open_plan, plan="lab3").message == "lab3 is open: 2 computers wait"
    assert run(run_maintenance, plan="lab3").message == "2 computers wait"

    codes = {one["person"]: one["code"] for one in site.run("codes", "print", "--plan", "lab3")[1]}
    run(answer_maintenance, code=codes["a.ito"], answer=YourAnswer.YES)
    run(answer_maintenance, code=codes["m.okafor"], answer=YourAnswer.NO)
    state = run(run_open_maintenance, site="north")
    assert set(task_runs_of(state)) == {"maintain lab3-07", "maintain lab3-08"}
    # The walk ends when the computer was handed over; the next one looks whether it is back.
    state = run(run_maintenance, plan="lab3")
    assert (state.name, state.message) == ("Completed", "1 of 2 computers waits, 1 is done")
    page = artifacts_of(state)["maintenance-lab3"].data
    assert "**lab3-08**: Mary Okafor said no." in page
    assert "**lab3-07**: everything is back." in page
    assert {one.name: one.read_bytes() for one in (site.home / "Desktop").iterdir()} == before

    assert run(accept_host, plan="lab3", host="lab3-07", by="Aiko Ito").type.value == "COMPLETED"
    run(run_maintenance, plan="lab3")
    assert events_of(prefect, "lab3", begun) == [
        "firstbell.answer.given",
        "firstbell.answer.given",
        "firstbell.snapshot.completed",
        "firstbell.clearance.issued",
        "firstbell.host.returned",
        "firstbell.restore.completed",
    ]


def test_a_stopped_maintenance_touches_nothing_more(site: PlanSite) -> None:
    from flows.maintenance import cancel_maintenance, confirm_maintenance, open_plan, run_maintenance

    site.write_open_plan(approvals={"by": "none"})
    run(open_plan, plan="lab3")
    state = run(confirm_maintenance, plan="lab3", host="lab3-07", by="Jonas")
    assert (state.type.value, "nothing was begun on lab3-07" in state.message) == ("FAILED", True)
    state = run(cancel_maintenance, plan="lab3", by="Jonas", reason="the image is not ready")
    assert state.message.startswith("lab3 is stopped by Jonas.")
    assert run(run_maintenance, plan="lab3").message == "2 computers were left as they are"


def test_automations_are_made_once_and_brought_up_to_date(prefect: PrefectStack) -> None:
    from prefect.client.orchestration import get_client

    from flows.automations import go_on_after_answer, lost_runs, put

    with get_client(sync_client=True) as client:
        assert put(client, lost_runs())
        assert not put(client, lost_runs())
        (there,) = client.read_automations_by_name("firstbell: lost runs")
        assert {"prefect.flow-run.heartbeat", "prefect.flow-run.PartlyDone"} <= there.trigger.expect
        client.pause_automation(there.id)
        put(client, lost_runs())
        (there,) = client.read_automations_by_name("firstbell: lost runs")
        assert not there.enabled, "somebody switched it off"
    assert go_on_after_answer("north", there.id).actions[0].deployment_id == there.id
