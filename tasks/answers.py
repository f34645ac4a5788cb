"""What people are asked and what they answer: the lines of a school's ledger, as records and policy speak of them.

``seq`` is the number of the line, ``at`` when it was written (aware UTC). A ``nonce`` is the part of a code that is no
secret; ``following`` is that of the code which the answer yielded, so that a person can change their mind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

#: ``answer``: for the computers it was given out for. ``own``: for holds and overrides of that person.
Purpose = Literal["answer", "own"]
ScopeKind = Literal["host", "group", "site"]


class Decision(StrEnum):
    """What a person says to a computer being wiped."""

    APPROVE = "approve"
    DEFER = "defer"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Asked:
    """A person was asked, or was given a code of their own; ``plan`` is empty where no maintenance plan asks."""

    seq: int
    at: datetime
    purpose: Purpose
    person: str
    name: str
    nonce: str
    #: Until when the code is good; agreeing and putting off end at ``agree_by``, refusing does not.
    until: datetime
    agree_by: datetime
    plan: str = ""
    digest: str = ""
    hosts: tuple[str, ...] = ()
    #: Keys or accounts of those for whom this person may decide.
    on_behalf: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A person decided on computers. ``until`` is the end of a deferral, or of what else was said."""

    seq: int
    at: datetime
    person: str
    name: str
    nonce: str
    following: str
    plan: str
    digest: str
    hosts: tuple[str, ...]
    decision: Decision
    until: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class HoldPlaced:
    """An educator said that computers stay as they are until a moment. The hold is called by the number of its line."""

    seq: int
    at: datetime
    person: str
    name: str
    nonce: str
    following: str
    scope: ScopeKind
    target: str
    #: The computers of the scope when it was placed: a computer does not leave a hold by leaving a room.
    hosts: tuple[str, ...]
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class HoldLifted:
    """The one who placed a hold took it back."""

    seq: int
    at: datetime
    person: str
    name: str
    nonce: str
    following: str
    hold: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Overridden:
    """Two people went past what stood against wiping computers, until a moment."""

    seq: int
    at: datetime
    people: tuple[str, ...]
    names: tuple[str, ...]
    nonces: tuple[str, ...]
    following: tuple[str, ...]
    plan: str
    hosts: tuple[str, ...]
    #: The lines they went past, and those who had not answered. What is said later stands against them.
    past: tuple[int, ...]
    silent: tuple[str, ...]
    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class HandedOut:
    """A code was shown to somebody else than its person, or sent."""

    seq: int
    at: datetime
    person: str
    nonce: str
    how: Literal["printed", "mailed"]
    by: str


@dataclass(frozen=True, slots=True)
class Voided:
    """A code that others may have seen was made worthless; another one took its place."""

    seq: int
    at: datetime
    person: str
    name: str
    nonce: str
    following: str


@dataclass(frozen=True, slots=True)
class Guessed:
    """Wrong codes came in numbers: somebody may be guessing."""

    seq: int
    at: datetime
    count: int


Line = Asked | Answered | HoldPlaced | HoldLifted | Overridden | HandedOut | Voided | Guessed
