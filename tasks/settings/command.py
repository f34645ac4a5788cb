"""Settings that only a program can tell and set: what it says, and what is said to it."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

from configs.catalog_captures import CommandCapture
from configs.catalog_variables import fill_in, variables_in
from tasks.settings.asking import Answers, refused
from tasks.settings.values import Account, Change, ChangeResult, Entry, Place, SettingsHost, Value

_TEXT: Final = "text"


class CommandCollector:
    """Runs the commands of the catalog as the person. ``captures`` are those whose changes it can make."""

    kind = "command"

    def __init__(self, captures: Sequence[CommandCapture] = ()) -> None:
        self._captures = {container_of(one): one for one in captures}

    def capture(
        self, host: SettingsHost, account: Account, captures: Sequence[CommandCapture]
    ) -> list[list[Entry] | str]:
        """Return what each command says, or why it says nothing."""
        ask = Answers(host, account)
        numbers = [_ask(ask, one, account) for one in captures]
        ask.run()
        results: list[list[Entry] | str] = []
        for one, number in zip(captures, numbers, strict=True):
            if number is None:
                results.append("this computer has no such place")
                continue
            said = _said(one, ask.answers[number])
            if isinstance(said, Value):
                results.append([Entry(Place("command", container_of(one)), said)])
            else:
                results.append(said if said is not None else [])
        return results

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return what the commands say now, and of which it cannot be told why."""
        known = [self._captures[place.container] for place in places if place.container in self._captures]
        ask = Answers(host, account)
        numbers = [_ask(ask, one, account) for one in known]
        ask.run()
        values: dict[Place, Value] = {}
        unreadable: dict[Place, str] = {}
        for one, number in zip(known, numbers, strict=True):
            place = Place("command", container_of(one))
            answer = ask.answers[number] if number is not None else {"ok": True, "exit": 1}
            # A program that ends with a failure has nothing to tell: what it asks for is not set.
            said = None if answer.get("ok") and answer.get("exit") != 0 else _said(one, answer)
            if isinstance(said, Value):
                values[place] = said
            elif said is not None:
                unreadable[place] = said
        return values, unreadable

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Say what was captured to the commands; what they say now must be what the change expects."""
        results: dict[Place, ChangeResult] = {}
        now, unreadable = self.current(host, account, [change.place for change in changes])
        for change in changes:
            one = self._captures.get(change.place.container)
            place = change.place
            if one is None or not one.apply or change.value is None:
                results[place] = ChangeResult(place, ok=False, reason="no command puts this back")
            elif place in unreadable:
                results[place] = ChangeResult(place, ok=False, reason=unreadable[place])
            elif now.get(place) != change.expect:
                results[place] = ChangeResult(place, ok=False, reason="it was changed meanwhile", conflict=True)
            else:
                results[place] = _apply(host, account, one, place, change.value)
        return [results[change.place] for change in changes]


def container_of(capture: CommandCapture) -> str:
    """Return the command as one line: what its entry is called by."""
    return shlex.join(capture.argv)


def commands_for_all(captures: Sequence[object]) -> list[Mapping[str, Any]]:
    """Return what is asked alike whoever it is about: commands of the administrator without variables."""
    return [
        {"op": "command", "argv": list(one.argv), "as": one.run_as}
        for one in captures
        if isinstance(one, CommandCapture)
        and one.run_as == "administrator"
        and not any(variables_in(word) for word in one.argv)
    ]


def _ask(ask: Answers, capture: CommandCapture, account: Account) -> int | None:
    try:
        argv = [fill_in(word, account.variables) for word in capture.argv]
    except KeyError:
        return None
    return ask.add({"op": "command", "argv": argv, "as": capture.run_as})


def _said(capture: CommandCapture, answer: Mapping[str, Any]) -> Value | str | None:
    """Return what a command said as a value; None for nothing, a text for why it could not be had."""
    if not answer.get("ok"):
        return None if answer.get("reason") == "no-program" else refused(answer)
    if answer.get("exit") != 0:
        if not answer.get("out") and not answer.get("err"):
            # As `git config --get` and others say that it is not set.
            return None
        return f"'{capture.argv[0]}' ended with {answer.get('exit')}: {answer.get('err') or 'no reason given'}"
    text = base64.b64decode(answer["out"]).decode("utf-8", "surrogateescape")
    if not text.strip():
        return None
    if capture.format == "lines":
        return Value(_TEXT, "\n".join(sorted({line.strip() for line in text.splitlines()} - {""})))
    if capture.format == "json":
        try:
            return Value(_TEXT, json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")))
        except ValueError:
            return f"what '{capture.argv[0]}' says is not JSON"
    return Value(_TEXT, text.rstrip("\n"))


def _apply(host: SettingsHost, account: Account, capture: CommandCapture, place: Place, value: Value) -> ChangeResult:
    ask = Answers(host, account)
    says = value.data.split("\n") if capture.format == "lines" and capture.by_argument else [value.data]
    for text in says:
        # Not filled in again: a brace in what was captured is no variable.
        argv = [text.join(fill_in(part, account.variables) for part in word.split("{value}")) for word in capture.apply]
        given = "" if capture.by_argument else base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
        ask.add({"op": "command", "argv": argv, "input": given, "bus": True, "as": capture.run_as})
    ask.run(write=True)
    for answer in ask.answers:
        if not answer.get("ok"):
            return ChangeResult(place, ok=False, reason=refused(answer))
        if answer.get("exit") != 0:
            why = answer.get("err") or f"it ended with {answer.get('exit')}"
            return ChangeResult(place, ok=False, reason=f"'{capture.apply[0]}' refused it: {why}")
    return ChangeResult(place, ok=True)
