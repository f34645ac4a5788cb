"""Bringing files back as a Prefect task. The steps are plain functions in ``verbs/restore.py``."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from configs.errors import FirstbellError
from tasks.reports.restore_page import Asked, plan_page, result_page
from tasks.restorer.items import RestorePlan
from tasks.restorer.request import Mode
from tasks.run_page import RunReporter, artifact_key, publish
from tasks.verbs import restore as verb
from tasks.verbs.context import Context
from tasks.verbs.deliver import deliver
from tasks.verbs.pending import Delivery
from tasks.verbs.restore import RestoreOrder, RestoreOutcome
from tasks.worker import describe, is_transient, load_context


@task(
    task_run_name="restore to {target}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[15, 60],
    # Trying again is safe: what stands on the computer already is not written again.
    retry_condition_fn=is_transient,
)
def restore_host(
    *,
    target: str,
    host: str | None,
    teacher: str | None,
    patterns: list[str],
    as_of: datetime | None,
    mode: Mode,
    only_plan: bool,
    to_host: str | None,
    replace_newer: list[str],
    request: str,
    asked: dict[str, str],
) -> RestoreOutcome | State[Any]:
    """Carry out one restore; its plan is on the run page before anything is written.

    ``target`` is what the run is called by, ``asked`` the request in words, for the pages.
    """
    order = RestoreOrder(
        host=host,
        teacher=teacher,
        what=tuple(patterns),
        as_of=as_of,
        mode=mode,
        to_host=to_host,
        overwrite_newer=tuple(replace_newer),
        request=request,
    )
    try:
        context = load_context()

        shown = False

        def show(plan: RestorePlan) -> bool:
            nonlocal shown
            shown = True
            _show_plan(context, plan, asked, only_shown=only_plan)
            return not only_plan

        with RunReporter(target, "Restore to") as report:
            outcome = verb.restore_host(
                context, order, report=report, confirm=show, prepare=lambda names: not only_plan
            )
        if outcome.plan is not None and not shown:
            # A plan that writes nothing is not asked about, but it says why.
            _show_plan(context, outcome.plan, asked, only_shown=only_plan)
        _show_result(context, outcome, asked)
    except FirstbellError as error:
        return Failed(message=describe(target, error), data=error)
    return outcome


@task(
    task_run_name="deliver waiting restores of {site}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=1,
    retry_delay_seconds=60,
    retry_condition_fn=is_transient,
)
def deliver_pending(site: str) -> list[Delivery] | State[Any]:
    """Carry out the restores that waited for a profile at a school; each has its page as if it had been asked for."""
    try:
        context = load_context()

        def show(order: RestoreOrder, outcome: RestoreOutcome) -> None:
            asked = {
                "what": ", ".join(order.what) or "everything that was saved",
                "whose": order.teacher or "everybody on that computer",
                "target": outcome.host,
                "where": "into a dated folder" if order.mode == "stage" else "back to where they were",
            }
            _show_result(context, outcome, asked)

        with RunReporter(site, "Waiting restores of") as report:
            return list(deliver(context, site, report=report, show=show))
    except FirstbellError as error:
        return Failed(message=describe(site, error), data=error)


@task(
    task_run_name="undo on {host}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[15, 60],
    retry_condition_fn=is_transient,
)
def undo_restore(host: str, undo_id: str) -> RestoreOutcome | State[Any]:
    """Take one restore back."""
    asked = {"what": "everything that the restore wrote", "whose": "as restored", "target": host, "where": "in place"}
    try:
        context = load_context()

        def show(plan: RestorePlan) -> bool:
            _show_plan(context, plan, asked, only_shown=False)
            return True

        with RunReporter(host, "Undo on") as report:
            outcome = verb.undo_restore(context, host, undo_id, report=report, confirm=show)
        _show_result(context, outcome, asked)
    except FirstbellError as error:
        return Failed(message=describe(host, error), data=error)
    return outcome


def _show_plan(context: Context, plan: RestorePlan, asked: dict[str, str], *, only_shown: bool) -> None:
    zone = _zone(context, plan.snapshot.hostname)
    page = plan_page(plan, Asked(**asked), zone, only_shown=only_shown)
    publish(artifact_key("plan", asked["target"]), page, f"What the restore to {asked['target']} does")


def _show_result(context: Context, outcome: RestoreOutcome, asked: dict[str, str]) -> None:
    if outcome.result is None:
        return
    zone = _zone(context, outcome.host)
    page = result_page(outcome.result, Asked(**asked), zone, undo_id=outcome.undo_id, settings=outcome.settings)
    publish(artifact_key("restore", outcome.host), page, f"What was restored to {outcome.host}")


def _zone(context: Context, host: str) -> ZoneInfo:
    """Return the time zone of a computer's school; of a computer that is gone from the inventory, UTC."""
    found = context.inventory.hosts.get(host)
    return ZoneInfo(context.config.site(found.site).time_zone if found else "UTC")
