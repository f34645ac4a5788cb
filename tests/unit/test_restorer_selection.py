"""Which paths a pattern means."""

from __future__ import annotations

import pytest

from tasks.errors import RestoreRefused
from tasks.restorer.selection import Selection, relative_bases

ROOT = b"/home/a.ito"


def selected(pattern: str, path: bytes, roots: tuple[bytes, ...] = (ROOT,), homes: tuple[bytes, ...] = ()) -> bool:
    selection = Selection([pattern], relative_bases(roots, homes))
    state = selection.start()
    if selection.accepts(state):
        return True
    for name in path.split(b"/")[1:]:
        state = selection.step(state, name)
        if selection.accepts(state):
            return True
    return False


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("Desktop", b"/home/a.ito/Desktop/lesson.odt"),
        ("Desktop/", b"/home/a.ito/Desktop"),
        ("./Desktop", b"/home/a.ito/Desktop"),
        ("~/Desktop", b"/home/a.ito/Desktop"),
        ("~", b"/home/a.ito/.profile"),
        ("/home/a.ito/Desktop/lesson.odt", b"/home/a.ito/Desktop/lesson.odt"),
        ("/", b"/home/a.ito/x"),
        ("*.docx", b"/home/a.ito/Desktop/deep/REPORT.DOCX"),
        ("*.docx", b"/home/a.ito/a.docx"),
        ("Desktop/**", b"/home/a.ito/Desktop/a"),
        ("Desktop/**/*.odt", b"/home/a.ito/Desktop/a.odt"),
        ("Desktop/**/*.odt", b"/home/a.ito/Desktop/x/y/a.odt"),
        ("**/2026/*", b"/home/a.ito/Documents/2026/a"),
        ("D*/lesson ?.odt", b"/home/a.ito/Documents/lesson 7.odt"),
        ("Desktop/[!a-c]*", b"/home/a.ito/Desktop/d"),
        ("Desktop/Plan [2026].docx", b"/home/a.ito/Desktop/Plan [2026].docx"),
        ("Desktop/Plan [2026].docx", b"/home/a.ito/Desktop/Plan 2.docx"),
        ("Desktop/what*.txt", b"/home/a.ito/Desktop/what*.txt"),
        ("Desktop/a[b", b"/home/a.ito/Desktop/a[b"),
        ("Caf\u00e9.txt", "/home/a.ito/Cafe\u0301.txt".encode()),
        ("caf\u00e9*", "/home/a.ito/Desktop/Cafe\u0301.txt".encode()),
        ("latin-1 caf\udce9.txt", b"/home/a.ito/latin-1 caf\xe9.txt"),
        ("*.txt", b"/home/a.ito/latin-1 caf\xe9.txt"),
        ("*break*", b"/home/a.ito/line\nbreak.txt"),
    ],
)
def test_a_pattern_means(pattern: str, path: bytes) -> None:
    assert selected(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("Desktop", b"/home/a.ito/Documents/Desktop"),
        ("desktop", b"/home/a.ito/Desktop"),
        ("Desktop/**", b"/home/a.ito/Desktop"),
        ("Desktop/*.odt", b"/home/a.ito/Desktop/x/a.odt"),
        ("*.doc", b"/home/a.ito/a.docx"),
        ("/Desktop", b"/home/a.ito/Desktop"),
        ("Desktop/[!a-c]*", b"/home/a.ito/Desktop/b"),
        ("lesson.odt", b"/home/a.ito/Desktop/lesson.odt"),
        ("a.c", b"/home/a.ito/abc"),
    ],
)
def test_a_pattern_does_not_mean(pattern: str, path: bytes) -> None:
    assert not selected(pattern, path)


def test_a_root_inside_the_home_is_found_by_its_name() -> None:
    roots = (b"/home/a.ito/Desktop", b"/home/a.ito/Documents")
    assert selected("Desktop/x.odt", b"/home/a.ito/Desktop/x.odt", roots)
    assert selected("x.odt", b"/home/a.ito/Desktop/x.odt", roots)
    assert selected("Pictures", b"/srv/a.ito/Pictures", (b"/srv/a.ito/Pictures/2026",), (b"/srv/a.ito",))


def test_an_absolute_pattern_follows_where_the_home_really_is() -> None:
    selection = Selection(["/home/a.ito/*.odt"], [], [(b"/home/a.ito", b"/var/home/a.ito")])
    state = selection.start()
    for name in (b"var", b"home", b"a.ito", b"x.odt"):
        state = selection.step(state, name)
    assert selection.accepts(state)


def test_hopeless_folders_are_not_entered() -> None:
    selection = Selection(["Desktop/*.odt"], relative_bases((ROOT,), ()))
    state = selection.start()
    for name in (b"home", b"a.ito"):
        state = selection.step(state, name)
    assert selection.step(state, b"Desktop")
    assert not selection.step(state, b"Documents")


def test_what_matched_nothing_is_told() -> None:
    selection = Selection(["Desktop", "nothing*"], [ROOT])
    state = selection.start()
    for name in (b"home", b"a.ito", b"Desktop"):
        state = selection.step(state, name)
    assert selection.accepts(state)
    assert selection.unmatched() == ("nothing*",)


@pytest.mark.parametrize("pattern", ["", "../b.ono/Desktop", "Desktop/../../x", "[z-a]"])
def test_an_unclear_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(RestoreRefused):
        Selection([pattern], [ROOT])
