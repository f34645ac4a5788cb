"""Bring files back at somebody's request, and take that back."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from configs.errors import FirstbellError, InventoryError
from flows.events import RESTORE_COMPLETED, emit_host_event
from flows.forms import (
    RESTORE_AS_OF,
    RESTORE_COMPUTER,
    RESTORE_NAME,
    RESTORE_REPLACE,
    RESTORE_STEP,
    RESTORE_TEACHER,
    RESTORE_TICKET,
    RESTORE_TO,
    RESTORE_WHAT,
    RESTORE_WHERE,
    SITE,
    UNDO_HOST,
    UNDO_ID,
    OptionalDate,
    OptionalText,
    OptionalTexts,
    RestoreStep,
    RestoreWhat,
    RestoreWhere,
)
from flows.outcome import PARTLY_DONE, failed
from tasks import restore as tasks_restore
from tasks.reports.display import md
from tasks.reports.markdown import table
from tasks.reports.restore import held_back
from tasks.reports.restore_page import headline
from tasks.reports.settings import settings_headline
from tasks.reports.units import count_of, plain_size
from tasks.restorer.items import RestorePlan
from tasks.restorer.request import Mode
from tasks.run_page import artifact_key, publish
from tasks.verbs.context import Context
from tasks.verbs.orders import source_hosts
from tasks.verbs.pending import Delivery
from tasks.verbs.restore import RestoreOrder, RestoreOutcome
from tasks.worker import load_context


def _restore_run_name() -> str:
    """Return ``restore to lab3-08``, or the teacher's account when the request names no computer."""
    parameters = flow_run.parameters
    target = parameters.get("to_computer") or parameters.get("computer")
    verb = "plan a restore" if parameters.get("step") == RestoreStep.PLAN else "restore"
    return f"{verb} to {target}" if target else f"{verb} for {parameters.get('teacher')}"


@flow(name="restore-request", flow_run_name=_restore_run_name, persist_result=False)
def restore_host(
    computer: OptionalText = RESTORE_COMPUTER,
    teacher: OptionalText = RESTORE_TEACHER,
    what: RestoreWhat = RESTORE_WHAT,
    name: OptionalText = RESTORE_NAME,
    as_of: OptionalDate = RESTORE_AS_OF,
    where: RestoreWhere = RESTORE_WHERE,
    to_computer: OptionalText = RESTORE_TO,
    step: RestoreStep = RESTORE_STEP,
    replace_newer: OptionalTexts = RESTORE_REPLACE,
    ticket: OptionalText = RESTORE_TICKET,
) -> State[Any]:
    """Bring a teacher's files back, as they were saved.

    Name a computer or a teacher, and choose what shall come back and where to. Nothing that has been changed since is
    replaced unless you name it, the page of the run shows the plan before anything is written, and every restore can be
    undone.
    """
    try:
        context = load_context()
        computer, teacher, name, to_computer = (_text(value) for value in (computer, teacher, name, to_computer))
        names = source_hosts(context, RestoreOrder(host=computer, teacher=teacher))
        patterns = _patterns(what, name)
        target = to_computer or (names[0] if len(names) == 1 else teacher or "")
        state: State[Any] = tasks_restore.restore_host(
            target=target,
            host=computer,
            teacher=teacher,
            patterns=patterns,
            as_of=_end_of(as_of, context, names[0]) if as_of else None,
            mode=_mode(where),
            to_host=to_computer,
            replace_newer=[text for text in map(_text, replace_newer or ()) if text],
            request=_text(ticket) or "",
            only_plan=step == RestoreStep.PLAN,
            asked={
                "what": f"{what}: {name}" if name and patterns == [name] else str(what),
                "whose": teacher or "everybody on that computer",
                "target": target,
                "where": str(where),
            },
            return_state=True,
        )
    except FirstbellError as error:
        return failed(error)
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, RestoreOutcome) and outcome.result is not None and outcome.complete:
        text = "Everything that was asked for is there again."
        emit_host_event(RESTORE_COMPLETED, context.host(outcome.host).site, outcome.host, text=text)
    return _final(state)


@flow(name="undo-restore", flow_run_name="undo a restore on {host}", persist_result=False)
def undo_restore(host: str = UNDO_HOST, undo_id: str = UNDO_ID) -> State[Any]:
    """Take a restore back: what it replaced comes back, what it brought goes, unless somebody has changed it."""
    return _final(tasks_restore.undo_restore(host, undo_id.strip() or "latest", return_state=True))


