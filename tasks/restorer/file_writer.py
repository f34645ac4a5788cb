"""Write the contents of many files to a host, in batches that are committed together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tasks.entries import WriteResult, Zeros
from tasks.errors import Damaged, NotFound
from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.restorer import paths
from tasks.restorer.compare import metadata_differs
from tasks.restorer.content import Contents
from tasks.restorer.hashes import stored_hash
from tasks.restorer.items import PlanItem
from tasks.restorer.sink import Sink
from tasks.restorer.tally import Tally

#: A batch is committed when it has this many bytes or files: a commit makes the host wait for its disk.
BATCH_BYTES: Final = 64 * 1024 * 1024
BATCH_FILES: Final = 2000
#: After so many files in a row without room on the host's disk, no more are sent: a single one may just be large.
_FULL: Final = 50
#: A file up to this size is read whole from the repository before the host hears of it, so that damage in it costs the
#: host nothing.
_WHOLE: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class _Sent:
    """A file that was sent and waits for the commit; ``sha256`` is what its content must have."""

    item: PlanItem
    sha256: bytes | None


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A batch that the host commits; ``results`` waits for what became of it."""

    sent: Sequence[_Sent]
    results: Callable[[], list[WriteResult]]


class ReadAhead:
    """The contents of files in the order in which they are best read; the first ones can be read before they are due.

    For all of ``items`` that have a content of their own.
    """

    def __init__(self, repository: Repository, sink: Sink, items: Iterable[PlanItem]) -> None:
        wanted = [item for item in items if item.writes_content]
        # The host compares what it reads back with a hash that was not made of what we read: that covers the blobs.
        #: Whether blobs are not hashed here.
        self.trusting = sink.proves and all(_hash_is_known(item) for item in wanted)
        self.items = list(_in_pack_order(repository, wanted))
        self.contents = Contents(repository, [item.node for item in self.items], hashed=not self.trusting)

    def close(self) -> None:
        """Give up what was read."""
        self.contents.close()


