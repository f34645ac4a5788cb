"""All that a walk does to the world, as one value, and what each of it brings back.

The walk itself decides by what is written down; what it cannot take back happens in here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.actions.base import Action
from tasks.events import Reporter
from tasks.policy.gate import Reason
from tasks.policy.maintenance import Agreement
from tasks.records.clearance import Clearance
from tasks.records.maintenance import MaintenanceRecord
from tasks.records.store import Clock
from tasks.transports.base import HostIdentity
from tasks.verbs.context import Context

#: What the page is about: ``before`` the wipe what is saved, ``after`` it what came back; ``attention`` goes to IT.
Telling = Literal["before", "after", "attention"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that was made: its ID in hex, how many files it has, and who the computer was."""

    snapshot: str
    files: int
    identity: HostIdentity
    serial: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verification of the newest snapshot found; ``problem`` in words, without names of files."""

    good: bool
    snapshot: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """A clearance and its token, which is kept nowhere else."""

    clearance: Clearance
    token: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A look at a computer whose wipe was begun; ``fresh`` when it is not as it was: reimaged, or its files gone."""

    there: bool
    fresh: bool = False
    identity: HostIdentity | None = None
    serial: str = ""
    #: Why it is not to be reached.
    why: str = ""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a restore of everybody brought back; counts of files. ``waiting`` are those who have no profile yet."""

    waiting: tuple[str, ...] = ()
    #: Files that should stand there and do not.
    failed: int = 0
    restored: int = 0
    kept_newer: int = 0
    conflicts: int = 0
    skipped: int = 0
    undo: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison of the computer with the snapshot after the restore; counts of files."""

    good: bool
    compared: int
    missing: int
    different: int


@dataclass(frozen=True, slots=True)
class Hands:
    """What a walk needs done. Each raises a ``FirstbellError`` when it cannot."""

    #: Tell and ask everybody once; a repeated call writes to nobody twice.
    announce: Callable[[Context, MaintenancePlan, Sequence[Host], datetime, Reporter], None]
    agreement: Callable[[Context, MaintenancePlan, Host, datetime], Agreement]
    #: Send the packet; returns why it could not be sent, or an empty text.
    wake: Callable[[Host], str]
    save: Callable[[Context, Host, Clock, Reporter], Taken]
    prove: Callable[[Context, Host, Clock, Reporter], Proof]
    #: Why the gate holds, whatever snapshot is made.
    barriers: Callable[[Context, MaintenancePlan, Host, datetime], tuple[Reason, ...]]
    #: Issue a clearance that ends by a moment. Raises ``GateHold``.
    clear: Callable[[Context, MaintenancePlan, Host, datetime, datetime], Issue]
    #: Raises ``ConfigError`` for an action that cannot be started on any computer.
    action: Callable[[Context, MaintenancePlan], Action]
    look: Callable[[Context, Host, MaintenanceRecord, datetime], Seen]
    #: Accept a computer that came back as the one that was cleared. Raises ``IdentityRefused``.
    identify: Callable[[Context, Host, MaintenanceRecord, datetime], Seen]
    #: Bring back everything of exactly this snapshot; the last text tells two orders apart.
    restore: Callable[[Context, Host, str, str, Clock, Reporter], Brought]
    #: Compare what is there of these people (all of the snapshot's when None).
    compare: Callable[[Context, Host, str, Sequence[str] | None, datetime], Compared]
    tell: Callable[[Context, MaintenancePlan, Host, Telling, str, datetime, Reporter], None]
