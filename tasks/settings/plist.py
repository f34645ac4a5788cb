"""Settings of macOS and its programs, asked and told through ``defaults`` as the person.

Never by the files: cfprefsd keeps them in memory and would write over what was copied. ``defaults export`` says a
domain as an XML property list; ``defaults write`` takes a value as one (defaults(1),
https://keith.github.io/xcode-man-pages/defaults.1.html).

Not tried on a real Mac yet (docs/settings.md).
"""

from __future__ import annotations

import base64
import plistlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.parsers.expat import ExpatError

from configs.catalog_captures import PlistCapture
from tasks.settings.asking import Answers, refused
from tasks.settings.values import Account, Change, ChangeResult, Entry, Place, SettingsHost, Value

_KIND: Final = "plist"
#: Before a domain whose values hold on this one Mac only.
_HERE: Final = "currentHost:"
_BEFORE: Final = b"<key>v</key>"
_AFTER: Final = b"</dict>"


class PlistCollector:
    """Reads and writes keys of domains."""

    kind = "plist"

    def capture(
        self, host: SettingsHost, account: Account, captures: Sequence[PlistCapture]
    ) -> list[list[Entry] | str]:
        """Return the keys of each capture that are set, or why they cannot be had."""
        domains = _read(host, account, [container_of(one) for one in captures])
        results: list[list[Entry] | str] = []
        for one in captures:
            container = container_of(one)
            found = domains[container]
            if isinstance(found, str):
                results.append(found)
                continue
            keys = sorted(key for key in found if one.covers(key))
            results.append([Entry(Place("plist", container, key), Value(_KIND, fragment(found[key]))) for key in keys])
        return results

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return what stands at these places now, and of which it cannot be told why."""
        domains = _read(host, account, [place.container for place in places])
        values: dict[Place, Value] = {}
        unreadable: dict[Place, str] = {}
        for place in places:
            found = domains[place.container]
            if isinstance(found, str):
                unreadable[place] = found
            elif place.name in found:
                values[place] = Value(_KIND, fragment(found[place.name]))
        return values, unreadable

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Set and delete keys; those that are not as the change expects are left alone."""
        now, unreadable = self.current(host, account, [change.place for change in changes])
        ask = Answers(host, account)
        numbers: dict[Place, int] = {}
        results: dict[Place, ChangeResult] = {}
        for change in changes:
            place = change.place
            if place in unreadable:
                results[place] = ChangeResult(place, ok=False, reason=unreadable[place])
            elif now.get(place) != change.expect:
                results[place] = ChangeResult(place, ok=False, reason="it was changed meanwhile", conflict=True)
            else:
                value = ("delete", place.name) if change.value is None else ("write", place.name, change.value.data)
                verb, *words = value
                argv = ["defaults", *_flags(place.container), verb, _domain(place.container), *words]
                numbers[place] = ask.add({"op": "command", "argv": argv})
        ask.run(write=True)
        after, _ = self.current(host, account, list(numbers))
        for change in changes:
            place = change.place
            if place in numbers:
                answer = ask.answers[numbers[place]]
                # cfprefsd answers for what it has taken, not for what was meant.
                done = bool(answer.get("ok")) and answer.get("exit") == 0 and after.get(place) == change.value
                reason = (
                    ""
                    if done
                    else refused(answer)
                    if not answer.get("ok")
                    else str(answer.get("err") or "it was not taken")
                )
                results[place] = ChangeResult(place, ok=done, reason=reason)
        return [results[change.place] for change in changes]


def container_of(capture: PlistCapture) -> str:
    """Return what the container of a capture's entries is called."""
    return f"{_HERE}{capture.domain}" if capture.host == "current" else capture.domain


def fragment(value: Any) -> str:
    """Return a value of a property list as the XML that ``defaults write`` takes."""
    text = plistlib.dumps({"v": value}, sort_keys=True)
    inner = text[text.index(_BEFORE) + len(_BEFORE) : text.rindex(_AFTER)]
    # One level of indentation belongs to the dictionary around it.
    return "\n".join(line.removeprefix("\t") for line in inner.decode().strip().split("\n"))


def _why_not(answer: Mapping[str, Any]) -> str:
    if not answer.get("ok"):
        return refused(answer)
    return "" if answer.get("exit") == 0 else str(answer.get("err") or f"defaults ended with {answer.get('exit')}")


def _flags(container: str) -> tuple[str, ...]:
    return ("-currentHost",) if container.startswith(_HERE) else ()


def _domain(container: str) -> str:
    return container.removeprefix(_HERE)


def _read(host: SettingsHost, account: Account, containers: Sequence[str]) -> dict[str, dict[str, Any] | str]:
    ask = Answers(host, account)
    numbers = {
        one: ask.add({"op": "command", "argv": ["defaults", *_flags(one), "export", _domain(one), "-"]})
        for one in dict.fromkeys(containers)
    }
    ask.run()
    return {one: _domain_of(ask.answers[number]) for one, number in numbers.items()}


def _domain_of(answer: Mapping[str, Any]) -> dict[str, Any] | str:
    if not answer.get("ok"):
        return refused(answer)
    if answer.get("exit") != 0:
        return f"defaults ended with {answer.get('exit')}: {answer.get('err')}"
    try:
        found = plistlib.loads(base64.b64decode(answer["out"]), fmt=plistlib.FMT_XML)
    except (ValueError, ExpatError, plistlib.InvalidFileException):
        return "what defaults says is no property list"
    return found if isinstance(found, dict) else "what defaults says is no dictionary"
