r"""Which paths of a snapshot a person asked for.

A *pattern* is text, with ``/`` between parts:

* a path: ``Desktop/Plan [2026].docx`` or ``/home/a.ito/Desktop``. It means that file, or that folder with all in it;
* a glob: ``*`` and ``?`` stay within one part, ``**`` stands for any number of parts, ``[abc]`` and ``[!abc]`` for one
  character. ``Desktop/**`` is everything in the folder; ``*.docx``, having no ``/``, is found at any depth.

What does not start with ``/`` is relative to each *base*: the snapshot's roots, the homes, and for a root such as
``/home/a.ito/Desktop`` also the folder above it, so that ``Desktop/...`` means what it says. ``~/`` in front is the
same as nothing.

Case: a path without ``*`` and ``?`` is exact; a glob ignores case, since ``*.docx`` is meant to find ``REPORT.DOCX``.
In a snapshot of Windows case never counts, and ``desktop\plan.docx`` and ``C:\Users`` mean what they say there. In
both, the two Unicode spellings of one name (composed, as Linux and Windows write it, and decomposed, as macOS does) are
the same. A pattern that is the exact path of something is that path, whatever characters it has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from configs.folders import portable_path
from tasks.errors import RestoreRefused

_MAGIC: Final = re.compile(r"[*?\[]")

#: A part of a pattern: itself, an expression, or None for any number of parts (``**``).
_Part = str | re.Pattern[str] | None

#: Where a walk stands: pairs of (index of a line, how many of its parts are matched already).
State = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Line:
    """One way to read one pattern: its parts from ``/`` on."""

    pattern: int
    parts: tuple[_Part, ...]


class Selection:
    """A set of patterns, matched part by part while a tree is walked, so that hopeless folders are never opened."""

    def __init__(
        self,
        patterns: Sequence[str],
        bases: Iterable[bytes],
        aliases: Sequence[tuple[bytes, bytes]] = (),
        *,
        windows: bool = False,
    ) -> None:
        """``aliases`` are paths that lead elsewhere by symlinks, and where: absolute patterns follow them.

        With ``windows``, patterns may be written as on Windows, and case does not count.
        """
        self._windows = windows
        self.patterns = tuple(patterns)
        self._used: set[int] = set()
        starts = list(dict.fromkeys(_parts(_text(base)) for base in bases)) or [()]
        renamed = [(_parts(_text(old)), _parts(_text(real))) for old, real in aliases]
        written = [as_on_windows(text) if windows else text for text in self.patterns]
        self._lines = [
            _folded(line) if windows else line
            for index, text in enumerate(written)
            for line in _read(index, text, starts, renamed)
        ]

    def start(self) -> State:
        """Return the state at ``/``."""
        return self._closed((index, 0) for index in range(len(self._lines)))

    def step(self, state: State, name: bytes) -> State:
        """Return the state one part further down; when it is empty, nothing below can match."""
        text = _text(name).casefold() if self._windows else _text(name)
        after: set[tuple[int, int]] = set()
        for index, at in state:
            parts = self._lines[index].parts
            if at == len(parts):
                continue
            part = parts[at]
            if part is None:
                # A final ** stands for at least one part: Desktop/** is what is in the folder, not the folder itself.
                after.add((index, at if at < len(parts) - 1 else at + 1))
            elif part == text if isinstance(part, str) else part.fullmatch(text):
                after.add((index, at + 1))
        return self._closed(after)

    def accepts(self, state: State) -> bool:
        """Return whether the path that led to ``state`` was asked for, and with it all below."""
        accepted = False
        for index, at in state:
            if at == len(self._lines[index].parts):
                self._used.add(self._lines[index].pattern)
                accepted = True
        return accepted

    def unmatched(self) -> tuple[str, ...]:
        """Return the patterns that ``accepts`` has found nothing for, as they were given."""
        return tuple(pattern for index, pattern in enumerate(self.patterns) if index not in self._used)

    def _closed(self, states: Iterable[tuple[int, int]]) -> State:
        """Add where one gets by letting ``**`` stand for nothing."""
        found: set[tuple[int, int]] = set()
        for index, start in states:
            parts = self._lines[index].parts
            at = start
            found.add((index, at))
            while at < len(parts) - 1 and parts[at] is None:
                at += 1
                found.add((index, at))
        return frozenset(found)


def as_on_windows(pattern: str) -> str:
    r"""Return a path or pattern as snapshots spell it: ``C:\Users`` is ``/C/Users``. Raises ``RestoreRefused``."""
    try:
        return portable_path(pattern).replace("\\", "/")
    except ValueError as error:
        raise RestoreRefused(str(error), hint="Give the path as it was on the computer, or as it is shown.") from None


def _folded(line: _Line) -> _Line:
    return replace(line, parts=tuple(part.casefold() if isinstance(part, str) else part for part in line.parts))


def relative_bases(roots: Iterable[bytes], homes: Iterable[bytes]) -> list[bytes]:
    """Return what relative patterns are relative to: see the module text."""
    bases = list(homes)
    for root in roots:
        bases += [root, root.rpartition(b"/")[0] or b"/"]
    return list(dict.fromkeys(bases))


def _read(
    index: int,
    pattern: str,
    starts: Sequence[tuple[str, ...]],
    aliases: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
) -> list[_Line]:
    text = "." if pattern == "~" else _normal(pattern).removeprefix("~/")
    parts = _parts(text)
    if not text or ".." in parts:
        raise RestoreRefused(
            f"the pattern {pattern!r} is empty or goes up with '..'",
            hint="Give the path as it is in the snapshot, from '/' or from the home folder on.",
        )
    readings = [parts]
    if text.startswith("/"):
        starts = [()]
        readings += [(*real, *parts[len(old) :]) for old, real in aliases if parts[: len(old)] == old]
    lines = [_Line(index, (*start, *reading)) for start in starts for reading in readings]
    if _MAGIC.search(text):
        anywhere: tuple[_Part, ...] = () if "/" in text else (None,)
        for reading in readings:
            globs = tuple(None if part == "**" else _compile(part) for part in reading)
            lines += [_Line(index, (*start, *anywhere, *globs)) for start in starts]
    return lines


def _compile(part: str) -> re.Pattern[str]:
    """Return one part of a glob as a regular expression."""
    out: list[str] = []
    at = 0
    while at < len(part):
        character = part[at]
        at += 1
        if character == "*":
            out.append(".*")
        elif character == "?":
            out.append(".")
        elif character == "[":
            end = part.find("]", at + (2 if part[at : at + 1] == "!" else 1))
            if end < 0:
                out.append(r"\[")
                continue
            inside = part[at:end].replace("\\", "\\\\").replace("[", r"\[").replace("^", r"\^")
            out.append(f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
            at = end + 1
        else:
            out.append(re.escape(character))
    try:
        return re.compile("".join(out), re.IGNORECASE | re.DOTALL)
    except re.error as error:
        raise RestoreRefused(f"the pattern {part!r} cannot be read: {error}") from error


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split("/") if part not in ("", "."))


def _text(raw: bytes) -> str:
    return _normal(raw.decode("utf-8", "surrogateescape"))


def _normal(text: str) -> str:
    """Return ``text`` in the composed Unicode spelling."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
