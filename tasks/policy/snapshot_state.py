"""What may be said of a snapshot: derived from what was left out, never set by hand (docs/design.md, section 7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum
from typing import Final, Protocol

#: A snapshot carries its state as a tag, which the stock client shows and filters by too.
TAG_PREFIX: Final = "state:"


class Skip(Protocol):
    """Something left out: where, why, and the standing rule that says so, or an empty text."""

    @property
    def path(self) -> bytes:
        """Return the raw path."""

    @property
    def reason(self) -> str:
        """Return the reason, as in ``tasks/events.py``."""

    @property
    def rule(self) -> str:
        """Return the id of the rule."""


class SnapshotState(Enum):
    """How much of what was planned is stored."""

    #: All that was planned is stored.
    COMPLETE = "complete"
    #: Each skip is covered by a standing rule or by a person's recorded acknowledgement.
    ACKNOWLEDGED = "complete-with-acknowledged-skips"
    #: Something was left out that nobody answers for.
    PARTIAL = "partial"
    #: There is no snapshot file, only a record of the attempt.
    FAILED = "failed"

    @property
    def tag(self) -> str:
        """Return the snapshot's tag for this state."""
        return TAG_PREFIX + self.value

    @property
    def usable(self) -> bool:
        """Return whether all that was planned is stored, or somebody answers for the rest."""
        return self in (SnapshotState.COMPLETE, SnapshotState.ACKNOWLEDGED)


def derive(
    skips: Iterable[Skip],
    covered_rules: Collection[str],
    *,
    missing: Collection[bytes] = (),
    acknowledged: Collection[bytes] = (),
) -> SnapshotState:
    """Return the state of a snapshot that was written.

    Args:
        skips: All that was left out.
        covered_rules: Ids of the standing rules; a skip by any other rule, or by none, is not covered.
        missing: Folders that had to hold something and gave nothing.
        acknowledged: Paths that a person answers for, each with all below it.
    """
    if missing:
        return SnapshotState.PARTIAL
    state = SnapshotState.COMPLETE
    for skip in skips:
        if skip.rule in covered_rules or (acknowledged and _is_below(skip.path, acknowledged)):
            state = SnapshotState.ACKNOWLEDGED
        else:
            return SnapshotState.PARTIAL
    return state


def state_of(tags: Iterable[str]) -> SnapshotState | None:
    """Return the state that a snapshot's tags tell, or None when it has none (the stock client made it)."""
    for tag in tags:
        if tag.startswith(TAG_PREFIX):
            try:
                return SnapshotState(tag.removeprefix(TAG_PREFIX))
            except ValueError:
                # A state that a later version knows: the careful reading is that something is missing.
                return SnapshotState.PARTIAL
    return None


def _is_below(path: bytes, folders: Collection[bytes]) -> bool:
    if path in folders:
        return True
    end = path.rfind(b"/")
    while end > 0:
        if path[:end] in folders:
            return True
        end = path.rfind(b"/", 0, end)
    return b"/" in folders
