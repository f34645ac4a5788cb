r"""Settings in the Windows registry: the person's own (``HKCU``), and the computer's (``HKLM``), which are only read.

An entry's container is the key, ``HKCU\Control Panel\Desktop``, and its name that of the value, empty for the one
without a name. Of somebody who is not signed in Windows has no open registry: then the hive's file is read, with what
its logs hold, and parsed here (``registry_hive.py``).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from configs.catalog_captures import RegistryCapture
from tasks.errors import HelperFailed
from tasks.settings.asking import Answers, refused
from tasks.settings.registry_hive import OfflineHive, open_hive
from tasks.settings.registry_values import from_stored, to_stored
from tasks.settings.values import Account, Change, ChangeResult, Entry, Place, SettingsHost, Value

#: Reason of an answer about ``HKCU`` of somebody who is not signed in.
_SIGNED_OUT: Final = "signed-out"
_HIVE: Final = "NTUSER.DAT"
#: The part of ``HKCU`` that has a file of its own, and that file, below the home.
_CLASSES: Final = "HKCU\\Software\\Classes"
_CLASSES_HIVE: Final = "AppData/Local/Microsoft/Windows/UsrClass.dat"

#: Key, name of the value, kind as a number, data.
_Stored = tuple[str, str, int, bytes]


class RegistryCollector:
    """Reads and writes values; one for each run, since it keeps the files that it has read."""

    kind = "registry"

    def __init__(self) -> None:
        self._hives: dict[tuple[str, str], OfflineHive | str] = {}

    def capture(
        self, host: SettingsHost, account: Account, captures: Sequence[RegistryCapture]
    ) -> list[list[Entry] | str]:
        """Return the values of each capture, or why they cannot be had."""
        asked = [
            {
                "op": "registry",
                "key": one.key,
                "values": None if "*" in one.values else list(one.values),
                "subtree": one.subtree,
            }
            for one in captures
        ]
        results: list[list[Entry] | str] = []
        for one, found in zip(captures, self._read(host, account, asked), strict=True):
            if isinstance(found, str):
                results.append(found)
                continue
            covered = ((key, name, from_stored(number, data)) for key, name, number, data in found)
            entries = [
                Entry(Place(self.kind, key, name), value)
                for key, name, value in covered
                if value is not None and one.covers(key, name)
            ]
            results.append(sorted(entries, key=_order))
        return results

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return what stands at these places now, and of which it cannot be told why."""
        keys: dict[str, list[Place]] = {}
        for place in places:
            keys.setdefault(place.container, []).append(place)
        asked = [{"op": "registry", "key": key, "names": [place.name for place in own]} for key, own in keys.items()]
        values: dict[Place, Value] = {}
        unreadable: dict[Place, str] = {}
        for own, found in zip(keys.values(), self._read(host, account, asked), strict=True):
            if isinstance(found, str):
                unreadable |= dict.fromkeys(own, found)
                continue
            there = {name.casefold(): (number, data) for _, name, number, data in found}
            for place in own:
                kept = there.get(place.name.casefold())
                if kept is None:
                    continue
                value = from_stored(*kept)
                if value is None:
                    unreadable[place] = "what stands there is of a kind that is no setting"
                else:
                    values[place] = value
        return values, unreadable

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Set and remove values, each only where what stands there is what the change expects."""
        ask = Answers(host, account)
        numbers = [
            ask.add(
                {
                    "op": "registry-set",
                    "key": change.place.container,
                    "name": change.place.name,
                    "value": stored(change.value),
                    "expect": stored(change.expect),
                }
            )
            for change in changes
        ]
        self._hives.clear()
        ask.run(write=True)
        return [ask.result(number, change.place) for change, number in zip(changes, numbers, strict=True)]

    def _read(
        self, host: SettingsHost, account: Account, asked: Sequence[Mapping[str, Any]]
    ) -> list[list[_Stored] | str]:
        ask = Answers(host, account)
        numbers = [ask.add(one) for one in asked]
        ask.run()
        results: list[list[_Stored] | str] = []
        for operation, number in zip(asked, numbers, strict=True):
            answer = ask.answers[number]
            if answer.get("ok"):
                results.append(
                    [
                        (str(key), str(name), int(kind), base64.b64decode(data))
                        for key, values in answer["values"]
                        for name, kind, data in values
                    ]
                )
            elif answer.get("reason") == _SIGNED_OUT:
                results.append(self._offline(host, account, operation))
            else:
                results.append(refused(answer))
        return results

    def _offline(self, host: SettingsHost, account: Account, operation: Mapping[str, Any]) -> list[_Stored] | str:
        key: str = operation["key"]
        of_classes = f"{key}\\".casefold().startswith(f"{_CLASSES}\\".casefold())
        file, top = (_CLASSES_HIVE, _CLASSES) if of_classes else (_HIVE, "HKCU")
        hive = self._hive(host, account, file)
        if isinstance(hive, str):
            return hive
        below = key[len(top) + 1 :]
        names: Iterable[str] | None = operation.get("names")
        wanted = None if names is None else {name.casefold() for name in names}
        found = hive.values(below, subtree=operation.get("subtree") is True)
        return [
            (f"{key}\\{one.key}" if one.key else key, one.name, one.kind, one.data)
            for one in found
            if wanted is None or one.name.casefold() in wanted
        ]

    def _hive(self, host: SettingsHost, account: Account, file: str) -> OfflineHive | str:
        """Return the hive of this person, or why it cannot be read."""
        found = self._hives.get((account.home, file))
        if found is None:
            try:
                found = open_hive(lambda name: host.read_file(f"{account.home}/{name}"), file)
            except HelperFailed as error:
                found = error.message
            self._hives[account.home, file] = found
        return found


def stored(value: Value | None) -> Mapping[str, Any] | None:
    """Return a value as it travels, or None for nothing."""
    if value is None:
        return None
    number, data = to_stored(value)
    return {"kind": number, "data": base64.b64encode(data).decode("ascii")}


def _order(entry: Entry) -> tuple[str, str]:
    return entry.place.container.casefold(), entry.place.name.casefold()
