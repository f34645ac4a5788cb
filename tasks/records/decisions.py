"""The lines of the ledger as values, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, get_args

from tasks.answers import (
    Answered,
    Asked,
    Decision,
    Guessed,
    HandedOut,
    HoldLifted,
    HoldPlaced,
    Line,
    Overridden,
    Purpose,
    ScopeKind,
    Voided,
)
from tasks.records.ledger import Entry

_EVENTS: Final[Mapping[str, type[Line]]] = {
    "asked": Asked,
    "answered": Answered,
    "hold-placed": HoldPlaced,
    "hold-lifted": HoldLifted,
    "overridden": Overridden,
    "handed-out": HandedOut,
    "voided": Voided,
    "guessed": Guessed,
}
_NAMES: Final = {kind: event for event, kind in _EVENTS.items()}
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Purpose": get_args(Purpose),
    "ScopeKind": get_args(ScopeKind),
    "Decision": tuple(Decision),
    "Literal['printed', 'mailed']": ("printed", "mailed"),
}


def event_of(line: Line) -> tuple[str, dict[str, Any]]:
    """Return event and data of a line; its number and time are the ledger's to give."""
    data = {one.name: _written(getattr(line, one.name)) for one in fields(line) if one.name not in ("seq", "at")}
    return _NAMES[type(line)], data


def lines_of(entries: Iterable[Entry]) -> tuple[list[Line], list[str]]:
    """Return the lines, and in words which of them cannot be understood."""
    lines: list[Line] = []
    problems: list[str] = []
    for entry in entries:
        try:
            lines.append(_line(entry))
        except ValueError as error:
            problems.append(f"line {entry.seq} of the ledger cannot be understood: {error}")
    return lines, problems


def _line(entry: Entry) -> Line:
    kind = _EVENTS.get(entry.event)
    if kind is None:
        raise ValueError(f"it tells of '{entry.event}', which this version does not know")
    values: dict[str, Any] = {"seq": entry.seq, "at": entry.at}
    for one in fields(kind):
        if one.name not in values:
            values[one.name] = _read(one.name, str(one.type), entry.data.get(one.name))
    return kind(**values)


def _read(name: str, kind: str, value: Any) -> Any:
    if kind == "datetime" and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    elif kind in _WORDS and value in _WORDS[kind]:
        return Decision(value) if kind == "Decision" else value
    elif kind.startswith("tuple") and isinstance(value, list):
        inner = int if "int" in kind else str
        if all(type(item) is inner for item in value):
            return tuple(value)
    elif (kind == "str" and isinstance(value, str)) or (kind == "int" and type(value) is int):
        return value
    raise ValueError(f"'{name}' is missing or not as it should be")


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, StrEnum):
        return value.value
    return list(value) if isinstance(value, tuple) else value
