"""Counts what becomes of a plan's items while they are written, and tells the reporter."""

from __future__ import annotations

import time
from typing import Final

from tasks.entries import WriteResult
from tasks.events import FileRestored, Progress, Reporter
from tasks.restorer.items import PlanItem, RestorePlan
from tasks.restorer.result import Problem, ProblemKind, RestoreResult, worst_first

#: Bytes of content between two reports of progress.
_TELL_EVERY: Final = 16 * 1024 * 1024
_REASONS: Final = {
    "conflict": "it changed on the computer after the plan was made",
    "denied": "the account may not write there",
    "vanished": "the folder it belongs in is gone",
    "unreadable": "the computer's disk reported an error",
    "no-space": "the computer's disk is full",
    "outside": "the place is outside what this plan may write",
    "unsupported": "the computer cannot hold such a thing",
}


class Tally:
    """The state of one run of ``Restorer.apply``."""

    def __init__(self, plan: RestorePlan, report: Reporter, host: str) -> None:
        self._plan = plan
        self._report = report
        self._host = host
        self._started = time.monotonic()
        self._files_total = sum(1 for item in plan.items if item.writes_content)
        self._files_done = 0
        self._sent = self._told = 0
        self.restored = self.unchanged = self.kept_newer = self.conflicts = self.failed = self.skipped = 0
        self.folders = self.removed = self.bytes = self.hashed = 0
        self.problems: list[Problem] = []
        #: Paths that do not stand there as planned: nothing may be built on them.
        self.bad: set[bytes] = set()
        #: Folders in which something was made, replaced or removed.
        self.touched: set[bytes] = set()

    def done(self, item: PlanItem, result: WriteResult | None = None) -> None:
        """Count an item that stands on the host now."""
        if item.node.type == "dir":
            self.folders += 1
        else:
            self.restored += 1
            if item.writes_content:
                self.bytes += item.node.size
                self._files_done += 1
            self._report(FileRestored(self._host, item.path, item.node.size, item.action))
        if result is not None:
            self.incomplete(result)

    def incomplete(self, result: WriteResult) -> None:
        """Note metadata that could not be set, if any."""
        if result.ok and result.detail:
            self.note(result.path, "metadata", "metadata", f"could not be set: {result.detail}")

    def refused(self, item: PlanItem, result: WriteResult) -> None:
        """Count an item that the host did not take."""
        text = _REASONS.get(result.reason, result.reason or "the computer did not say why")
        if result.detail:
            text = f"{text} ({result.detail})"
        self.lost(item, "conflict" if result.reason == "conflict" else "failed", result.reason, text)

    def lost(self, item: PlanItem, kind: ProblemKind, reason: str, detail: str) -> None:
        """Count an item that does not stand there."""
        if kind == "conflict":
            self.conflicts += 1
        elif kind == "kept-newer":
            self.kept_newer += 1
        elif kind == "skipped":
            self.skipped += 1
        else:
            self.failed += 1
        if item.writes_content:
            self._files_done += 1
        self.bad.add(item.path)
        self.note(item.path, kind, reason, detail)

    def note(self, path: bytes, kind: ProblemKind, reason: str, detail: str) -> None:
        """Note something that a person should know about a path."""
        self.problems.append(Problem(path, kind, reason, detail))

    def sent(self, length: int) -> None:
        """Count bytes of content on their way, and tell the progress now and then: a file may take an hour."""
        self._sent += length
        if self._sent - self._told >= _TELL_EVERY:
            self.progress()

    def progress(self) -> None:
        """Tell how far the restore is."""
        self._told = self._sent
        self._report(
            Progress(
                host=self._host,
                files_done=self._files_done,
                files_total=self._files_total,
                bytes_done=self._sent,
                bytes_total=self._plan.bytes,
                bytes_added=0,
                skipped=self.skipped,
            )
        )

    def result(self, *, verified: bool) -> RestoreResult:
        """Return what became of the plan."""
        return RestoreResult(
            plan=self._plan,
            restored=self.restored,
            unchanged=self.unchanged,
            kept_newer=self.kept_newer,
            conflicts=self.conflicts,
            failed=self.failed,
            skipped=self.skipped,
            folders=self.folders,
            removed=self.removed,
            bytes=self.bytes,
            hashed=self.hashed,
            verified=verified,
            seconds=time.monotonic() - self._started,
            problems=worst_first(self.problems),
        )
