"""Which range reads bring the blobs that are asked for, planned some way ahead of what is being read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tasks.errors import Damaged, NotFound
from tasks.repository.ids import ID
from tasks.repository.index import Index
from tasks.repository.pack_file import PackedBlob

#: Blobs of one pack with at most so many bytes between them are read as one range: reading on is cheaper than asking.
GAP: Final = 64 * 1024
#: Limits of one range read, in stored and in plain bytes: a pack of 16 MiB and its last blob in two.
RUN_STORED: Final = 9 * 1024 * 1024
RUN_PLAIN: Final = 16 * 1024 * 1024
#: How far it is planned ahead of what is being read: runs of so many bytes, and so many blobs.
_PLANNED: Final = 2 * (RUN_STORED + RUN_PLAIN)
_ORDERED: Final = 10_000
#: So many runs stay open as long as nobody waits for them.
_OPEN: Final = 2

#: A blob's content, or what was wrong with it.
Loaded = bytes | Damaged | NotFound

#: Pack, which part of it, and a number where one run cannot hold what that unpacks to.
_Key = tuple[ID, int, int]


@dataclass(slots=True, eq=False)
class Wanted:
    """A blob, the run that brings it, and how often it is still wanted by what is planned."""

    blob: PackedBlob
    #: Bytes of its content.
    size: int
    run: Run
    times: int = 0
    content: Loaded | None = None


@dataclass(slots=True, eq=False)
class Run:
    """Blobs of one part of a pack."""

    pack: ID
    #: None once it is not open any more.
    key: _Key | None = None
    wanted: list[Wanted] = field(default_factory=list)
    #: Bytes that are read, and bytes that they become.
    stored: int = 0
    plain: int = 0

    @property
    def weight(self) -> int:
        """Bytes of memory that loading it takes."""
        return self.plain + self.stored

    @property
    def start(self) -> int:
        """Offset in the pack of its first blob, once they are in order."""
        return self.wanted[0].blob.offset

    def add(self, wanted: Wanted) -> None:
        """Take one more blob."""
        wanted.run = self
        self.wanted.append(wanted)
        self.stored += wanted.blob.length
        self.plain += wanted.size

    def ranges(self) -> Iterator[Run]:
        """Yield what one range read each brings, the blobs in the order of the pack."""
        part = Run(self.pack)
        end = 0
        for wanted in sorted(self.wanted, key=lambda wanted: wanted.blob.offset):
            gap = wanted.blob.offset - end
            if part.wanted and gap > GAP:
                yield part
                part = Run(self.pack)
            if part.wanted:
                part.stored += gap
            part.add(wanted)
            end = wanted.blob.offset + wanted.blob.length
        yield part


class ReadPlan:
    """Hands out blobs in the order asked, and the runs that bring them.

    What files need one after the other lies close in a pack, but seldom in just that order: threads that save at the
    same time mix it, and the stock client fills several packs at once. So a run stays open for what lies near it until
    it is read. A restore of 1 GB asked half as often, and the server needed half the CPU [measured].
    """

    def __init__(self, index: Index, ids: Sequence[ID]) -> None:
        self._index = index
        self._ids = iter(ids)
        self._ended = False
        self._order: deque[tuple[ID, Wanted | None]] = deque()
        self._known: dict[ID, Wanted] = {}
        #: The one that is needed first comes first.
        self._open: dict[_Key, Run] = {}
        self._weight = 0

    def extend(self) -> None:
        """Plan as far ahead as is good."""
        while self._weight < _PLANNED and len(self._order) < _ORDERED:
            id_ = next(self._ids, None)
            if id_ is None:
                self._ended = True
                return
            wanted = self._known.get(id_) or self._plan(id_)
            if wanted is not None:
                wanted.times += 1
            self._order.append((id_, wanted))

    def _plan(self, id_: ID) -> Wanted | None:
        place = self._index.find(None, id_)
        if place is None:
            return None
        blob = place.blob
        size = blob.plain_length
        key = place.pack, blob.offset // RUN_STORED, 0
        run = self._open.get(key)
        while run is not None and run.plain + size > RUN_PLAIN:
            key = *key[:2], key[2] + 1
            run = self._open.get(key)
        if run is None:
            run = self._open[key] = Run(place.pack, key)
        wanted = self._known[id_] = Wanted(blob, size, run)
        run.add(wanted)
        self._weight += size + blob.length
        return wanted

    def next_run(self, room: int) -> Run | None:
        """Return the run that is needed first, to be read, if it takes no more memory than ``room``."""
        if len(self._open) <= (0 if self._ended else _OPEN):
            return None
        run = next(iter(self._open.values()))
        return self.close(run) if run.weight <= room else None

    def close(self, run: Run) -> Run:
        """Return an open run, to be read."""
        if run.key is None:
            raise ValueError("the run is read already")
        del self._open[run.key]
        run.key = None
        self._weight -= run.weight
        return run

    def next_blob(self) -> tuple[ID, Wanted | None] | None:
        """Return what is due: None instead of a blob that no index lists. None at the end."""
        if not self._order:
            return None
        id_, wanted = self._order.popleft()
        if wanted is not None:
            wanted.times -= 1
            if not wanted.times:
                del self._known[id_]
        return id_, wanted
