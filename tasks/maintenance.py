"""One computer's way through a maintenance as a Prefect task. The steps are plain functions in ``verbs/``.

Nothing of where a computer stands is kept here: a run goes on from the records, as far as it can, and ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Failed

from configs.errors import FirstbellError
from configs.maintenance import MaintenancePlan
from tasks.events import Event
from tasks.run_page import RunReporter
from tasks.verbs.context import Context
from tasks.verbs.maintenance import HostStanding
from tasks.verbs.maintenance import advance_host as advance
from tasks.worker import describe


class Walk:
    """What the computers of one run have in common. It cannot be a task's argument: Prefect would try to hash it."""

    def __init__(
        self, context: Context, plan: MaintenancePlan, emit: Callable[[Event], None], *, withdrawn: bool = False
    ) -> None:
        self.context = context
        self.plan = plan
        self.withdrawn = withdrawn
        self.emit = emit
        self.stopped = threading.Event()


#: Prefect copies the context into the threads of its task runner, and so this gets there.
_WALK: Final[ContextVar[Walk | None]] = ContextVar("firstbell_walk", default=None)


@contextmanager
def walking(
    context: Context, plan: MaintenancePlan, emit: Callable[[Event], None], *, withdrawn: bool = False
) -> Iterator[None]:
    """Let all tasks that are submitted meanwhile walk this plan; ``emit`` is told what happens.

    When the run is stopped meanwhile, no computer goes on to be wiped.
    """
    walk = Walk(context, plan, emit, withdrawn=withdrawn)
    token = _WALK.set(walk)
    try:
        yield
    except BaseException:
        walk.stopped.set()
        context.links.cut()
        raise
    finally:
        _WALK.reset(token)


# No retries: the next run, ten minutes later, is one.
@task(task_run_name="maintain {host}", cache_policy=NO_CACHE, persist_result=False)
def advance_host(plan: str, host: str) -> HostStanding | State[Any]:
    """Take one computer as far as it can go now, and return where it stands."""
    walk = _WALK.get()
    if walk is None:
        raise RuntimeError("advance_host is submitted within walking(), by the flow that read the plan")
    try:
        with RunReporter(host, f"Maintenance '{plan}' of") as report:

            def tell(event: Event) -> None:
                report(event)
                walk.emit(event)

            return advance(walk.context, walk.plan, host, report=tell, withdrawn=walk.withdrawn)
    except FirstbellError as error:
        return Failed(message=describe(host, error), data=error)
