"""Markdown of ours as one HTML file that needs nothing else."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

STYLE: Final = Path(__file__).resolve().parents[2] / "configs" / "templates" / "page.css"
_LINK: Final = re.compile(r"https?://[^\s<>\"]+")


def parser() -> MarkdownIt:
    """Return the reader of our pages: no HTML in them, no pictures, links to web pages only."""
    found = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "html_inline", "html_block"])
    found.validateLink = lambda url: _LINK.fullmatch(url) is not None  # type: ignore[method-assign]
    return found


def html_body(markdown: str) -> str:
    """Return the page as HTML without a frame; a table scrolls by itself where the screen is too narrow."""
    reader = parser()
    text = str(reader.render(markdown))
    return text.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")


def html_page(markdown: str, *, title: str, language: str) -> str:
    """Return one self-contained file: it loads nothing, and runs nothing."""
    style = STYLE.read_text(encoding="utf-8")
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="{html.escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"{html_body(markdown)}</main>\n</body>\n</html>\n"
    )
