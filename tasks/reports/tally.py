"""Where a run over several computers stands, added up from events."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.events import Event, FileRestored, HostDone, HostFailed, HostStarted, ItemSkipped, Progress


@dataclass(slots=True)
class Tally:
    """Sums over the computers of one run. Not thread-safe: its owner holds a lock."""

    hosts: int = 1
    done: int = 0
    failed: int = 0
    restored: int = 0
    progress: dict[str, Progress] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Count ``event``."""
        match event:
            case Progress():
                self.progress[event.host] = event
            case ItemSkipped():
                self.skipped[event.host] = self.skipped.get(event.host, 0) + 1
            case FileRestored():
                self.restored += 1
            case HostStarted():
                self.progress.pop(event.host, None)
            case HostDone():
                self.done += 1
            case HostFailed():
                self.done += 1
                self.failed += 1
            case _:
                pass

    @property
    def files(self) -> int:
        """Files done so far, on all computers."""
        return sum(item.files_done for item in self.progress.values())

    @property
    def read(self) -> int:
        """Bytes done so far, on all computers."""
        return sum(item.bytes_done for item in self.progress.values())

    @property
    def added(self) -> int:
        """Bytes newly stored so far, from all computers."""
        return sum(item.bytes_added for item in self.progress.values())


def percent(progress: Progress) -> float:
    """Return how much of one computer is done, 0 to 100, by bytes where there are any.

    The total may still grow while the host is walked, so the share may go back; a caller that must not show that keeps
    its maximum.
    """
    if progress.bytes_total > 0:
        return min(100.0, 100.0 * progress.bytes_done / progress.bytes_total)
    if progress.files_total > 0:
        return min(100.0, 100.0 * progress.files_done / progress.files_total)
    return 0.0
