"""Settings in files with ``[group]`` and ``key=value``, as KDE has them: single keys are read and set.

A file is edited line by line and written whole: comments, order, line ends and what nobody asked for stay as they are.
An entry's name is ``[group]key``; a group in a group is ``[Containments][1]plugin``, as in the file. A mark behind a
key, ``wallpaper[$e]``, belongs to its name; one behind a group (``[$i]``, not to be changed in KDE) does not.
Format: https://api.kde.org/frameworks/kconfig/html/ (KConfig).
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from configs.catalog_captures import IniCapture
from configs.catalog_variables import fill_in
from tasks.settings.asking import Answers, refused
from tasks.settings.values import Account, Change, ChangeResult, Entry, Place, SettingsHost, Value

_TEXT: Final = "text"
#: A line and its end; a lone carriage return ends none.
_ROW: Final = re.compile(r"([^\n]*?)(\r?\n|\Z)")
#: A group, or one in others; what stands behind it is no part of it.
_HEADER: Final = re.compile(r"\[([^\]]*(?:\]\[[^\]]*)*)\]")
_NO_PLACE: Final = "this computer has no such place"


class IniCollector:
    """Reads and sets single keys of such files."""

    kind = "ini"

    def capture(self, host: SettingsHost, account: Account, captures: Sequence[IniCapture]) -> list[list[Entry] | str]:
        """Return the keys of each capture, or why its file cannot be read."""
        files = _read(host, account, [one.file for one in captures])
        results: list[list[Entry] | str] = []
        for one in captures:
            found = files[one.file]
            if isinstance(found, str):
                results.append(found)
                continue
            keys = found.keys() if found is not None else {}
            results.append(
                [
                    Entry(Place("ini", one.file, name_of(group, key)), Value(_TEXT, value))
                    for (group, key), value in sorted(keys.items())
                    if one.covers(group, key)
                ]
            )
        return results

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return what stands at these places now, and of which it cannot be told why."""
        files = _read(host, account, [place.container for place in places])
        values: dict[Place, Value] = {}
        unreadable: dict[Place, str] = {}
        for place in places:
            found = files[place.container]
            if isinstance(found, str):
                unreadable[place] = found
            elif found is not None and (value := found.keys().get(parts_of(place.name))) is not None:
                values[place] = Value(_TEXT, value)
        return values, unreadable

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Set keys, file by file; those that are not as the change expects are left alone."""
        results: dict[Place, ChangeResult] = {}
        files = _read(host, account, [change.place.container for change in changes])
        ask = Answers(host, account)
        written: dict[int, list[Place]] = {}
        for name, found in files.items():
            own = [change for change in changes if change.place.container == name]
            if isinstance(found, str):
                results |= {change.place: ChangeResult(change.place, ok=False, reason=found) for change in own}
                continue
            file = found or IniFile(b"")
            ready = []
            for change in own:
                now = file.keys().get(parts_of(change.place.name))
                if (None if now is None else Value(_TEXT, now)) != change.expect:
                    text = "it was changed meanwhile"
                    results[change.place] = ChangeResult(change.place, ok=False, reason=text, conflict=True)
                else:
                    ready.append(change)
            if ready:
                content = base64.b64encode(file.with_changes(ready)).decode("ascii")
                operation = {"op": "put", "path": fill_in(name, account.variables), "content": content}
                number = ask.add({**operation, "expect": file.sha256 if found is not None else None})
                written[number] = [change.place for change in ready]
        ask.run(write=True)
        results |= {place: ask.result(number, place) for number, places in written.items() for place in places}
        return [results[change.place] for change in changes]


def name_of(group: str, key: str) -> str:
    """Return the name of an entry."""
    return f"[{group}]{key}"


def parts_of(name: str) -> tuple[str, str]:
    """Return group and key of an entry's name; a key may end in brackets, and a group may hold some."""
    depth = name.find("]")
    while depth >= 0 and name[depth + 1 : depth + 2] == "[":
        depth = name.find("]", depth + 1)
    if not name.startswith("[") or depth < 0:
        raise ValueError(f"{name!r} is not called '[group]key'")
    return name[1:depth], name[depth + 1 :]


