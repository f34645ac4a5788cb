"""What became of a restore."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tasks.restorer import paths
from tasks.restorer.items import RestorePlan

#: From worst to mildest.
ProblemKind = Literal[
    "failed",  # it should stand on the host and does not, or not with the right content
    "conflict",  # something else is there: left alone
    "skipped",  # the snapshot cannot give it
    "kept-newer",  # newer work is there: left alone, on purpose
    "metadata",  # the content is right; mode, owner, times or attributes could not all be set
]
_KINDS: Final[tuple[ProblemKind, ...]] = ("failed", "conflict", "skipped", "kept-newer", "metadata")


@dataclass(frozen=True, slots=True)
class Problem:
    """One path that a person should know about; ``reason`` is one word, ``detail`` says it in full."""

    path: bytes
    kind: ProblemKind
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """Counts of paths, sizes in bytes, and every problem, worst first."""

    plan: RestorePlan
    #: Files, links and FIFOs that stand on the host again (created, overwritten, or their metadata set).
    restored: int
    #: What was as it should be already.
    unchanged: int
    kept_newer: int
    conflicts: int
    failed: int
    skipped: int
    #: Folders made, and paths removed (undo only).
    folders: int
    removed: int
    bytes: int
    #: Files whose SHA-256 the host told and that was right; ``verified`` when that is so for all that was written.
    hashed: int
    verified: bool
    seconds: float
    problems: tuple[Problem, ...] = field(default=())

    @property
    def complete(self) -> bool:
        """Return whether all that was to be restored stands on the host, right to the hash."""
        return self.verified and not (self.failed or self.conflicts or self.skipped)

    def summary(self) -> dict[str, Any]:
        """Return the counts as JSON values, without paths."""
        return {
            "snapshot": self.plan.snapshot.id.hex() if self.plan.snapshot.id else None,
            "plan": self.plan.digest,
            "complete": self.complete,
            "restored": self.restored,
            "unchanged": self.unchanged,
            "kept_newer": self.kept_newer,
            "conflicts": self.conflicts,
            "failed": self.failed,
            "skipped": self.skipped,
            "folders": self.folders,
            "removed": self.removed,
            "bytes": self.bytes,
            "hashed": self.hashed,
            "verified": self.verified,
            "seconds": round(self.seconds, 3),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the counts and the problems as JSON values."""
        problems = [
            {"path": paths.to_json(one.path), "kind": one.kind, "reason": one.reason, "detail": one.detail}
            for one in self.problems
        ]
        return {**self.summary(), "problems": problems}


def worst_first(problems: list[Problem]) -> tuple[Problem, ...]:
    """Return problems in the order in which a person should read them."""
    return tuple(sorted(problems, key=lambda one: (_KINDS.index(one.kind), one.path)))
