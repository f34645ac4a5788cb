"""What every step of a walk needs: the facts, the log, and how what kept a computer is written down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.errors import AuthFailed, ConfigError, FirstbellError, TakenOver, TransportError
from tasks.events import Event, HostFailed, Milestone, MilestoneKind, Reporter, Warned
from tasks.policy.gate import CLOCK_TOLERANCE
from tasks.policy.maintenance import Do, Facts, Move, next_step
from tasks.policy.maintenance_state import HostState, Kind, fold, refused
from tasks.policy.school_time import window_of
from tasks.records.lease import Lease
from tasks.records.maintenance import MaintenanceRecord, Word, identity_of, open_maintenance_records, words
from tasks.records.maintenance_log import StepLog
from tasks.records.store import Clock, RecordStore
from tasks.verbs.context import Context
from tasks.verbs.maintenance_hands import Hands, Issue, Telling
from tasks.verbs.maintenance_plan import zone_of

#: A login that was refused is not tried again sooner: each attempt brings its account nearer to being locked.
_LOGIN_AGAIN: Final = timedelta(hours=1)
#: In characters; what a program said at its end may be long.
_LONGEST_REASON: Final = 500


class Walker:
    """One walk of one computer. ``plan`` is the one that people were told of."""

    def __init__(
        self,
        context: Context,
        plan: MaintenancePlan,
        host: Host,
        store: RecordStore,
        hands: Hands,
        *,
        changed: bool,
        announced: bool,
        untold: str,
        report: Reporter,
        clock: Clock,
    ) -> None:
        self.context = context
        self.plan = plan
        self.host = host
        self.store = store
        self.hands = hands
        self.clock = clock
        self.log = StepLog(store, plan.name, host.name)
        self._changed = changed
        self.announced = announced
        self.untold = untold
        self.report = report
        self.window = window_of(plan, zone_of(context, plan.site))
        self.issue: Issue | None = None
        self.lease: Lease | None = None
        self._begun = (clock(), time.monotonic())

    def look(self) -> tuple[Facts, Move]:
        """Return where the computer stands and what comes next. Changes nothing."""
        facts = self._facts()
        return facts, next_step(facts)

    def _facts(self) -> Facts:
        self.log.refresh()
        state = fold(self.log.steps, self.log.damage)
        problems: list[str] = []
        said: tuple[Word, ...] = ()
        try:
            said = words(self.store, self.plan.name, self.host.name)
        except ConfigError as error:
            # It may be the one that stops it. What has begun comes back all the same.
            problems.append(error.message)
        clearance = state.cleared.clearance if state.cleared else ""
        facts = Facts(
            state=state,
            now=self.clock(),
            window_start=self.window.start,
            window_end=self.window.end,
            return_within=timedelta(minutes=self.plan.return_minutes),
            action_within=timedelta(minutes=getattr(self.plan.action, "timeout_minutes", 0)),
            changed=self._changed,
            cancelled=any(word.saying == "cancel" for word in said),
            confirmed=any(word.saying == "confirm" and word.clearance == clearance for word in said),
            accepted=any(word.saying == "accept" for word in said),
            holding=self.issue.clearance.id if self.issue is not None else "",
            problems=tuple(problems),
        )
        if state.damage or state.ended or state.accepted:
            return facts
        if state.started is not None:
            return replace(
                facts, waiting=self._waiting(state) if state.identified and not state.restored else frozenset()
            )
        agreement, other = None, ""
        try:
            other = self._other()
            if state.announced:
                agreement = self.hands.agreement(self.context, self.plan, self.host, facts.now)
        except FirstbellError as error:
            problems.append(f"it cannot be found out whether people agree: {error.message}")
        return replace(facts, agreement=agreement, other=other, problems=tuple(problems))

    def _waiting(self, state: HostState) -> frozenset[str]:
        """Return whose restore waits. Raises ``ConfigError`` when that cannot be read: it would look delivered."""
        told: list[str] = []

        def report(event: Event) -> None:
            if isinstance(event, Warned):
                told.append(event.message)

        found = RecordStore(self.store.backend, report, clock=self.clock).pending()
        if told:
            raise ConfigError("; ".join(told), hint="Restores may still wait in it.", host=self.host.name)
        snapshot = state.cleared.snapshot if state.cleared else ""
        return frozenset(one.teacher for one in found if (one.host, one.snapshot) == (self.host.name, snapshot))

    def _other(self) -> str:
        """Return the other maintenance that has this computer and is not done with it."""
        for record in open_maintenance_records(self.store, self.host.name):
            if record.plan == self.plan.name:
                continue
            log = StepLog(self.store, record.plan, self.host.name)
            log.refresh()
            state = fold(log.steps, log.damage)
            if not (state.told or state.ended):
                return record.plan
        return ""

    def step(self, state: HostState, kind: Kind, detail: Mapping[str, Any] | None = None) -> bool:
        """Write a step down; always True. Raises ``TakenOver`` when another worker wrote one meanwhile."""
        why = refused(state, kind, detail or {})
        if why:
            raise ValueError(f"'{kind}' may not follow: {why}")
        self.log.append(str(kind), detail)
        return True

    def hold(self, state: HostState, kind: Kind, reason: str, *, until: datetime | None = None) -> bool:
        """Write down what keeps it, unless that was the last thing written down; the walk ends."""
        text = " ".join(reason.split())[:_LONGEST_REASON]
        self.note(state, Move(Do.WAIT, text=text, note=kind, until=until))
        return False

    def note(self, state: HostState, move: Move) -> None:
        """Write down what keeps it, unless that was the last thing written down."""
        if move.note is None or state.damage:
            return
        last = state.note
        if last is not None and (last.kind, last.reason, last.until) == (move.note, move.text, move.until):
            return
        detail: dict[str, Any] = {"reason": move.text}
        if move.until is not None:
            detail["until"] = moment_text(move.until)
        self.step(state, move.note, detail)

    def failed(self, state: HostState, error: FirstbellError) -> None:
        """Write down what went wrong; the next walk tries again."""
        self.report(HostFailed(self.host.name, error.message, error.hint))
        away = isinstance(error, TransportError) and error.transient
        before = state.started is None
        if away and before and self.window.start <= self.clock() < self.window.end:
            # The first packet may have been lost, or somebody switched it off.
            self.hands.wake(self.host)
        kind = Kind.UNREACHABLE if away else Kind.FAILED if before else Kind.ATTENTION
        again = self.clock() + _LOGIN_AGAIN if isinstance(error, AuthFailed) else None
        with contextlib.suppress(FirstbellError):
            self.hold(self.state(), kind, error.message, until=again)

    def state(self) -> HostState:
        """Return where it stands by what is written down."""
        return fold(self.log.steps, self.log.damage)

    def about(self, facts: Facts) -> dict[str, Any]:
        """Return the clearance that a step is about."""
        return {"clearance": facts.state.cleared.clearance if facts.state.cleared else ""}

    def record(self, facts: Facts) -> MaintenanceRecord:
        """Return its maintenance record, by its log. Raises ``ConfigError`` when that does not tell all of it."""
        told = {step.step: step for step in self.log.steps if step.step in (Kind.REFRESHED, Kind.CLEARED)}
        try:
            fresh, cleared = told[Kind.REFRESHED].detail, told[Kind.CLEARED]
            return MaintenanceRecord(
                plan=self.plan.name,
                host=self.host.name,
                clearance=cleared.detail["clearance"],
                snapshot=cleared.detail["snapshot"],
                serial=str(fresh.get("serial", "")),
                identity=identity_of(fresh.get("identity")),
                opened_at=cleared.at,
                until=datetime.fromisoformat(cleared.detail["until"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"its log does not tell how it was known before: {error}",
                hint="Nothing is restored by itself. 'firstbell restore' does it by hand.",
                host=self.host.name,
            ) from None

    def serial(self) -> str:
        """Return the hardware's serial number that it told when it was last saved."""
        told = next((step.detail for step in reversed(self.log.steps) if step.step == Kind.REFRESHED), {})
        return str(told.get("serial", ""))

    def check_lease(self) -> None:
        """Raise when another worker goes on with this computer, or the run was stopped."""
        if self.lease is not None:
            self.lease.check()
        try:
            self.context.links.check(self.host.name)
        except TransportError as error:
            raise TakenOver(error.message, hint="The next run goes on.", host=self.host.name) from None

    def check_clock(self) -> None:
        """Raise when the clock was moved during this walk: what it says of windows and clearances is then no good."""
        wall, steady = self._begun
        if abs((self.clock() - wall).total_seconds() - (time.monotonic() - steady)) > CLOCK_TOLERANCE.total_seconds():
            raise TakenOver("the clock of this worker was moved", hint="The next run goes on.", host=self.host.name)

    def tell(self, about: Telling, text: str = "") -> None:
        """Tell people, who are told once; what cannot be told now keeps nothing, and is tried again by the next run."""
        try:
            self.hands.tell(self.context, self.plan, self.host, about, text, self.clock(), self.report)
        except FirstbellError as error:
            self.report(Warned(self.host.name, f"nobody could be told of it: {error.message}"))

    def milestone(self, kind: MilestoneKind, text: str, snapshot: str = "") -> None:
        """Tell whoever listens where it got."""
        self.report(Milestone(self.host.name, kind, self.plan.site, self.plan.name, text, snapshot))


def moment_text(moment: datetime) -> str:
    """Return a moment as a record has it."""
    return moment.astimezone(UTC).isoformat()
