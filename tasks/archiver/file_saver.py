"""Takes the pieces of one file after the other, and has them stored."""

from __future__ import annotations

from typing import Final

from tasks.archiver.blob_pool import BlobPool, Item
from tasks.archiver.content import ContentWriter
from tasks.archiver.pending import PendingFile
from tasks.archiver.ranges import KnownContent, Misaligned
from tasks.archiver.source import FileEnd, Piece
from tasks.archiver.tally import Tally
from tasks.backends.base import Buffer
from tasks.errors import ProtocolError
from tasks.repository.repository import Repository

#: No chunk is smaller than this (restic's least chunk size), so a file up to it is one blob without looking.
ONE_BLOB: Final = 512 * 1024
#: Small files go to a worker in groups: a job of its own for each would cost more than storing it.
GROUP_FILES: Final = 64
GROUP_BYTES: Final = 1024**2


class FileSaver:
    """Stores files in the order in which the host sends them; one file is open at a time."""

    def __init__(self, repository: Repository, pool: BlobPool, tally: Tally) -> None:
        self._repository = repository
        self._pool = pool
        self._tally = tally
        self._group: list[Item] = []
        self._group_files: list[PendingFile] = []
        self._group_bytes = 0
        self._parts: list[Buffer] = []
        self._position = 0
        self._writer: ContentWriter | None = None
        self._known: KnownContent | None = None

    def begin(self, file: PendingFile, known: KnownContent | None = None) -> None:
        """Open a file; with ``known``, the host leaves out what is in there."""
        file.restart()
        file.ranged = known is not None
        self._file = file
        self._known = known
        self._parts = []
        self._position = 0
        self._writer = None

    def take(self, piece: Piece) -> None:
        """Take the next piece. Raises ``ProtocolError`` when it is not the next, ``Misaligned`` for odd ranges."""
        size = len(piece.data) or piece.zero
        if piece.offset != self._position:
            self._leap(piece.offset)
        self._position += size
        if self._writer is None:
            if self._known is None and self._position <= ONE_BLOB:
                self._parts.append(piece.data or bytes(piece.zero))
                return
            self._writer = self._open_writer()
            for part in self._parts:
                self._writer.feed(part)
            self._parts = []
        if piece.data:
            self._writer.feed(piece.data)
        else:
            self._writer.zeros(piece.zero)
        self._tally.bytes_reading = self._position
        self._tally.progress()

    def finish(self, end: FileEnd) -> None:
        """Close the file: all of it has come. Raises ``Misaligned`` when what was left out does not line up."""
        file = self._file
        if self._known is not None and self._position != end.size:
            self._leap(end.size)
        file.end = end
        file.size = self._position
        self._tally.bytes_reading = 0
        if self._known is not None:
            self._close_run()
            file.sha256 = end.sha256
            file.fetching = False
        elif self._writer is not None:
            file.sha256 = self._writer.finish()
            file.fetching = False
        elif self._parts:
            self._gather(file, self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
            self._parts = []
        else:
            file.fetching = False

    def abandon(self) -> None:
        """Close the file without storing the rest: what came is worthless, or it will be read again."""
        self._tally.bytes_reading = 0
        self._parts = []
        self._writer = None

    def flush(self) -> None:
        """Give the small files gathered so far to a worker."""
        if self._group:
            job = self._pool.save(self._group, self._group_bytes)
            for file in self._group_files:
                file.jobs.append(job)
                file.fetching = False
            self._group, self._group_files, self._group_bytes = [], [], 0

    def _gather(self, file: PendingFile, data: Buffer) -> None:
        file.content.append(b"")
        self._group.append((file.content, 0, data))
        self._group_files.append(file)
        self._group_bytes += len(data)
        if self._group_bytes >= GROUP_BYTES or len(self._group) >= GROUP_FILES:
            self.flush()

    def _open_writer(self) -> ContentWriter:
        file = self._file
        return ContentWriter(self._repository, self._pool, file.content, file.jobs, hashing=self._known is None)

    def _close_run(self) -> None:
        if self._writer is not None:
            self._writer.finish()
            self._writer = None

    def _leap(self, offset: int) -> None:
        """Take over the known ranges between here and ``offset``."""
        if self._known is None:
            raise ProtocolError(
                f"{self._file.path!r}: content at offset {offset} came after {self._position} bytes",
                host=self._tally.host,
            )
        if offset < self._position:
            raise Misaligned
        self._close_run()
        self._file.content.extend(self._known.between(self._position, offset))
        self._position = offset
