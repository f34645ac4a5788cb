"""Files with groups and keys as KDE and people write them: read as KDE reads them, and left alone but for one key."""

from __future__ import annotations

import pytest

from tasks.settings.ini import IniFile, key_of, parts_of
from tasks.settings.values import Change, Place, Value


def changed(content: bytes, name: str, value: str | None) -> bytes:
    """Return the file with one key set, or removed."""
    new = None if value is None else Value("text", value)
    return IniFile(content).with_changes([Change(Place("ini", "{config}/a", name), new, None)])


@pytest.mark.parametrize(
    ("content", "after"),
    [
        (b"[G]\na=1\n", b"[G]\na=2\n"),
        # A mark before the first line, as Windows editors write it.
        (b"\xef\xbb\xbf[G]\na=1\n", b"\xef\xbb\xbf[G]\na=2\n"),
        # KDE's mark for a group that the person may not change.
        (b"[G][$i]\na=1\nb=1\n", b"[G][$i]\na=2\nb=1\n"),
        # KDE looks at nothing behind the group.
        (b"[G] trailing\na=1\n", b"[G] trailing\na=2\n"),
        (b"[G]]\na=1\n", b"[G]]\na=2\n"),
        # Each line keeps its own end.
        (b"[G]\r\na=1\r\nb=1\nc=1\r\n", b"[G]\r\na=2\r\nb=1\nc=1\r\n"),
        (b"[G]\na=1", b"[G]\na=2"),
        (b"[G]\nb=1", b"[G]\nb=1\na=2"),
        (b"[G]\r\nb=1", b"[G]\r\nb=1\r\na=2"),
        (b"", b"[G]\na=2\n"),
        (b"no group=1\n", b"no group=1\n\n[G]\na=2\n"),
        (b"# a=0\n;a=0\n[G]\n#a=1\n", b"# a=0\n;a=0\n[G]\n#a=1\na=2\n"),
        # Of a key that stands twice the last one counted.
        (b"[G]\na=0\n[H]\na=5\n[G]\na=1\nb=\xff\n", b"[G]\na=2\n[H]\na=5\n[G]\nb=\xff\n"),
        (b"[G][H]\na=1\n", b"[G][H]\na=1\n\n[G]\na=2\n"),
    ],
)
def test_one_key_is_set_and_all_else_stays_byte_by_byte(content: bytes, after: bytes) -> None:
    assert changed(content, "[G]a", "2").rstrip(b"\r\n") == after.rstrip(b"\r\n")
    assert IniFile(after).keys()["G", "a"] == "2"
    # Setting what stands there changes nothing at all.
    assert changed(after, "[G]a", "2") == after
    without = changed(after, "[G]a", None)
    assert IniFile(without).keys().get(("G", "a")) is None


def test_every_key_is_found_again_by_the_name_of_its_entry() -> None:
    content = b"x=1\n[a][b]\ny=1\n[a]b]\nz=1\n[G][$i]\nk[$e]=1\nName[de]=1\n odd key = a = b \n[$d]\n"
    keys = IniFile(content).keys()
    assert set(keys) == {
        ("", "x"), ("a][b", "y"), ("a", "z"), ("G", "k[$e]"), ("G", "Name[de]"), ("G", "odd key"),
    }  # fmt: skip
    for group, key in keys:
        name = f"[{group}]{key}"
        assert parts_of(name) == (group, key)
        assert changed(content, name, keys[group, key]).count(b"[a") == 2
    assert [key_of(name) for name in ("[a][b]y", "[G]k[$e]", "[]x", "[G]Name[de][$e]")] == ["y", "k", "x", "Name"]
