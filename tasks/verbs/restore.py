"""Bring files back to a host, and take a restore back."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from inventory.model import Host
from tasks.archiver.manifest import read_manifest
from tasks.errors import NotFound, RestoreRefused, TransportError
from tasks.events import HostDone, HostStarted, Reporter, Warned, silent
from tasks.records.model import RequestState, RequestStatus
from tasks.records.requests import Claim, RestoreRequests
from tasks.records.store import RecordStore
from tasks.repository.chunker import MIN_SIZE
from tasks.repository.ids import short
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.hashes import HashesWhenAsked
from tasks.restorer.items import RestorePlan
from tasks.restorer.plan import RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.result import RestoreResult
from tasks.restorer.resumed import beyond, with_first_part
from tasks.restorer.undo import build_undo, read_undo_document
from tasks.settings.person import ConfirmSettings, PersonSettings, always_settings
from tasks.verbs.before_image import Begun, begun_by, find_before_image, find_begun, keep_before_image
from tasks.verbs.connection import connect, envelope_note, without_spool
from tasks.verbs.context import Context
from tasks.verbs.destination import (
    Absent,
    Pair,
    find_people,
    make_profiles,
    newer_paths,
    stage_folders,
    target_of,
)
from tasks.verbs.early_link import EarlyLink, early_link
from tasks.verbs.heap import keep_freed
from tasks.verbs.orders import RestoreOrder, SavedHost, choose_snapshot, saved_host, source_hosts, wanted, whom
from tasks.verbs.pending import put_off
from tasks.verbs.people import Person, covered_people, people_asked
from tasks.verbs.settings_before import has_settings
from tasks.verbs.settings_restore import SettingsRestore
from tasks.verbs.settings_undo import undo_settings
from tasks.verbs.site_repository import OpenRepository, open_repository

__all__ = ["RestoreOrder", "RestoreOutcome", "restore_host", "undo_restore"]

#: Asked before anything is written: it may show the plan, and False ends the run there.
Confirm = Callable[[RestorePlan], bool]


#: Pauses before a restore goes on that was cut, in seconds: a service that is restarted needs some.
_PAUSES: Final = (0.5, 10.0)

_Found = TypeVar("_Found")

#: Asked, with their names, before profiles are made for people or their restores put off; False leaves all as it is.
Prepare = Callable[[Sequence[str]], bool]


def always_prepare(names: Sequence[str]) -> bool:
    """Make the profiles: the order itself was the decision."""
    return True


def always(plan: RestorePlan) -> bool:
    """Apply the plan, whatever it says: the order itself was the decision."""
    return True


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What a restore or an undo did; ``result`` is None when nothing was written."""

    #: The computer that was written to, or would be.
    host: str
    plan: RestorePlan | None
    result: RestoreResult | None
    #: What ``undo_restore`` takes; empty when there is nothing to undo.
    undo_id: str = ""
    #: One sentence for a person.
    message: str = ""
    #: Who has no profile on the computer yet: their files wait for it.
    absent: tuple[str, ...] = ()
    #: Whose settings were put back, or would be.
    settings: tuple[PersonSettings, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything that was asked for stands on the host, or, not applied, would come to stand there."""
        if self.absent or not all(one.complete for one in self.settings):
            return False
        if self.result is not None:
            return self.result.complete and not self.result.kept_newer
        if self.plan is None:
            return True
        counts = self.plan.counts
        troubled = counts.get("conflict", 0) + counts.get("skip", 0) + counts.get("keep-newer", 0)
        return not (troubled or self.plan.unmatched)


def restore_host(
    context: Context,
    order: RestoreOrder,
    *,
    report: Reporter = silent,
    confirm: Confirm = always,
    prepare: Prepare = always_prepare,
    confirm_settings: ConfirmSettings = always_settings,
    now: datetime | None = None,
) -> RestoreOutcome:
    """Restore what the order says: plan, confirm, keep a before-image, apply, verify by hash on the host.

    What stands there already is not written again, so the same order twice restores once. For somebody without a
    profile on a Windows computer one is made where that is possible, or else the restore is put off, if ``prepare``
    agrees. Raises ``RestoreRefused`` for an order that is not clear, and a ``FirstbellError`` when host or repository
    cannot be used.
    """
    keep_freed()
    names = source_hosts(context, order)
    sites = {context.host(name).site for name in names}
    if len(sites) != 1:
        raise RestoreRefused(
            f"{order.teacher} has computers at several schools: {', '.join(sorted(names))}", hint="Name one computer."
        )
    site = sites.pop()
    certain = order.to_host or (names[0] if len(names) == 1 and order.snapshot == "latest" else None)
    notes: list[str] = []
    with (
        early_link(context, context.host(certain) if certain else None, notes) as link,
        # The before-image is written before anything else is: that waits for the second look at the locks.
        open_repository(context, site, host=names[0], wait=False) as opened,
    ):
        snapshot = choose_snapshot(opened.repository, opened.snapshots(), names, order)
        target = context.host(order.to_host or snapshot.hostname)
        report(HostStarted(target.name, "restore"))
        run = _Restore(context, order, opened, snapshot, target, link, report)
        outcome = run.run(confirm, prepare, confirm_settings, now or datetime.now(UTC))
        for note in dict.fromkeys(notes):
            report(Warned(target.name, note))
        return outcome


class _Restore:
    """One restore, with all that it needs open."""

    def __init__(
        self,
        context: Context,
        order: RestoreOrder,
        opened: OpenRepository,
        snapshot: Snapshot,
        target: Host,
        link: EarlyLink,
        report: Reporter,
    ) -> None:
        self.context = context
        self.order = order
        self.opened = opened
        self.snapshot = snapshot
        self.target = target
        self.link = link
        self.remote = link.to(target)
        self.report = report
        self.inline = without_spool(context, target)
        #: What a person should know of where things go.
        self.notes: list[str] = []
        self.zone = ZoneInfo(context.config.site(target.site).time_zone)
        #: What was written before the link was cut, now or in an earlier run; and the plan that was agreed to.
        self._begun: Begun | None = None
        self._agreed: RestorePlan | None = None

    def run(
        self, confirm: Confirm, prepare: Prepare, confirm_settings: ConfirmSettings, now: datetime
    ) -> RestoreOutcome:
        """Do it, for those who have a profile on the computer; the others wait."""
        saved = saved_host(self.opened.repository, self.snapshot)
        chosen = whom(self.order, saved, self.snapshot)
        pairs, absent = self._in_spite_of_cuts(lambda: find_people(self.order, self.target, self.remote, chosen, saved))
        told = ""
        if absent:
            pairs, absent, told = self._prepare(chosen, saved, pairs, absent, prepare)
        if absent and not pairs:
            return RestoreOutcome(self.target.name, None, None, message=told, absent=_names(absent))
        outcome = RestoreOutcome(self.target.name, None, None)
        if self.order.settings != "only":
            outcome = self._restore(self._request(saved, chosen, pairs), confirm, now)
        if self._with_settings(outcome):
            outcome = self._restore_settings(outcome, pairs, confirm_settings, now)
        if not absent:
            return outcome
        message = f"{outcome.message}; {told}" if outcome.message else told
        return replace(outcome, message=message, absent=_names(absent))

    def _prepare(
        self,
        chosen: Sequence[Person],
        saved: SavedHost,
        pairs: list[Pair],
        absent: list[Absent],
        prepare: Prepare,
    ) -> tuple[list[Pair], list[Absent], str]:
        """Make profiles for those who have none, and put off what must wait; return who is there then, who is not."""
        if self.order.mode == "plan" or not prepare(_names(absent)):
            return pairs, absent, f"{_listed(absent)} on {self.target.name}, so nothing can be planned for them"
        made = make_profiles(self.remote, absent)
        pairs, absent = find_people(self.order, self.target, self.remote, chosen, saved)
        for one in absent:
            put_off(
                self.opened.repository.backend,
                self.order,
                self.snapshot,
                self.target.name,
                one.person.name,
                one.name,
                self.report,
            )
        why = "; ".join(dict.fromkeys(made[one.name] for one in absent if made.get(one.name)))
        told = f"{_listed(absent)} on {self.target.name} yet; what is theirs is restored once they have one"
        return pairs, absent, f"{told} ({why})" if why else told

    def _with_settings(self, outcome: RestoreOutcome) -> bool:
        """Return whether settings come back, too: with all of somebody's files, to where they were."""
        if self.order.settings == "without" or self.order.mode == "stage" or self.order.into is not None:
            return False
        if self.order.settings == "only" or self.order.mode == "plan":
            return not self.order.what
        agreed = outcome.result is not None or (outcome.plan is not None and not outcome.plan.writes)
        return agreed and not self.order.what

    def _restore_settings(
        self, outcome: RestoreOutcome, pairs: Sequence[Pair], confirm: ConfirmSettings, now: datetime
    ) -> RestoreOutcome:
        """Put settings back, after the files: many of them have come back with these."""
        agreed: list[bool] = []

        def once() -> RestoreOutcome:
            repository = self.opened.repository
            work = SettingsRestore(self.context, repository, self.snapshot, self.remote, self.target.name)
            planned = work.plan(pairs, replace_items=self.order.replace_settings)
            changing = any(one.plan is not None and one.plan.changes() for one in planned)
            if self.order.mode == "plan" or not changing or not (agreed or confirm(planned)):
                return replace(outcome, settings=tuple(planned))
            agreed.append(True)
            begun = self._begun.before if self._begun is not None else None
            done, before = work.apply(planned, pairs, begun, now)
            undo_id = short(before.id or b"") if before is not None else outcome.undo_id
            return replace(outcome, settings=tuple(done), undo_id=undo_id)

        try:
            return self._in_spite_of_cuts(once)
        except (TransportError, RestoreRefused) as error:
            # The files are back, and what is told of them must not be lost.
            if self.order.settings == "only":
                raise
            told = tuple(PersonSettings(new.name, problem=error.message) for _, new in pairs)
            return replace(outcome, settings=told)

    def _in_spite_of_cuts(self, work: Callable[[], _Found]) -> _Found:
        """Do it, and do it again over a new link when a link was cut of a kind that may well be cut."""
        for number, pause in enumerate((*_PAUSES, None)):
            try:
                if number:
                    self.remote = self.link.again(self.target)
                return work()
            except TransportError as error:
                # SSH tells in time when its link is gone, and its runs are repeated by whoever asked for them.
                if pause is None or not error.transient or self.target.transport != "winrm":
                    raise
                self.report(Warned(self.target.name, f"the link was cut ({error.message}); going on where it was"))
                time.sleep(pause)
        raise AssertionError("unreachable")

    def _restore(self, request: RestoreRequest, confirm: Confirm, now: datetime) -> RestoreOutcome:
        if self.order.mode == "plan":
            plan = self._in_spite_of_cuts(lambda: self._planned(request, now))
            return RestoreOutcome(self.target.name, plan, None, message="only shown, nothing was written")
        claim = self._claim(request)
        if isinstance(claim, RequestStatus):
            return RestoreOutcome(self.target.name, None, None, message=_done_already(claim, self.zone))
        with claim:
            # Planned while nobody else carries out the same order: what it did shows in the plan.
            self._begun = find_begun(self.opened.repository, self.target.name, claim, now)
            return self._in_spite_of_cuts(lambda: self._carry_out(request, claim, confirm, now))

    def _planned(self, request: RestoreRequest, now: datetime) -> RestorePlan:
        if self._begun is not None:
            # What the first part has written is as little proven as what it has not.
            request = replace(request, check_content=True, stage_begun=self._begun.folders)
        local = now.astimezone(self.zone)
        known = HashesWhenAsked(self._known_hashes)
        plan = build_plan(self.opened.repository, self.remote.sink(), request, now=local, known_hashes=known)
        slow = [envelope_note(plan.bytes)] if plan.bytes and self.inline else []
        return replace(plan, notes=(*plan.notes, *self.notes, *slow)) if self.notes or slow else plan

    def _carry_out(self, request: RestoreRequest, claim: Claim, confirm: Confirm, now: datetime) -> RestoreOutcome:
        repository, name = self.opened.repository, self.target.name
        plan, first = self._planned(request, now), self._agreed
        if not plan.writes and first is None:
            claim.done(plan.summary())
            undo_id = self._begun.undo_id if self._begun is not None else ""
            return RestoreOutcome(name, plan, None, undo_id=undo_id, message=_nothing_to_write(plan))
        if first is None or beyond(plan, first):
            if not confirm(plan):
                claim.failed("not confirmed")
                return RestoreOutcome(name, plan, None, message="nothing was written")
            self._agreed = first = first or plan
        with closing(Restorer(repository, self.remote.sink(), self.report, host=name)) as restorer:
            if plan.writes:
                if not any(item.action == "overwrite" for item in plan.items):
                    # Nothing has to be read from the host, so there is time and memory.
                    restorer.begin(plan)
                before = keep_before_image(repository, self.remote, name, plan, claim, self._begun, now)
                self._begun = begun_by(repository, before)
            claim.check()
            result = restorer.apply(plan)
        if first is not plan:
            result = with_first_part(result, first)
        if result.complete:
            claim.done(result.summary())
        else:
            claim.failed("not everything came back")
        self.report(HostDone(name, "restore", f"{result.restored} restored"))
        return RestoreOutcome(name, plan, result, undo_id=self._begun.undo_id if self._begun is not None else "")

    def _claim(self, request: RestoreRequest) -> Claim | RequestStatus:
        """Return the right to carry the order out, or its status when it was done and must not be done twice.

        In place, what stands there already is not written again, so the order may always be repeated: files that were
        lost since come back. A second dated folder nobody wants.
        """
        wish = {"host": self.target.name, "request": self.order.request, "restore": request.canonical()}
        digest = hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()
        requests = RestoreRequests(RecordStore(self.opened.repository.backend, self.report))
        claim = requests.claim(digest, again=self.order.mode == "apply" or self.order.again)
        if isinstance(claim, RequestStatus) and claim.state is not RequestState.DONE:
            raise RestoreRefused(
                "the same restore is being carried out by another run right now",
                hint="Wait until that one has ended; if it was killed, try again in five minutes.",
                host=self.target.name,
            )
        return claim

    def _request(self, saved: SavedHost, chosen: Sequence[Person], pairs: Sequence[Pair]) -> RestoreRequest:
        order, onto = self.order, self.remote.hello.platform
        here = [old for old, _ in pairs]
        all_of_them = len(pairs) == len(chosen)
        target, self.notes = target_of(
            order, saved, self.snapshot, pairs, onto=onto, only_pairs=not all_of_them and order.into is None
        )
        everybody = not order.teacher and all_of_them
        return RestoreRequest(
            snapshot=self.snapshot,
            include=wanted(order, here, self.snapshot, everybody=everybody, windows=saved.windows),
            exclude=order.exclude,
            mode=order.mode if order.mode != "plan" else "apply",
            target=target,
            overwrite_newer=newer_paths(order, pairs, onto=onto),
            homes=tuple(person.home for person in saved.people),
            # Only root may give files away; asking anyhow would tell the same failure for each file, every time.
            set_owners=self.remote.hello.uid == 0,
            stage_in=stage_folders(pairs) if order.mode == "stage" else {},
            of=saved.platform,
            onto=onto,
        )

    def _known_hashes(self) -> Mapping[bytes, bytes]:
        """Return the content hashes of files of several blobs, from the manifest; the stock client makes none.

        Of a file in one blob the hash is known anyway, so those stay out of memory.
        """
        try:
            return {
                entry.path: entry.sha256
                for entry in read_manifest(self.opened.repository, self.snapshot)
                if entry.sha256 is not None and entry.size >= MIN_SIZE
            }
        except NotFound:
            return {}


def _names(absent: Sequence[Absent]) -> tuple[str, ...]:
    return tuple(one.name for one in absent)


def _listed(absent: Sequence[Absent]) -> str:
    return f"{', '.join(_names(absent))} {'has' if len(absent) == 1 else 'have'} no profile"


def _done_already(status: RequestStatus, zone: tzinfo) -> str:
    when = f" on {status.since.astimezone(zone):%Y-%m-%d at %H:%M}" if status.since else ""
    return f"the same was restored{when}, so it was not restored twice"


def _nothing_to_write(plan: RestorePlan) -> str:
    if plan.unmatched and not plan.items:
        return f"the snapshot {short(plan.snapshot.id or b'')} has nothing of what was asked for"
    return "nothing had to be written"


def undo_restore(
    context: Context,
    host_name: str,
    undo_id: str = "latest",
    *,
    report: Reporter = silent,
    confirm: Confirm = always,
) -> RestoreOutcome:
    """Take a restore back: put the before-image back, and remove what the restore brought and nobody changed since.

    ``undo_id`` is what the restore told, or ``latest`` for the last one on this host.
    """
    host = context.host(host_name)
    report(HostStarted(host.name, "undo"))
    with open_repository(context, host.site, host=host.name) as opened:
        before = find_before_image(opened, host.name, undo_id)
        with connect(context, host) as remote:
            repository, sink = opened.repository, remote.sink()
            plan = build_undo(repository, sink, read_undo_document(repository, before), before)
            people = covered_people(host, remote.facts(people_asked(host, remote.hello.platform)))[0]
            own = [person for person in people if has_settings(repository, before, person.name)]
            if not plan.writes and not own:
                return RestoreOutcome(host.name, plan, None, message="nothing had to be taken back")
            if own:
                names = ", ".join(person.name for person in own)
                plan = replace(plan, notes=(*plan.notes, f"the settings of {names} are taken back, too"))
            if not confirm(plan):
                return RestoreOutcome(host.name, plan, None, message="nothing was changed")
            # The settings came last, so they go first: their files are among those that come back.
            settings = tuple(undo_settings(context, repository, before, remote, own))
            result = Restorer(repository, sink, report, host=host.name).apply(plan)
            report(HostDone(host.name, "undo", f"{result.restored} put back, {result.removed} removed"))
            return RestoreOutcome(host.name, plan, result, settings=settings)
