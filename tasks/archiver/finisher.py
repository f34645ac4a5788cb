"""Brings what was read back into the order of the walk: the manifest's lines, the nodes, the trees."""

from __future__ import annotations

from tasks.archiver.excludes import with_standing_rule
from tasks.archiver.fetcher import Fetcher
from tasks.archiver.listing import Listing
from tasks.archiver.manifest import ManifestWriter, saved_line, skipped_line
from tasks.archiver.pending import PendingFile
from tasks.archiver.source import FileEnd, Skipped
from tasks.archiver.tally import Tally
from tasks.archiver.tree_builder import Folder, TreeBuilder
from tasks.repository.ids import ID, hash_of

#: So many events may wait behind a file whose blobs are being stored before this waits for them.
PATIENCE = 4096
#: How often a file is read whose content does not arrive as the host hashed it.
TRANSFERS = 2


class Finisher:
    """Consumes the events of a listing."""

    def __init__(
        self, listing: Listing, fetcher: Fetcher, trees: TreeBuilder, manifest: ManifestWriter, tally: Tally
    ) -> None:
        self._events = listing.events
        self._fetcher = fetcher
        self._trees = trees
        self._manifest = manifest
        self._tally = tally

    def drain(self, *, wait: bool = False) -> None:
        """Finish what can be finished, in order.

        Stops at a file that is still to be read. At one whose blobs are being stored it stops too, unless ``wait`` is
        true or much is waiting behind it.
        """
        events = self._events
        while events:
            event = events[0]
            if isinstance(event, str):
                self._manifest.write(event)
            elif isinstance(event, PendingFile):
                if event.fetching and event.twin is None:
                    return
                if not wait and len(events) < PATIENCE and not all(job.done() for job in event.jobs):
                    return
                if not self._settle(event):
                    return
            elif isinstance(event, Folder):
                self._trees.close(event)
            else:
                skip, line = event
                self._manifest.write(line)
                self._tally.skip(skip)
            events.popleft()

    def _settle(self, file: PendingFile) -> bool:
        """Give a file its content or its reason; return False when it must be read first, or again."""
        if file.twin is not None:
            if file.twin.node.content is None:
                # The other name is gone or may not be read; this one may tell more.
                file.twin = None
                self._fetcher.again(file)
                return False
            self._save_twin(file, file.twin)
            return True
        for job in file.jobs:
            job.result()
        if file.skipped is not None or file.end is None:
            self._leave_out(file, with_standing_rule(file.skipped or Skipped(file.path, "unreadable")))
            return True
        sha256 = _sha256(file)
        told = file.end.sha256
        if file.size != file.end.size or (told is not None and sha256 is not None and told != sha256):
            file.mismatches += 1
            if file.mismatches < TRANSFERS:
                file.whole = True
                self._fetcher.again(file)
                return False
            self._leave_out(file, Skipped(file.path, "unreadable", detail="the content did not arrive as it was sent"))
            return True
        self._save(file, file.end, sha256)
        return True

    def _leave_out(self, file: PendingFile, skip: Skipped) -> None:
        self._manifest.write(skipped_line(file.head, "file", file.node.size, skip))
        self._tally.files_listed -= 1
        self._tally.bytes_listed -= file.node.size
        self._tally.skip(skip)

    def _save(self, file: PendingFile, end: FileEnd, sha256: ID | None) -> None:
        node = file.node
        # What was read, not what was listed a while before.
        if node.atime_ns == node.mtime_ns:
            node.atime_ns = end.before.mtime_ns
        node.mtime_ns = end.before.mtime_ns
        node.ctime_ns = end.before.ctime_ns
        node.inode = end.before.inode or node.inode
        node.size = file.size
        node.content = tuple(file.content)
        if end.before == end.after:
            self._manifest.write(saved_line(file.head, "file", file.size, sha256, live=end.live))
        else:
            # So that no later listing agrees with it, and the next run reads it anew: no tool sets a ctime, and a
            # restore does not use it.
            node.ctime_ns = max(end.before.ctime_ns - 1, 0)
            skip = Skipped(file.path, "changed", detail=f"changed during each of {file.changes} reads")
            self._manifest.write(skipped_line(file.head, "file", file.size, skip, status="changed", sha256=sha256))
            self._tally.skip(skip)
        self._count(file)

    def _save_twin(self, file: PendingFile, twin: PendingFile) -> None:
        node, other = file.node, twin.node
        node.size, node.content = other.size, other.content
        node.mtime_ns, node.atime_ns, node.ctime_ns = other.mtime_ns, other.atime_ns, other.ctime_ns
        self._manifest.write(saved_line(file.head, "file", node.size, _sha256(twin)))
        self._count(file)

    def _count(self, file: PendingFile) -> None:
        if file.previous is None:
            self._tally.files_new += 1
        else:
            self._tally.files_changed += 1
        if file.end is not None and file.end.live:
            self._tally.files_live += 1
        self._tally.saved(file.path, file.node.size, unchanged=False)


def _sha256(file: PendingFile) -> ID | None:
    """Return the SHA-256 of a file's content: a file of one blob has it already."""
    if file.sha256 is not None:
        return file.sha256
    if len(file.content) == 1:
        return file.content[0]
    return hash_of(b"") if not file.content and file.end is not None and not file.ranged else None
