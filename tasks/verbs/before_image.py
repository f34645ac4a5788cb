"""What a restore keeps before it writes, and finds again: for an undo, and to go on after a cut."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.errors import RestoreRefused
from tasks.records.requests import REPEAT_AFTER, Claim
from tasks.remote.filesystem import RemoteHost
from tasks.repository.ids import short
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.items import RestorePlan
from tasks.restorer.undo import BEFORE_RESTORE, UNDO_DOCUMENT, needs_before_image, read_undo_document, undo_document
from tasks.restorer.undo_chain import read_chain
from tasks.verbs.site_repository import OpenRepository


class Begun:
    """An earlier part of the same restore, which was cut, or the one under way, which may be."""

    def __init__(self, repository: Repository, before: Snapshot) -> None:
        self._repository = repository
        self.before = before

    @cached_property
    def folders(self) -> frozenset[bytes]:
        """Folders that it was to make, with those of the parts before it; read when something must go on there."""
        document = read_undo_document(self._repository, self.before)
        chain = read_chain(self._repository, document, self.before)
        return frozenset(one.path for one in chain.written if one.type == "dir" and one.action == "create")

    @property
    def undo_id(self) -> str:
        """What undoes it."""
        return short(self.before.id or b"")


def begun_by(repository: Repository, before: Snapshot) -> Begun:
    """Return the part of a restore that has this before-image, with the parts before it."""
    return Begun(repository, before)


def find_begun(repository: Repository, host: str, claim: Claim, now: datetime) -> Begun | None:
    """Return the last part of the restore that a claim resumes, None when nothing can have been written yet."""
    if claim.resumes is None:
        return None
    for before in reversed(_images(repository.snapshots(), host)):
        if now - before.time > REPEAT_AFTER:
            return None
        document = read_undo_document(repository, before)
        if document.request == claim.digest and document.attempt >= claim.resumes:
            return begun_by(repository, before)
    return None


def keep_before_image(
    repository: Repository,
    remote: RemoteHost,
    host: str,
    plan: RestorePlan,
    claim: Claim,
    begun: Begun | None,
    now: datetime,
) -> Snapshot:
    """Save what the plan will change, and the note that an undo needs, before anything is written.

    ``begun`` is what the plan goes on with: one undo takes back both. Raises ``RestoreRefused`` when something that
    would be overwritten cannot be saved first.
    """
    earlier = (begun.before.id or b"").hex() if begun is not None else ""
    if begun is not None:
        # The latest undo is that of the last part.
        now = max(now, begun.before.time + timedelta(microseconds=1))
    document = undo_document(plan, host=host, request=claim.digest, attempt=claim.attempt, continues=earlier)
    capture = CapturePlan(
        host=host,
        hostname=host,
        roots=plan.roots,
        rules=(),
        only=needs_before_image(plan),
        tags=(BEFORE_RESTORE,),
        documents={UNDO_DOCUMENT: document.encode()},
    )
    saved = Archiver(repository, remote.source()).snapshot(capture, parent=None, now=now)
    if saved.skips or saved.snapshot is None:
        # Without their paths: this text gets into states and logs.
        many = "1 of the files" if len(saved.skips) == 1 else f"{len(saved.skips) or 'some'} of the files"
        why = ", ".join(sorted({skip.reason for skip in saved.skips}))
        raise RestoreRefused(
            f"{many} that would be replaced could not be saved first{f' ({why})' if why else ''}, so nothing was "
            "written",
            hint="Restore into a dated folder instead (--stage), or close what uses these files.",
            host=host,
        )
    return saved.snapshot


def find_before_image(opened: OpenRepository, host: str, undo_id: str) -> Snapshot:
    """Return the before-image with this undo number, or the ``latest`` of a host. Raises ``RestoreRefused``."""
    images = _images(opened.snapshots(), host)
    if not images:
        raise RestoreRefused(f"nothing was restored on {host}, so there is nothing to undo")
    if undo_id == "latest":
        return images[-1]
    found = [snapshot for snapshot in images if undo_id and (snapshot.id or b"").hex().startswith(undo_id.lower())]
    if len(found) != 1:
        known = ", ".join(f"{short(image.id or b'')} ({image.time:%Y-%m-%d %H:%M} UTC)" for image in images[-5:])
        raise RestoreRefused(f"no restore on {host} has the undo number {undo_id!r}", hint=f"The last ones: {known}.")
    return found[0]


def _images(snapshots: list[Snapshot], host: str) -> list[Snapshot]:
    return [one for one in snapshots if BEFORE_RESTORE in one.tags and one.hostname == host]
