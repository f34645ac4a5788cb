"""What the engine says while it works. The engine prints nothing: ``reports/`` and ``flows/`` render these.

An event is a frozen value. A ``Reporter`` is any callable that takes one; it must be thread-safe and quick, and it
must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

#: Why something was not saved, or not saved for certain. ``docs/errors.md`` explains each to a person.
SkipReason = Literal[
    "excluded",  # a rule says so
    "special",  # socket, FIFO, device
    "too-large",  # larger than the rule allows
    "cloud-only",  # a placeholder whose content is not on the host
    "denied",  # the account may not read it
    "vanished",  # listed, then gone
    "changed",  # changed while it was read, each time; what was read last is stored
    "unreadable",  # an I/O error
    "name",  # a name that the repository or the host cannot hold
    "loop",  # a folder that contains itself
]


@dataclass(frozen=True, slots=True)
class HostStarted:
    """Work on one host began. ``action`` is a verb: snapshot, restore, verify."""

    host: str
    action: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one host is. Totals are what is known so far and may grow; sizes in bytes."""

    host: str
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    bytes_added: int
    skipped: int


@dataclass(frozen=True, slots=True)
class FileSaved:
    """One file's content is stored. ``unchanged`` when it was taken over from the parent snapshot unread."""

    host: str
    path: bytes
    size: int
    unchanged: bool


@dataclass(frozen=True, slots=True)
class ItemSkipped:
    """Something is not (certainly) in the snapshot. ``rule`` names the standing rule that covers it, if one does."""

    host: str
    path: bytes
    reason: SkipReason
    rule: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FileRestored:
    """One file stands on the host again. ``action`` as in ``restorer.plan``."""

    host: str
    path: bytes
    size: int
    action: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something a person should read, that stopped nothing."""

    host: str
    message: str


@dataclass(frozen=True, slots=True)
class HostFailed:
    """Work on one host ended with an error; the text carries no secret."""

    host: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class HostDone:
    """Work on one host ended; ``summary`` is one line for a person."""

    host: str
    action: str
    summary: str


#: What others wait for while a computer is in maintenance; a run in Prefect emits ``firstbell.<kind>``.
MilestoneKind = Literal[
    "snapshot.completed",  # saved and verified
    "gate.held",  # it must not be wiped now
    "clearance.issued",  # it may be wiped
    "host.returned",  # it is back, and is the same computer
    "restore.completed",  # everything is there again
]


@dataclass(frozen=True, slots=True)
class Milestone:
    """A computer in maintenance got somewhere. ``text`` is a sentence for a person, without names of people or files.

    ``snapshot`` is the ID in hex of the snapshot that it is about, if it is about one.
    """

    host: str
    kind: MilestoneKind
    site: str
    plan: str
    text: str
    snapshot: str = ""


Event = HostStarted | Progress | FileSaved | ItemSkipped | FileRestored | Warned | HostFailed | HostDone | Milestone
Reporter = Callable[[Event], None]


def silent(event: Event) -> None:
    """Drop the event: the null reporter."""
