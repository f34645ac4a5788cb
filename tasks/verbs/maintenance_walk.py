"""Walk one computer from where its log says it stands, as far as it can go now.

Before each step the log, people's words and the rest are read anew and ``tasks.policy.maintenance`` says what comes
next; each step is written down before the next one. A walk that dies anywhere is gone on with by the next one: what
was done and not written down is done once more, which each step bears, all but the action. That one is written down
before it is begun, and never begun again while its clearance is good.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from tasks.errors import FirstbellError, TakenOver
from tasks.events import Warned
from tasks.policy.maintenance import Do, Facts, Move
from tasks.records.lease import Lease
from tasks.verbs.maintenance_return import Returning
from tasks.verbs.maintenance_wipe import Wiping

#: A walk that takes more steps than this goes round in circles.
_MOST_STEPS: Final = 60


class Walk(Wiping, Returning):
    """One walk of one computer, from wherever it stands."""

    def go(self, lease: Lease) -> None:
        """Take one step after the other until there is something to wait for."""
        self.lease = lease
        for _ in range(_MOST_STEPS):
            facts, move = self.look()
            if move.do is Do.WAIT:
                self.note(facts.state, move)
                return
            try:
                going = _DO[move.do](self, facts, move)
            except TakenOver:
                raise
            except FirstbellError as error:
                self.failed(facts.state, error)
                return
            if not going:
                return
        self.report(Warned(self.host.name, "the maintenance went round in circles and was left for the next run"))


_Move = Callable[[Walk, Facts, Move], bool]
_DO: Final[Mapping[Do, _Move]] = {
    Do.OPEN: Walk.on_open,
    Do.ANNOUNCE: Walk.on_announce,
    Do.AGREE: Walk.on_agree,
    Do.WAKE: Walk.on_wake,
    Do.SAVE: Walk.on_save,
    Do.VERIFY: Walk.on_verify,
    Do.REFRESH: Walk.on_refresh,
    Do.CLEAR: Walk.on_clear,
    Do.START: Walk.on_start,
    Do.CONFIRM: Walk.on_confirm,
    Do.LOOK: Walk.on_look,
    Do.IDENTIFY: Walk.on_identify,
    Do.RESTORE: Walk.on_restore,
    Do.FINISH_RESTORE: Walk.on_finish,
    Do.CHECK: Walk.on_check,
    Do.TELL: Walk.on_tell,
    Do.ACCEPT: Walk.on_accept,
    Do.CANCEL: Walk.on_cancel,
    Do.LEAVE: Walk.on_leave,
}
