"""The steps after the wipe of one computer was begun: it comes back, and everything with it."""

from __future__ import annotations

from typing import Any

from tasks.policy.maintenance import Facts, Looked, Move, after_look
from tasks.policy.maintenance_state import Kind
from tasks.records.clearance import SKEW
from tasks.records.maintenance import close_maintenance_records, identity_data, words
from tasks.verbs.maintenance_walker import Walker


class Returning(Walker):
    """Looks for a computer, knows it again, and brings everything back: each returns whether the walk goes on."""

    def on_confirm(self, facts: Facts, move: Move) -> bool:
        """Note that a person said that it was done."""
        said = words(self.store, self.plan.name, self.host.name)
        by = next(word.by for word in reversed(said) if word.saying == "confirm")
        return self.step(facts.state, Kind.DONE, {**self.about(facts), "by": by})

    def on_look(self, facts: Facts, move: Move) -> bool:
        """Look whether it is back; what that means, ``after_look`` says."""
        record = self.record(facts)
        seen = self.hands.look(self.context, self.host, record, facts.now)
        looked = Looked(seen.there, seen.fresh, known=seen.identity == record.identity)
        meant = after_look(facts, looked, stays_itself=self.plan.kind != "reimage", skew=SKEW)
        if isinstance(meant, Move):
            self.note(facts.state, meant)
            return False
        if meant is Kind.UNDONE:
            return self.step(
                facts.state, meant, {**self.about(facts), "reason": "its clearance is over, and nothing was done"}
            )
        if not facts.state.done:
            self.step(facts.state, Kind.DONE, {**self.about(facts), "by": "what was seen of the computer"})
        return self.step(self.state(), Kind.RETURNED, self.about(facts))

    def on_identify(self, facts: Facts, move: Move) -> bool:
        """Know it from now on by what it shows now."""
        seen = self.hands.identify(self.context, self.host, self.record(facts), facts.now)
        if not seen.there:
            return self.hold(facts.state, Kind.UNREACHABLE, seen.why or "it does not answer")
        detail: dict[str, Any] = {"serial": seen.serial}
        if seen.identity is not None:
            detail["identity"] = identity_data(seen.identity)
        self.step(facts.state, Kind.IDENTIFIED, detail)
        self.milestone("host.returned", "It is back.")
        return True

    def on_restore(self, facts: Facts, move: Move) -> bool:
        """Bring everything back. Whose restore was put off and waits no longer got it from the delivery."""
        state = facts.state
        cleared = state.cleared
        if cleared is None:
            return False
        delivered = [name for name in cleared.users if name in state.put_off - state.brought - facts.waiting]
        for name in delivered:
            self.step(self.state(), Kind.BROUGHT, {"account": name, "how": "delivered"})
        rest = [name for name in cleared.users if name not in state.put_off | state.brought]
        if not rest:
            return True
        request = f"maintenance {self.plan.name} {cleared.clearance}"
        found = self.hands.restore(self.context, self.host, cleared.snapshot, request, self.clock, self.report)
        if found.failed:
            text = f"{found.failed} files could not be brought back yet: {found.message}".removesuffix(": ")
            return self.hold(state, Kind.ATTENTION, text)
        counts = {
            "restored": found.restored,
            "kept_newer": found.kept_newer,
            "conflicts": found.conflicts,
            "skipped": found.skipped,
            "undo": found.undo,
        }
        for name in rest:
            if name in found.waiting:
                self.step(self.state(), Kind.PUT_OFF, {"account": name})
            else:
                self.step(self.state(), Kind.BROUGHT, {"account": name, "how": "restored", **counts})
        return True

    def on_finish(self, facts: Facts, move: Move) -> bool:
        """Note that everybody has everything back."""
        self.step(facts.state, Kind.RESTORED)
        self.milestone("restore.completed", "Everything is there again.", self.record(facts).snapshot)
        return True

    def on_check(self, facts: Facts, move: Move) -> bool:
        """Compare it with the snapshot."""
        cleared = facts.state.cleared
        if cleared is None:
            return False
        late = facts.state.put_off
        # Who got theirs later, at a first sign-in, has worked since.
        people = [name for name in cleared.users if name not in late] if late else None
        found = self.hands.compare(self.context, self.host, cleared.snapshot, people, facts.now)
        detail = {"compared": found.compared, "missing": found.missing, "different": found.different}
        return self.step(facts.state, Kind.CHECKED, {"good": found.good, **detail})

    def on_tell(self, facts: Facts, move: Move) -> bool:
        """Tell its teachers how it went."""
        self.hands.tell(self.context, self.plan, self.host, "after", "", facts.now, self.report)
        return self.step(facts.state, Kind.TOLD)

    def on_accept(self, facts: Facts, move: Move) -> bool:
        """Close it: its snapshot may go."""
        word = next(word for word in words(self.store, self.plan.name, self.host.name) if word.saying == "accept")
        # First: what is accepted is not walked any more, and would keep its snapshot for ever.
        close_maintenance_records(self.store, self.host.name, self.plan.name)
        self.step(facts.state, Kind.ACCEPTED, {"by": word.by})
        return False
