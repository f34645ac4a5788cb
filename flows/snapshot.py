"""Save the computers of a school, or one computer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from configs.errors import FirstbellError, InventoryError
from configs.model import RepositoryPlace
from flows.events import SNAPSHOT_COMPLETED, emit_host_event
from flows.forms import HOST, REASON, SITE, SITE_HOSTS, SITE_REASON, OptionalTexts, SiteReason, SnapshotReason
from flows.outcome import failed, site_state
from inventory.select import select
from tasks import snapshot as tasks_snapshot
from tasks.reports.markdown import site_page
from tasks.reports.model import HostReport, SiteReport
from tasks.run_page import artifact_key, publish
from tasks.verbs.context import Context
from tasks.verbs.reporting import failed_report
from tasks.verbs.site_repository import open_repository, repository_place
from tasks.worker import load_context

#: States of a snapshot in which nothing is missing that nobody answers for.
_SAVED: Final = ("complete", "complete-with-acknowledged-skips")


def _site_run_name() -> str:
    """Return ``nightly-north``, or ``north before reimage``: a name that people recognise in the list of runs."""
    parameters = flow_run.parameters
    reason, site = str(parameters["reason"]), parameters["site"]
    return f"nightly-{site}" if reason == SiteReason.NIGHTLY else f"{site} {reason}"


@flow(name="snapshot-site", flow_run_name=_site_run_name, persist_result=False)
def snapshot_site(site: str = SITE, hosts: OptionalTexts = SITE_HOSTS, reason: SiteReason = SITE_REASON) -> State[Any]:
    """Save the files of the teachers on all computers of a school.

    Each computer is saved by itself: one that is switched off does not stop the others. The page `snapshot-<school>`
    lists all of them, those that need somebody first.
    """
    try:
        context = load_context()
        names = [host.name for host in select(context.inventory, site=site, host=tuple(hosts or ()))]
        return site_state(run_hosts(context, site, names, str(reason), page=artifact_key("snapshot", site)))
    except FirstbellError as error:
        return failed(error)


@flow(name="snapshot-now", flow_run_name="{host} {reason}", persist_result=False)
def snapshot_host(host: str = HOST, reason: SnapshotReason = REASON) -> State[Any]:
    """Save the files of the teachers on one computer, now.

    The run shows how far it is, a page for each teacher, and at the end whether everything is saved.
    """
    try:
        context = load_context()
        found = context.host(host)
        report = run_hosts(context, found.site, [found.name], str(reason), page=artifact_key("snapshot", found.name))
        return site_state(report)
    except FirstbellError as error:
        return failed(error)


def run_hosts(context: Context, site: str, names: Sequence[str], reason: str, *, page: str) -> SiteReport:
    """Snapshot hosts of one site, put the result on the run page, and return it.

    Hosts of one repository share it: it is opened once, its lock is held once, and its index is loaded once.
    """
    if not names:
        raise InventoryError(f"the school '{site}' has no computer in the inventory")
    started, began = datetime.now(UTC), time.monotonic()
    by_repository: dict[RepositoryPlace, list[str]] = {}
    for name in names:
        by_repository.setdefault(repository_place(context, site, host=name), []).append(name)
    reports: list[HostReport] = []
    for group in by_repository.values():
        reports += _snapshot_group(context, site, group, reason)
    report = SiteReport(context.config.site(site).title or site, started, time.monotonic() - began, tuple(reports))
    for host in reports:
        if host.state in _SAVED:
            emit_host_event(SNAPSHOT_COMPLETED, site, host.host, text="Everything is saved.")
    zone = ZoneInfo(context.config.site(site).time_zone)
    publish(page, site_page(report, zone), report.headline)
    return report


def _snapshot_group(context: Context, site: str, names: Sequence[str], reason: str) -> Iterable[HostReport]:
    at_once = context.config.snapshot_for(site).hosts_at_once
    try:
        runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=min(at_once, len(names)))
        with (
            # Its own runner, so that the configuration sets the number of threads. It is left last: a cancelled run
            # gives the lock back first, and does not wait for hosts that sleep between two attempts.
            runner,
            open_repository(context, site, host=names[0]) as repository,
            tasks_snapshot.sharing(context, repository),
        ):
            runs: list[tuple[str, PrefectFuture[Any]]] = [
                (name, runner.submit(tasks_snapshot.snapshot_host, {"host": name, "reason": reason})) for name in names
            ]
            for _, run in runs:
                run.wait()
            return [tasks_snapshot.report_of(name, run.state) for name, run in runs]
    except FirstbellError as error:
        # The repository of these hosts could not be opened; hosts of another one are not affected.
        return [failed_report(name, error) for name in names]
