"""The steps towards the wipe of one computer, and the ends without one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tasks.actions.base import ActionOrder
from tasks.errors import ActionFailed, ActionUnknown, ConfigError, GateHold, TakenOver
from tasks.policy.maintenance import LEAST_LEFT, Facts, Move
from tasks.policy.maintenance_state import HostState, Kind
from tasks.records.maintenance import (
    MaintenanceRecord,
    close_maintenance_records,
    identity_data,
    identity_of,
    open_maintenance_record,
    words,
)
from tasks.verbs.maintenance_hands import Issue, Taken
from tasks.verbs.maintenance_walker import Walker, moment_text

#: A snapshot from right before that takes longer, in seconds, is made once more.
_LONG: Final = 120.0
#: A snapshot with fewer files than this says little by having fewer still.
_FEW: Final = 20


class Wiping(Walker):
    """Saves, asks the gate, and begins the action: each returns whether the walk goes on."""

    def on_open(self, facts: Facts, move: Move) -> bool:
        """Begin its log."""
        return self.step(facts.state, Kind.OPENED, {"kind": self.plan.kind})

    def on_announce(self, facts: Facts, move: Move) -> bool:
        """Note that people were told and asked."""
        if not self.announced:
            # Or somebody else is just telling them.
            return self.hold(facts.state, Kind.FAILED, self.untold) if self.untold else False
        return self.step(facts.state, Kind.ANNOUNCED)

    def on_agree(self, facts: Facts, move: Move) -> bool:
        """Note who agreed."""
        found = facts.agreement
        detail: dict[str, Any] = {"by": list(found.by) if found else []}
        if found is not None and found.until is not None:
            detail["until"] = moment_text(found.until)
        return self.step(facts.state, Kind.AGREED, detail)

    def on_wake(self, facts: Facts, move: Move) -> bool:
        """Send the packet that wakes it; that it sleeps on shows later."""
        why = self.hands.wake(self.host)
        return self.step(facts.state, Kind.WOKEN, {"problem": why} if why else {})

    def on_save(self, facts: Facts, move: Move) -> bool:
        """Save it, maybe days before."""
        taken = self.hands.save(self.context, self.host, self.clock, self.report)
        return self.step(facts.state, Kind.SAVED, _taken(taken))

    def on_verify(self, facts: Facts, move: Move) -> bool:
        """Prove what was saved."""
        state = facts.state
        proof = self.hands.prove(self.context, self.host, self.clock, self.report)
        if not proof.good:
            # Somebody may just have worked: what they did is saved now, and proven with the rest.
            self.on_save(facts, move)
            proof = self.hands.prove(self.context, self.host, self.clock, self.report)
            state = self.state()
        if not proof.good:
            return self.hold(state, Kind.FAILED, f"what was saved could not be proven: {proof.problem}")
        self.step(state, Kind.VERIFIED, {"snapshot": proof.snapshot})
        self.milestone("snapshot.completed", "It is saved, and that was proven.", proof.snapshot)
        self.tell("before")
        return True

    def on_refresh(self, facts: Facts, move: Move) -> bool:
        """Save it once more, right before the wipe, unless the gate holds anyway."""
        # Where a walk died right after it was proven, nobody was told yet.
        self.tell("before")
        reasons = self.hands.barriers(self.context, self.plan, self.host, self.clock())
        if reasons:
            self.milestone("gate.held", "It must not be wiped now.")
            return self.hold(facts.state, Kind.HELD, "; ".join(reason.text for reason in reasons))
        return self._save_again(facts.state)

    def _save_again(self, state: HostState) -> bool:
        """Make the snapshot from right before, and prove it; once more when somebody worked meanwhile."""
        problem = ""
        for last in (False, True):
            self.check_lease()
            begun = time.monotonic()
            taken = self.hands.save(self.context, self.host, self.clock, self.report)
            first = state.saved.files if state.saved else 0
            if first >= _FEW and taken.files * 2 < first:
                text = f"most files are gone since it was saved ({first} then, {taken.files} now)"
                return self.hold(state, Kind.ATTENTION, f"{text}: was it wiped already?")
            if time.monotonic() - begun > _LONG and not last:
                # What was listed first is no longer from right before. The second one has less to read.
                continue
            proof = self.hands.prove(self.context, self.host, self.clock, self.report)
            if proof.good and proof.snapshot == taken.snapshot:
                return self.step(state, Kind.REFRESHED, _taken(taken))
            problem = proof.problem or "another snapshot was made meanwhile"
        return self.hold(state, Kind.HELD, f"it is in use, or cannot be saved as it is: {problem}")

    def on_clear(self, facts: Facts, move: Move) -> bool:
        """Ask the gate and get the clearance; when somebody worked meanwhile, save that first."""
        for last in (False, True):
            state, now = self.state(), self.clock()
            reason = ""
            try:
                issue = self.hands.clear(self.context, self.plan, self.host, self.window.end, now)
            except GateHold as error:
                reason = error.message
                if last or self.hands.barriers(self.context, self.plan, self.host, now):
                    self.milestone("gate.held", "It must not be wiped now.")
                    return self.hold(state, Kind.HELD, reason)
            else:
                if issue.clearance.expiry - now <= LEAST_LEFT:
                    return self.hold(state, Kind.HELD, "too little time is left in which it may be wiped")
                if state.refreshed is not None and issue.clearance.snapshot == state.refreshed.snapshot:
                    return self._cleared(state, issue, now)
                reason = "another snapshot was made meanwhile"
                if last:
                    return self.hold(state, Kind.HELD, reason)
            if not self._save_again(state):
                return False
        return False

    def _cleared(self, state: HostState, issue: Issue, now: datetime) -> bool:
        clearance = issue.clearance
        told = next(step.detail for step in reversed(self.log.steps) if step.step == Kind.REFRESHED)
        until = max(clearance.expiry, self.window.end) + timedelta(minutes=self.plan.return_minutes)
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
        self.step(
            state,
            Kind.CLEARED,
            {
                "clearance": clearance.id,
                "snapshot": clearance.snapshot,
                "expiry": moment_text(clearance.expiry),
                "users": list(clearance.users),
                "until": moment_text(until),
            },
        )
        self.issue = issue
        self.milestone("clearance.issued", "It may be wiped now.", clearance.snapshot)
        return True

    def on_start(self, facts: Facts, move: Move) -> bool:
        """Begin the action, at most once for each clearance."""
        issue = self.issue
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
            serial=self.serial(),
            clearance=issue.token,
            expiry=clearance.expiry,
        )
        self.check_lease()
        self.check_clock()
        about = {"clearance": clearance.id}
        self.step(facts.state, Kind.STARTED, about)
        # From here on it is not known any more whether it was begun, until somebody says so.
        self.issue = None
        state = self.state()
        try:
            self.check_lease()
            self.check_clock()
        except TakenOver as error:
            # It was this walk's to begin, and it does not.
            self.step(state, Kind.UNDONE, {**about, "reason": error.message})
            raise
        try:
            result = action.start(order)
        except ActionUnknown as error:
            self.hold(state, Kind.ATTENTION, error.message)
            return True
        except (ActionFailed, ConfigError) as error:
            self.step(state, Kind.UNDONE, {**about, "reason": error.message})
            return self.hold(self.state(), Kind.FAILED, error.message)
        kind = Kind.DONE if result.done else Kind.BEGUN
        return self.step(state, kind, {**about, "text": result.text[:1000]})

    def on_cancel(self, facts: Facts, move: Move) -> bool:
        """Leave it as it is: a person stopped it."""
        word = next(word for word in words(self.store, self.plan.name, self.host.name) if word.saying == "cancel")
        return self._end(facts, Kind.CANCELLED, {"by": word.by, "reason": word.reason})

    def on_leave(self, facts: Facts, move: Move) -> bool:
        """Leave it as it is: the time for it is over."""
        note = facts.state.note
        return self._end(facts, Kind.UNTOUCHED, {"because": str(note.kind) if note else "", "reason": move.text})

    def _end(self, facts: Facts, kind: Kind, detail: Mapping[str, Any]) -> bool:
        # The snapshot is not kept for it any longer.
        close_maintenance_records(self.store, self.host.name, self.plan.name)
        return self.step(facts.state, kind, detail)


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "snapshot": taken.snapshot,
        "files": taken.files,
        "identity": identity_data(taken.identity),
        "serial": taken.serial,
    }
