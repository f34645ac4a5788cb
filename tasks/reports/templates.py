"""Pages out of Jinja2 templates: markdown in which no value can act as markup.

A template is ``<language>/<page>.md.j2``, sought in the school's own folder, then in ``configs/templates``. Every value
is escaped for markdown before a template sees it, so that no filter or concatenation can undo it; what a template makes
itself of plain texts is escaped when it is written. A school's template that is wrong does not stop a letter: the one
that comes with firstbell is used, and it is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, tzinfo
from pathlib import Path
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from tasks.reports.display import md, md_code, shorten, show_path
from tasks.reports.words import FALLBACK, Words, languages_of, load_words

BUILT_IN: Final = Path(__file__).resolve().parents[2] / "configs" / "templates"
#: At the start of a line these would begin a list, a rule or a heading.
_BULLET: Final = re.compile(r"^([-+=])")
_NUMBERED: Final = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
_PATH: Final = 200
_HEADING: Final = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """A page as markdown; ``notes`` say what of the templates somebody should mend."""

    markdown: str
    language: str
    notes: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """Return the first heading, as markdown: the page's title."""
        found = _HEADING.search(self.markdown)
        return found[1].strip() if found else ""


def plain(text: str) -> Markup:
    """Return a text for any place in a line of markdown, its start included."""
    return _marked(text.strip())


def _marked(text: str) -> Markup:
    return Markup(_NUMBERED.sub(r"\1\\\2", _BULLET.sub(r"\\\1", md(text))))  # noqa: S704 - md escapes it


def code(text: str) -> Markup:
    """Return a text as a code span."""
    return Markup(md_code(text))  # noqa: S704 - md_code escapes it


def path_under(path: bytes, home: bytes) -> Markup:
    """Return a path as a code span, from the home on."""
    return code(shorten(show_path(path, home), _PATH))


def escaped(value: Any) -> Any:
    """Return a value in which every text is escaped, through dataclasses, lists and mappings; bytes are a path."""
    match value:
        case Markup() | None | bool() | int() | float() | date() | tzinfo():
            return value
        case str():
            return plain(value)
        case bytes():
            return path_under(value, b"")
        case Mapping():
            return {key: escaped(one) for key, one in value.items()}
        case Sequence() | frozenset():
            return [escaped(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: escaped(getattr(value, one.name)) for one in fields(value)}
    msg = f"a {type(value).__name__} has no place on a page"
    raise TypeError(msg)


class Templates:
    """The templates of a school: its own over those that come with firstbell."""

    def __init__(self, own: Path | None = None) -> None:
        self._folders = (*((own,) if own is not None else ()), BUILT_IN)

    def languages(self) -> frozenset[str]:
        """Return the languages that there are words or templates for."""
        return frozenset(
            one.name for folder in self._folders if folder.is_dir() for one in folder.iterdir() if one.is_dir()
        )

    def word(self, key: str, language: str, zone: tzinfo) -> str:
        """Return a short text in a language, not escaped."""
        return Words(load_words(self._folders, language, []), zone, []).text(key)

    def render(self, name: str, language: str, zone: tzinfo, values: Mapping[str, Any]) -> Page:
        """Return the page ``name`` in a language, or in English where there is none in that language."""
        told: list[str] = []
        inside = escaped(values)
        for one in languages_of(language):
            for folder in self._folders:
                path = folder / one / f"{name}.md.j2"
                if not path.is_file():
                    continue
                # A page in English has its days in English, too.
                words = Words(load_words(self._folders, one, told), zone, told)
                try:
                    text = _rendered(path, words, inside)
                except (
                    TemplateError,
                    OSError,
                    UnicodeDecodeError,
                    TypeError,
                    ValueError,
                    LookupError,
                    AttributeError,
                    ArithmeticError,
                    RecursionError,
                ) as error:
                    if folder == BUILT_IN and one == FALLBACK:
                        raise
                    told.append(f"{path} is left out: {' '.join(str(error).split())[:300]}")
                    continue
                if one == FALLBACK != language.partition("-")[0]:
                    told.append(f"{name}: there is no page in '{language}', English is used")
                return Page(text, one, tuple(told))
        msg = f"there is no template '{name}'"
        raise LookupError(msg)


def _rendered(path: Path, words: Words, values: Mapping[str, Any]) -> str:
    environment = ImmutableSandboxedEnvironment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_written,
    )
    # Whoever changes a template shall not be able to let a value through, not even by mistake.
    environment.filters.pop("safe", None)
    told: dict[str, Callable[..., Any]] = {
        "word": lambda key: plain(words.text(str(key))),
        "has_word": lambda key: words.has(str(key)),
        "count": lambda noun, number: plain(words.count(str(noun), number)),
        "number": lambda value: plain(words.number(value)),
        "size": lambda value: plain(words.size(value)),
        "day": lambda moment: plain(words.day(moment)),
        "weekday": lambda moment: plain(words.weekday(moment)),
        "short": lambda moment: plain(words.short(moment)),
        "day_time": lambda moment: plain(words.day_time(moment)),
        "period": lambda start, end: plain(words.period(start, end)),
    }
    environment.globals.update(told)
    text = environment.from_string(path.read_text(encoding="utf-8")).render(values)
    # Lines that a condition left empty would push the rest off the page.
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _written(value: Any) -> Any:
    """Return what stands for a value on a page: texts that a template made itself are escaped here."""
    if isinstance(value, Markup | StrictUndefined):
        return value
    return _marked(str(value))
