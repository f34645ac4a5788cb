"""The words of one language: names of days, forms of dates and numbers, short texts by key.

They stand in ``configs/templates/<language>/words.yaml``, and a school's own file lies over it. What a language does
not have is said in English, and told. Nothing here is escaped: ``templates.py`` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import Any, Final

from configs.yaml_file import read_yaml
from tasks.reports.units import plain_size

FILE: Final = "words.yaml"
FALLBACK: Final = "en"


def languages_of(language: str) -> tuple[str, ...]:
    """Return where to look for a text: ``de-AT`` is sought there, then in ``de``, then in English."""
    return tuple(dict.fromkeys((language, language.partition("-")[0], FALLBACK)))


class Words:
    """The words of one language, for one school's clock; ``told`` collects what a person should mend."""

    def __init__(self, layers: Sequence[tuple[str, Mapping[str, Any]]], zone: tzinfo, told: list[str]) -> None:
        """Take the words, the nearest first, each with the language they are in; the last ones are complete."""
        self.language = layers[0][0] if layers else FALLBACK
        self._layers = layers
        self._zone = zone
        self._told = told

    def text(self, key: str) -> str:
        """Return the text of a key such as ``reason.denied.heading``; the key itself when nobody knows it."""
        found = self._find(key, str)
        if found is None:
            self._tell(f"there is no text '{key}'")
            return key
        return str(found)

    def has(self, key: str) -> bool:
        """Return whether any language has this text."""
        return any(isinstance(_at(words, key), str) for _, words in self._layers)

    def filled(self, key: str, **values: str) -> str:
        """Return a text with its ``{name}`` filled in; in English when the translation names something unknown."""
        first = self._layers[0][0] if self._layers else FALLBACK
        for language, words in self._layers:
            pattern = _at(words, key)
            if not isinstance(pattern, str):
                continue
            if language == FALLBACK != first:
                self._tell(f"{first}: '{key}' is missing, English is used")
            try:
                return pattern.format_map(values)
            except (KeyError, ValueError, IndexError, AttributeError, TypeError):
                self._tell(f"{language}: '{key}' has a placeholder that does not exist there")
        return key

    def count(self, noun: str, number: int) -> str:
        """Return a number with its noun: ``1 computer``, ``12 computers``."""
        return self.filled(f"count.{noun}.{'one' if number == 1 else 'many'}", n=self.number(number))

    def number(self, value: int) -> str:
        """Return a whole number with the language's separator of thousands."""
        return f"{value:,}".replace(",", self.text("thousands"))

    def size(self, count: int) -> str:
        """Return a size as the file manager shows it."""
        if count < 1000:
            return self.count("byte", count)
        shown = plain_size(count)
        return shown.replace(".", self.text("decimal")) if self.text("decimal") != "." else shown

    def day(self, moment: datetime | date) -> str:
        """Return a day: ``Monday 6 July 2026``."""
        return self.filled("formats.day", **self._parts(moment))

    def weekday(self, moment: datetime | date) -> str:
        """Return the name of a day."""
        return self._parts(moment)["weekday"]

    def day_time(self, moment: datetime) -> str:
        """Return a day with the time by the clock of the school."""
        return self.filled("formats.day_time", **self._parts(moment))

    def short(self, moment: datetime) -> str:
        """Return a day with the time, without the weekday, for a narrow column."""
        return self.filled("formats.short", **self._parts(moment))

    def time(self, moment: datetime) -> str:
        """Return the time by the clock of the school."""
        return self.filled("formats.time", **self._parts(moment))

    def period(self, start: datetime, end: datetime) -> str:
        """Return from when to when, the day only once when it is the same."""
        if self._local(start) == self._local(end):
            return self.filled(
                "formats.period_in_a_day", day=self.day(start), start=self.time(start), end=self.time(end)
            )
        return self.filled("formats.period", start=self.day_time(start), end=self.day_time(end))

    def _local(self, moment: datetime | date) -> date:
        return moment.astimezone(self._zone).date() if isinstance(moment, datetime) else moment

    def _parts(self, moment: datetime | date) -> dict[str, str]:
        day = self._local(moment)
        local = moment.astimezone(self._zone) if isinstance(moment, datetime) else None
        return {
            "weekday": str(self._list("weekdays", 7)[day.weekday()]),
            "month": str(self._list("months", 12)[day.month - 1]),
            "day": str(day.day),
            "month_number": str(day.month),
            "year": str(day.year),
            "hour": f"{local.hour:02}" if local else "",
            "minute": f"{local.minute:02}" if local else "",
        }

    def _list(self, key: str, length: int) -> Sequence[Any]:
        for language, words in self._layers:
            found = _at(words, key)
            if isinstance(found, list) and len(found) == length:
                return found
            if found is not None:
                self._tell(f"{language}: '{key}' needs {length} names")
        return [key] * length

    def _find(self, key: str, kind: type) -> Any:
        first = self._layers[0][0] if self._layers else FALLBACK
        for language, words in self._layers:
            found = _at(words, key)
            if isinstance(found, kind):
                if language == FALLBACK != first:
                    self._tell(f"{first}: '{key}' is missing, English is used")
                return found
        return None

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.append(text)


def _at(words: Mapping[str, Any], key: str) -> Any:
    found: Any = words
    for part in key.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def load_words(folders: Sequence[Path], language: str, told: list[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the words of a language, the nearest first; ``folders`` hold a folder for each language, ours is last.

    A file that is wrong is told and left out: a letter is still written.
    """
    found: list[tuple[str, Mapping[str, Any]]] = []
    for one in languages_of(language):
        for folder in folders:
            path = folder / one / FILE
            if not path.is_file():
                continue
            try:
                document = read_yaml(path)
            except OSError as error:
                told.append(f"{path} cannot be read: {error.strerror}")
                continue
            if document.problems or not isinstance(document.content, Mapping):
                told.append(f"{path} is left out: {'; '.join(map(str, document.problems)) or 'it holds no keys'}")
                continue
            found.append((one, document.content))
    return found


def keys_of(words: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield every key with a text or a list, in the form in which it is asked for."""
    for key, value in words.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from keys_of(value, name)
        else:
            yield name
