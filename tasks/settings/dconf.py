"""Settings of GNOME and its programs: dconf, asked and told through its own program as the person.

Their own database is read without a bus, and without what the computer sets for everybody; ``dconf load`` and
``dconf reset`` need a session bus, the person's own when signed in, else one for that moment. Format of a dump: a key
file whose values are GVariant texts (dconf(1)).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from configs.catalog_captures import DconfCapture
from tasks.settings.asking import Answers, refused
from tasks.settings.values import Account, Change, ChangeResult, Entry, Place, SettingsHost, Value

_KIND: Final = "gvariant"
_DUMP: Final[Mapping[str, Any]] = {"op": "dconf"}
_NO_PROGRAM: Final = "there is no program 'dconf' on this computer to read them with (package dconf-cli)"


class DconfCollector:
    """Reads and writes keys of the person's dconf database."""

    kind = "dconf"

    def capture(
        self, host: SettingsHost, account: Account, captures: Sequence[DconfCapture]
    ) -> list[list[Entry] | str]:
        """Return the keys of each capture that the person has set, or why they cannot be had."""
        found = _dump(host, account)
        if isinstance(found, str):
            return [found for _ in captures]
        return [
            [Entry(place_of(path), Value(_KIND, value)) for path, value in sorted(found.items()) if one.covers(path)]
            for one in captures
        ]

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return what stands at these places now, and of which it cannot be told why."""
        found = _dump(host, account)
        if isinstance(found, str):
            return {}, dict.fromkeys(places, found)
        values = {place: Value(_KIND, found[path]) for place in places if (path := path_of(place)) in found}
        return values, {}

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Set and reset keys in one transaction; those that are not as the change expects are left alone."""
        now, unreadable = self.current(host, account, [change.place for change in changes])
        results: dict[Place, ChangeResult] = {}
        values: dict[str, str] = {}
        resets: list[str] = []
        for change in changes:
            place = change.place
            if place in unreadable:
                results[place] = ChangeResult(place, ok=False, reason=unreadable[place])
            elif now.get(place) != change.expect:
                results[place] = ChangeResult(place, ok=False, reason="it was changed meanwhile", conflict=True)
            elif change.value is None:
                resets.append(path_of(place))
            else:
                values[path_of(place)] = change.value.data
        refusals = _write(host, account, values, resets)
        after, _ = self.current(host, account, [change.place for change in changes])
        for change in changes:
            if change.place in results:
                continue
            # What dconf made of it counts: a value of the wrong type would be stored and never used.
            done = after.get(change.place) == change.value
            reason = "" if done else refusals.get(path_of(change.place), "") or "dconf did not take it"
            results[change.place] = ChangeResult(change.place, ok=done, reason=reason)
        return [results[change.place] for change in changes]


def place_of(path: str) -> Place:
    """Return the place of a key, ``/org/gnome/desktop/background/picture-uri``."""
    folder, _, name = path.rpartition("/")
    return Place("dconf", f"{folder}/", name)


def path_of(place: Place) -> str:
    """Return the key of a place."""
    return place.container + place.name


def parse_dump(text: str) -> dict[str, str]:
    """Return key -> value of what ``dconf dump /`` says. Raises ``ValueError`` when it is no dump."""
    found: dict[str, str] = {}
    group = ""
    for line in text.split("\n"):
        if not line.strip():
            continue
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip("/")
        elif "=" in line:
            name, _, value = line.partition("=")
            found[f"/{group}/{name}" if group else f"/{name}"] = value
        else:
            raise ValueError("a line of it is neither a group nor a key")
    return found


def make_dump(values: Mapping[str, str]) -> str:
    """Return what ``dconf load /`` takes."""
    groups: dict[str, list[str]] = {}
    for path, value in sorted(values.items()):
        folder, _, name = path.strip("/").rpartition("/")
        groups.setdefault(folder or "/", []).append(f"{name}={value}")
    return "\n".join(line for group, lines in groups.items() for line in (f"[{group}]", *lines, ""))


def _dump(host: SettingsHost, account: Account) -> dict[str, str] | str:
    ask = Answers(host, account)
    ask.add(_DUMP)
    ask.run()
    (answer,) = ask.answers
    if not answer.get("ok"):
        return refused(answer)
    if not answer.get("program"):
        return _NO_PROGRAM if answer.get("kept") else {}
    try:
        found = parse_dump(str(answer["text"]))
        defaults = parse_dump(str(answer.get("defaults") or ""))
    except ValueError as error:
        return f"what dconf says cannot be read: {error}"
    return {path: value for path, value in found.items() if defaults.get(path) != value}


def _write(host: SettingsHost, account: Account, values: Mapping[str, str], resets: Sequence[str]) -> Mapping[str, str]:
    """Write keys; return key -> why it could not be."""
    why = _load(host, account, values, resets)
    if not why:
        return {}
    if len(values) <= 1:
        return dict.fromkeys((*values, *resets), why)
    # One value that dconf does not take keeps all others of a load out: by halves, to those that it means.
    found = dict.fromkeys(resets, why)
    names = list(values)
    for half in (names[: len(names) // 2], names[len(names) // 2 :]):
        found |= _write(host, account, {path: values[path] for path in half}, ())
    return found


def _load(host: SettingsHost, account: Account, values: Mapping[str, str], resets: Sequence[str]) -> str:
    ask = Answers(host, account)
    if values:
        # A line break in a value would begin another key: GVariant texts have none.
        wrong = [path for path, value in values.items() if "\n" in value or "\n" in path]
        clean = {path: value for path, value in values.items() if path not in wrong}
        given = base64.b64encode(make_dump(clean).encode()).decode()
        ask.add({"op": "command", "argv": ["dconf", "load", "/"], "input": given, "bus": True})
    for path in resets:
        ask.add({"op": "command", "argv": ["dconf", "reset", path], "bus": True})
    ask.run(write=True)
    for answer in ask.answers:
        if not answer.get("ok"):
            return refused(answer)
        if answer.get("exit") != 0:
            return f"dconf refused it: {answer.get('err') or answer.get('exit')}"
    return ""
