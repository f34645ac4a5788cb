"""Our markdown as plain text, for letters: headings underlined, tables as lines, nothing marked up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it.token import Token

from tasks.reports.html_page import parser

#: Columns of a line.
_WIDTH: Final = 72


def plain_text(markdown: str) -> str:
    """Return a page as plain text."""
    return "\n".join(_Writer().lines(parser().parse(markdown))).strip() + "\n"


def plain_line(markdown: str) -> str:
    """Return a line of markdown without its markup, such as a heading for the subject of a letter."""
    return "".join(_inline(parser().parseInline(markdown)[0].children or ()))


class _Writer:
    """Goes over the blocks of a page once; an empty line goes before each of them."""

    def __init__(self) -> None:
        #: The numbers of the lists that are open; None for one without.
        self._lists: list[int | None] = []
        self._marker = ""
        self._in_head = False
        self._header: list[str] = []
        self._row: list[str] = []

    def lines(self, tokens: Sequence[Token]) -> Iterator[str]:
        before = ""
        for token in tokens:
            kind = token.type
            if kind.endswith(("_list_open", "_list_close")):
                yield from self._list(token)
            elif kind == "list_item_open":
                self._marker = self._next_marker()
            elif kind in ("thead_open", "tr_open", "tr_close", "thead_close"):
                yield from self._table(kind)
            elif kind == "inline":
                yield from self._text("".join(_inline(token.children or ())), before)
            elif kind in ("fence", "code_block"):
                yield from ("", *(f"    {line}" for line in token.content.splitlines()))
            elif kind == "hr":
                yield from ("", "-" * _WIDTH)
            before = token.tag if kind == "heading_open" else kind

    def _list(self, token: Token) -> Iterator[str]:
        if token.type.endswith("_close"):
            self._lists.pop()
            return
        if not self._lists:
            yield ""
        start = int(token.attrs.get("start", 1) or 1)
        self._lists.append(start if token.type.startswith("ordered") else None)

    def _next_marker(self) -> str:
        number = self._lists[-1]
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _table(self, kind: str) -> Iterator[str]:
        if kind == "thead_open":
            self._in_head = True
        elif kind == "tr_open":
            self._row = []
        elif kind == "thead_close":
            self._in_head, self._header = False, self._row
        elif not self._in_head:
            yield ""
            for name, cell in zip(self._header, self._row, strict=False):
                if cell:
                    yield from _wrapped(cell, f"{name}: " if name else "", "    ")

    def _text(self, text: str, before: str) -> Iterator[str]:
        if before in ("th_open", "td_open"):
            self._row.append(text)
        elif before in ("h1", "h2", "h3", "h4", "h5", "h6"):
            yield from ("", *_wrapped(text, "", ""), ("=" if before == "h1" else "-") * min(len(text), _WIDTH))
        elif self._lists:
            lead = "  " * (len(self._lists) - 1) + (self._marker or "  ")
            self._marker = ""
            yield from _wrapped(text, lead, " " * len(lead))
        else:
            yield from ("", *_wrapped(text, "", ""))


def _inline(children: Sequence[Token]) -> Iterator[str]:
    link, shown = "", ""
    for token in children:
        if token.type in ("text", "code_inline"):
            shown += token.content
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " " if token.type == "softbreak" else "\n"
        elif token.type == "link_open":
            link, shown = str(token.attrs.get("href", "")), ""
        elif token.type == "link_close" and link != shown:
            yield f" <{link}>"


def _wrapped(text: str, lead: str, indent: str) -> Iterator[str]:
    """Yield a text in lines; a word that is longer than a line, such as an address, stays whole."""
    for part in text.split("\n"):
        line, empty = lead, True
        for word in part.split(" "):
            if not empty and len(line) + 1 + len(word) > _WIDTH:
                yield line
                line, empty = indent, True
            line = line + word if empty else f"{line} {word}"
            empty = False
        yield line
        lead = indent
