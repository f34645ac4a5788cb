"""File names and foreign texts, made safe to show.

A file name is chosen by whoever made the file: it may hold terminal escapes, newlines, right-to-left overrides,
markdown or bytes that are not UTF-8. Here it becomes one visible line.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: Control, format (bidi overrides, zero width), surrogate, line and paragraph separator characters are spelled out.
#: The zero width joiner stays: emoji are made with it.
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
#: Markup anywhere in a line; ``:`` and ``.`` only where they would make a link of plain text. Texts never start a line.
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>#!|~&$@]|:(?=//)|(?<=www)\.)")
_BACKTICKS: Final = re.compile(r"`+")


def show_text(text: str) -> str:
    """Return ``text`` as one line in which every character that could hide or act is spelled out."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    if character in _JOINERS or unicodedata.category(character) not in _HIDDEN_CATEGORIES:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def show_path(path: bytes, base: bytes = b"") -> str:
    r"""Return ``path`` for people, relative to ``base`` where it is below it; bytes that are not UTF-8 as ``\xff``."""
    root = base.rstrip(b"/")
    if root and path.startswith(root + b"/"):
        path = path[len(root) + 1 :]
    return show_text(path.decode("utf-8", "backslashreplace"))


def shorten(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` characters, its middle left out when it is longer."""
    if len(text) <= width:
        return text
    tail = (width - 1) * 2 // 3
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def md(text: str) -> str:
    """Return ``text`` for markdown, tables included: nothing in it acts as markup, link, image or HTML."""
    return _MARKDOWN.sub(r"\\\1", show_text(text))


def md_code(text: str) -> str:
    """Return ``text`` as a code span that its own backticks cannot end."""
    shown = show_text(text)
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(shown)), default=0) + 1)
    pad = " " if "`" in (shown[:1], shown[-1:]) or shown != shown.strip() else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
