"""A file whose content is not known yet: it waits for its turn to be read, or for its blobs to be stored."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from tasks.archiver.source import FileEnd, Skipped
from tasks.repository.ids import ID
from tasks.repository.tree import Node


@dataclass(slots=True, eq=False)
class PendingFile:
    """One file between the listing and its place in the tree."""

    path: bytes
    node: Node
    #: The beginning of its line in the manifest.
    head: str
    #: The node that the parent snapshot has at this path.
    previous: Node | None
    #: An earlier name of the same inode, whose content is this file's too.
    twin: PendingFile | None = None
    #: IDs of the blobs, in order; workers put them in.
    content: list[ID] = field(default_factory=list)
    jobs: list[Future[None]] = field(default_factory=list)
    #: Whether the host has still to deliver it.
    fetching: bool = True
    #: Bytes that arrived, and the SHA-256 over them where it had to be computed apart from the blob's.
    size: int = 0
    sha256: bytes | None = None
    #: Whether the last read asked only for what differs.
    ranged: bool = False
    #: Whether to read all of it, because reading by ranges went wrong.
    whole: bool = False
    end: FileEnd | None = None
    #: Reads that showed a change meanwhile, and reads whose content was not what the host had hashed.
    changes: int = 0
    mismatches: int = 0
    skipped: Skipped | None = None

    def restart(self) -> None:
        """Forget what was read, for another try; jobs under way fill the old list."""
        self.content = []
        self.jobs = []
        self.size = 0
        self.sha256 = None
        self.end = None
        self.fetching = True
