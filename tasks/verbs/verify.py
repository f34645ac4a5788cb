"""Prove the newest snapshot of a host, and write down what was found: bound to the snapshot's ID, dated, good or not.

First files are read back from the repository, then as many are compared with the host, by the host's own hashes. A host
that does not answer leaves the snapshot proven by reading back only, and that is what is written down.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from inventory.model import Host
from tasks.archiver.manifest import manifest_node, read_manifest
from tasks.errors import Damaged, NotFound, RestoreRefused, TransportError
from tasks.events import HostDone, HostStarted, Reporter, silent
from tasks.records.store import Clock, RecordStore, utc_now
from tasks.records.verification import Verification, add_verification
from tasks.remote.filesystem import Facts
from tasks.reports.units import count_of
from tasks.repository.chunker import MIN_SIZE
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.verify import AtLeast, Mismatch, Sample, VerifyResult, read_back, verify
from tasks.verbs.connection import connect
from tasks.verbs.context import Context
from tasks.verbs.newest import newest_snapshot
from tasks.verbs.orders import saved_host
from tasks.verbs.profiles import profiles_there, signed_in
from tasks.verbs.site_repository import open_repository

#: What is looked at of a snapshot when not everything is.
SAMPLE: Final = AtLeast(0.01, 20)

_NOT_COMPARED: Final = VerifyResult("spot", 0, 0, 0)
_Kind = Literal["missing", "changed", "different", "unreadable", "damaged"]
_KINDS: Final[tuple[tuple[_Kind, str], ...]] = (
    ("missing", "no longer on the computer"),
    ("changed", "changed on the computer since the snapshot"),
    ("different", "different on the computer, although of the same size and time"),
    ("unreadable", "not to be read on the computer"),
    ("damaged", "damaged in the repository"),
)


@dataclass(frozen=True, slots=True)
class HostVerification:
    """What a verification found; ``mismatches`` by path, for whoever asked, and not for the record."""

    verification: Verification
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def compared(self) -> bool:
        """Return whether the snapshot was compared with the host, and not only read back."""
        return self.verification.method != "read-back"


def verify_host(
    context: Context,
    host_name: str,
    *,
    everything: bool = False,
    report: Reporter = silent,
    clock: Clock = utc_now,
) -> HostVerification:
    """Verify the newest snapshot of a host, a sample or ``everything``, and record what was found.

    Raises a ``FirstbellError`` when the repository cannot be used or there is no snapshot: then nothing is recorded,
    and the gate holds for want of it.
    """
    host = context.host(host_name)
    report(HostStarted(host.name, "verify"))
    with open_repository(context, host.site, host=host.name, wait=False) as opened:
        snapshot = newest_snapshot(opened.snapshots(), host.name)
        if snapshot is None or snapshot.id is None:
            raise RestoreRefused(
                "there is no snapshot to verify", hint=f"Make one: firstbell snapshot {host.name}", host=host.name
            )
        found = _Proof(context, host, opened.repository, snapshot, "all" if everything else SAMPLE).run(clock())
        add_verification(RecordStore(opened.repository.backend, report, clock=clock), found.verification)
    report(HostDone(host.name, "verify", "good" if found.verification.good else "NOT good"))
    return found


class _Proof:
    """One verification, with all that it needs."""

    def __init__(
        self, context: Context, host: Host, repository: Repository, snapshot: Snapshot, sample: Sample
    ) -> None:
        self._context = context
        self._host = host
        self._repository = repository
        self._snapshot = snapshot
        self._sample = sample
        self._seed = secrets.randbits(32)
        self._known: dict[bytes, bytes] = {}
        self._manifest = ""
        self._skips = 0
        self._users: tuple[str, ...] = ()
        self._serial = ""

    def run(self, begun: datetime) -> HostVerification:
        """Do it, and return what was found."""
        try:
            self._read_own_documents()
            stored = read_back(
                self._repository, self._snapshot, self._sample, seed=self._seed, known_hashes=self._known
            )
        except (Damaged, NotFound) as error:
            nothing = VerifyResult("read-back", 0, 0, 0)
            return self._found(begun, nothing, problem=f"not to be read: {error.message}", good=False)
        if not stored.good:
            return self._found(begun, stored, problem=_in_words(stored.mismatches), good=False)
        try:
            with connect(self._context, self._host) as remote:
                facts = remote.facts(None)
                if self._serial and facts.serial and facts.serial != self._serial:
                    why = "another computer answers under this name: its serial number is not that of the snapshot"
                    return self._found(begun, stored, _NOT_COMPARED, facts, problem=why, good=False)
                compared = verify(
                    self._repository,
                    remote.sink(),
                    self._snapshot,
                    self._sample,
                    seed=self._seed,
                    known_hashes=self._known,
                )
        except TransportError as error:
            # No proof against it either: the host may just be off.
            return self._found(begun, stored, problem=f"not compared with the computer: {error.message}", good=True)
        return self._found(begun, stored, compared, facts, problem=_in_words(compared.mismatches), good=compared.good)

    def _found(
        self,
        begun: datetime,
        stored: VerifyResult,
        compared: VerifyResult | None = None,
        facts: Facts | None = None,
        *,
        problem: str,
        good: bool,
    ) -> HostVerification:
        results = [stored] if compared is None else [stored, compared]
        verification = Verification(
            host=self._host.name,
            snapshot=(self._snapshot.id or b"").hex(),
            captured_at=self._snapshot.time,
            begun_at=begun,
            method="read-back" if compared is None else "spot",
            good=good,
            complete=all(one.checked == one.total for one in results),
            read_back=stored.checked,
            compared=compared.checked if compared is not None else 0,
            files=stored.total,
            bytes=stored.bytes,
            seed=self._seed,
            problem=problem,
            manifest=self._manifest,
            skips=self._skips,
            users=self._users,
            profiles=profiles_there(facts, self._users) if facts is not None else None,
            in_use=signed_in(facts, self._users) if facts is not None else (),
            serial=self._serial,
        )
        return HostVerification(verification, tuple(miss for one in results for miss in one.mismatches))

    def _read_own_documents(self) -> None:
        """Read manifest and facts of the snapshot. Of a file in one blob the hash is known anyway."""
        node = manifest_node(self._repository, self._snapshot)
        if node is None:
            raise NotFound("the snapshot has no manifest")
        digest = hashlib.sha256()
        for blob in self._repository.iter_blobs(node.content or ()):
            digest.update(blob)
        self._manifest = digest.hexdigest()
        for entry in read_manifest(self._repository, self._snapshot):
            if entry.status != "saved":
                self._skips += 1
            if entry.sha256 is not None and entry.size >= MIN_SIZE:
                self._known[entry.path] = entry.sha256
        saved = saved_host(self._repository, self._snapshot)
        self._users = tuple(person.name for person in saved.people)
        self._serial = saved.serial


def _in_words(mismatches: Sequence[Mismatch]) -> str:
    counts = Counter(one.kind for one in mismatches)
    return ", ".join(f"{count_of(counts[kind], 'file')} {text}" for kind, text in _KINDS if counts[kind])
