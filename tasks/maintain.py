"""The weekly work on a school's repository as Prefect tasks. The steps are in ``verbs/maintain.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Failed

from configs.errors import FirstbellError
from tasks.reports.display import show_text
from tasks.verbs import maintain as verb
from tasks.worker import describe, is_transient, load_context


def _log() -> Callable[[str], None]:
    """Return what puts the lines of the stock client on the run page; it also sends empty ones."""
    log = get_run_logger()

    def line(text: str) -> None:
        if text.strip():
            log.info("%s", show_text(text.rstrip()))

    return line


@task(
    task_run_name="check {site}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[60, 600],
    retry_condition_fn=is_transient,
)
def check_repository(site: str, read_data: bool) -> verb.CheckResult | State[Any]:
    """Check a school's repositories by the stock restic client."""
    try:
        return verb.check_repository(load_context(), site, read_data=read_data, report=_log())
    except FirstbellError as error:
        return Failed(message=describe(site, error), data=error)


@task(
    task_run_name="sweep the spool of {site}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[60, 600],
    retry_condition_fn=is_transient,
)
def sweep_spool(site: str) -> verb.SweepResult | State[Any]:
    """Remove what runs that were cut off left in the spool of a school."""
    try:
        return verb.sweep_spool(load_context(), site)
    except FirstbellError as error:
        return Failed(message=describe(site, error), data=error)


@task(
    task_run_name="forget {site}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[60, 600],
    retry_condition_fn=is_transient,
)
def forget_and_prune(site: str, dry_run: bool) -> verb.ForgetResult | State[Any]:
    """Let old snapshots of a school go as its retention says, and the data that only they needed."""
    try:
        return verb.forget(load_context(), site, dry_run=dry_run, prune=True, report=_log())
    except FirstbellError as error:
        return Failed(message=describe(site, error), data=error)
