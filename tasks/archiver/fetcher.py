"""Asks the host for the files to read: several at once, and the next before the last have all come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tasks.archiver.file_saver import FileSaver
from tasks.archiver.pending import PendingFile
from tasks.archiver.ranges import MIN_SIZE, KnownContent, Misaligned, known_content
from tasks.archiver.source import FileEnd, Piece, Skipped, Source
from tasks.archiver.tally import Tally
from tasks.errors import HelperFailed, ProtocolError
from tasks.repository.repository import Repository

#: What one request asks for: so many files, or about so many bytes; a larger file goes alone.
BATCH_FILES: Final = 256
BATCH_BYTES: Final = 16 * 1024**2
#: What may be asked for and not yet taken.
AHEAD_BATCHES: Final = 4
AHEAD_BYTES: Final = 2 * BATCH_BYTES
#: How far the walk may run ahead of reading, in files.
BACKLOG: Final = 2 * BATCH_FILES
#: How often a file that changes while it is read is read in all.
READS: Final = 3


@dataclass(slots=True)
class _Batch:
    files: list[PendingFile]
    size: int
    items: Iterator[Piece | FileEnd | Skipped]
    known: KnownContent | None = None


class Fetcher:
    """Reads files in the order in which they were added, except that one to be read again goes first."""

    def __init__(self, source: Source, repository: Repository, saver: FileSaver, tally: Tally) -> None:
        self._source = source
        self._repository = repository
        self._saver = saver
        self._tally = tally
        self._waiting: deque[PendingFile] = deque()
        self._waiting_bytes = 0
        self._asked: deque[_Batch] = deque()
        self._asked_bytes = 0

    @property
    def hungry(self) -> bool:
        """Return whether the walk should go on first.

        Not while a large file is under way: the walk's next answer lies behind all of its content, and whoever waits
        for that would have to hold it.
        """
        return len(self._waiting) < BACKLOG and self._waiting_bytes < AHEAD_BYTES and self._asked_bytes <= AHEAD_BYTES

    @property
    def idle(self) -> bool:
        """Return whether everything that was added has been read."""
        return not self._waiting and not self._asked

    def add(self, file: PendingFile) -> None:
        """Read a file when its turn comes."""
        self._waiting.append(file)
        self._waiting_bytes += file.node.size

    def again(self, file: PendingFile) -> None:
        """Read a file again, next."""
        file.fetching = True
        self._waiting.appendleft(file)
        self._waiting_bytes += file.node.size

    def step(self) -> None:
        """Ask for what may be asked, then take one answer."""
        self._ask_ahead()
        if self._asked:
            batch = self._asked.popleft()
            self._take(batch)
            self._asked_bytes -= batch.size
            self._saver.flush()
            self._tally.progress()

    def _ask_ahead(self) -> None:
        while self._waiting and len(self._asked) < AHEAD_BATCHES and self._asked_bytes < AHEAD_BYTES:
            self._ask()

    def _ask(self) -> None:
        files: list[PendingFile] = []
        size = 0
        while self._waiting and len(files) < BATCH_FILES:
            file = self._waiting[0]
            known = self._known(file)
            if files and (known is not None or size + file.node.size > BATCH_BYTES):
                break
            self._waiting.popleft()
            self._waiting_bytes -= file.node.size
            files.append(file)
            size += file.node.size
            if known is not None:
                items = self._source.ranges(file.path, known.ranges)
                self._asked.append(_Batch(files, size, items, known))
                self._asked_bytes += size
                return
        self._asked.append(_Batch(files, size, self._source.read([file.path for file in files])))
        self._asked_bytes += size

    def _known(self, file: PendingFile) -> KnownContent | None:
        """Return what is known of a large file, from the last read of it or else from the parent snapshot."""
        if file.whole or file.node.size < MIN_SIZE:
            return None
        if file.changes:
            for job in file.jobs:
                job.result()
            return known_content(self._repository, file.content)
        if file.previous is None or file.previous.content is None:
            return None
        return known_content(self._repository, file.previous.content)

    def _take(self, batch: _Batch) -> None:
        for file in batch.files:
            self._take_file(file, batch)
        if next(batch.items, None) is not None:
            raise ProtocolError("the host sent more files than it was asked for", host=self._tally.host)

    def _take_file(self, file: PendingFile, batch: _Batch) -> None:
        saver = self._saver
        saver.begin(file, batch.known)
        sound = True
        for item in batch.items:
            if item.path != file.path:
                raise ProtocolError(f"the host sent {item.path!r} in place of {file.path!r}", host=self._tally.host)
            if isinstance(item, Piece):
                # The host must not run dry at the end of a large file: what comes next is asked for before that.
                taken = min(len(item.data) or item.zero, batch.size)
                batch.size -= taken
                self._asked_bytes -= taken
                self._ask_ahead()
                if sound:
                    try:
                        saver.take(item)
                    except Misaligned:
                        sound = False
                continue
            if isinstance(item, Skipped):
                saver.abandon()
                file.skipped = item
                file.fetching = False
            else:
                self._end(file, item, sound=sound)
            return
        raise HelperFailed(f"reading {file.path!r} broke off", host=self._tally.host)

    def _end(self, file: PendingFile, end: FileEnd, *, sound: bool) -> None:
        """Have the file stored as it came, or read again: it changed meanwhile, or its ranges do not line up."""
        changed = end.before != end.after
        if changed:
            file.changes += 1
        if sound and (not changed or file.changes >= READS):
            try:
                self._saver.finish(end)
            except Misaligned:
                sound = False
            else:
                return
        if not sound:
            file.whole = True
        self._saver.abandon()
        self.again(file)
