"""Snapshot the files of one host: walk, compare with the parent, read what changed, store, and last the snapshot file.

One thread walks and reads, and keeps the order; workers hash, compress, encrypt and store. ``listing`` decides for
each entry, ``fetcher`` asks for files, ``file_saver`` makes blobs of them, ``finisher`` puts nodes and manifest in
order, ``tree_builder`` makes trees. An exception anywhere ends the run without a snapshot; what was stored by then is
found again by its content in the next run.
"""

from __future__ import annotations

import os
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from tasks.archiver.blob_pool import BlobPool
from tasks.archiver.excludes import STANDING_RULES
from tasks.archiver.expected import missing_folders
from tasks.archiver.fetcher import Fetcher
from tasks.archiver.file_saver import FileSaver
from tasks.archiver.finisher import Finisher
from tasks.archiver.listing import Listing
from tasks.archiver.manifest import FOLDER, ManifestWriter
from tasks.archiver.own_folder import OwnFolder
from tasks.archiver.parent import snapshot_paths
from tasks.archiver.source import Rule, Skipped, Source, WalkRequest
from tasks.archiver.tally import Tally
from tasks.archiver.tree_builder import Folder, TreeBuilder
from tasks.events import Reporter, silent
from tasks.policy.snapshot_state import SnapshotState, derive
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot

#: The tag of every snapshot that firstbell made.
TAG: Final = "firstbell"
MAX_WORKERS: Final = 4
_DRAIN_EVERY: Final = 1024


@dataclass(frozen=True, slots=True)
class CapturePlan:
    """What to save of one host, and under which name."""

    host: str
    hostname: str
    #: Absolute paths, none inside another.
    roots: tuple[bytes, ...]
    rules: tuple[Rule, ...]
    #: Just these paths, for a before-image; ``rules`` are not looked at then.
    only: tuple[bytes, ...] | None = None
    #: Ask for a shadow copy of the disks.
    shadow: bool = False
    username: str = "firstbell"
    tags: tuple[str, ...] = ()
    #: Further files for ``/.firstbell/``, by name.
    documents: Mapping[str, bytes] = field(default_factory=dict)
    #: Folders such as a Desktop that, if they are there, must not come out with nothing.
    must_exist: tuple[bytes, ...] = ()
    #: Folders that the host may show empty although they are not: one that comes out with nothing is not believed.
    veiled: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """What a run stored. Sizes in bytes; ``bytes_added`` is what the repository grew by, compressed."""

    snapshot: Snapshot | None
    state: SnapshotState
    files: int
    files_unchanged: int
    bytes: int
    bytes_added: int
    skips: tuple[Skipped, ...]
    seconds: float
    #: Files that were read in use, and not from a shadow copy as others were or should have been.
    files_live: int = 0


class Archiver:
    """Snapshots one host into a repository whose index is loaded and that the caller has locked."""

    def __init__(
        self, repository: Repository, source: Source, report: Reporter = silent, *, workers: int | None = None
    ) -> None:
        self._repository = repository
        self._source = source
        self._report = report
        self._workers = workers or min(MAX_WORKERS, os.cpu_count() or 1)

    def snapshot(self, plan: CapturePlan, *, parent: Snapshot | None, now: datetime) -> SnapshotResult:
        """Save what the plan covers, and return what was saved and what was not.

        Files that are as in ``parent`` are taken over unread. Raises what the source or the repository raises; then
        there is no snapshot.
        """
        tally = Tally(plan.host, self._report)
        pool = BlobPool(self._repository, tally, workers=self._workers)
        try:
            snapshot, state = self._run(plan, parent, now, tally, pool)
        finally:
            pool.close()
        tally.progress(force=True)
        return SnapshotResult(
            snapshot=snapshot,
            state=state,
            files=tally.files_new + tally.files_changed + tally.files_unmodified,
            files_unchanged=tally.files_unmodified,
            bytes=tally.bytes_processed,
            bytes_added=tally.stored,
            skips=tuple(tally.skips),
            seconds=tally.seconds,
            files_live=tally.files_live,
        )

    def _run(
        self, plan: CapturePlan, parent: Snapshot | None, now: datetime, tally: Tally, pool: BlobPool
    ) -> tuple[Snapshot, SnapshotState]:
        repository = self._repository
        fetcher = Fetcher(self._source, repository, FileSaver(repository, pool, tally), tally)
        listing = Listing(repository, fetcher, tally, parent)
        trees = TreeBuilder(pool, tally, (*plan.must_exist, *plan.veiled))
        manifest = ManifestWriter(repository, pool)
        finisher = Finisher(listing, fetcher, trees, manifest, tally)

        walk = iter(self._source.entries(WalkRequest(plan.roots, plan.rules, plan.only, plan.shadow)))
        root: Folder | None = None
        while root is None or listing.events or not fetcher.idle:
            while root is None and fetcher.hungry:
                if listing.busy:
                    listing.go_on()
                elif (listed := next(walk, None)) is not None:
                    listing.take(listed)
                else:
                    root = listing.finish()
                if len(listing.events) >= _DRAIN_EVERY:
                    finisher.drain()
            fetcher.step()
            finisher.drain(wait=root is not None and fetcher.idle)
        own = OwnFolder(repository, pool, trees, listing.trees)
        insort(root.nodes, own.save(root.parent, plan.documents, manifest, now), key=lambda node: node.name)
        tree = trees.close(root)
        trees.wait()
        repository.flush()

        missing = missing_folders(plan.must_exist, trees.saved, tally.skips)
        if missing:
            # Without their paths, which name people's folders: a warning gets into logs.
            which = "a Desktop is" if len(missing) == 1 else f"{len(missing)} Desktops are"
            tally.warn(f"{which} not empty, and nothing in {'it' if len(missing) == 1 else 'them'} could be saved")
        hidden = tuple(path for path in plan.veiled if trees.saved.get(path) == 0 and path not in missing)
        if hidden:
            many = "1 folder looks" if len(hidden) == 1 else f"{len(hidden)} folders look"
            tally.warn(f"{many} empty, and the computer may be hiding what is in it")
            missing = (*missing, *hidden)
        covered = {rule.id for rule in plan.rules} | {rule.id for rule in STANDING_RULES}
        state = derive(tally.skips, covered, missing=missing)
        snapshot = Snapshot(
            time=now,
            tree=tree,
            # The stock client's forget keeps the newest of each host and paths: were these alike, what a restore kept
            # aside would take the place of the whole snapshot of that day.
            paths=snapshot_paths(plan.roots if plan.only is None else (*plan.roots, b"/" + FOLDER)),
            hostname=plan.hostname,
            username=plan.username,
            tags=(TAG, state.tag, *plan.tags),
            parent=parent.id if parent is not None else None,
            program_version=_program_version(),
            excludes=tuple(rule.id for rule in plan.rules),
            summary=tally.summary(now),
        )
        return repository.save_snapshot(snapshot), state


def _program_version() -> str:
    try:
        return f"firstbell {version('firstbell')}"
    except PackageNotFoundError:
        return "firstbell"
