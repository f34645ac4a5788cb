"""One computer's snapshot as a Prefect task. The steps are plain functions in ``verbs/snapshot.py``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from zoneinfo import ZoneInfo

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from configs.errors import FirstbellError
from tasks.errors import RepositoryError
from tasks.reports.markdown import teacher_page
from tasks.reports.model import HostReport
from tasks.run_page import RunReporter, artifact_key, publish
from tasks.verbs import snapshot as verb
from tasks.verbs.context import Context
from tasks.verbs.reporting import failed_report, host_report
from tasks.verbs.site_repository import OpenRepository
from tasks.worker import describe, is_transient


class Shared:
    """What the hosts of one site run have in common. It cannot be a task's argument: Prefect would try to hash it."""

    def __init__(self, context: Context, repository: OpenRepository) -> None:
        self.context = context
        self.repository = repository
        self._changed = threading.Condition()
        self._working = 0
        self._stopped = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count one host as being worked on. Raises ``RepositoryError`` when the run was stopped."""
        with self._changed:
            if self._stopped:
                # Between two attempts: the repository is closed, or about to be.
                raise RepositoryError("the run was stopped")
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    def stop(self, timeout: float) -> None:
        """Cut the links to all hosts, and wait at most ``timeout`` seconds until nobody works on one any more."""
        with self._changed:
            self._stopped = True
        self.context.links.cut()
        with self._changed:
            self._changed.wait_for(lambda: self._working == 0, timeout)


#: Prefect copies the context into the threads of its task runner, and so this gets there.
_SHARED: Final[ContextVar[Shared | None]] = ContextVar("firstbell_shared", default=None)
#: A cancelled run is killed 30 s after it was told to end; the lock must be given back before that.
_STOP_SECONDS: Final = 15.0


@contextmanager
def sharing(context: Context, repository: OpenRepository) -> Iterator[None]:
    """Let all tasks that are submitted meanwhile use this repository.

    When the run is stopped meanwhile, its hosts are stopped first, so that whoever gave the repository may close it and
    give its lock back: nothing is written without the lock.
    """
    shared = Shared(context, repository)
    token = _SHARED.set(shared)
    try:
        yield
    except BaseException:
        shared.stop(_STOP_SECONDS)
        raise
    finally:
        _SHARED.reset(token)


@task(
    task_run_name="snapshot {host}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[30, 120],
    retry_condition_fn=is_transient,
)
def snapshot_host(host: str, reason: str) -> HostReport | State[Any]:
    """Snapshot one computer, and put its progress and its teachers' pages on the run page.

    A failure is returned as a state whose message says which computer, what and why.
    """
    shared = _SHARED.get()
    if shared is None:
        raise RuntimeError("snapshot_host is submitted within sharing(), by the flow that opened the repository")
    context = shared.context
    try:
        with shared.working(), RunReporter(host, "Snapshot of") as report:
            run = verb.snapshot_host(context, host, repository=shared.repository, reason=reason, report=report)
    except FirstbellError as error:
        return Failed(message=describe(host, error), data=error)
    result = host_report(run)
    zone = ZoneInfo(context.config.site(context.host(host).site).time_zone)
    for page in result.teachers:
        publish(artifact_key("teacher", host, page.name), teacher_page(page, zone), f"For {page.title}, on {host}")
    return result


def report_of(host: str, state: State[Any]) -> HostReport:
    """Return the report of a host from the state in which its task ended."""
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, HostReport):
        return outcome
    if isinstance(outcome, FirstbellError):
        return failed_report(host, outcome)
    # Not ours: a defect, or the process was stopped. The run's log has the rest.
    message = f"{state.name}: {type(outcome).__name__}"
    return HostReport(host, "failed", message=message, hint="Look into the log of this run, and report the defect.")
