"""Choose the parent snapshot: the one whose unchanged files are taken over unread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from tasks.policy.snapshot_state import SnapshotState, state_of
from tasks.repository.snapshot_file import Snapshot

#: The tag of a before-image: a few paths as they were just before a restore, no parent for a whole run.
BEFORE_RESTORE: Final = "before-restore"
#: A partial snapshot is passed over for one that is not, unless that is older by more than this: else a folder denied
#: last night is read anew in full, and one log file that always changes must not keep an ancient parent for ever.
PARTIAL_ADVANTAGE: Final = timedelta(days=7)


def snapshot_paths(roots: Sequence[bytes]) -> tuple[str, ...]:
    """Return roots as a snapshot file holds them: text, with U+FFFD for what is not UTF-8, as Go writes it."""
    return tuple(root.decode("utf-8", "replace") for root in roots)


def select_parent(snapshots: Iterable[Snapshot], hostname: str, paths: Sequence[str]) -> Snapshot | None:
    """Return the newest snapshot of the same host and paths, a complete one by preference, or None for a full scan."""
    wanted = sorted(map(_as_stored, paths))
    newest: Snapshot | None = None
    newest_sound: Snapshot | None = None
    for snapshot in snapshots:
        if snapshot.hostname != hostname or sorted(map(_as_stored, snapshot.paths)) != wanted:
            continue
        state = state_of(snapshot.tags)
        if BEFORE_RESTORE in snapshot.tags or state is SnapshotState.FAILED:
            continue
        if newest is None or snapshot.time >= newest.time:
            newest = snapshot
        if (state is None or state.usable) and (newest_sound is None or snapshot.time >= newest_sound.time):
            newest_sound = snapshot
    if newest is not None and newest_sound is not None and newest.time - newest_sound.time <= PARTIAL_ADVANTAGE:
        return newest_sound
    return newest


def _as_stored(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
