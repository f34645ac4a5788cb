"""What a snapshot holds of each person, and what came back of it: read from repository and computer as they are now.

Nothing of it is remembered from the run that made the snapshot or the restore: these pages can be made again at any
time, also by a worker that was not there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from inventory.model import Host
from tasks.archiver.excludes import STANDING_RULES
from tasks.archiver.manifest import PART, read_manifest
from tasks.entries import Skipped
from tasks.events import FileSaved, silent
from tasks.policy.snapshot_state import state_of
from tasks.reports.maintenance_model import CameBack, Missing, MissingKind
from tasks.reports.model import FolderSaved, State, TeacherPage, group_skips
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.compare import Action
from tasks.restorer.items import PlanItem, RestorePlan
from tasks.verbs.context import Context
from tasks.verbs.newest import newest_snapshot
from tasks.verbs.orders import RestoreOrder, saved_host
from tasks.verbs.restore import restore_host
from tasks.verbs.settings_told import settings_back, told_settings
from tasks.verbs.site_repository import OpenRepository, open_repository
from tasks.verbs.snapshot import PersonResult, PersonTally, capture_rules

#: What a restore that is planned once more would do with something, and what that means for its owner.
_MISSING: dict[Action, MissingKind] = {
    "create": "failed",
    "overwrite": "failed",
    "conflict": "conflict",
    "skip": "skipped",
    "keep-newer": "kept-newer",
    "metadata": "metadata",
}
_ORDER: tuple[MissingKind, ...] = ("failed", "conflict", "skipped", "kept-newer", "metadata")
_EXAMPLES = 20


def saved_pages(context: Context, host: Host, *, snapshot: str = "") -> tuple[TeacherPage, ...]:
    """Return what a snapshot (by its ID in hex; the newest of the host by default) holds of each person.

    Nobody where there is no snapshot, or one that firstbell did not make.
    """
    with open_repository(context, host.site, host=host.name, lock=False) as opened:
        found = (
            opened.repository.find_snapshot(snapshot) if snapshot else newest_snapshot(opened.snapshots(), host.name)
        )
        return () if found is None else _pages(context, host, opened, found)


def _pages(context: Context, host: Host, opened: OpenRepository, snapshot: Snapshot) -> tuple[TeacherPage, ...]:
    saved = saved_host(opened.repository, snapshot)
    if not saved.people:
        return ()
    rules = (*capture_rules(context, host, saved.platform, saved.people), *STANDING_RULES)
    why = {rule.id: rule.reason for rule in rules}
    tally, skips = PersonTally(list(saved.people), silent), []
    for entry in read_manifest(opened.repository, snapshot):
        if entry.status != "skipped" and entry.type == "file":
            tally(FileSaved(host.name, entry.path, entry.size, unchanged=True))
        if entry.status != "saved" and (entry.type != PART or entry.reason):
            skips.append(Skipped(entry.path, entry.reason, entry.rule))  # type: ignore[arg-type]
    tally.take_skips(tuple(skips))
    told = {one.name: told_settings(context, opened.repository, snapshot, saved.platform, one) for one in saved.people}
    unexplained = _is_partial(snapshot) and not any(not group.acknowledged for group in group_skips(skips, why, keep=0))
    return tuple(
        replace(_page(host, one, why, snapshot.time, unexplained=unexplained), settings=told.get(one.person.name, ()))
        for one in tally.people
    )


def _is_partial(snapshot: Snapshot) -> bool:
    state = state_of(snapshot.tags)
    return state is None or not state.usable


def _page(host: Host, one: PersonResult, why: dict[str, str], taken: datetime, *, unexplained: bool) -> TeacherPage:
    groups = group_skips(one.skips, why)
    is_open = unexplained or any(not group.acknowledged for group in groups)
    state: State = "partial" if is_open else "complete-with-acknowledged-skips" if groups else "complete"
    return TeacherPage(
        host=host.name,
        name=one.person.name,
        full_name=one.person.full_name,
        home=one.person.home,
        state=state,
        taken=taken,
        files=one.files,
        bytes=one.bytes,
        folders=tuple(FolderSaved(name, files, size) for name, (files, size) in sorted(one.folders.items())),
        skips=groups,
    )


def came_back(context: Context, host: Host, snapshot: str, account: str, now: datetime) -> CameBack:
    """Return what of a snapshot is on the computer again, for one person, by comparing the two.

    Raises a ``FirstbellError`` when the computer or the repository does not answer: then nobody is told anything yet.
    """
    order = RestoreOrder(host=host.name, teacher=account, snapshot=snapshot, mode="plan")
    outcome = restore_host(context, order, now=now)
    plan = outcome.plan
    if outcome.absent:
        return CameBack(host.name, "waits", plan.snapshot.time if plan is not None else None)
    if plan is None:
        return CameBack(host.name, "not", None)
    back = _compared(host, plan, _home(context, host, plan, account))
    return replace(back, settings=settings_back(outcome.settings))


def _home(context: Context, host: Host, plan: RestorePlan, account: str) -> bytes:
    with open_repository(context, host.site, host=host.name, lock=False) as opened:
        people = saved_host(opened.repository, plan.snapshot).people
    return next((one.home for one in people if one.name == account), people[0].home if len(people) == 1 else b"")


def _compared(host: Host, plan: RestorePlan, home: bytes) -> CameBack:
    # Folders count only where something else stands in their place: their dates change as soon as somebody works.
    items = [item for item in plan.items if item.node.type != "dir" or item.action in ("conflict", "skip")]
    there = [item for item in items if item.action in ("same", "metadata")]
    groups = [_missing(kind, [one for one in items if _MISSING.get(one.action) == kind]) for kind in _ORDER]
    missing = tuple(group for group in groups if group.count)
    lost = sum(group.count for group in missing if group.kind not in ("kept-newer", "metadata"))
    if lost and not there:
        return CameBack(host.name, "not", plan.snapshot.time, home=home, missing=missing)
    return CameBack(
        host=host.name,
        state="partly" if missing else "back",
        saved=plan.snapshot.time,
        restored=sum(item.node.type == "file" for item in there),
        size=sum(item.node.size or 0 for item in there if item.node.type == "file"),
        home=home,
        missing=missing,
    )


def _missing(kind: MissingKind, items: list[PlanItem]) -> Missing:
    return Missing(kind, len(items), tuple(item.path for item in items[:_EXAMPLES]))
