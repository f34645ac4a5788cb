"""What people read of a maintenance: frozen values, made by ``verbs/tell.py``, rendered by the modules beside this one.

Nothing here reads a clock, a record or a repository. Times are aware; days are those of the school.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Final, Literal

from tasks.reports.model import TeacherPage, natural

ChangeKind = Literal["reimage", "upgrade", "change"]


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page: in which language, by whose clock, and whom they can ask."""

    name: str
    language: str
    school: str
    zone: tzinfo
    contact: str = ""


@dataclass(frozen=True, slots=True)
class AnnouncedComputer:
    """A computer that is to be changed; ``saved`` is when it was last saved with nothing missing."""

    host: str
    room: str = ""
    saved: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """How somebody agrees or refuses. ``code`` is empty on a copy that others see, too."""

    code: str
    until: datetime
    page: str = ""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What happens to which computers of one person; without ``answer`` nobody is asked."""

    title: str
    kind: ChangeKind
    computers: tuple[AnnouncedComputer, ...]
    start: datetime
    end: datetime
    answer: Answer | None
    notes: str = ""
    #: For whom else the reader decides, by name.
    on_behalf: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TeacherBefore:
    """What is saved of one teacher, and what is not, before computers are changed."""

    kind: ChangeKind
    pages: tuple[TeacherPage, ...]
    start: datetime | None = None


#: Why something did not come back, the worst first (``tasks.restorer.result``).
MissingKind = Literal["failed", "conflict", "skipped", "kept-newer", "metadata"]


@dataclass(frozen=True, slots=True)
class Missing:
    """Things that did not come back, or not quite, for one reason; a few of them by their paths."""

    kind: MissingKind
    count: int
    examples: tuple[bytes, ...] = ()


#: What became of settings, in the order of a page: back, back at the first sign-in, the teacher's newer one kept, waits
#: for a program, IT has to do it, cannot come back.
SettingState = Literal["back", "first-sign-in", "kept", "waits", "needs-it", "cannot"]


@dataclass(frozen=True, slots=True)
class SettingsBack:
    """Settings in one state, by the names that the catalog has for them."""

    state: SettingState
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CameBack:
    """What came back of one teacher's files on one computer. ``folder``: where to, when not to where they were."""

    host: str
    state: Literal["back", "partly", "waits", "not"]
    saved: datetime | None
    restored: int = 0
    unchanged: int = 0
    size: int = 0
    home: bytes = b""
    folder: bytes = b""
    missing: tuple[Missing, ...] = ()
    settings: tuple[SettingsBack, ...] = ()


@dataclass(frozen=True, slots=True)
class TeacherAfter:
    """What came back of one teacher's files, after computers were changed."""

    kind: ChangeKind
    computers: tuple[CameBack, ...]


@dataclass(frozen=True, slots=True)
class NeedsSomebody:
    """A computer that somebody in IT must look at: what is the matter, and what to do."""

    host: str
    room: str
    since: datetime
    what: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Attention:
    """What IT is told of."""

    title: str
    computers: tuple[NeedsSomebody, ...]


@dataclass(frozen=True, slots=True)
class Overdue:
    """A computer without a good snapshot for too long; ``days`` is None when it never had one."""

    host: str
    room: str
    last_good: datetime | None
    days: int | None
    teachers: tuple[str, ...] = ()
    #: Of a newer snapshot that was not good: it is partial.
    partly: datetime | None = None


@dataclass(frozen=True, slots=True)
class OverduePage:
    """The computers of a school that were not saved for ``days`` days or more, the longest first."""

    days: int
    made: datetime
    computers: tuple[Overdue, ...]
    #: How many computers were looked at.
    looked_at: int


#: Why a computer is not ready, the worst first.
Trouble = Literal["lost", "attention", "files", "away", "confirm"]
TROUBLES: Final[tuple[Trouble, ...]] = ("lost", "attention", "files", "away", "confirm")


@dataclass(frozen=True, slots=True)
class NotReady:
    """A computer with which nobody can teach yet."""

    host: str
    trouble: Trouble
    since: datetime | None = None
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """A room with its computers; those without a room stand under an empty title."""

    title: str
    computers: int
    not_ready: tuple[NotReady, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Return whether every computer in it is ready."""
        return not self.not_ready


@dataclass(frozen=True, slots=True)
class ReadinessPage:
    """Whether the rooms of a school are ready for its next class day, which is None when no calendar tells."""

    made: datetime
    next_class_day: date | None
    rooms: tuple[Room, ...]
    overdue: tuple[Overdue, ...] = ()
    days: int = 0

    @property
    def worst_first(self) -> Sequence[Room]:
        """Return the rooms: first those in which the largest part of the computers is not ready."""
        return sorted(
            self.rooms,
            key=lambda room: (-len(room.not_ready) / max(room.computers, 1), not room.title, natural(room.title)),
        )

    @property
    def ready(self) -> int:
        """Return how many rooms are ready."""
        return sum(room.is_ready for room in self.rooms)


#: What a line of the ledger is about; another word is shown as it is.
Deed = Literal["approve", "defer", "refuse", "hold", "lift", "override", "cancel"]


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """Who decided what, for which computers, when, until when and why."""

    at: datetime
    who: str
    deed: str
    about: tuple[str, ...]
    until: datetime | date | None = None
    reason: str = ""
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Ledger:
    """The decisions of a school, the newest first. ``problem``: why its chain does not hold, else empty."""

    title: str
    made: datetime
    lines: tuple[LedgerLine, ...]
    problem: str = ""