class FileWriter:
    """Writes files; ``expected`` has the SHA-256 of each that stands on the host afterwards."""

    def __init__(self, repository: Repository, sink: Sink, tally: Tally) -> None:
        self._repository = repository
        self._sink = sink
        self._tally = tally
        self.expected: dict[bytes, bytes] = {}
        #: Files whose hash the host did not tell when it wrote them.
        self.unproven: set[bytes] = set()
        #: Files that the host read back before they got their names.
        self.read_back: set[bytes] = set()
        #: Whether the host was told to make durable what it has.
        self.committed = False
        #: Files in a row for which the host's disk had no room.
        self._full = 0
        #: Whether blobs are not hashed here.
        self._trusting = False
        #: Files that did not have the hash that was known beforehand. They get a second go: with their blobs hashed
        #: here, and a hash of our own for those of several blobs.
        self._doubtful: list[PlanItem] = []

    def write(self, items: Sequence[PlanItem], ahead: ReadAhead | None = None) -> None:
        """Write all of ``items``; one that fails is told and does not stop the others.

        ``ahead`` may have begun to read them, and more. Raises what ends the run: the link to the host, or the store of
        the repository's files, is gone.
        """
        self._doubtful = []
        if ahead is None:
            ahead = ReadAhead(self._repository, self._sink, items)
        self._trusting = ahead.trusting
        chosen = {item.path for item in items}
        self._write(((index, item) for index, item in enumerate(ahead.items) if item.path in chosen), ahead.contents)
        doubtful, self._doubtful = self._doubtful, []
        self._trusting = False
        self._write(enumerate(doubtful), Contents(self._repository, [item.node for item in doubtful]))

    def _write(self, ordered: Iterable[tuple[int, PlanItem]], contents: Contents) -> None:
        sent: list[_Sent] = []
        size = 0
        # One batch is made durable and read back on the host while the next one is on its way.
        under_way: _UnderWay | None = None
        with contextlib.closing(contents):
            for index, item in ordered:
                if not self._send(contents, index, item):
                    continue
                sent.append(_Sent(item, contents.sha256))
                size += item.node.size
                if size >= BATCH_BYTES or len(sent) >= BATCH_FILES:
                    self._finish(under_way)
                    under_way = self._commit(sent)
                    sent, size = [], 0
            self._finish(under_way)
            if sent:
                self._finish(self._commit(sent))

    def _commit(self, sent: Sequence[_Sent]) -> _UnderWay:
        self.committed = True
        return _UnderWay(sent, self._sink.begin_commit())

    def settle(self, refused: Sequence[tuple[PlanItem, WriteResult, bytes | None]]) -> None:
        """Tell what the host refused, except for what stands there already just as it should.

        So a plan that is applied a second time, or goes on after a cut, finds its own work and not a conflict.
        """
        if not refused:
            return
        there = self._sink.stat([item.path for item, _, _ in refused])
        alike = {
            item.path: sha256
            for (item, _, sha256), node in zip(refused, there, strict=True)
            if node is not None and node.type == item.node.type == "file" and node.size == item.node.size
        }
        found = {hashed.path: hashed.sha256 for hashed in self._sink.hash(list(alike))} if alike else {}
        for (item, result, sha256), node in zip(refused, there, strict=True):
            if item.node.type == "file":
                stands = found.get(item.path) is not None and found[item.path] == (sha256 or self._hash_of(item))
            else:
                stands = node is not None and node.type == item.node.type and node.linktarget == item.node.linktarget
            if stands and node is not None and not metadata_differs(item.node, node, owners=False):
                self._tally.unchanged += 1
            else:
                self._tally.refused(item, result)

    def _send(self, contents: Contents, index: int, item: PlanItem) -> bool:
        if self._full >= _FULL:
            self._tally.lost(item, "failed", "no-space", "the computer's disk is full, so this was not tried any more")
            return False
        try:
            content: Iterable[bytes | Zeros]
            if (small := contents.small(index)) is not None:
                content = (small,)
                self._tally.sent(len(small))
            else:
                content = self._counted(contents.read(index, known=item.sha256))
                if item.node.size <= _WHOLE:
                    content = list(content)
            self._sink.write_file(item.path, item.node, item.expected, content, sha256=contents.digest)
        except (Damaged, NotFound) as error:
            self._tally.lost(item, "failed", "damaged", f"its content cannot be read from the repository: {error}")
            return False
        self._tally.touched.add(paths.parent(item.path))
        return True

    def _counted(self, content: Generator[bytes | Zeros]) -> Iterator[bytes | Zeros]:
        with contextlib.closing(content):
            for piece in content:
                yield piece
                self._tally.sent(piece.length if isinstance(piece, Zeros) else len(piece))

    def _finish(self, batch: _UnderWay | None) -> None:
        if batch is None:
            return
        results = {result.path: result for result in batch.results()}
        refused: list[tuple[PlanItem, WriteResult, bytes | None]] = []
        for one in batch.sent:
            item = one.item
            result = results.get(item.path) or WriteResult(item.path, False, "", "the computer did not mention it")
            self._full = self._full + 1 if result.reason == "no-space" else 0
            believed = self._trusting or (item.sha256 is not None and len(item.node.content or ()) > 1)
            if believed and not result.ok and result.reason == "unreadable":
                self._doubtful.append(replace(item, sha256=None))
            elif not result.ok and result.reason == "conflict":
                refused.append((item, result, one.sha256))
            elif not result.ok:
                self._tally.refused(item, result)
            elif result.sha256 is not None and result.sha256 != one.sha256:
                self._tally.lost(item, "failed", "content", "the computer wrote something else than it was sent")
            else:
                self._prove(item, result, one.sha256)
        self.settle(refused)
        self._tally.progress()

    def _prove(self, item: PlanItem, result: WriteResult, sha256: bytes | None) -> None:
        self._tally.done(item, result)
        if sha256 is not None:
            self.expected[item.path] = sha256
        if result.sha256 is None or sha256 is None:
            self.unproven.add(item.path)
        else:
            self._tally.hashed += 1
            if result.read_back:
                self.read_back.add(item.path)

    def _hash_of(self, item: PlanItem) -> bytes | None:
        if item.sha256 is not None:
            return item.sha256
        try:
            return stored_hash(self._repository, item.node)
        except (Damaged, NotFound):
            return None


def _in_pack_order(repository: Repository, items: Sequence[PlanItem]) -> Iterator[PlanItem]:
    """Yield items so that blobs are asked for as they lie in their packs; packs in the order of the snapshot."""
    packs: dict[ID, int] = {}
    places: list[tuple[int, int, int]] = []
    for index, item in enumerate(items):
        found = repository.blob_place(item.node.content[0]) if item.node.content else None
        if found is None:
            places.append((-1, 0, index))
        else:
            places.append((packs.setdefault(found.pack, len(packs)), found.blob.offset, index))
    for _, _, index in sorted(places):
        yield items[index]


def _hash_is_known(item: PlanItem) -> bool:
    return item.sha256 is not None or len(item.node.content or ()) <= 1
