"""Mistakes in a school's catalog as strangers make them: each is refused with its line and says what to do."""

from __future__ import annotations

import pytest

from configs.catalog_file import parse_catalog
from configs.catalog_patterns import excluded

BASE = """\
catalog: 1
platform: linux
items:
- id: north-thing
  name: Thing
  why: It matters.
  desktop: any
  capture:
  - CAPTURE
  restore: by-itself
"""
FILES = "{kind: files, paths: ['{config}/a']}"


def problem_of(text: str) -> str:
    """Return the one problem of a catalog, with its line."""
    found = parse_catalog(text.encode(), source="catalog.yaml")
    (one,) = found.problems
    return f"line {one.line}: {one}"


@pytest.mark.parametrize(
    ("capture", "said"),
    [
        ("{kind: [files], paths: ['{config}/a']}", "unknown kind '['files']'. Did you mean 'files'?"),
        ("{kind: {a: 1}, paths: ['{config}/a']}", "unknown kind"),
        ('{kind: files, paths: ["{config}/a\\0b"]}', "this holds a NUL character"),
        ("{kind: files, paths: ['/**']}", "is the whole computer; begin with a folder"),
        ("{kind: files, paths: ['/*/a']}", "is the whole computer; begin with a folder"),
        ("{kind: files, paths: ['{config}/a/**'], exclude: ['{confg}/x']}", "Did you mean 'config'?"),
        ("{kind: files, paths: ['{config}/a/**'], exclude: ['{appdata}/x']}", "there is no '{appdata}' on linux."),
        ("{kind: dconf, paths: ['/org/*/x']}", "a path of dconf has no '*'"),
        ("{kind: ini, file: '{config}/rc', groups: {'[General]': all}}", "without its outer brackets, 'General'"),
        ("{kind: command, argv: [cat, '{hom}/x'], apply: [a]}", "there is no '{hom}' on linux. Did you mean 'home'?"),
        ("{kind: command, argv: [awk, '{print}'], apply: [a]}", "Of a text in braces write '{ text }'."),
        ("{kind: command, argv: [a], apply: [b, '{vlaue}']}", "there is no '{vlaue}'"),
        ('{kind: command, argv: ["a\\0b"], apply: [a]}', "this holds a NUL character"),
        ("{kind: command, argv: [a], apply: [b], run_as: administrator}", "a command is always the teacher's"),
    ],
)
def test_a_wrong_capture_is_refused_with_its_line(capture: str, said: str) -> None:
    told = problem_of(BASE.replace("CAPTURE", capture))
    assert "line 9" in told
    assert said in told


@pytest.mark.parametrize("id_", ["[a]", "{a: 1}"])
def test_an_id_that_is_no_text_is_refused_with_its_line(id_: str) -> None:
    told = problem_of(BASE.replace("CAPTURE", FILES).replace("north-thing", id_))
    assert "line 4" in told
    assert "this must be one text" in told


def test_what_is_meant_in_braces_is_still_taken() -> None:
    for capture in (
        "{kind: command, argv: [awk, '{ print }', '{home}/x'], apply: [a, '{value}']}",
        "{kind: files, paths: ['/etc/*.conf', '{config}/[a]/**'], exclude: ['{config}/[a]/x', Cache, '*.log']}",
    ):
        assert parse_catalog(BASE.replace("CAPTURE", capture).encode(), source="").problems == []


def test_plain_names_are_left_out_at_any_depth_and_as_they_are_written() -> None:
    assert excluded(("Cache",), "/home/a/Cache/x")
    assert not excluded(("Cache",), "/home/a/cache/x")
    assert excluded(("Cache",), "/home/a/cache/x", ignore_case=True)
    assert excluded(("x", "*.log"), "/home/a.log/y")
    assert excluded(("/home/a",), "/home/a/b")
    assert not excluded(("/home/a", "a.c"), "/home/ab/abc")
