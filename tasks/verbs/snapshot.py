"""Snapshot one host: connect, ask who is there, walk, store, and say what is and what is not saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from configs.model import RepositoryPlace
from inventory.model import Host
from tasks.archiver.archiver import Archiver, CapturePlan, SnapshotResult
from tasks.archiver.excludes import STANDING_RULES, default_rules, site_rules
from tasks.archiver.parent import select_parent
from tasks.archiver.source import Rule, Skipped, WalkRequest
from tasks.errors import FirstbellError, NobodyThere, TransportError
from tasks.events import Event, FileSaved, HostDone, HostFailed, HostStarted, Reporter, Warned, silent
from tasks.remote.filesystem import Facts, RemoteHost
from tasks.reports.units import size
from tasks.verbs.connection import connect, envelope_note, without_spool
from tasks.verbs.context import Context
from tasks.verbs.early_walk import EarlyWalk
from tasks.verbs.mac_host import veiled_folders
from tasks.verbs.people import Person, capture_roots, covered_people, people_asked
from tasks.verbs.settings_capture import LaterDocuments, begin_capture, capture_documents
from tasks.verbs.site_repository import OpenRepository, open_repository, repository_place
from tasks.verbs.windows_host import Spelling, folders_elsewhere, paths_of, with_onedrive

#: The document inside a snapshot that tells a restore who had which home on the host.
FACTS_DOCUMENT = "facts.json"


@dataclass(slots=True)
class PersonResult:
    """What a snapshot holds of one person; counts of files, sizes in bytes."""

    person: Person
    files: int = 0
    bytes: int = 0
    #: Of these, what was read in this run and not known from the parent snapshot.
    bytes_read: int = 0
    #: Known folder, in a person's words -> (files, bytes).
    folders: dict[str, tuple[int, int]] = field(default_factory=dict)
    skips: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """What became of a snapshot run on one host."""

    host: str
    reason: str
    result: SnapshotResult
    people: tuple[PersonResult, ...]
    #: Things a person should know that are no skip, such as a teacher without an account there.
    notes: tuple[str, ...]
    rules: tuple[Rule, ...]


def snapshot_host(
    context: Context,
    host_name: str,
    *,
    repository: OpenRepository | Future[OpenRepository] | None = None,
    reason: str = "nightly",
    report: Reporter = silent,
    now: datetime | None = None,
) -> HostSnapshot:
    """Snapshot the files of the people on one host, and return what is saved and what is not.

    ``repository`` is shared by the hosts of a site run, and may be on its way to be open; without one it is opened for
    this host alone. Raises a ``FirstbellError`` when no snapshot could be written.
    """
    host = context.host(host_name)
    if repository is not None:
        return _snapshot(context, host, repository, reason, report, now)
    with open_repository(context, host.site, host=host.name, wait=False) as opened:
        return _snapshot(context, host, opened, reason, report, now)


def snapshot_hosts(
    context: Context,
    names: Sequence[str],
    *,
    reason: str,
    report: Reporter = silent,
    done: Callable[[str, HostSnapshot | FirstbellError], None],
) -> None:
    """Snapshot several hosts, ``hosts_at_once`` of each site at a time; ``done`` is told of each as it ends.

    One host's failure is its own. A repository that cannot be opened fails the hosts that belong to it.
    """
    by_repository: dict[RepositoryPlace, list[str]] = {}
    for name in names:
        host = context.host(name)
        by_repository.setdefault(repository_place(context, host.site, host=name), []).append(name)
    for hosts in by_repository.values():
        try:
            _snapshot_together(context, hosts, reason, report, done)
        except FirstbellError as error:
            for name in hosts:
                report(HostFailed(name, error.message, error.hint))
                done(name, error)


def _snapshot_together(
    context: Context,
    names: Sequence[str],
    reason: str,
    report: Reporter,
    done: Callable[[str, HostSnapshot | FirstbellError], None],
) -> None:
    """Snapshot hosts that share a repository, which is opened while the first of them are being reached."""
    site = context.host(names[0]).site
    opening: Future[OpenRepository] = Future()
    with ExitStack() as held, ThreadPoolExecutor(context.config.snapshot_for(site).hosts_at_once) as pool:
        runs = {
            pool.submit(snapshot_host, context, name, repository=opening, reason=reason, report=report): name
            for name in names
        }
        try:
            opening.set_result(held.enter_context(open_repository(context, site, host=names[0], wait=False)))
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            opening.set_exception(error)
            raise
        try:
            for run in as_completed(runs):
                try:
                    done(runs[run], run.result())
                except FirstbellError as error:
                    report(HostFailed(runs[run], error.message, error.hint))
                    done(runs[run], error)
        except BaseException:
            # Ctrl-C must not wait for hours of work in other threads.
            pool.shutdown(wait=False, cancel_futures=True)
            context.links.cut()
            raise


def _snapshot(
    context: Context,
    host: Host,
    repository: OpenRepository | Future[OpenRepository],
    reason: str,
    report: Reporter,
    now: datetime | None,
) -> HostSnapshot:
    report(HostStarted(host.name, "snapshot"))
    notes: list[str] = []
    if without_spool(context, host):
        report(Warned(host.name, envelope_note()))
    try:
        run = _attempt(context, host, repository, reason, report, now, notes)
    except LinkCut as cut:
        # What was read is stored and found again by its content, so this costs little more than the rest would have.
        report(Warned(host.name, f"the link was cut ({cut.cause.message}); once more from the start"))
        notes.append("the link was cut once, and the run was begun anew")
        try:
            run = _attempt(context, host, repository, reason, report, now, notes)
        except LinkCut as again:
            raise again.cause from None
    return replace(run, notes=(*run.notes, *dict.fromkeys(notes)))


class LinkCut(Exception):
    """The link to a host was cut in the midst of its run, of a kind that may well be cut."""

    def __init__(self, cause: TransportError) -> None:
        super().__init__(cause.message)
        self.cause = cause


def _attempt(
    context: Context,
    host: Host,
    repository: OpenRepository | Future[OpenRepository],
    reason: str,
    report: Reporter,
    now: datetime | None,
    notes: list[str],
) -> HostSnapshot:
    begun, known = False, len(notes)
    try:
        with connect(context, host, notes=notes) as remote:
            begun = True
            run = _run(context, host, remote, repository, reason, report, now)
    except TransportError as error:
        # SSH tells in time when its link is gone, and its runs are repeated by whoever asked for them.
        if begun and error.transient and host.transport == "winrm":
            raise LinkCut(error) from error
        raise
    read = sum(person.bytes_read for person in run.people)
    if read and (without_spool(context, host) or len(notes) > known):
        seconds = max(run.result.seconds, 0.001)
        notes.append(f"{size(read)} came through WinRM itself, at {size(int(read / seconds))} a second")
    return run


def _run(
    context: Context,
    host: Host,
    remote: RemoteHost,
    repository: OpenRepository | Future[OpenRepository],
    reason: str,
    report: Reporter,
    now: datetime | None,
) -> HostSnapshot:
    started = time.monotonic()
    begin_capture(context, remote)
    facts = remote.facts(people_asked(host, remote.hello.platform))
    people, notes = covered_people(host, facts)
    include = host.folders(context.config.snapshot_for(host.site).include)
    roots = capture_roots(include, people)
    if facts.platform == "windows":
        people, roots, more = _as_on_disk(remote, include, people, roots, facts)
        notes += more
    if not roots:
        # A snapshot of nothing would look as if all was well, also to whoever wipes the computer next.
        raise NobodyThere(
            "; ".join(notes) or "nobody has files on this computer",
            hint="Check 'teachers' in the inventory. Right after a reimage it stays so until somebody signs in.",
            host=host.name,
        )
    rules = capture_rules(context, host, facts.platform, people)
    known = {FACTS_DOCUMENT: facts_document(facts, people)}
    # At the end: by then Windows has answered what it is slow at, and registry files are read from the shadow copy.
    documents = LaterDocuments(
        known,
        lambda: capture_documents(context, remote, facts, people, lambda: _repository_id(repository), notes, roots),
    )
    veiled = veiled_folders(remote, people, notes) if facts.platform == "darwin" else ()
    plan = CapturePlan(
        host=host.name,
        # The name in the inventory: it outlives a reimage, a renamed computer and a new operating system.
        hostname=host.name,
        roots=roots,
        rules=rules,
        tags=(f"reason:{reason.replace(' ', '-')}",),
        documents=documents,
        must_exist=tuple(person.desktop for person in people),
        veiled=veiled,
        shadow=facts.platform == "windows" and host.shadow_copy == "auto",
    )
    # Before the walk: a file that changes while or after it is listed must look newer than this snapshot.
    now = now or datetime.now(UTC)
    files = remote.source()
    source = EarlyWalk(files, WalkRequest(plan.roots, plan.rules, plan.only, plan.shadow))
    opened = _opened(repository)
    paths = tuple(root.decode("utf-8", "surrogateescape") for root in roots)
    parent = select_parent(opened.snapshots(), host.name, paths)
    tally = PersonTally(people, report)
    archiver = Archiver(opened.repository, source, tally)
    result = archiver.snapshot(plan, parent=parent, now=now)
    tally.take_skips(result.skips)
    notes += shadow_notes(plan, result, files.shadow_copies)
    notes += cloud_notes(result)
    report(HostDone(host.name, "snapshot", f"{result.state.value} in {time.monotonic() - started:.0f} s"))
    return HostSnapshot(
        host.name, reason, result, tuple(tally.people), (*notes, *remote.hello.limits), (*rules, *STANDING_RULES)
    )


def _opened(repository: OpenRepository | Future[OpenRepository]) -> OpenRepository:
    return repository.result() if isinstance(repository, Future) else repository


def _repository_id(repository: OpenRepository | Future[OpenRepository]) -> bytes:
    return bytes.fromhex(_opened(repository).repository.config.id)


def _as_on_disk(
    remote: RemoteHost, include: Sequence[str], people: Sequence[Person], roots: Sequence[bytes], facts: Facts
) -> tuple[list[Person], tuple[bytes, ...], list[str]]:
    """Return people and roots as a Windows disk spells them, with folders that were moved out of homes; and notes."""
    people = with_onedrive(people, facts.windows)
    moved, notes = folders_elsewhere(people) if "{home}" in include else ([], [])
    spelling = Spelling(remote.sink(), (*roots, *moved, *paths_of(people)))
    found = [spelling.of(root) for root in roots] + [spelling.of(path) for path in moved if spelling.exists(path)]
    texts = [path.decode("utf-8", "surrogateescape") for path in found]
    return [spelling.person(person) for person in people], capture_roots(texts, ()), notes


def cloud_notes(result: SnapshotResult) -> list[str]:
    """Return what a person should know about files of which only a placeholder is on the computer."""
    count = sum(skip.reason == "cloud-only" for skip in result.skips)
    if not count:
        return []
    files = "1 file is" if count == 1 else f"{count:,} files are"
    return [
        f"{files} only in the cloud (OneDrive) and not in this snapshot: see that OneDrive is in order before a wipe"
    ]


def shadow_notes(plan: CapturePlan, result: SnapshotResult, shadow_copies: Mapping[str, str]) -> list[str]:
    """Return what a person should know about files that were read while they may have been in use."""
    why = [f"{drive}: {outcome}" for drive, outcome in sorted(shadow_copies.items()) if outcome != "made"]
    if not result.files_live:
        return [f"no shadow copy of {one}" for one in why]
    one = result.files_live == 1
    files = "1 file was read as it is" if one else f"{result.files_live:,} files were read as they are"
    if not plan.shadow:
        return [f"{files}, without a shadow copy, as the inventory says"]
    text = f"{files}, without a shadow copy: what a program had not written by then is not saved"
    return [f"{text} ({'; '.join(why)})" if why else text]


def capture_rules(context: Context, host: Host, platform: str, people: Sequence[Person]) -> tuple[Rule, ...]:
    """Return the standing rules for a host: those of its platform, then the site's own and the host's."""
    settings = context.config.snapshot_for(host.site)
    standing = default_rules(platform, vm_limit=settings.virtual_machines_over) if settings.default_excludes else ()
    homes = tuple(person.home for person in people)
    rules = (*standing, *site_rules((*settings.exclude, *host.exclude), platform=platform, homes=homes))
    if settings.max_file_size is None:
        return rules
    limit = settings.max_file_size + 1
    return (*rules, Rule("max-file-size", "larger than the site allows", r"[\s\S]*", min_size=limit))


def facts_document(facts: Facts, people: list[Person]) -> bytes:
    """Return the document that says whose home was where; identical for identical facts, so that it deduplicates."""
    document = {
        "version": 1,
        "platform": facts.platform,
        "system": facts.system,
        "hostname": facts.hostname,
        "serial": facts.serial,
        "people": [
            {
                "name": person.name,
                "full_name": person.full_name,
                "home": _text(person.home),
                "folders": {name: _text(path) for name, path in sorted(person.folders.items())},
            }
            for person in people
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


class PersonTally:
    """Counts what is saved for each person, and passes the events on."""

    def __init__(self, people: list[Person], report: Reporter) -> None:
        self.people = [PersonResult(person) for person in people]
        self._homes = [(entry.person.home + b"/", entry, _shown_folders(entry.person)) for entry in self.people]
        self._report = report
        #: The folder of the last file, and where it counts: most files follow one of the same folder.
        self._folder = b""
        self._place: tuple[PersonResult, str] | None = None

    def __call__(self, event: Event) -> None:
        """Count one event, and pass it on."""
        if isinstance(event, FileSaved):
            folder = event.path[: event.path.rfind(b"/") + 1]
            if folder != self._folder:
                self._folder, self._place = folder, self._place_of(folder)
            if self._place is not None:
                entry, name = self._place
                entry.files += 1
                entry.bytes += event.size
                entry.bytes_read += 0 if event.unchanged else event.size
                files, size = entry.folders.get(name, (0, 0))
                entry.folders[name] = (files + 1, size + event.size)
        self._report(event)

    def _place_of(self, folder: bytes) -> tuple[PersonResult, str] | None:
        for home, entry, folders in self._homes:
            if folder.startswith(home):
                return entry, next((name for path, name in folders if folder.startswith(path)), "Everything else")
        return None

    def take_skips(self, skips: tuple[Skipped, ...]) -> None:
        """Give each person what was left out of their home."""
        for skip in skips:
            for home, entry, _ in self._homes:
                if (skip.path + b"/").startswith(home):
                    entry.skips.append(skip)
                    break


def _shown_folders(person: Person) -> list[tuple[bytes, str]]:
    folders = {"desktop": person.desktop, **person.folders}
    for name in ("documents", "pictures", "downloads"):
        folders.setdefault(name, person.home + b"/" + name.capitalize().encode())
    return [
        (path + b"/", name[:1].upper() + name[1:])
        for name, path in sorted(folders.items(), key=lambda item: -len(item[1]))
        if path.startswith(person.home + b"/")
    ]
