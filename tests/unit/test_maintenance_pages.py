"""What people read of a maintenance: kept texts, and the promises that a text cannot show."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tasks.events import SkipReason
from tasks.reports.announcement import announcement_page
from tasks.reports.display import show_text
from tasks.reports.html_page import html_body, html_page
from tasks.reports.maintenance_model import (
    TROUBLES,
    AnnouncedComputer,
    Announcement,
    Answer,
    Attention,
    Deed,
    Ledger,
    LedgerLine,
    MissingKind,
    NeedsSomebody,
    Reader,
    ReadinessPage,
    Room,
    TeacherBefore,
)
from tasks.reports.model import FolderSaved, SkipGroup, TeacherPage
from tasks.reports.plain_text import plain_line, plain_text
from tasks.reports.school_pages import attention_page, ledger_page, readiness_page
from tasks.reports.teacher_page import before_page
from tasks.reports.templates import BUILT_IN, Page, Templates, plain
from tasks.reports.words import Words, keys_of, load_words
from tests.support.golden import check_golden
from tests.support.sample_pages import ANNOUNCED, READY, reader, sample_pages

BERLIN = ZoneInfo("Europe/Berlin")
LANGUAGES = sorted(one.name for one in BUILT_IN.iterdir() if one.is_dir())
pages = cache(sample_pages)
PAGES = sorted(pages("en"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_kept_texts(language: str, name: str) -> None:
    page = pages(language)[name]
    assert page.notes == ()
    assert page.language == language
    check_golden(f"reports/maintenance/{language}/{name}.md", page.markdown)
    check_golden(f"reports/maintenance/{language}/{name}.txt", plain_text(page.markdown))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_one_file_that_loads_and_runs_nothing(language: str) -> None:
    for page in pages(language).values():
        text = html_page(page.markdown, title=plain_line(page.heading), language=page.language)
        tags = structure(text)
        assert not {tag for tag, _ in tags} & {"script", "img", "iframe", "object", "form", "base", "svg"}
        assert [attributes["href"] for tag, attributes in tags if "href" in attributes] in (
            [],
            ["https://firstbell.north.example/answer"],
        )
        assert not re.search(r"url\(|@import|javascript:", text.partition("</style>")[0])
        assert all(not name.startswith("on") for _, attributes in tags for name in attributes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_has_words_in_every_language(language: str) -> None:
    told: list[str] = []
    words = Words(load_words([BUILT_IN], language, told), BERLIN, told)
    for reason in get_args(SkipReason):
        assert all(words.text(f"reason.{reason}.{part}") for part in ("heading", "sentence", "cure"))
    for kind in get_args(MissingKind):
        assert all(words.text(f"missing.{kind}.{part}") for part in ("heading", "sentence"))
    assert all(words.text(f"trouble.{trouble}") for trouble in TROUBLES)
    assert all(words.text(f"deed.{deed}") for deed in get_args(Deed))
    assert told == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_the_same_keys_and_pages(language: str) -> None:
    def keys(of: str) -> set[str]:
        return set(keys_of(yaml.safe_load((BUILT_IN / of / "words.yaml").read_text(encoding="utf-8"))))

    assert keys(language) == keys("en")
    assert {one.name for one in (BUILT_IN / language).iterdir()} == {one.name for one in (BUILT_IN / "en").iterdir()}


def test_days_are_those_of_the_school() -> None:
    # Half an hour before midnight in Berlin is the next day in Auckland.
    late = Announcement("", "reimage", (), datetime(2026, 7, 6, 21, 30, tzinfo=UTC), ANNOUNCED.end, None)
    page = announcement_page(Templates(), late, replace(reader("en"), zone=BERLIN))
    assert "Monday 6 July 2026, 23:30" in page.markdown
    page = announcement_page(Templates(), late, replace(reader("de"), zone=ZoneInfo("Pacific/Auckland")))
    assert "Dienstag, 7. Juli 2026, 09:30 Uhr" in page.markdown


def test_the_code_stands_in_the_letter_and_nowhere_else() -> None:
    assert ANNOUNCED.answer is not None
    without = replace(ANNOUNCED, answer=replace(ANNOUNCED.answer, code=""))
    page = announcement_page(Templates(), without, reader("en"))
    assert "Your code is in the letter that only you get" in page.markdown
    assert "7K3QH" not in page.markdown


def test_who_does_nothing_loses_nothing_and_is_told_so() -> None:
    assert "**If you do nothing, nothing is wiped.**" in pages("en")["announcement"].markdown
    assert "**Wenn Sie nichts tun, wird nichts gelöscht.**" in pages("de")["announcement"].markdown


def test_readiness_says_it_in_one_line() -> None:
    heading = plain_line(readiness_page(Templates(), READY, reader("en")).heading)
    assert heading == "Northfield Primary School: 42 of 45 rooms ready for Monday; 3 need attention"
    well = ReadinessPage(READY.made, date(2026, 7, 13), (Room("Lab 1", 3), Room("", 1)))
    assert plain_line(readiness_page(Templates(), well, reader("en")).heading).endswith("2 of 2 rooms ready for Monday")
    unknown = replace(well, next_class_day=None)
    assert "does not tell the next class day" in readiness_page(Templates(), unknown, reader("en")).markdown


def test_a_ledger_that_somebody_changed_says_so() -> None:
    line = LedgerLine(READY.made, "Jo", "refuse", ("lab3-09",), sound=False)
    page = ledger_page(Templates(), Ledger("", READY.made, (line,), problem="line 3 is gone."), reader("en"))
    assert "Somebody has changed this list" in page.markdown
    assert "(changed afterwards!)" in plain_text(page.markdown)


# --- A school's own templates ---------------------------------------------------------------------------------------


def write(folder: Path, name: str, text: str) -> Templates:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return Templates(folder)


def announced(templates: Templates, language: str) -> Page:
    return announcement_page(templates, ANNOUNCED, reader(language))


def test_a_school_says_it_in_its_own_words(tmp_path: Path) -> None:
    templates = write(
        tmp_path, "en/announcement.md.j2", "# Hello {{ reader.name }}\n\n{{ day(start) }} {{ contact }}\n"
    )
    write(
        tmp_path, "en/words.yaml", "contact: Ms Okafor\nmonths: [Jan, Feb, Mar, Apr, May, Jun, Jul., A, S, O, N, D]\n"
    )
    page = announced(templates, "en")
    assert page.markdown == "# Hello Akiko Ito\n\nMonday 6 Jul. 2026 Ms Okafor\n"
    assert page.notes == ()


def test_a_language_of_a_school_of_its_own(tmp_path: Path) -> None:
    days = "[lundi, mardi, mercredi, jeudi, vendredi, samedi, dimanche]"
    templates = write(tmp_path, "fr/words.yaml", f'weekdays: {days}\nformats: {{day: "{{weekday}} {{day}}"}}\n')
    write(tmp_path, "fr/announcement.md.j2", "# Bonjour\n\n{{ day(start) }}, {{ count('computer', 2) }}\n")
    page = announced(templates, "fr-CA")
    assert page.markdown == "# Bonjour\n\nlundi 6, 2 computers\n"
    # What is missing is said in English, and told.
    assert any("count.computer.many" in note for note in page.notes)


@pytest.mark.parametrize("language", ["fr", "xx"])
def test_a_language_that_nobody_has_is_english_and_told(language: str) -> None:
    page = announced(Templates(), language)
    assert page.markdown == announced(Templates(), "en").markdown
    assert page.language == "en"
    assert page.notes == (f"announcement: there is no page in '{language}', English is used",)


@pytest.mark.parametrize(
    "text",
    [
        "# {{ nobody_knows }}",
        "# {% if %}",
        "# {{ reader.name.__class__.__mro__ }}",
        "# {{ title|safe }}",
        "# {{ 1 / 0 }}",
        "# {{ day('soon') }}",
        "{% include '/etc/passwd' %}",
        "{% for a in range(999999999) %}x{% endfor %}",
    ],
)
def test_a_template_that_is_wrong_stops_no_letter(tmp_path: Path, text: str) -> None:
    page = announced(write(tmp_path, "de/announcement.md.j2", text), "de")
    assert page.markdown == announced(Templates(), "de").markdown
    assert len(page.notes) == 1
    assert "announcement.md.j2 is left out" in page.notes[0]


@pytest.mark.parametrize(
    "text", ["[", "- a\n- b\n", "weekdays: [a]\n", "formats: {day: '{nobody}'}\n", "contact: {a: b}\n"]
)
def test_words_that_are_wrong_stop_no_letter(tmp_path: Path, text: str) -> None:
    page = announced(write(tmp_path, "en/words.yaml", text), "en")
    assert page.markdown == announced(Templates(), "en").markdown


# --- No value acts as markup ----------------------------------------------------------------------------------------


class Structure(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def structure(text: str) -> list[tuple[str, dict[str, str]]]:
    parsed = Structure()
    parsed.feed(text)
    return parsed.tags


PIECES = [
    "<script>", "<b>", "</p>", "![x](http://t.example/p.png)", "[x](javascript:alert(1))", "https://t.example",
    "<https://t.example>", "**", "__", "*", "_", "`", "``", "|", "\\", "#", "# ", "- ", "+ ", "1. ", "1)", "> ", "~~",
    "---", "===", "&lt;", "&#60;", "a@b.example", "www.t.example", "{{ 1 }}", "{% raw %}", "\n", "\r\n", "\t", "  ",
    "\u202e", "\u2028", "\x1b[2J", "\x00", "    code", "x", "Ä", "🏫", "[1]: http://t.example", "$a$", "'", '"',
]  # fmt: skip
NASTY = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=6).map("".join)
PLACEHOLDER = "Qx"


def shown(text: str) -> str:
    """Return what of a value may be seen, however spaces fall."""
    return "".join(show_text(text.strip()).split())


def pages_with(value: str, path: bytes) -> dict[str, Page]:
    templates, who = Templates(), Reader(value, "en", value, BERLIN, value)
    when = ANNOUNCED.start
    group = SkipGroup("denied", 1, examples=(path,))
    rule = SkipGroup("excluded", 2, acknowledged=True, why=value)
    saved = TeacherPage(value, value, b"/home", "partial", when, files=1, bytes=1, skips=(group, rule))
    saved = replace(saved, folders=(FolderSaved(value, 1, 1),))
    answer = Answer("7K3QH", when, "https://firstbell.north.example/answer")
    announcement = Announcement(
        value, "reimage", (AnnouncedComputer(value, value),), when, when, answer, value, (value,)
    )
    line = LedgerLine(when, value, value, (value, value), when, value)
    return {
        "announcement": announcement_page(templates, replace(announcement, notes=" ".join(value.splitlines())), who),
        "before": before_page(templates, TeacherBefore("reimage", (saved,), when), who),
        "ledger": ledger_page(templates, Ledger(value, when, (line,), value), who),
        "attention": attention_page(
            templates, Attention(value, (NeedsSomebody(value, value, when, value, value),)), who
        ),
        "readiness": readiness_page(templates, ReadinessPage(when, None, (Room(value, 2),)), who),
    }


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(NASTY.filter(lambda text: shown(text) != ""), st.binary(min_size=1, max_size=12))
def test_values_never_act_as_markup(value: str, name: bytes) -> None:
    path = b"/home/" + name.replace(b"/", b"-") + value.encode("utf-8", "surrogatepass").replace(b"/", b"-")
    calm = pages_with(PLACEHOLDER, b"/home/x")
    for kind, page in pages_with(value, path).items():
        body = html_body(page.markdown)
        assert structure(body) == structure(html_body(calm[kind].markdown)), (kind, page.markdown)
        parsed = Structure()
        parsed.feed(body)
        assert shown(value) in "".join(parsed.text.split()), (kind, page.markdown)


@pytest.mark.parametrize("value", ["- x", "+ x", "1. x", "12) x", "===", "---", "# x", "> x", "```", "    x", "| x |"])
def test_a_value_that_would_begin_a_block_is_only_a_text(value: str) -> None:
    for before, tags in (("", ["p"]), ("- ", ["ul", "li"]), ("x\n", ["p"])):
        assert [tag for tag, _ in structure(html_body(f"{before}{plain(value)}\n"))] == tags


@settings(max_examples=200, deadline=None)
@given(NASTY)
def test_a_value_at_the_start_of_a_line_is_only_a_text(value: str) -> None:
    for before in ("", "- ", "> ", "1. "):
        body = html_body(f"{before}{plain(value)}\n")
        tags = [tag for tag, _ in structure(body)]
        assert tags in ([], ["p"], ["ul", "li"], ["ol", "li"], ["blockquote"], ["blockquote", "p"]), (value, body)
