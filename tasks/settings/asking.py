"""Gather operations for one host and person, carry them out together, and find the answers by their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.settings.values import Account, ChangeResult, Place, SettingsHost


class Answers:
    """Operations that wait, and answers that came; a number stays the same over several runs."""

    def __init__(self, host: SettingsHost, account: Account) -> None:
        self._host = host
        self._account = account
        self._waiting: list[Mapping[str, Any]] = []
        self.answers: list[Mapping[str, Any]] = []

    def add(self, operation: Mapping[str, Any]) -> int:
        """Put an operation behind the others and return its number."""
        self._waiting.append(operation)
        return len(self.answers) + len(self._waiting) - 1

    def run(self, *, write: bool = False) -> None:
        """Carry out what waits."""
        if not self._waiting:
            return
        call = self._host.write_settings if write else self._host.read_settings
        waiting, self._waiting = self._waiting, []
        self.answers += call(self._account.name, self._account.home, waiting)

    def result(self, number: int, place: Place) -> ChangeResult:
        """Return the answer to a change."""
        answer = self.answers[number]
        if answer.get("ok"):
            return ChangeResult(place, ok=True)
        return ChangeResult(place, ok=False, reason=refused(answer), conflict=conflict(answer))


def conflict(answer: Mapping[str, Any]) -> bool:
    """Return whether something else stood there than was expected."""
    return answer.get("reason") == "conflict"


def refused(answer: Mapping[str, Any]) -> str:
    """Return in words why an operation was not carried out."""
    detail = str(answer.get("detail") or "")
    return detail or f"the computer did not tell ({answer.get('reason', 'unknown')})"
