"""Maintenance in the Prefect UI: look at a plan, open it, take it on, confirm, stop, accept.

A run walks every computer of a plan as far as it can go now, and ends: it waits for nobody. A schedule begins it again
every ten minutes. So there is nothing to lose when a worker is restarted, and nothing to resume.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from prefect import Flow, flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from configs.errors import ConfigError, FirstbellError
from configs.maintenance import MaintenancePlan
from configs.maintenance_file import plan_from, plan_text
from flows import maintenance_forms as forms
from flows.events import emit
from flows.forms import SITE, OptionalTexts
from flows.outcome import PARTLY_DONE, failed
from tasks import maintenance as tasks_maintenance
from tasks.policy.plan_preview import PlanPreview
from tasks.reports.plan_page import preview_page
from tasks.reports.standing_page import headline, standing_page, worst_first
from tasks.reports.units import count_of
from tasks.run_page import artifact_key, publish
from tasks.verbs.context import Context
from tasks.verbs.maintenance import (
    HostStanding,
    OpenedPlan,
    accept_return,
    cancel_plan,
    confirm_action,
    open_maintenance,
    opening_of,
    plans_to_walk,
    standing_of_plan,
)
from tasks.verbs.maintenance_plan import plan_of, zone_of
from tasks.verbs.maintenance_preview import preview_plan
from tasks.worker import load_context

#: How many computers a message names.
_NAMED = 3


def _stop_for_good(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Stop what a run was walking when somebody cancels it: they want no more wipes, also not ten minutes later."""
    log = flow_run_logger(flow_run, flow)
    try:
        context = load_context()
        if "plan" in flow_run.parameters:
            found = [plan_of(context, flow_run.parameters["plan"])]
        else:
            found = [one.plan for one in open_plans(context, flow_run.parameters["site"])]
        for plan in found:
            cancel_plan(context, plan, by="whoever cancelled its run", reason="its run was cancelled")
            log.warning("The maintenance '%s' is stopped: no computer is wiped any more.", plan.name)
    except FirstbellError as error:
        log.error("The maintenance is NOT stopped, only its run: %s %s", error, error.hint)  # noqa: TRY400


@flow(
    name="run-maintenance",
    flow_run_name="maintenance {plan}",
    persist_result=False,
    on_cancellation=[_stop_for_good],
)
def run_maintenance(plan: str = forms.PLAN) -> State[Any]:
    """Take every computer of a maintenance as far as it can go now.

    The page shows where each of them stands, and who must do what; those that need somebody come first. What has to be
    waited for, such as an answer or a computer that is not back yet, is looked at again by the next run.
    """
    try:
        context = load_context()
        found = plan_of(context, plan)
        return plan_state(found, walk_plan(context, found))
    except FirstbellError as error:
        return failed(error)


@flow(
    name="run-open-maintenance",
    flow_run_name="maintenance of {site}",
    persist_result=False,
    on_cancellation=[_stop_for_good],
)
def run_open_maintenance(site: str = SITE) -> State[Any]:
    """Take every maintenance of a school that was opened and is not over as far as it can go now."""
    try:
        context = load_context()
        opened = open_plans(context, site)
        found = [one.plan for one in opened]
        states = [plan_state(one.plan, walk_plan(context, one.plan, withdrawn=one.withdrawn)) for one in opened]
    except FirstbellError as error:
        return failed(error)
    if not states:
        return Completed(message=f"no maintenance of {site} is open")
    text = "; ".join(f"{plan.name}: {state.message}" for plan, state in zip(found, states, strict=True))
    if any(state.is_failed() for state in states):
        return Failed(message=text)
    return Completed(name=PARTLY_DONE if any(state.name == PARTLY_DONE for state in states) else None, message=text)


def open_plans(context: Context, site: str) -> tuple[OpenedPlan, ...]:
    """Return the maintenances of a school that were opened, and whose computers are not all at an end.

    Also one whose file is gone or was changed: its computers that were begun still have to come back.
    """
    return plans_to_walk(context, site)