def key_of(name: str) -> str:
    """Return the key in an entry's name as the catalog calls it: without its group and the mark behind it."""
    return re.sub(r"(?:\[[^\]]*\])+$", "", parts_of(name)[1])


@dataclass(frozen=True, slots=True)
class _Line:
    group: str
    #: Empty for what is no key.
    key: str
    value: str
    text: str
    #: Empty behind the last line of a file without one.
    end: str


class IniFile:
    """The content of one file, by its lines."""

    def __init__(self, content: bytes, sha256: str = "") -> None:
        self.sha256 = sha256
        # A mark of some editors before the first line is no part of its text.
        self._mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
        text = content[len(self._mark) :].decode("utf-8", "surrogateescape")
        self._lines = list(_lines(text))

    def keys(self) -> dict[tuple[str, str], str]:
        """Return (group, key) -> value; of a key that stands twice the last one counts, as for KConfig."""
        return {(line.group, line.key): line.value for line in self._lines if line.key}

    def with_changes(self, changes: Sequence[Change]) -> bytes:
        """Return the content with these keys set, or removed."""
        lines = list(self._lines)
        for change in changes:
            group, key = parts_of(change.place.name)
            value = None if change.value is None else str(change.value.data).replace("\r", "").replace("\n", "\\n")
            lines = list(_changed(lines, group, key, value))
        # Behind what was the last line there may be another one now.
        end = next((line.end for line in lines if line.end), "\n")
        last = len(lines) - 1
        text = "".join(line.text + (line.end or (end if index < last else "")) for index, line in enumerate(lines))
        return self._mark + text.encode("utf-8", "surrogateescape")


def _lines(text: str) -> list[_Line]:
    found: list[_Line] = []
    group = ""
    for row, end in _ROW.findall(text):
        if not (row or end):
            continue
        bare = row.strip()
        if (header := _HEADER.match(bare)) is not None:
            group = header[1].removesuffix("][$i")
            found.append(_Line(group, "", "", row, end))
        elif "=" in row and not bare.startswith(("#", ";", "[")):
            key, _, value = row.partition("=")
            found.append(_Line(group, key.strip(), value.strip(), row, end))
        else:
            found.append(_Line(group, "", "", row, end))
    return found


def _changed(lines: Sequence[_Line], group: str, key: str, value: str | None) -> list[_Line]:
    result: list[_Line] = []
    done = value is None
    end = next((line.end for line in lines if line.end), "\n")
    text = f"{key}={value}"
    last = -1
    for line in lines:
        if line.group == group and line.key == key:
            if done:
                continue
            result.append(_Line(group, key, value or "", text, line.end))
            done = True
        else:
            result.append(line)
        if line.group == group and line.text.strip():
            last = len(result) - 1
    if done:
        return result
    new = _Line(group, key, value or "", text, end)
    if last >= 0:
        result.insert(last + 1, new)
        return result
    if group:
        if result and result[-1].text.strip():
            result.append(_Line(result[-1].group, "", "", "", end))
        result.append(_Line(group, "", "", f"[{group}]", end))
        result.append(new)
        return result
    # What stands before the first group.
    return [new, *result]


def _read(host: SettingsHost, account: Account, names: Sequence[str]) -> dict[str, IniFile | str | None]:
    """Return each file; None where there is none, a text where it cannot be read."""
    ask = Answers(host, account)
    numbers: dict[str, int | None] = {}
    for name in dict.fromkeys(names):
        try:
            numbers[name] = ask.add({"op": "file", "path": fill_in(name, account.variables)})
        except KeyError:
            numbers[name] = None
    ask.run()
    found: dict[str, IniFile | str | None] = {}
    for name, number in numbers.items():
        answer: Mapping[str, Any] = ask.answers[number] if number is not None else {"ok": False, "detail": _NO_PLACE}
        if answer.get("ok") and isinstance(answer.get("content"), str):
            found[name] = IniFile(base64.b64decode(answer["content"]), str(answer["sha256"]))
        elif answer.get("ok"):
            found[name] = "it is too large for a file of settings"
        else:
            found[name] = None if answer.get("reason") == "vanished" else refused(answer)
    return found
