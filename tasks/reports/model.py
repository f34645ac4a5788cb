"""What there is to report: frozen values, built from results, rendered by the other modules of this package.

Nothing here reads a clock, a repository or a host. Sizes are bytes, durations seconds, times aware.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from tasks.entries import Skipped
from tasks.events import SkipReason
from tasks.reports.reasons import wording
from tasks.reports.units import count_of

#: The states of a snapshot (``policy.snapshot_state``), worst first.
State = Literal["failed", "partial", "complete-with-acknowledged-skips", "complete"]
STATES: Final[tuple[State, ...]] = ("failed", "partial", "complete-with-acknowledged-skips", "complete")

#: How each state is called in a table.
STATE_WORDS: Final[Mapping[State, str]] = {
    "failed": "FAILED",
    "partial": "PARTLY",
    "complete-with-acknowledged-skips": "saved",
    "complete": "saved",
}

#: Paths that are kept of each group of skips, so that a report stays small when a whole disk is unreadable.
EXAMPLES: Final = 20

_PARTS: Final = re.compile(r"([0-9]+)|([^0-9]+)")


@dataclass(frozen=True, slots=True)
class SkipGroup:
    """Things that were left out for one reason, or by one rule."""

    reason: SkipReason
    count: int
    #: Covered by a standing rule or by a person's acknowledgement: nobody has to look at it.
    acknowledged: bool = False
    #: The rule's own words for why it leaves this out; empty when no rule did.
    why: str = ""
    #: The first few paths, in the order they were met.
    examples: tuple[bytes, ...] = ()


def group_skips(
    skips: Iterable[Skipped], rules: Mapping[str, str], *, acknowledged: Iterable[str] = (), keep: int = EXAMPLES
) -> tuple[SkipGroup, ...]:
    """Return ``skips`` by reason and rule, the ones that need a person first.

    ``rules`` maps the id of a rule to its reason in words. A skip is acknowledged when a rule made it, or when its
    reason is among ``acknowledged``.
    """
    accepted = frozenset(acknowledged)
    counts: dict[tuple[SkipReason, str], int] = {}
    examples: dict[tuple[SkipReason, str], list[bytes]] = {}
    for skip in skips:
        key = (skip.reason, skip.rule)
        counts[key] = counts.get(key, 0) + 1
        kept = examples.setdefault(key, [])
        if len(kept) < keep:
            kept.append(skip.path)
    groups = [
        SkipGroup(
            reason=reason,
            count=count,
            acknowledged=bool(rule) or reason in accepted,
            why=rules.get(rule, rule),
            examples=tuple(examples[reason, rule]),
        )
        for (reason, rule), count in counts.items()
    ]
    return tuple(sorted(groups, key=lambda group: (group.acknowledged, wording(group.reason).rank, group.why)))


@dataclass(frozen=True, slots=True)
class FolderSaved:
    """How much of one folder is in the snapshot; ``name`` is for people: ``Desktop``, ``everything else``."""

    name: str
    files: int
    bytes: int


#: What becomes of a setting: the restore classes of the catalog, and what could not be saved.
SettingFate = Literal["by-itself", "first-sign-in", "needs-it", "cannot", "not-saved"]
SETTING_FATES: Final[tuple[SettingFate, ...]] = ("cannot", "not-saved", "needs-it", "first-sign-in", "by-itself")


@dataclass(frozen=True, slots=True)
class SettingTold:
    """One setting that somebody has, as the catalog calls it; the texts are the catalog's, for teachers."""

    name: str
    fate: SettingFate
    #: Why IT is needed or it cannot come back; what the teacher can do before; what of it does not come back.
    because: str = ""
    do_first: str = ""
    limits: str = ""


@dataclass(frozen=True, slots=True)
class TeacherPage:
    """What one teacher should know of one snapshot."""

    host: str
    name: str
    home: bytes
    state: State
    #: When the snapshot was taken; None when there is none.
    taken: datetime | None
    full_name: str = ""
    files: int = 0
    bytes: int = 0
    folders: tuple[FolderSaved, ...] = ()
    skips: tuple[SkipGroup, ...] = ()
    #: What becomes of the settings that they have; empty where none are saved.
    settings: tuple[SettingTold, ...] = ()
    #: Why there is no snapshot, when the state is ``failed``.
    problem: str = ""

    @property
    def title(self) -> str:
        """The teacher as people know them, or the account's name."""
        return self.full_name or self.name

    @property
    def open_skips(self) -> tuple[SkipGroup, ...]:
        """What a person has to look at."""
        return tuple(group for group in self.skips if not group.acknowledged)


@dataclass(frozen=True, slots=True)
class HostReport:
    """What became of one computer."""

    host: str
    state: State
    files: int = 0
    files_unchanged: int = 0
    bytes: int = 0
    bytes_added: int = 0
    seconds: float = 0.0
    skips: tuple[SkipGroup, ...] = ()
    #: The first 8 digits of the snapshot's id; empty when there is none. For the command line only.
    snapshot: str = ""
    #: Why it failed, without the computer's name; empty otherwise.
    message: str = ""
    #: The cure of a failure, a full sentence.
    hint: str = ""
    #: What a person should read though it stopped nothing.
    notes: tuple[str, ...] = ()
    teachers: tuple[TeacherPage, ...] = ()

    @property
    def open_skips(self) -> tuple[SkipGroup, ...]:
        """What a person has to look at."""
        return tuple(group for group in self.skips if not group.acknowledged)

    @property
    def needs_attention(self) -> bool:
        """Whether a person has to do something."""
        return self.state in ("failed", "partial")

    @property
    def what_happened(self) -> str:
        """One line for a table, without file names: the error, or what was left out and why."""
        if self.state == "failed":
            return self.message
        parts = [f"{count_of(group.count, 'item')} {wording(group.reason).short}" for group in self.open_skips]
        return "; ".join(parts) or (self.notes[0] if self.notes and self.needs_attention else "")

    @property
    def what_to_do(self) -> str:
        """The cure, or nothing when there is nothing to do."""
        if self.state == "failed":
            return self.hint
        if self.state == "partial" and self.open_skips:
            return wording(self.open_skips[0].reason).it_cure
        return ""


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What became of the computers of one run."""

    site: str
    started: datetime
    seconds: float
    hosts: tuple[HostReport, ...] = field(default=())

    @property
    def worst_first(self) -> Sequence[HostReport]:
        """The hosts, those that need somebody first, then by name."""
        return sorted(self.hosts, key=lambda report: (STATES.index(report.state), natural(report.host)))

    def in_state(self, *states: State) -> int:
        """Return how many hosts are in one of ``states``."""
        return sum(report.state in states for report in self.hosts)

    @property
    def headline(self) -> str:
        """One line: ``24 computers: 22 saved, 1 partly, 1 failed``."""
        parts = [
            f"{count} {word}"
            for count, word in (
                (self.in_state("complete", "complete-with-acknowledged-skips"), "saved"),
                (self.in_state("partial"), "partly"),
                (self.in_state("failed"), "failed"),
            )
            if count
        ]
        return f"{count_of(len(self.hosts), 'computer')}: {', '.join(parts)}" if parts else "no computer"


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which ``pc-9`` comes before ``pc-10``."""
    return tuple((0, int(digits), "") if digits else (1, 0, text) for digits, text in _PARTS.findall(name))
