"""Settings that are files: their content, where it is small; of a large one its hash, since the snapshot has it anyway.

An entry's container is the path with the variable that it began with, ``{config}/gtk-3.0/bookmarks``, so that it means
the same place in another home.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from configs.catalog_captures import FilesCapture
from configs.catalog_variables import fill_in
from configs.values import size_text
from tasks.settings.asking import Answers, conflict, refused
from tasks.settings.values import Account, Change, ChangeResult, Entry, PartOfThem, Place, SettingsHost, Value

#: A file as an entry: content in base64, or hash and size.
FILE: Final = "file"
REFERENCE: Final = "file-reference"


class FilesCollector:
    """Reads and writes files as the person."""

    kind = "files"

    def __init__(self, *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case

    def capture(
        self, host: SettingsHost, account: Account, captures: Sequence[FilesCapture]
    ) -> list[list[Entry] | str]:
        """Return the files of each capture, or in words why they cannot be had."""
        ask = Answers(host, account)
        patterns: list[list[tuple[str, int]]] = []
        captures = [_with_known_paths(capture, account) for capture in captures]
        for capture in captures:
            known = capture.paths
            patterns.append([(one, ask.add(_glob(one, capture.exclude, account))) for one in known])
        ask.run()
        found: list[tuple[dict[str, str], list[str]] | str] = []
        for capture, asked in zip(captures, patterns, strict=True):
            found.append(_found(capture, asked, ask, account, ignore_case=self._ignore_case))
        read: dict[str, int] = {}
        for one in found:
            if not isinstance(one, str):
                for path in one[0]:
                    if path not in read:
                        read[path] = ask.add({"op": "file", "path": path})
        ask.run()
        results: list[list[Entry] | str] = []
        for capture, one in zip(captures, found, strict=True):
            results.append(one if isinstance(one, str) else _entries(capture, *one, read, ask))
        return results

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Write files whole; each only where what stands there is what the change expects."""
        ask = Answers(host, account)
        numbers: list[int | None] = []
        for change in changes:
            path = path_of(change.place, account)
            if path is None:
                numbers.append(None)
                continue
            expect = hash_of(change.expect)
            if change.value is None:
                numbers.append(ask.add({"op": "remove", "path": path, "expect": expect}))
            else:
                numbers.append(ask.add({"op": "put", "path": path, "content": change.value.data, "expect": expect}))
        ask.run(write=True)
        return [
            ChangeResult(change.place, ok=False, reason="this computer has no such place")
            if number is None
            else ask.result(number, change.place)
            for change, number in zip(changes, numbers, strict=True)
        ]

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return what stands at these places now, and of which it cannot be told why."""
        ask = Answers(host, account)
        numbers = {
            place: ask.add({"op": "file", "path": path})
            for place in places
            if (path := path_of(place, account)) is not None
        }
        ask.run()
        values: dict[Place, Value] = {}
        unreadable: dict[Place, str] = {}
        for place, number in numbers.items():
            answer = ask.answers[number]
            if answer.get("ok"):
                values[place] = value_of(answer)
            elif answer.get("reason") != "vanished":
                unreadable[place] = refused(answer)
        return values, unreadable


def path_of(place: Place, account: Account) -> str | None:
    """Return the path of a place, None where this computer has none.

    Only what it begins with is a variable: a file may be called ``{home}``.
    """
    start, separator, rest = place.container.partition("/")
    try:
        return fill_in(start, account.variables) + separator + rest
    except KeyError:
        return None


def value_of(answer: Mapping[str, Any]) -> Value:
    """Return a file as the host told it."""
    content = answer.get("content")
    if isinstance(content, str):
        return Value(FILE, content)
    return Value(REFERENCE, {"sha256": str(answer.get("sha256")), "size": int(answer.get("size", 0))})


def hash_of(value: Value | None) -> str | None:
    """Return the hash by which the host knows what it expects at a place; None for nothing."""
    if value is None:
        return None
    if value.kind == REFERENCE:
        return str(value.data["sha256"])
    import base64
    import hashlib

    return hashlib.sha256(base64.b64decode(value.data)).hexdigest()


def _known(path: str, account: Account) -> bool:
    try:
        fill_in(path, account.variables)
    except KeyError:
        return False
    return True


def _with_known_paths(capture: FilesCapture, account: Account) -> FilesCapture:
    """Return a capture without the paths that lie nowhere on this computer."""
    known = tuple(one for one in capture.paths if _known(one, account))
    return capture if known == capture.paths else capture.model_copy(update={"paths": known})


def _glob(pattern: str, exclude: Sequence[str], account: Account) -> dict[str, Any]:
    """Return the operation that looks for files, leaving out folders of which nothing is wanted."""
    outside = [fill_in(one, account.variables) for one in exclude if _known(one, account)]
    more = {"exclude": outside} if outside else {}
    return {"op": "glob", "pattern": fill_in(pattern, account.variables), **more}


def _found(
    capture: FilesCapture,
    asked: Sequence[tuple[str, int]],
    ask: Answers,
    account: Account,
    *,
    ignore_case: bool,
) -> tuple[dict[str, str], list[str]] | str:
    """Return path -> path with its variable, and the folders that may not be looked into."""
    paths: dict[str, str] = {}
    denied: list[str] = []
    for pattern, number in asked:
        answer = ask.answers[number]
        if not answer.get("ok"):
            return refused(answer)
        if answer.get("more"):
            return f"more files than can be settings match {pattern}"
        place = pattern.partition("/")[0]
        start = fill_in(place, account.variables)
        denied += [str(one) for one in answer.get("denied", ())]
        for path in answer["paths"]:
            portable = place + path[len(start) :] if path.startswith(start) else path
            if capture.covers(path, account.variables, ignore_case=ignore_case) and path not in paths:
                paths[path] = portable
    return paths, denied


def _entries(
    capture: FilesCapture, paths: Mapping[str, str], denied: Sequence[str], read: Mapping[str, int], ask: Answers
) -> list[Entry] | str:
    entries: list[Entry] = []
    without = [f"{one.rpartition('/')[2]}: the folder may not be read" for one in denied]
    for path, portable in paths.items():
        answer = ask.answers[read[path]]
        name = portable.rpartition("/")[2]
        if answer.get("ok"):
            if int(answer.get("size", 0)) <= capture.max_size:
                entries.append(Entry(Place("files", portable), value_of(answer), changed=_time(answer)))
            else:
                without.append(f"{name}: larger than {size_text(capture.max_size)}")
        elif answer.get("reason") not in ("vanished", "special"):
            without.append(f"{name}: {refused(answer)}")
    if not without:
        return entries
    reason = ", ".join(without[:3]) + (f" and {len(without) - 3} more" if len(without) > 3 else "")
    return PartOfThem(entries, reason) if entries else reason


def _time(answer: Mapping[str, Any]) -> int | None:
    found = answer.get("mtime")
    return found if isinstance(found, int) else None


__all__ = ["FilesCollector", "conflict", "hash_of", "value_of"]