def walk_plan(context: Context, plan: MaintenancePlan, *, withdrawn: bool = False) -> tuple[HostStanding, ...]:
    """Take the computers of a plan on, some at a time, put the result on the run page, and return where they stand."""
    opening = opening_of(context, plan.name, plan.site)
    if opening is None:
        raise ConfigError(f"the maintenance '{plan.name}' was not opened", hint="Run the deployment 'open-plan' first.")
    names = opening.hosts
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=min(plan.at_once, len(names)))
    with runner, tasks_maintenance.walking(context, plan, emit, withdrawn=withdrawn):
        runs = [runner.submit(tasks_maintenance.advance_host, {"plan": plan.name, "host": name}) for name in names]
        for run in runs:
            run.wait()
    standings = standing_of_plan(context, plan, withdrawn=withdrawn)
    publish_standing(context, plan, standings)
    return standings


def publish_standing(context: Context, plan: MaintenancePlan, standings: Sequence[HostStanding]) -> None:
    """Put where the computers stand on the run page."""
    page = standing_page(plan, standings, zone_of(context, plan.site), datetime.now(UTC))
    publish(artifact_key("maintenance", plan.name), page, headline(standings))


def plan_state(plan: MaintenancePlan, standings: Sequence[HostStanding]) -> State[Any]:
    """Return Completed, PartlyDone where somebody is needed, or Failed where all of them need somebody."""
    bad = [one for one in worst_first(standings) if one.state == "attention"]
    if not bad:
        return Completed(message=headline(standings))
    named = "; ".join(f"{one.host}: {one.text}" for one in bad[:_NAMED])
    if len(bad) > _NAMED:
        named += f"; and {len(bad) - _NAMED} more"
    if len(bad) == len(standings):
        return Failed(message=named)
    return Completed(name=PARTLY_DONE, message=f"{headline(standings)}. {named}")


@flow(name="plan-maintenance", flow_run_name="look at {plan}", persist_result=False)
def plan_maintenance(plan: str = forms.PLAN) -> State[Any]:
    """Show what a maintenance plan touches and how long it takes, before anything is done.

    Nobody is asked yet, and no computer is reached. The run fails when the plan must not begin as it is.
    """
    try:
        context = load_context()
        return _previewed(preview_plan(context, plan_of(context, plan)))
    except FirstbellError as error:
        return failed(error)


@flow(name="draft-maintenance", flow_run_name="draft {name}", persist_result=False)
def draft_maintenance(
    name: str = forms.DRAFT_NAME,
    title: str = forms.DRAFT_TITLE,
    site: str = forms.DRAFT_SITE,
    groups: OptionalTexts = forms.DRAFT_GROUPS,
    hosts: OptionalTexts = forms.DRAFT_HOSTS,
    leave_out: OptionalTexts = forms.DRAFT_LEAVE_OUT,
    start: str = forms.DRAFT_START,
    end: str = forms.DRAFT_END,
    deadline: str = forms.DRAFT_DEADLINE,
    kind: forms.PlanKind = forms.DRAFT_KIND,
    action: forms.PlanAction = forms.DRAFT_ACTION,
    detail: str = forms.DRAFT_DETAIL,
    agree: forms.WhoAgrees = forms.DRAFT_AGREE,
    people: OptionalTexts = forms.DRAFT_PEOPLE,
    max_hosts: int = forms.DRAFT_MAX,
    at_once: int = forms.DRAFT_AT_ONCE,
    action_minutes: int = forms.DRAFT_MINUTES,
) -> State[Any]:
    """Try out a maintenance plan: see what it would touch and how long it takes. Nothing is written.

    The page ends with the text of the plan. Whoever looks after the configuration puts it into a file: that lasts, and
    a form does not.
    """
    content: dict[str, Any] = {
        "name": name,
        "title": title,
        "kind": str(kind).partition(":")[0],
        "site": site,
        "hosts": {"groups": groups or [], "hosts": hosts or [], "leave_out": leave_out or []},
        "window": {"start": start, "end": end},
        "deadline": deadline or None,
        "action": _action(action, detail),
        "approvals": {"by": _BY[agree], "people": people or []},
        "max_hosts": max_hosts,
        "at_once": at_once,
        "action_minutes": action_minutes,
    }
    try:
        plan = plan_from(content, source="this plan", hint="Correct the form.")
        return _previewed(preview_plan(load_context(), plan), draft=plan_text(plan))
    except FirstbellError as error:
        return failed(error)


