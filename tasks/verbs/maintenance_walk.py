"""Walk one computer from where its log says it stands, as far as it can go now.

Before each step the log, people's words and the rest are read anew and ``tasks.policy.maintenance`` says what comes
next; each step is written down before the next one. A walk that dies anywhere is gone on with by the next one: what
was done and not written down is done once more, which each step bears, all but the action. That one is written down
before it is begun, and never begun again while its clearance is good.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from configs.maintenance import MaintenancePlan
from inventory.model import Host
from tasks.actions.base import ActionOrder
from tasks.errors import ActionFailed, ActionUnknown, ConfigError, FirstbellError, GateHold, TakenOver, TransportError
from tasks.events import HostFailed, Milestone, MilestoneKind, Reporter, Warned
from tasks.policy.gate import CLOCK_TOLERANCE
from tasks.policy.maintenance import Do, Facts, Looked, Move, after_look, next_step
from tasks.policy.maintenance_state import HostState, Kind, fold, refused
from tasks.policy.school_time import window_of
from tasks.records.clearance import SKEW
from tasks.records.lease import Lease
from tasks.records.maintenance import (
    MaintenanceRecord,
    close_maintenance_records,
    identity_data,
    identity_of,
    maintenance_of,
    open_maintenance_record,
    open_maintenance_records,
    words,
)
from tasks.records.maintenance_log import StepLog
from tasks.records.store import Clock, RecordStore
from tasks.verbs.context import Context
from tasks.verbs.maintenance_hands import Hands, Issue, Taken
from tasks.verbs.maintenance_plan import zone_of

#: A walk that takes more steps than this goes round in circles.
_MOST_STEPS: Final = 60
#: How often a walk makes the snapshot right before anew, when somebody worked meanwhile.
_REFRESHES: Final = 2
#: A snapshot with fewer files than this says little by having fewer still.
_FEW: Final = 20


class Walk:
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
        self._announced = announced
        self._untold = untold
        self._report = report
        self._window = window_of(plan, zone_of(context, plan.site))
        self._issue: Issue | None = None
        self._lease: Lease | None = None
        self._begun = (clock(), time.monotonic())

    def look(self) -> tuple[Facts, Move]:
        """Return where the computer stands and what comes next. Changes nothing."""
        facts = self._facts()
        return facts, next_step(facts)

    def go(self, lease: Lease) -> None:
        """Take one step after the other until there is something to wait for."""
        self._lease = lease
        for _ in range(_MOST_STEPS):
            facts, move = self.look()
            if move.do is Do.WAIT:
                self._note(facts.state, move)
                return
            try:
                going = _DO[move.do](self, facts, move)
            except TakenOver:
                raise
            except FirstbellError as error:
                self._failed(facts.state, error)
                return
            if not going:
                return
        self._report(Warned(self.host.name, "the maintenance went round in circles and was left for the next run"))

    def _facts(self) -> Facts:
        self.log.refresh()
        state = fold(self.log.steps, self.log.damage)
        said = words(self.store, self.plan.name, self.host.name)
        clearance = state.cleared.clearance if state.cleared else ""
        facts = Facts(
            state=state,
            now=self.clock(),
            window_start=self._window.start,
            window_end=self._window.end,
            return_within=timedelta(minutes=self.plan.return_minutes),
            changed=self._changed,
            cancelled=any(word.saying == "cancel" for word in said),
            confirmed=any(word.saying == "confirm" and word.clearance == clearance for word in said),
            accepted=any(word.saying == "accept" for word in said),
            holding=self._issue.clearance.id if self._issue is not None else "",
        )
        if state.damage or state.ended or state.accepted:
            return facts
        if state.started is not None:
            return replace(
                facts, waiting=self._waiting(state) if state.identified and not state.restored else frozenset()
            )
        problems: list[str] = []
        agreement = None
        if state.announced:
            try:
                agreement = self.hands.agreement(self.context, self.plan, self.host, facts.now)
            except FirstbellError as error:
                problems.append(f"it cannot be found out whether people agree: {error.message}")
        return replace(facts, agreement=agreement, other=self._other(), problems=tuple(problems))

    def _waiting(self, state: HostState) -> frozenset[str]:
        snapshot = state.cleared.snapshot if state.cleared else ""
        return frozenset(
            one.teacher for one in self.store.pending() if one.host == self.host.name and one.snapshot == snapshot
        )

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

    # -- towards the wipe

    def _open(self, facts: Facts, move: Move) -> bool:
        return self._step(facts.state, Kind.OPENED, {"kind": self.plan.kind})

    def _announce(self, facts: Facts, move: Move) -> bool:
        if not self._announced:
            # Or somebody else is just telling them.
            return self._hold(facts.state, Kind.FAILED, self._untold) if self._untold else False
        return self._step(facts.state, Kind.ANNOUNCED)

    def _agree(self, facts: Facts, move: Move) -> bool:
        found = facts.agreement
        detail: dict[str, Any] = {"by": list(found.by) if found else []}
        if found is not None and found.until is not None:
            detail["until"] = _text(found.until)
        return self._step(facts.state, Kind.AGREED, detail)

    def _wake(self, facts: Facts, move: Move) -> bool:
        why = self.hands.wake(self.host)
        return self._step(facts.state, Kind.WOKEN, {"problem": why} if why else {})

    def _save(self, facts: Facts, move: Move) -> bool:
        taken = self.hands.save(self.context, self.host, self.clock, self._report)
        return self._step(facts.state, Kind.SAVED, _taken(taken))

    def _verify(self, facts: Facts, move: Move) -> bool:
        state = facts.state
        proof = self.hands.prove(self.context, self.host, self.clock, self._report)
        if not proof.good:
            # Somebody may just have worked: what they did is saved now, and proven with the rest.
            self._save(facts, move)
            proof = self.hands.prove(self.context, self.host, self.clock, self._report)
            state = self._state()
        if not proof.good:
            return self._hold(state, Kind.FAILED, f"what was saved could not be proven: {proof.problem}")
        self._step(state, Kind.VERIFIED, {"snapshot": proof.snapshot})
        self._milestone("snapshot.completed", "It is saved, and that was proven.", proof.snapshot)
        return True

    def _refresh(self, facts: Facts, move: Move) -> bool:
        reasons = self.hands.barriers(self.context, self.plan, self.host, self.clock())
        if reasons:
            self._milestone("gate.held", "It must not be wiped now.")
            return self._hold(facts.state, Kind.HELD, "; ".join(reason.text for reason in reasons))
        return self._save_again(facts.state)

    def _save_again(self, state: HostState) -> bool:
        """Make the snapshot from right before, and prove it; once more when somebody worked meanwhile."""
        problem = ""
        for _ in range(_REFRESHES):
            self._check_lease()
            taken = self.hands.save(self.context, self.host, self.clock, self._report)
            first = state.saved.files if state.saved else 0
            if first >= _FEW and taken.files * 2 < first:
                text = f"most files are gone since it was saved ({first} then, {taken.files} now)"
                return self._hold(state, Kind.ATTENTION, f"{text}: was it wiped already?")
            proof = self.hands.prove(self.context, self.host, self.clock, self._report)
            if proof.good and proof.snapshot == taken.snapshot:
                return self._step(state, Kind.REFRESHED, _taken(taken))
            problem = proof.problem or "another snapshot was made meanwhile"
        return self._hold(state, Kind.HELD, f"it is in use, or cannot be saved as it is: {problem}")

    def _clear(self, facts: Facts, move: Move) -> bool:
        """Ask the gate and get the clearance; when somebody worked meanwhile, save that first."""
        for tries in range(_REFRESHES + 1):
            state, now = self._state(), self.clock()
            reason = ""
            try:
                issue = self.hands.clear(self.context, self.plan, self.host, self._window.end, now)
            except GateHold as error:
                reason = error.message
                if tries == _REFRESHES or self.hands.barriers(self.context, self.plan, self.host, now):
                    self._milestone("gate.held", "It must not be wiped now.")
                    return self._hold(state, Kind.HELD, reason)
            else:
                if state.refreshed is not None and issue.clearance.snapshot == state.refreshed.snapshot:
                    return self._cleared(state, issue, now)
                reason = "another snapshot was made meanwhile"
                if tries == _REFRESHES:
                    return self._hold(state, Kind.HELD, reason)
            if not self._save_again(state):
                return False
        return False

    def _cleared(self, state: HostState, issue: Issue, now: datetime) -> bool:
        clearance = issue.clearance
        told = next(step.detail for step in reversed(self.log.steps) if step.step == Kind.REFRESHED)
        until = max(clearance.expiry, self._window.end) + timedelta(minutes=self.plan.return_minutes)
        record = MaintenanceRecord(
            plan=self.plan.name,
            host=self.host.name,
            clearance=clearance.id,
            snapshot=clearance.snapshot,
            serial=str(told.get("serial", "")),
            identity=identity_of(told.get("identity")),
            opened_at=now,
            until=until,
        )
        # First, so that the snapshot is kept from here on.
        open_maintenance_record(self.store, record)
        self._step(
            state,
            Kind.CLEARED,
            {
                "clearance": clearance.id,
                "snapshot": clearance.snapshot,
                "expiry": _text(clearance.expiry),
                "users": list(clearance.users),
                "until": _text(until),
            },
        )
        self._issue = issue
        self._milestone("clearance.issued", "It may be wiped now.", clearance.snapshot)
        return True

    def _start(self, facts: Facts, move: Move) -> bool:
        issue = self._issue
        if issue is None:
            raise TakenOver("the clearance is not at hand", host=self.host.name)
        # What is wrong with the plan's action shows before anything is written down.
        action = self.hands.action(self.context, self.plan)
        clearance = issue.clearance
        order = ActionOrder(
            plan=self.plan.name,
            site=self.plan.site,
            host=self.host.name,
            address=self.host.address,
            mac=self.host.mac or "",
            serial=self._serial(),
            clearance=issue.token,
            expiry=clearance.expiry,
        )
        self._check_lease()
        self._check_clock()
        about = {"clearance": clearance.id}
        self._step(facts.state, Kind.STARTED, about)
        # From here on it is not known any more whether it was begun, until somebody says so.
        self._issue = None
        state = self._state()
        try:
            self._check_lease()
            self._check_clock()
        except TakenOver as error:
            # It was this walk's to begin, and it does not.
            self._step(state, Kind.UNDONE, {**about, "reason": error.message})
            raise
        try:
            result = action.start(order)
        except ActionUnknown as error:
            self._hold(state, Kind.ATTENTION, error.message)
            return True
        except (ActionFailed, ConfigError) as error:
            self._step(state, Kind.UNDONE, {**about, "reason": error.message})
            return self._hold(self._state(), Kind.FAILED, error.message)
        kind = Kind.DONE if result.done else Kind.BEGUN
        return self._step(state, kind, {**about, "text": result.text[:1000]})

    def _cancel(self, facts: Facts, move: Move) -> bool:
        word = next(word for word in words(self.store, self.plan.name, self.host.name) if word.saying == "cancel")
        return self._end(facts, Kind.CANCELLED, {"by": word.by, "reason": word.reason})

    def _leave(self, facts: Facts, move: Move) -> bool:
        note = facts.state.note
        return self._end(facts, Kind.UNTOUCHED, {"because": str(note.kind) if note else "", "reason": move.text})

    def _end(self, facts: Facts, kind: Kind, detail: Mapping[str, Any]) -> bool:
        # The snapshot is not kept for it any longer.
        close_maintenance_records(self.store, self.host.name, self.plan.name)
        return self._step(facts.state, kind, detail)

    # -- and back

    def _confirm(self, facts: Facts, move: Move) -> bool:
        said = words(self.store, self.plan.name, self.host.name)
        by = next(word.by for word in reversed(said) if word.saying == "confirm")
        return self._step(facts.state, Kind.DONE, {**self._about(facts), "by": by})

    def _look(self, facts: Facts, move: Move) -> bool:
        seen = self.hands.look(self.context, self.host, self._record(facts), facts.now)
        meant = after_look(facts, Looked(seen.there, seen.fresh), stays_itself=self.plan.kind != "reimage", skew=SKEW)
        if isinstance(meant, Move):
            self._note(facts.state, meant)
            return False
        if meant is Kind.UNDONE:
            return self._step(
                facts.state, meant, {**self._about(facts), "reason": "its clearance is over, and nothing was done"}
            )
        if not facts.state.done:
            self._step(facts.state, Kind.DONE, {**self._about(facts), "by": "what was seen of the computer"})
        return self._step(self._state(), Kind.RETURNED, self._about(facts))

    def _identify(self, facts: Facts, move: Move) -> bool:
        seen = self.hands.identify(self.context, self.host, self._record(facts), facts.now)
        if not seen.there:
            return self._hold(facts.state, Kind.UNREACHABLE, seen.why or "it does not answer")
        detail: dict[str, Any] = {"serial": seen.serial}
        if seen.identity is not None:
            detail["identity"] = identity_data(seen.identity)
        self._step(facts.state, Kind.IDENTIFIED, detail)
        self._milestone("host.returned", "It is back.")
        return True

    def _restore(self, facts: Facts, move: Move) -> bool:
        """Bring everything back. Whose restore was put off and waits no longer got it from the delivery."""
        state = facts.state
        cleared = state.cleared
        if cleared is None:
            return False
        delivered = [name for name in cleared.users if name in state.put_off - state.brought - facts.waiting]
        for name in delivered:
            self._step(self._state(), Kind.BROUGHT, {"account": name, "how": "delivered"})
        rest = [name for name in cleared.users if name not in state.put_off | state.brought]
        if not rest:
            return True
        request = f"maintenance {self.plan.name} {cleared.clearance}"
        found = self.hands.restore(self.context, self.host, cleared.snapshot, request, self.clock, self._report)
        if found.failed:
            text = f"{found.failed} files could not be brought back yet: {found.message}".removesuffix(": ")
            return self._hold(state, Kind.ATTENTION, text)
        counts = {
            "restored": found.restored,
            "kept_newer": found.kept_newer,
            "conflicts": found.conflicts,
            "skipped": found.skipped,
            "undo": found.undo,
        }
        for name in rest:
            if name in found.waiting:
                self._step(self._state(), Kind.PUT_OFF, {"account": name})
            else:
                self._step(self._state(), Kind.BROUGHT, {"account": name, "how": "restored", **counts})
        return True

    def _finish(self, facts: Facts, move: Move) -> bool:
        self._step(facts.state, Kind.RESTORED)
        self._milestone("restore.completed", "Everything is there again.", self._record(facts).snapshot)
        return True

    def _check(self, facts: Facts, move: Move) -> bool:
        cleared = facts.state.cleared
        if cleared is None:
            return False
        late = facts.state.put_off
        # Who got theirs later, at a first sign-in, has worked since.
        people = [name for name in cleared.users if name not in late] if late else None
        found = self.hands.compare(self.context, self.host, cleared.snapshot, people, facts.now)
        detail = {"compared": found.compared, "missing": found.missing, "different": found.different}
        return self._step(facts.state, Kind.CHECKED, {"good": found.good, **detail})

    def _tell(self, facts: Facts, move: Move) -> bool:
        self.hands.tell(self.context, self.plan, self.host, "after", "", facts.now, self._report)
        return self._step(facts.state, Kind.TOLD)

    def _accept(self, facts: Facts, move: Move) -> bool:
        word = next(word for word in words(self.store, self.plan.name, self.host.name) if word.saying == "accept")
        self._step(facts.state, Kind.ACCEPTED, {"by": word.by})
        close_maintenance_records(self.store, self.host.name, self.plan.name)
        return False

    # -- how it is written down

    def _step(self, state: HostState, kind: Kind, detail: Mapping[str, Any] | None = None) -> bool:
        why = refused(state, kind, detail or {})
        if why:
            raise ValueError(f"'{kind}' may not follow: {why}")
        self.log.append(str(kind), detail)
        return True

    def _hold(self, state: HostState, kind: Kind, reason: str) -> bool:
        """Write down what keeps it, unless that was the last thing written down; the walk ends."""
        self._note(state, Move(Do.WAIT, text=reason, note=kind))
        return False

    def _note(self, state: HostState, move: Move) -> None:
        if move.note is None or state.damage:
            return
        last = state.note
        if last is not None and (last.kind, last.reason, last.until) == (move.note, move.text, move.until):
            return
        detail: dict[str, Any] = {"reason": move.text}
        if move.until is not None:
            detail["until"] = _text(move.until)
        self._step(state, move.note, detail)

    def _failed(self, state: HostState, error: FirstbellError) -> None:
        """Write down what went wrong; the next walk tries again."""
        self._report(HostFailed(self.host.name, error.message, error.hint))
        away = isinstance(error, TransportError) and error.transient
        before = state.started is None
        if away and before and self._window.start <= self.clock() < self._window.end:
            # The first packet may have been lost, or somebody switched it off.
            self.hands.wake(self.host)
        kind = Kind.UNREACHABLE if away else Kind.FAILED if before else Kind.ATTENTION
        with contextlib.suppress(FirstbellError):
            current = self._state()
            self._hold(current, kind, error.message)

    def _state(self) -> HostState:
        return fold(self.log.steps, self.log.damage)

    def _about(self, facts: Facts) -> dict[str, Any]:
        return {"clearance": facts.state.cleared.clearance if facts.state.cleared else ""}

    def _record(self, facts: Facts) -> MaintenanceRecord:
        cleared = facts.state.cleared
        clearance = cleared.clearance if cleared else ""
        record = maintenance_of(self.store, self.host.name, self.plan.name, clearance)
        if record is None:
            raise ConfigError(
                "its maintenance record is not there any more",
                hint="Nothing is restored by itself. 'firstbell restore' does it by hand.",
                host=self.host.name,
            )
        return record

    def _serial(self) -> str:
        told = next((step.detail for step in reversed(self.log.steps) if step.step == Kind.REFRESHED), {})
        return str(told.get("serial", ""))

    def _check_lease(self) -> None:
        """Raise when another worker goes on with this computer, or the run was stopped."""
        if self._lease is not None:
            self._lease.check()
        try:
            self.context.links.check(self.host.name)
        except TransportError as error:
            raise TakenOver(error.message, hint="The next run goes on.", host=self.host.name) from None

    def _check_clock(self) -> None:
        """Raise when the clock was moved during this walk: what it says of windows and clearances is then no good."""
        wall, steady = self._begun
        if abs((self.clock() - wall).total_seconds() - (time.monotonic() - steady)) > CLOCK_TOLERANCE.total_seconds():
            raise TakenOver("the clock of this worker was moved", hint="The next run goes on.", host=self.host.name)

    def _milestone(self, kind: MilestoneKind, text: str, snapshot: str = "") -> None:
        self._report(Milestone(self.host.name, kind, self.plan.site, self.plan.name, text, snapshot))


_Move = Callable[[Walk, Facts, Move], bool]
_DO: Final[Mapping[Do, _Move]] = {
    Do.OPEN: Walk._open,
    Do.ANNOUNCE: Walk._announce,
    Do.AGREE: Walk._agree,
    Do.WAKE: Walk._wake,
    Do.SAVE: Walk._save,
    Do.VERIFY: Walk._verify,
    Do.REFRESH: Walk._refresh,
    Do.CLEAR: Walk._clear,
    Do.START: Walk._start,
    Do.CONFIRM: Walk._confirm,
    Do.LOOK: Walk._look,
    Do.IDENTIFY: Walk._identify,
    Do.RESTORE: Walk._restore,
    Do.FINISH_RESTORE: Walk._finish,
    Do.CHECK: Walk._check,
    Do.TELL: Walk._tell,
    Do.ACCEPT: Walk._accept,
    Do.CANCEL: Walk._cancel,
    Do.LEAVE: Walk._leave,
}


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "snapshot": taken.snapshot,
        "files": taken.files,
        "identity": identity_data(taken.identity),
        "serial": taken.serial,
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
