r"""Patterns of the catalog: ``*`` stands for anything within one part of a path, ``**`` for any number of parts.

The same rules hold for files (parts are separated by ``/``), registry keys (``\``), and for names, which have one part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


def matches(pattern: str, text: str, *, separator: str = "/", ignore_case: bool = False) -> bool:
    """Return whether the pattern describes the whole text. ``a/**`` is everything below ``a``, not ``a`` itself."""
    return _compiled(pattern, separator, ignore_case).fullmatch(text) is not None


def matches_any(patterns: Iterable[str], text: str, *, separator: str = "/", ignore_case: bool = False) -> bool:
    """Return whether one of the patterns describes the text."""
    return any(matches(one, text, separator=separator, ignore_case=ignore_case) for one in patterns)


def excluded(patterns: Iterable[str], path: str, *, separator: str = "/", ignore_case: bool = False) -> bool:
    """Return whether a path is left out: a pattern describes it, a folder above it or, without separator, a part of it.

    ``Cache`` leaves out every file and folder of that name, with all that is in it.
    """
    parts = path.split(separator)
    above: list[str] = []
    for pattern in patterns:
        if not ("*" in pattern or separator in pattern or ignore_case):
            # Mostly it is a plain name, and there are thousands of files.
            if pattern in parts:
                return True
            continue
        if separator in pattern and not above:
            above = [separator.join(parts[: count + 1]) for count in range(len(parts))]
        candidates = above if separator in pattern else parts
        if any(matches(pattern, one, separator=separator, ignore_case=ignore_case) for one in candidates):
            return True
    return False


def fixed_part(pattern: str, separator: str = "/") -> str:
    """Return the parts of the pattern before the first one with a ``*``: where to begin to look."""
    parts = pattern.split(separator)
    count = next((index for index, part in enumerate(parts) if "*" in part), len(parts))
    return separator.join(parts[:count])


@lru_cache(maxsize=4096)
def _compiled(pattern: str, separator: str, ignore_case: bool) -> re.Pattern[str]:
    mark = re.escape(separator)
    parts = pattern.split(separator)
    text = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            text += ".+" if last else f"(?:[^{mark}]+{mark})*"
        else:
            text += f"[^{mark}]*".join(re.escape(piece) for piece in part.split("*")) + ("" if last else mark)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
