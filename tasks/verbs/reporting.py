"""From results to reports: which figures of a run a person sees."""

from __future__ import annotations

from datetime import datetime

from configs.errors import FirstbellError
from tasks.policy.snapshot_state import SnapshotState
from tasks.reports.model import FolderSaved, HostReport, State, TeacherPage, group_skips
from tasks.repository.ids import short
from tasks.verbs.snapshot import HostSnapshot, PersonResult


def host_report(run: HostSnapshot) -> HostReport:
    """Return the report of one host's snapshot, with a page for each person."""
    result = run.result
    rules = {rule.id: rule.reason for rule in run.rules}
    taken = result.snapshot.time if result.snapshot is not None else None
    snapshot = result.snapshot
    return HostReport(
        host=run.host,
        state=result.state.value,
        files=result.files,
        files_unchanged=result.files_unchanged,
        bytes=result.bytes,
        bytes_added=result.bytes_added,
        seconds=result.seconds,
        skips=group_skips(result.skips, rules),
        snapshot=short(snapshot.id) if snapshot is not None and snapshot.id is not None else "",
        notes=run.notes,
        teachers=tuple(_page(run, entry, rules, taken) for entry in run.people),
    )


def failed_report(host: str, error: FirstbellError, *, seconds: float = 0.0) -> HostReport:
    """Return the report of a host on which nothing could be saved."""
    return HostReport(host=host, state="failed", message=error.message, hint=error.hint, seconds=seconds)


def _page(run: HostSnapshot, entry: PersonResult, rules: dict[str, str], taken: datetime | None) -> TeacherPage:
    groups = group_skips(entry.skips, rules)
    unacknowledged = any(not group.acknowledged for group in groups)
    # A host is partial as soon as one of its people is; each page tells only of its own person. When no skip explains
    # it, a folder such as a Desktop gave nothing: then no page may say that there is nothing to do.
    unexplained = run.result.state is SnapshotState.PARTIAL and not any(
        not group.acknowledged for group in group_skips(run.result.skips, rules, keep=0)
    )
    state: State = (
        "partial" if unacknowledged or unexplained else "complete-with-acknowledged-skips" if groups else "complete"
    )
    return TeacherPage(
        host=run.host,
        name=entry.person.name,
        full_name=entry.person.full_name,
        home=entry.person.home,
        state=state if taken is not None else "failed",
        taken=taken,
        files=entry.files,
        bytes=entry.bytes,
        folders=tuple(FolderSaved(name, files, size) for name, (files, size) in sorted(entry.folders.items())),
        skips=groups,
    )
