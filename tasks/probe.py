"""Looking at one computer as a Prefect task: can it be saved? The steps are in ``verbs/doctor.py``."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.verbs.doctor import Check, examine
from tasks.worker import load_context


@task(task_run_name="look at {host}", cache_policy=NO_CACHE, persist_result=False)
def probe_host(host: str) -> list[Check]:
    """Return what was tried on a computer and how it went; what is wrong is an answer, not an error."""
    return list(examine(load_context(), host))