_BY = {forms.WhoAgrees.TEACHERS: "teachers", forms.WhoAgrees.PEOPLE: "people", forms.WhoAgrees.NONE: "none"}


def _action(action: forms.PlanAction, detail: str) -> dict[str, Any]:
    match action:
        case forms.PlanAction.COMMAND:
            return {"kind": "command", "argv": [line.strip() for line in detail.splitlines() if line.strip()]}
        case forms.PlanAction.HTTP:
            return {"kind": "http", "url": detail.strip()}
        case forms.PlanAction.ANSIBLE:
            return {"kind": "ansible", "playbook": detail.strip()}
        case _:
            return {"kind": "manual", "instructions": detail}


def _previewed(found: PlanPreview, draft: str = "") -> State[Any]:
    page = preview_page(found, draft=draft)
    if found.refused:
        more = f" And {count_of(len(found.refused) - 1, 'more thing')}." if len(found.refused) > 1 else ""
        message = f"This plan cannot begin as it is. {found.refused[0]}{more}"
    else:
        message = f"{count_of(len(found.hosts), 'computer')}, {count_of(len(found.teachers), 'teacher')}: can begin"
    publish(artifact_key("maintenance-plan", found.plan.name), page, message)
    return Failed(message=message) if found.refused else Completed(message=message)


@flow(name="open-maintenance", flow_run_name="open {plan}", persist_result=False)
def open_plan(plan: str = forms.PLAN) -> State[Any]:
    """Open a maintenance: everybody who must agree is told and asked. Nothing is wiped yet.

    From now on the plan must not be changed: people agreed to what stood in it.
    """
    try:
        context = load_context()
        found = plan_of(context, plan)
        open_maintenance(context, found)
        standings = standing_of_plan(context, found)
        publish_standing(context, found, standings)
        return Completed(message=f"{plan} is open: {headline(standings)}")
    except FirstbellError as error:
        return failed(error)


@flow(name="confirm-maintenance", flow_run_name="{host} is set up", persist_result=False)
def confirm_maintenance(plan: str = forms.PLAN, host: str = forms.PLAN_HOST, by: str = forms.BY) -> State[Any]:
    """Say that a computer is set up anew, where firstbell cannot see it by itself. Its files are then brought back."""
    try:
        context = load_context()
        confirm_action(context, plan_of(context, plan), host, by=by)
        return Completed(message=f"{host}: {by} says that it is set up; its files come back once it answers")
    except FirstbellError as error:
        return failed(error)


@flow(name="cancel-maintenance", flow_run_name="stop {plan}", persist_result=False)
def cancel_maintenance(plan: str = forms.PLAN, by: str = forms.BY, reason: str = forms.CANCEL_REASON) -> State[Any]:
    """Stop a maintenance for good: no computer is wiped any more. What was wiped already still gets its files back."""
    try:
        context = load_context()
        found = plan_of(context, plan)
        cancel_plan(context, found, by=by, reason=reason)
        standings = standing_of_plan(context, found)
        publish_standing(context, found, standings)
        return Completed(message=f"{plan} is stopped by {by}. {headline(standings)}")
    except FirstbellError as error:
        return failed(error)


@flow(name="accept-return", flow_run_name="accept {host}", persist_result=False)
def accept_host(plan: str = forms.PLAN, host: str = forms.PLAN_HOST, by: str = forms.BY) -> State[Any]:
    """Say that everything on a computer is there again. Its snapshot may then go when its time comes."""
    try:
        context = load_context()
        accept_return(context, plan_of(context, plan), host, by=by)
        return Completed(message=f"{host}: accepted by {by}")
    except FirstbellError as error:
        return failed(error)
