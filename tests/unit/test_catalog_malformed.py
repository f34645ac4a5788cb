"""A malformed catalog is refused: every problem at once, each with its line and what may have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.catalog import catalog_problems, load_catalog
from configs.catalog_file import parse_catalog
from configs.errors import ConfigError

SOUND = r"""catalog: 1
platform: windows
items:
- id: north-timetable
  name: Timetable
  why: Everybody has arranged the columns once.
  capture:
  - {kind: registry, key: 'HKCU\Software\Example', subtree: true}
  restore: by-itself
"""


CAPTURE = r"{kind: registry, key: 'HKCU\Software\Example', subtree: true}"


def problems(text: str) -> list[tuple[str, int | None, str]]:
    found = parse_catalog(text.encode(), source="catalog.yaml")
    return [(one.path, one.line, one.text) for one in found.problems]


def changed(old: str, new: str) -> str:
    assert SOUND.count(old) == 1, old
    return SOUND.replace(old, new)


def test_the_sound_one_is_sound() -> None:
    found = parse_catalog(SOUND.encode(), source="catalog.yaml")
    assert found.problems == []
    assert [one.id for one in found.items] == ["north-timetable"]


@pytest.mark.parametrize(
    ("old", "new", "line", "path", "words"),
    [
        ("  why:", "  whi:", 6, "north-timetable.whi", "unknown key. Did you mean 'why'?"),
        ("  why: Everybody has arranged the columns once.\n", "", 4, "north-timetable.why", "field required"),
        ("subtree:", "subtre:", 8, "north-timetable.capture.0.subtre", "unknown key. Did you mean 'subtree'?"),
        ("kind: registry", "kind: regsitry", 8, "north-timetable.capture.0.kind", "Did you mean 'registry'?"),
        ("kind: registry, ", "", 8, "north-timetable.capture.0", "'kind' is missing."),
        ("HKCU\\Software", "HKCR\\Software", 8, "north-timetable.capture.0.key", "is no key of the teacher"),
        ("HKCU\\Software\\Example", "HKCU/Software", 8, "north-timetable.capture.0.key", "written with '\\'"),
        ("Software\\Example'", "Software\\*'", 8, "north-timetable.capture.0.key", "a key has no '*'"),
        ("restore: by-itself", "restore: by-itslef", 9, "north-timetable.restore", "this must be one of 'by-itself'"),
        ("restore: by-itself", "restore: needs-it", 4, "north-timetable.because", "field required"),
        ("restore: by-itself", "restore: by-itself\n  order: first", 10, "north-timetable.order", "whole number"),
        ("restore: by-itself", "restore: by-itself\n  because: x", 10, "north-timetable.because", "for 'limits'"),
        (
            "restore: by-itself",
            "restore: by-itself\n  desktop: kde",
            10,
            "north-timetable.desktop",
            "only items of Lin",
        ),
        ("restore: by-itself", "restore: by-itself\n  requires: [Nope]", 10, "north-timetable.requires.0", "is no id"),
        ("id: north-timetable", "id: Timetable", 4, "Timetable.id", "is no id"),
        ("catalog: 1\n", "", 1, "catalog", "field required"),
        ("catalog: 1", "catalog: 2", 1, "catalog", "this firstbell knows version 1; update it"),
        ("catalog: 1", "catalog: one", 1, "catalog", "this must be 1"),
        ("items:", "itmes:", 3, "itmes", "Did you mean 'items'?"),
        ("platform: windows", "platform: window", 2, "platform", "Did you mean 'windows'?"),
    ],
)
def test_a_problem_is_told_with_its_line(old: str, new: str, line: int, path: str, words: str) -> None:
    found = problems(changed(old, new))
    assert (path, line) in [(one[0], one[1]) for one in found], found
    assert any(words in one[2] for one in found if one[:2] == (path, line)), found
    assert parse_catalog(changed(old, new).encode(), source="x").items == [] or not path.startswith("north")


@pytest.mark.parametrize(
    ("capture", "line", "path", "words"),
    [
        ("{kind: dconf, paths: [/org/gnome/]}", 8, "capture.0.kind", "is there on linux only"),
        ("{kind: files, paths: ['{config}/x']}", 8, "capture.0.paths", "there is no '{config}' on windows"),
        ("{kind: files, paths: ['{apdata}/x']}", 8, "capture.0.paths.0", "Did you mean 'appdata'?"),
        ("{kind: files, paths: [x/y]}", 8, "capture.0.paths.0", "does not say where it lies"),
        ("{kind: files, paths: ['{home}/../x']}", 8, "capture.0.paths.0", "holds '..'"),
        ("{kind: files, paths: []}", 8, "capture.0.paths", "this is empty"),
        ("{kind: presence, paths: ['{home}/x']}", 9, "restore", "nothing in it can be put back"),
        ("{kind: command, argv: [x, '{value}'], apply: [y]}", 8, "capture.0.argv", "has no '{value}'"),
        ("{kind: files, paths: [{home}]}", 8, "capture.0.paths.0", 'put this into quotes: "{home}"'),
        ("{kind: ini, file: '{appdata}/x', groups: [A]}", 8, "capture.0.groups", "here belong indented lines"),
        ("{kind: registry, key: 'HKCU\\A', values: []}", 8, "capture.0.values", "this is empty"),
        ("{kind: registry, key: 'HKCU\\\\A\\\\B'}", 8, "capture.0.key", "with single '\\'"),
        ("{kind: files, paths: ['{appdata}\\\\x\\']}", 8, "capture.0.paths.0", "for all that is in the folder"),
        ("{kind: files, paths: ['{appdata}/a**']}", 8, "capture.0.paths.0", "must stand alone"),
        ("{kind: ini, file: '{appdata}/*.ini', groups: {A: all}}", 8, "capture.0.file", "without '*'"),
        ("just a text", 8, "capture.0", "a capture is written"),
    ],
)
def test_a_problem_of_a_capture_is_told_with_its_line(capture: str, line: int, path: str, words: str) -> None:
    (found,) = problems(changed(CAPTURE, capture))
    assert found[:2] == (f"north-timetable.{path}", line)
    assert words in found[2]


def test_one_capture_needs_no_list() -> None:
    text = SOUND.replace("  capture:\n  - {", "  capture: {")
    assert problems(text) == []
    (found,) = problems(text.replace("kind: registry", "kind: regsitry"))
    assert found[:2] == ("north-timetable.capture.0.kind", 7)


def test_cannot_needs_a_reason_and_an_advice() -> None:
    found = problems(changed("restore: by-itself", "restore: cannot"))
    assert [one[0] for one in found] == ["north-timetable.because", "north-timetable.do_first"]


@pytest.mark.parametrize(
    "capture",
    [
        "{kind: files, paths: ['{appdata}/Mozilla/Firefox/Profiles/**']}",
        "{kind: files, paths: ['{localappdata}/Google/Chrome/User Data/**'], exclude: [Cookies]}",
        "{kind: files, paths: ['{home}/.ssh/**']}",
        "{kind: files, paths: ['{documents}/*.pfx']}",
        "{kind: registry, key: 'HKCU\\Software\\Example', values: [ServerPassword]}",
        "{kind: ini, file: '{appdata}/Example/x.ini', groups: {Login: [ApiToken]}}",
        "{kind: command, argv: [netsh, wlan, export, profile, key=clear]}",
    ],
)
def test_a_secret_is_refused_unless_the_item_says_so(capture: str) -> None:
    both = f"{{kind: files, paths: ['{{appdata}}/Example/x']}}\n  - {capture}"
    text = changed(CAPTURE, both)
    (found,) = problems(text)
    assert found[:2] == ("north-timetable.capture.1", 9)
    assert "would capture a secret" in found[2]
    assert problems(text.replace("restore: by-itself", "restore: by-itself\n  sensitive: true")) == []


def test_a_secret_that_is_left_out_needs_no_mark() -> None:
    secrets = "[logins.json, key4.db, cookies.sqlite]"
    left_out = f"{{kind: files, paths: ['{{appdata}}/Mozilla/Firefox/Profiles/**'], exclude: {secrets}}}"
    assert problems(changed(CAPTURE, left_out)) == []
    redacted = "{kind: registry, key: 'HKCU\\Software\\Example', values: [ServerPassword]}"
    assert problems(changed(CAPTURE, redacted).replace("restore:", "redact: ['*Password*']\n  restore:")) == []


def test_a_harmless_name_is_no_secret() -> None:
    assert problems(changed(CAPTURE, "{kind: registry, key: 'HKCU\\A\\B', values: [AskForPassword]}")) == []


def test_the_same_id_twice_is_told_by_both_lines() -> None:
    again = SOUND + SOUND.partition("items:\n")[2]
    (found,) = problems(again)
    assert found == ("north-timetable.id", 10, "the item in line 4 has the same id; keep one of them")


def test_items_that_wait_for_each_other_are_told(tmp_path: Path) -> None:
    second = SOUND.partition("items:\n")[2].replace("north-timetable", "north-register")
    text = SOUND + "  requires: [north-register]\n" + second + "  requires: [north-timetable]\n"
    file = tmp_path / "catalog.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_catalog("windows", file)
    assert str(caught.value) == (
        f"{file}: 1 problem\n  line 10: At 'north-timetable.requires': items wait for each other: "
        "north-timetable needs north-register needs north-timetable"
    )
    assert caught.value.hint


def test_an_item_that_waits_for_itself_is_told(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(SOUND + "  requires: [north-timetable]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="north-timetable needs north-timetable"):
        load_catalog("windows", file)


def test_an_item_that_needs_what_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(SOUND + "  requires: [windows-font]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 10: .*it needs 'windows-font'.* Did you mean 'windows-fonts'\?"):
        load_catalog("windows", file)


def test_every_problem_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    text = SOUND.replace("name:", "nam:").replace("restore: by-itself", "restore: maybe")
    file.write_text(text + SOUND.partition("items:\n")[2].replace("why:", "wy:").replace("timetable", "b"), "utf-8")
    (message,) = catalog_problems(file)
    lines = message.splitlines()
    assert lines[0] == f"{file}: 5 problems"
    assert [one.partition(":")[0].strip() for one in lines[1:]] == ["line 4", "line 5", "line 9", "line 10", "line 12"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "here belong lines 'catalog: 1'"),
        ("- a\n", "here belong lines 'catalog: 1'"),
        ("catalog: 1\nitems: x\n", "this must be a list"),
        ("catalog: 1\nitems: [x]\n", "an item is a list of lines"),
        ("catalog: 1\nitems:\n\t- id: x\n", "a tab stands where YAML wants spaces"),
        ("catalog: 1\nleave_out: x\n", "this must be a list of ids"),
        ("catalog: 1\ncatalog: 1\n", "stands twice"),
    ],
)
def test_what_is_no_catalog_is_told(text: str, words: str) -> None:
    (found,) = problems(text)
    assert words in found[2]


def test_a_windows_path_in_double_quotes_is_explained() -> None:
    (found,) = problems(changed("'HKCU\\Software\\Example'", '"HKCU\\Software\\Example"'))
    assert "put a Windows path into single quotes" in found[2]


def test_an_example_that_does_not_fit_its_item_is_told(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(SOUND + "  fixture: example.yaml\n", encoding="utf-8")
    assert "'example.yaml' cannot be read" in catalog_problems(file)[0]
    entry = "{key: 'HKCU\\Software\\Other', value: x, kind: REG_DWORD, data: -1}"
    (tmp_path / "example.yaml").write_text(f"item: north-timetable\ncaptured:\n- registry: [{entry}]\n", "utf-8")
    (message,) = catalog_problems(file)
    assert "line 10: At 'north-timetable.fixture': captured.0: 'HKCU\\Software\\Other' 'x' is no value of it" in message
    assert "is no 32-bit number" in message


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_catalog("windows", tmp_path / "nothing.yaml")
