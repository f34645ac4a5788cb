"""Prove that a snapshot holds what it should: against the host (``spot``), or by reading it back (``read-back``)."""

from __future__ import annotations

import contextlib
import math
import random
from dataclasses import dataclass
from typing import Any, Final, Literal

from tasks.errors import Damaged, NotFound
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tasks.restorer import paths
from tasks.restorer.compare import IN_CLOUD, same_time
from tasks.restorer.content import Contents
from tasks.restorer.foreign import is_placeholder
from tasks.restorer.hashes import KnownHashes, cheap_hash, stored_hash
from tasks.restorer.items import RestorePlan
from tasks.restorer.sink import Sink
from tasks.restorer.walk import snapshot_roots, walk


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A fraction of the files, between 0.0 and 1.0, but no fewer than ``count``; all where there are not so many."""

    fraction: float
    count: int


#: How many files to look at: all, a count, a fraction between 0.0 and 1.0, or a fraction with a floor.
Sample = Literal["all"] | int | float | AtLeast

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One file that is not what the snapshot says.

    ``missing`` on the host, ``changed`` there since (its time says so), ``different`` although it looks the same,
    ``unreadable`` on the host, ``damaged`` in the repository.
    """

    path: bytes
    kind: Literal["missing", "changed", "different", "unreadable", "damaged"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """How many files were looked at, of how many, and which were not right; sizes in bytes."""

    method: Literal["spot", "read-back"]
    checked: int
    total: int
    bytes: int
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def good(self) -> bool:
        """Return whether something was looked at (or there is nothing) and all of it was right."""
        return not self.mismatches and (self.checked > 0 or self.total == 0)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "method": self.method,
            "good": self.good,
            "checked": self.checked,
            "total": self.total,
            "bytes": self.bytes,
            "mismatches": [
                {"path": paths.to_json(one.path), "kind": one.kind, "detail": one.detail} for one in self.mismatches
            ],
        }


@dataclass(frozen=True, slots=True)
class _File:
    path: bytes
    source: bytes
    node: Node


def verify(
    repository: Repository,
    sink: Sink,
    what: Snapshot | RestorePlan,
    sample: Sample = "all",
    *,
    seed: int = 0,
    known_hashes: KnownHashes | None = None,
) -> VerifyResult:
    """Compare files on the host with a snapshot, or with what a plan restored there, by the host's own SHA-256.

    The same ``seed`` looks at the same files.
    """
    files, broken = _files_of_plan(what) if isinstance(what, RestorePlan) else _files_of_snapshot(repository, what)
    chosen = _choose(files, sample, seed)
    mismatches = list(broken)
    size = 0
    for start in range(0, len(chosen), _BATCH):
        batch = chosen[start : start + _BATCH]
        there = sink.stat([file.path for file in batch])
        clouded = {file.path for file, node in zip(batch, there, strict=True) if is_placeholder(node)}
        present = [
            file.path
            for file, node in zip(batch, there, strict=True)
            if node and node.type == "file" and file.path not in clouded
        ]
        hashes = {found.path: found for found in sink.hash(present)} if present else {}
        for file, node in zip(batch, there, strict=True):
            found = hashes.get(file.path)
            if file.path in clouded:
                mismatches.append(
                    Mismatch(file.path, "unreadable", "only a placeholder is there, its content in the cloud")
                )
                continue
            if node is None or found is None:
                mismatches.append(Mismatch(file.path, "missing", "" if node is None else f"a {node.type} is there"))
                continue
            if found.sha256 is None:
                mismatches.append(Mismatch(file.path, "unreadable", found.detail))
                continue
            size += found.size
            try:
                expected = cheap_hash(file.node, file.source, known_hashes) or stored_hash(repository, file.node)
            except (Damaged, NotFound) as error:
                mismatches.append(Mismatch(file.path, "damaged", str(error)))
                continue
            if found.sha256 != expected:
                looks_same = found.size == file.node.size and same_time(found.mtime_ns, file.node.mtime_ns)
                mismatches.append(Mismatch(file.path, "different" if looks_same else "changed"))
    return VerifyResult("spot", len(chosen), len(files) + len(broken), size, tuple(mismatches))


def read_back(
    repository: Repository,
    snapshot: Snapshot,
    sample: Sample = "all",
    *,
    seed: int = 0,
    known_hashes: KnownHashes | None = None,
) -> VerifyResult:
    """Load the blobs of files from the repository; each is compared with its ID, and the file with its known hash."""
    files, broken = _files_of_snapshot(repository, snapshot)
    chosen = _choose(files, sample, seed)
    mismatches = list(broken)
    size = 0
    good: set[tuple[bytes, ...]] = set()
    with contextlib.closing(Contents(repository, [file.node for file in chosen])) as contents:
        for index, file in enumerate(chosen):
            known = known_hashes.get(file.source) if known_hashes else None
            if known is None and file.node.content in good:
                continue
            try:
                size += sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in contents.read(index))
            except (Damaged, NotFound) as error:
                mismatches.append(Mismatch(file.path, "damaged", str(error)))
                continue
            if known is not None and contents.sha256 != known:
                mismatches.append(Mismatch(file.path, "damaged", "its blobs do not make up the file that was saved"))
            elif file.node.content is not None:
                good.add(file.node.content)
    return VerifyResult("read-back", len(chosen), len(files) + len(broken), size, tuple(mismatches))


def _files_of_snapshot(repository: Repository, snapshot: Snapshot) -> tuple[list[_File], list[Mismatch]]:
    files: list[_File] = []
    broken: list[Mismatch] = []
    for found in walk(repository, snapshot, snapshot_roots(repository, snapshot)):
        if found.problem:
            broken.append(Mismatch(found.path, "damaged", found.problem))
        elif found.node.type == "file":
            files.append(_File(found.path, found.path, found.node))
    return files, broken


def _files_of_plan(plan: RestorePlan) -> tuple[list[_File], list[Mismatch]]:
    standing = ("create", "overwrite", "metadata", "same")
    wanted = [
        # To read a placeholder would bring its content down from the cloud.
        item
        for item in plan.items
        if item.node.type == "file" and item.action in standing and item.reason != IN_CLOUD
    ]
    return [_File(item.path, item.source, item.node) for item in wanted], []


def _choose(files: list[_File], sample: Sample, seed: int) -> list[_File]:
    """Return the sample, in the order of the snapshot."""
    if sample == "all":
        return files
    if isinstance(sample, AtLeast):
        count = max(sample.count, math.ceil(sample.fraction * len(files)))
    else:
        count = sample if isinstance(sample, int) else math.ceil(sample * len(files))
    if count < 0:
        raise ValueError(f"not a sample: {sample!r}")
    # Which files are looked at is no secret.
    chosen = random.Random(seed).sample(range(len(files)), min(count, len(files)))  # noqa: S311
    return [files[index] for index in sorted(chosen)]
