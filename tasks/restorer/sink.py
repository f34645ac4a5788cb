"""What the restorer needs of a host. ``remote.filesystem.RemoteSink`` satisfies it structurally."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tasks.entries import Expected, Hashed, WriteReason, WriteResult, Zeros
from tasks.repository.tree import Node

__all__ = ["Expected", "Hashed", "Sink", "WriteReason", "WriteResult", "Zeros"]


class Sink(Protocol):
    """Files of one host, for writing. Nothing may be written before ``allow``."""

    @property
    def proves(self) -> bool:
        """Whether the host reads each file back and compares its hash before it gives it its name."""

    def stat(self, paths: Sequence[bytes]) -> list[Node | None]:
        """Return what stands at each path now, or None for nothing; links are not followed."""

    def hash(self, paths: Sequence[bytes]) -> Iterable[Hashed]:
        """Yield the SHA-256 of each file as the host reads it now, in the order asked."""

    def allow(self, plan_digest: str, roots: Sequence[bytes]) -> None:
        """Permit writing below ``roots`` for the plan with this digest."""

    def make(
        self, path: bytes, node: Node, *, hardlink_to: bytes | None = None, expected: Expected | None = None
    ) -> None:
        """Create a folder, symlink, FIFO or hard link; the result comes with the next ``commit``.

        What stands there already, alike, is left as it is. Something else is a conflict, unless it is as ``expected``:
        then it is replaced. Folders come before what is in them.
        """

    def made(self) -> list[WriteResult]:
        """Return the results of what was made by now, hard links left out; durable it is after the next ``commit``."""

    def write_file(
        self,
        path: bytes,
        node: Node,
        expected: Expected | None,
        content: Iterable[bytes | memoryview | Zeros],
        *,
        sha256: Callable[[], bytes] | None = None,
    ) -> None:
        """Write a file's content under a temporary name beside ``path``; ``commit`` renames it.

        When ``path`` is not as ``expected`` at that moment, it is left alone and the result is ``conflict``. When
        taking ``content`` raises, the error passes through, nothing of the file stays, and the sink stays usable.
        ``sha256`` tells the hash of the content once all of it was taken: it spares hashing it here again.
        """

    def commit(self) -> list[WriteResult]:
        """Make all since the last commit durable, rename it into place, and return one result per path."""

    def begin_commit(self) -> Callable[[], list[WriteResult]]:
        """Commit, and return a function that waits for it and gives the results.

        Until it was called, only ``write_file`` may be called besides.
        """

    def set_metadata(self, items: Sequence[tuple[bytes, Node]]) -> list[WriteResult]:
        """Set mode, owner, times and extended attributes, in the order given: folders after their children."""

    def remove(self, path: bytes, expected: Expected) -> None:
        """Remove a file or an empty folder if it is still as ``expected``; the result comes with ``commit``."""
