"""What one run counted, and what it says while it works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tasks.archiver.source import Skipped
from tasks.events import FileSaved, ItemSkipped, Progress, Reporter, Warned, silent
from tasks.repository.blob import BlobType, SavedBlob

#: Least time between two Progress events, in seconds.
INTERVAL: Final = 0.25


class Tally:
    """Counts of one run; only ``add_blob`` is called by several threads."""

    def __init__(self, host: str, report: Reporter, clock: Callable[[], float] = time.monotonic) -> None:
        self.host = host
        self._report = report
        self._each = report is not silent
        self._clock = clock
        self._started = clock()
        self._due = self._started
        self._lock = threading.Lock()
        self.files_new = self.files_changed = self.files_unmodified = 0
        #: Files that were read in use, where a shadow copy is usual.
        self.files_live = 0
        self.dirs_new = self.dirs_changed = self.dirs_unmodified = 0
        self.files_listed = self.bytes_listed = 0
        self.files_done = self.bytes_done = 0
        #: Bytes of the file being read that have arrived.
        self.bytes_reading = 0
        self.bytes_processed = 0
        self.data_blobs = self.tree_blobs = self.data_added = self.stored = 0
        self.skips: list[Skipped] = []

    @property
    def seconds(self) -> float:
        """Return how long the run has taken so far."""
        return self._clock() - self._started

    def add_blob(self, type_: BlobType, size: int, saved: SavedBlob) -> None:
        """Count a blob that the repository took; one that it had already counts for nothing."""
        if saved.known:
            return
        with self._lock:
            if type_ is BlobType.DATA:
                self.data_blobs += 1
            else:
                self.tree_blobs += 1
            self.data_added += size
            self.stored += saved.stored

    def skip(self, skip: Skipped) -> None:
        """Record that something is not, or not certainly, in the snapshot."""
        self.skips.append(skip)
        self._report(ItemSkipped(self.host, skip.path, skip.reason, skip.rule, skip.detail))

    def saved(self, path: bytes, size: int, *, unchanged: bool) -> None:
        """Record that a file's content is stored."""
        self.files_done += 1
        self.bytes_done += size
        self.bytes_processed += size
        if unchanged:
            self.files_unmodified += 1
        if self._each:
            self._report(FileSaved(self.host, path, size, unchanged))

    def warn(self, message: str) -> None:
        """Tell a person something that stops nothing."""
        self._report(Warned(self.host, message))

    def progress(self, *, force: bool = False) -> None:
        """Say how far the run is, unless that was said a moment ago."""
        now = self._clock()
        if not self._each or (now < self._due and not force):
            return
        self._due = now + INTERVAL
        self._report(
            Progress(
                self.host,
                files_done=self.files_done,
                files_total=self.files_listed,
                bytes_done=self.bytes_done + self.bytes_reading,
                bytes_total=max(self.bytes_listed, self.bytes_done + self.bytes_reading),
                bytes_added=self.stored,
                skipped=len(self.skips),
            )
        )

    def summary(self, begun: datetime) -> dict[str, Any]:
        """Return restic's statistics of a run by its key names (``internal/data/snapshot.go``, SnapshotSummary)."""
        return {
            "backup_start": _rfc3339(begun),
            "backup_end": _rfc3339(begun + timedelta(seconds=self.seconds)),
            "files_new": self.files_new,
            "files_changed": self.files_changed,
            "files_unmodified": self.files_unmodified,
            "dirs_new": self.dirs_new,
            "dirs_changed": self.dirs_changed,
            "dirs_unmodified": self.dirs_unmodified,
            "data_blobs": self.data_blobs,
            "tree_blobs": self.tree_blobs,
            "data_added": self.data_added,
            "data_added_packed": self.stored,
            "total_files_processed": self.files_new + self.files_changed + self.files_unmodified,
            "total_bytes_processed": self.bytes_processed,
        }


def _rfc3339(time_: datetime) -> str:
    return time_.astimezone(UTC).isoformat().replace("+00:00", "Z")
