"""A computer on paper: the hands of a walk without a helper or a repository, so that a hundred walks take a second."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.actions.base import ActionOrder, ActionResult
from tasks.errors import GateHold, IdentityRefused, Unreachable
from tasks.policy.gate import Reason
from tasks.policy.maintenance import Agreement
from tasks.records.clearance import Clearance
from tasks.records.store import Clock
from tasks.transports.base import HostIdentity
from tasks.verbs.maintenance_hands import Brought, Compared, Hands, Issue, Proof, Seen, Taken

OLD = HostIdentity("ssh-host-key", "ssh-ed25519", "SHA256:before")


@dataclass
class PaperComputer:
    """One computer, its repository, its gate and its people. Whatever is done goes through ``hook`` first."""

    clock: Clock
    files: dict[str, str] = field(default_factory=lambda: {f"lesson {number:02}": "text" for number in range(24)})
    identity: HostIdentity = OLD
    serial: str = "PF2"
    on: bool = True
    minutes: int = 120
    agreement: Agreement = field(default_factory=lambda: Agreement(agreed=True))
    holds: list[str] = field(default_factory=list)
    barriers: tuple[Reason, ...] = ()
    unproven: list[str] = field(default_factory=list)
    hook: Callable[[str], None] = lambda what: None
    #: What the action does; by default it wipes and says so.
    does: Callable[[PaperComputer, ActionOrder], ActionResult] | None = None
    no_profile: bool = False

    def __post_init__(self) -> None:
        self.snapshots: dict[str, dict[str, str]] = {}
        self.newest = ""
        self.issued: dict[str, str] = {}
        self.wiped: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.woken = 0
        self.restores = 0
        self.accepted: HostIdentity | None = None

    def hands(self) -> Hands:
        """Return the hands that do it."""
        return Hands(
            announce=lambda *_: self.hook("announce"),
            agreement=lambda *_: self.agreement,
            wake=self._wake,
            save=self._save,
            prove=self._prove,
            barriers=lambda *_: self.barriers,
            clear=self._clear,
            action=lambda *_: self,
            look=self._look,
            identify=self._identify,
            restore=self._restore,
            compare=self._compare,
            tell=self._tell,
        )

    def wipe(self, clearance: str) -> None:
        """Set it up anew."""
        self.wiped.append(clearance)
        self.files = {"Welcome": "fresh"}
        self.identity = HostIdentity("ssh-host-key", "ssh-ed25519", f"SHA256:{secrets.token_hex(4)}")

    def start(self, order: ActionOrder) -> ActionResult:
        """Do what an action does."""
        self.hook("start")
        order.check(now=self.clock())
        assert self.issued[order.clearance] == self.newest
        assert self.files == self.snapshots[self.newest], "something of it is not saved"
        if self.does is not None:
            return self.does(self, order)
        self.wipe(order.clearance)
        self.hook("started")
        return ActionResult(done=True, text="set up")

    def _there(self, host: Host) -> None:
        if not self.on:
            raise Unreachable("it does not answer", host=host.name)

    def _wake(self, host: Host) -> str:
        self.woken += 1
        return ""

    def _save(self, context: Any, host: Host, clock: Clock, report: Any) -> Taken:
        self.hook("save")
        self._there(host)
        self.newest = secrets.token_hex(32)
        self.snapshots[self.newest] = dict(self.files)
        return Taken(self.newest, len(self.files), self.identity, self.serial)

    def _prove(self, context: Any, host: Host, clock: Clock, report: Any) -> Proof:
        self.hook("prove")
        self._there(host)
        problem = self.unproven.pop(0) if self.unproven else ""
        if not problem and self.snapshots[self.newest] != self.files:
            problem = "1 file changed on the computer since the snapshot"
        return Proof(not problem, self.newest, problem)

    def _clear(self, context: Any, plan: MaintenancePlan, host: Host, until: datetime, now: datetime) -> Issue:
        self.hook("clear")
        if self.holds:
            raise GateHold(self.holds.pop(0), host=host.name)
        name = secrets.token_hex(16)
        self.issued[name] = self.newest
        expiry = min(now + timedelta(minutes=self.minutes), until)
        about = (self.newest, "sha256:", now, now, "spot", 0, now, expiry)
        return Issue(Clearance(name, host.name, plan.site, ("a.ito",), *about), name)

    def _look(self, context: Any, host: Host, record: Any, now: datetime) -> Seen:
        self.hook("look")
        if not self.on:
            return Seen(there=False, why="it does not answer")
        if record.serial != self.serial:
            raise IdentityRefused("another serial number", host=host.name)
        gone = set(self.snapshots[record.snapshot]) - set(self.files)
        fresh = self.identity != record.identity or len(gone) * 2 > len(self.snapshots[record.snapshot])
        return Seen(there=True, fresh=fresh, identity=self.identity, serial=self.serial)

    def _identify(self, context: Any, host: Host, record: Any, now: datetime) -> Seen:
        found = self._look(context, host, record, now)
        self.accepted = found.identity
        return found

    def _restore(self, context: Any, host: Host, snapshot: str, request: str, clock: Clock, report: Any) -> Brought:
        self.hook("restore")
        self._there(host)
        self.restores += 1
        if self.no_profile:
            return Brought(waiting=("a.ito",))
        new = {name: text for name, text in self.snapshots[snapshot].items() if name not in self.files}
        self.files |= new
        self.hook("restored")
        return Brought(restored=len(new))

    def _compare(
        self, context: Any, host: Host, snapshot: str, people: Sequence[str] | None, now: datetime
    ) -> Compared:
        self.hook("compare")
        missing = len(set(self.snapshots[snapshot]) - set(self.files))
        return Compared(good=not missing, compared=20, missing=missing, different=0)

    def _tell(
        self, context: Any, plan: MaintenancePlan, host: Host, kind: str, text: str, now: datetime, report: Any
    ) -> None:
        self.hook("tell")
        self.told.append((kind, text))
