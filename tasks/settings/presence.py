"""What is only looked for: that there are saved passwords, say. Nothing of its content is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from configs.catalog_captures import PresenceCapture
from configs.catalog_variables import fill_in
from tasks.settings.asking import Answers, refused
from tasks.settings.values import Account, Change, ChangeResult, Entry, Place, SettingsHost, Value

_THERE: Final = Value("text", "there")


class PresenceCollector:
    """Looks whether something is there; it can put nothing back."""

    kind = "presence"

    def capture(
        self, host: SettingsHost, account: Account, captures: Sequence[PresenceCapture]
    ) -> list[list[Entry] | str]:
        """Return for each capture one entry for each path or key that is there."""
        ask = Answers(host, account)
        numbers = [ask.add({"op": "programs", **_wanted(one, account)}) for one in captures]
        ask.run()
        results: list[list[Entry] | str] = []
        for one, number in zip(captures, numbers, strict=True):
            answer = ask.answers[number]
            if not answer.get("ok"):
                results.append(refused(answer))
                continue
            there = {*answer.get("paths", ()), *answer.get("keys", ())}
            named = [*((path, _filled(path, account)) for path in one.paths), *((key, key) for key in one.keys)]
            results.append([Entry(Place("presence", name), _THERE) for name, real in named if real in there])
        return results

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return nothing: what is there now does not matter to anybody."""
        return {}, {}

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Refuse: there is nothing that could be put back."""
        return [ChangeResult(change.place, ok=False, reason="this was only looked for") for change in changes]


def _wanted(capture: PresenceCapture, account: Account) -> Mapping[str, list[str]]:
    paths = [real for path in capture.paths if (real := _filled(path, account)) is not None]
    return {"paths": paths, "keys": list(capture.keys)} if capture.keys else {"paths": paths}


def _filled(path: str, account: Account) -> str | None:
    try:
        return fill_in(path, account.variables)
    except KeyError:
        return None
