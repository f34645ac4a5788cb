"""A person sets the computer up, and says so."""

from __future__ import annotations

from configs.maintenance import ManualAction
from tasks.actions.base import ActionOrder, ActionResult


class Manual:
    """Tells what a person has to do. That it was done, that person says: ``firstbell maintenance confirm``."""

    def __init__(self, config: ManualAction) -> None:
        self._config = config

    def start(self, order: ActionOrder) -> ActionResult:
        """Say that it may be begun now."""
        order.check()
        return ActionResult(done=False, text=self._config.instructions or f"Set {order.host} up anew, and confirm it.")
