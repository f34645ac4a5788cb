"""The weekly work on a school's repository, and a look at a computer that makes trouble."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from configs.errors import FirstbellError
from flows.forms import CHECK_DATA, FORGET_DRY_RUN, HOST, SITE
from flows.outcome import failed
from tasks import maintain as tasks_maintain
from tasks import probe as tasks_probe
from tasks.reports.display import md
from tasks.reports.maintain_page import Decided, check_page, forget_page
from tasks.reports.markdown import table
from tasks.reports.units import count_of
from tasks.run_page import artifact_key, publish
from tasks.verbs.doctor import Check
from tasks.verbs.maintain import CheckResult, ForgetResult, SweepResult
from tasks.worker import load_context


@flow(name="check-repository", flow_run_name="check {site}", persist_result=False)
def check_repository(site: str = SITE, read_data: bool = CHECK_DATA) -> State[Any]:
    """Check that everything a school has saved is there and can be read."""
    state: State[Any] = tasks_maintain.check_repository(site, read_data, return_state=True)
    result = state.result(raise_on_failure=False)
    if not isinstance(result, CheckResult):
        return _ended(state, result)
    page = check_page(site, sound=result.sound, read_data=read_data, messages=result.messages)
    summary = "The repository is sound" if result.sound else "The repository is DAMAGED"
    publish(artifact_key("check", site), page, summary)
    if result.sound:
        return Completed(message=summary)
    return Failed(message=f"The repository of {site} is damaged: do not reimage any computer of this school")


@flow(name="forget-and-prune", flow_run_name="forget {site}", persist_result=False)
def forget_and_prune(site: str = SITE, dry_run: bool = FORGET_DRY_RUN) -> State[Any]:
    """Let old snapshots of a school go, as its retention rules say, and free the space that only they needed."""
    state: State[Any] = tasks_maintain.forget_and_prune(site, dry_run, return_state=True)
    result = state.result(raise_on_failure=False)
    if not isinstance(result, ForgetResult):
        return _ended(state, result)
    zone = ZoneInfo(load_context().config.site(site).time_zone)
    decided = [Decided(one.snapshot.hostname, one.snapshot.time, one.keep, one.reasons) for one in result.decisions]
    gone = sum(not one.keep for one in decided)
    message = f"{count_of(gone, 'snapshot')} {'would go' if dry_run else 'went'}, {len(decided) - gone:,} kept"
    publish(artifact_key("forget", site), forget_page(site, decided, zone, dry_run=dry_run), message)
    return Completed(message=message)


@flow(name="sweep-spool", flow_run_name="sweep the spool of {site}", persist_result=False)
def sweep_spool(site: str = SITE) -> State[Any]:
    """Remove what runs that were cut off left in the place where Windows computers put their files for a moment."""
    state: State[Any] = tasks_maintain.sweep_spool(site, return_state=True)
    result = state.result(raise_on_failure=False)
    if not isinstance(result, SweepResult):
        return _ended(state, result)
    if result.location is None:
        return Completed(message=f"{site} has no spool")
    return Completed(message=f"{count_of(result.removed, 'leftover')} removed from the spool")


@flow(name="doctor", flow_run_name="look at {host}", persist_result=False)
def probe_host(host: str = HOST) -> State[Any]:
    """Try everything that saving a computer needs, one by one, and say what is wrong and how to mend it."""
    state: State[Any] = tasks_probe.probe_host(host, return_state=True)
    checks = state.result(raise_on_failure=False)
    if not isinstance(checks, list):
        return _ended(state, checks)
    publish(artifact_key("doctor", host), _doctor_page(host, checks), f"What was tried on {host}")
    bad = [check for check in checks if check.verdict == "fail"]
    if bad:
        return Failed(message=f"{host}: {bad[0].name}: {bad[0].detail}. {bad[0].cure}".rstrip())
    warned = sum(check.verdict == "warn" for check in checks)
    return Completed(message=f"{host} can be saved" + (f"; {count_of(warned, 'thing')} to look at" if warned else ""))


def _doctor_page(host: str, checks: list[Check]) -> str:
    words = {"ok": "fine", "warn": "**look**", "fail": "**WRONG**"}
    rows = [(md(one.name), words[one.verdict], md(one.detail), md(one.cure)) for one in checks]
    return "\n".join([f"## {md(host)}", "", *table(("What", "How it is", "What was found", "What to do"), rows)]) + "\n"


def _ended(state: State[Any], outcome: Any) -> State[Any]:
    """Return the state of a run whose one task failed."""
    if isinstance(outcome, FirstbellError):
        return failed(outcome)
    return Failed(message=state.message or f"{type(outcome).__name__}: look into the log of this run")