@flow(name="deliver-pending", flow_run_name="deliver waiting restores of {site}", persist_result=False)
def deliver_pending(site: str = SITE) -> State[Any]:
    """Restore what waited until a teacher had a profile on a fresh Windows computer; what still has none waits on."""
    state: State[Any] = tasks_restore.deliver_pending(site, return_state=True)
    found = state.result(raise_on_failure=False)
    if isinstance(found, FirstbellError):
        return failed(found)
    if not isinstance(found, list):
        return Failed(message=state.message or f"{type(found).__name__}: look into the log of this run")
    if not found:
        return Completed(message=f"No restore waits at {site}")
    publish(artifact_key("pending", site), _pending_page(site, found), f"Restores that waited at {site}")
    done = [one for one in found if not one.waiting]
    message = f"{count_of(len(done), 'restore')} delivered, {len(found) - len(done):,} still waiting"
    troubled = [one for one in found if not (one.waiting or one.complete) or (one.error and not one.error.transient)]
    if not troubled:
        return Completed(message=message)
    return Completed(name=PARTLY_DONE, message=f"{message}. {troubled[0].host}: {troubled[0].message}")


def _pending_page(site: str, found: list[Delivery]) -> str:
    rows = [(md(one.host), md(one.teacher), "waits" if one.waiting else "delivered", md(one.message)) for one in found]
    head = f"## Restores that waited at {md(site)}"
    return "\n".join([head, "", *table(("Computer", "Account", "State", "What happened"), rows)]) + "\n"


def _text(value: str | None) -> str | None:
    """Return what somebody typed, or None for a field that was left empty."""
    return (value or "").strip() or None


def _patterns(what: RestoreWhat, name: str | None) -> list[str]:
    if what in (RestoreWhat.FOLDER, RestoreWhat.PATTERN):
        if name is None:
            raise InventoryError(
                f"the request says '{what}' and not which", hint="Fill in the field 'Folder or pattern'."
            )
        return [name]
    if name is not None:
        raise InventoryError(
            f"the request says '{what}' and also names a folder or pattern",
            hint=f"Choose '{RestoreWhat.FOLDER}' or '{RestoreWhat.PATTERN}', or leave 'Folder or pattern' empty.",
        )
    return ["{desktop}"] if what == RestoreWhat.DESKTOP else []


def _mode(where: RestoreWhere) -> Mode:
    return "stage" if where == RestoreWhere.STAGE else "apply"


def _end_of(day: date, context: Context, host: str) -> datetime:
    """Return the last moment of a day as it was at the computer's school."""
    zone = ZoneInfo(context.config.site(context.host(host).site).time_zone)
    return datetime.combine(day, time.max, tzinfo=zone)


def _final(state: State[Any]) -> State[Any]:
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, FirstbellError):
        return failed(outcome)
    if not isinstance(outcome, RestoreOutcome):
        return Failed(message=state.message or f"{type(outcome).__name__}: look into the log of this run")
    if outcome.result is not None:
        message = f"{outcome.host}: {headline(outcome.result)}"
        if outcome.absent:
            message += f". {outcome.message}"
        if outcome.undo_id:
            message += f". Undo number: {outcome.undo_id}"
    else:
        message = f"{outcome.host}: {_planned(outcome)}"
    if settings := settings_headline(outcome.settings):
        message += f". Settings: {settings}"
    if outcome.complete:
        return Completed(message=message)
    if outcome.result is not None and not outcome.result.verified:
        return Failed(message=message)
    return Completed(name=PARTLY_DONE, message=message)


def _planned(outcome: RestoreOutcome) -> str:
    plan: RestorePlan | None = outcome.plan
    if plan is None and outcome.absent:
        return outcome.message
    if plan is None:
        return f"{outcome.message}. To have it restored again, fill in another 'Ticket'."
    if not plan.writes:
        return outcome.message
    parts = [f"{count_of(plan.writes, 'item')} to write, {plain_size(plan.bytes)}"]
    parts += [f"{count:,} {action.replace('-', ' ')}" for action, count in held_back(plan)]
    return f"{', '.join(parts)}; {outcome.message}"
