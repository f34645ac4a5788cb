"""A document of settings: canonical, whole or not at all; paths in it follow the teacher; what changed is told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.settings.diff import differences, shown
from tasks.settings.document import Item, ProfileIdentity, Settings, SettingsUnreadable, decode, document_name, encode
from tasks.settings.rehome import rehome
from tasks.settings.sealed import open_sealed, seal
from tasks.settings.values import Entry, Place, Value

WALLPAPER = Place("dconf", "/org/gnome/desktop/background/", "picture-uri")
SETTINGS = Settings(
    account="a.ito",
    platform="linux",
    catalog="sha256:00",
    identity=ProfileIdentity("machine", "1000"),
    variables={"home": "/home/a.ito"},
    items=(
        Item(
            "gnome-wallpaper",
            "Wallpaper",
            "captured",
            (Entry(WALLPAPER, Value("gvariant", "'file:///home/a.ito/a.jpg'")),),
        ),
        Item("gnome-dock", "Dock", "failed", reason="dconf did not answer"),
    ),
)

_texts = st.text(max_size=20)
_values = st.one_of(
    st.builds(Value, st.sampled_from(["gvariant", "text", "plist", "REG_SZ", "REG_EXPAND_SZ"]), _texts),
    st.builds(Value, st.just("REG_DWORD"), st.integers(0, 2**32 - 1)),
    st.builds(Value, st.just("REG_QWORD"), st.integers(0, 2**64 - 1)),
    st.builds(Value, st.just("REG_MULTI_SZ"), st.lists(_texts, max_size=3).map(tuple)),
)
_entries = st.dictionaries(
    st.builds(Place, st.sampled_from(["registry", "dconf"]), _texts, _texts), _values, max_size=4
).map(lambda found: tuple(Entry(place, value) for place, value in found.items()))
_items = st.lists(
    st.builds(Item, st.text(min_size=1, max_size=8), _texts, st.just("captured"), _entries),
    max_size=4,
    unique_by=lambda item: item.id,
).map(tuple)


@given(items=_items)
def test_what_is_written_is_read_whatever_the_order(items: tuple[Item, ...]) -> None:
    data = encode(replace(SETTINGS, items=items))
    again = decode(data)
    assert encode(again) == data
    assert encode(replace(SETTINGS, items=tuple(reversed(items)))) == data
    assert {(item.id, entry) for item, entry in again.entries()} == {
        (item.id, entry) for item in items for entry in item.entries
    }


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_one_changed_byte_is_never_half_a_document(position: int, byte: int) -> None:
    data = bytearray(encode(SETTINGS))
    data[position % len(data)] = byte
    try:
        found = decode(bytes(data))
    except SettingsUnreadable:
        return
    # Only white space is free to change.
    assert found == decode(encode(SETTINGS))


def test_a_newer_version_is_told_as_one() -> None:
    document = json.loads(encode(SETTINGS))
    document["version"] = 2
    with pytest.raises(SettingsUnreadable, match=r"newer firstbell \(version 2, known is 1\)") as raised:
        decode(json.dumps(document).encode())
    assert raised.value.hint == "Update firstbell."


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"version": true}', b'{"version": "1"}', b"[" * 100_000]
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(SettingsUnreadable, match="damaged"):
        decode(data)


def test_an_odd_account_gets_a_name_that_is_one() -> None:
    assert document_name("a.ito") == "settings-a.ito.json"
    assert document_name("NORTH\\a.ito") != document_name("SOUTH\\a.ito")
    assert "\\" not in document_name("NORTH\\a.ito")
    assert document_name("..") not in ("..", ".")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'file:///home/al/sea.jpg'", "'file:///home/alice/sea.jpg'"),
        ("/home/al", "/home/alice"),
        ("/home/alan/sea.jpg", "/home/alan/sea.jpg"),
        ("/home/al.old/sea.jpg", "/home/al.old/sea.jpg"),
        ("/mnt/home/al/sea.jpg", "/mnt/home/al/sea.jpg"),
        ("['/home/al/a', '/home/al/b']", "['/home/alice/a', '/home/alice/b']"),
        ("/home/al/Schreibtisch/x", "/home/alice/Desktop/x"),
        ("see /home/al.", "see /home/alice."),
    ],
)
def test_paths_follow_the_teacher(text: str, expected: str) -> None:
    old = {"home": "/home/al", "desktop": "/home/al/Schreibtisch"}
    new = {"home": "/home/alice", "desktop": "/home/alice/Desktop"}
    assert rehome(Value("gvariant", text), old, new).data == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"C:\Users\al\sea.jpg", r"C:\Users\alice\sea.jpg"),
        (r"c:\users\AL\sea.jpg", r"C:\Users\alice\sea.jpg"),
        (r"%USERPROFILE%\sea.jpg", r"%USERPROFILE%\sea.jpg"),
        ("file:///C:/Users/al/sea.jpg", "file:///C:/Users/alice/sea.jpg"),
        ('{"path": "C:\\\\Users\\\\al\\\\sea.jpg"}', '{"path": "C:\\\\Users\\\\alice\\\\sea.jpg"}'),
        (r"C:\Users\al2\sea.jpg", r"C:\Users\al2\sea.jpg"),
    ],
)
def test_paths_follow_the_teacher_on_windows(text: str, expected: str) -> None:
    found = rehome(Value("REG_SZ", text), {"home": r"C:\Users\al"}, {"home": r"C:\Users\alice"}, windows=True)
    assert found.data == expected


def test_bytes_and_numbers_are_left_alone() -> None:
    for value in (Value("REG_BINARY", "L2hvbWUvYWw="), Value("REG_DWORD", 7), Value("file", "L2hvbWUvYWw=")):
        assert rehome(value, {"home": "/home/al"}, {"home": "/home/alice"}) == value


def test_a_new_home_is_no_difference_and_a_new_wallpaper_is_one() -> None:
    moved = replace(
        SETTINGS,
        variables={"home": "/home/aiko"},
        items=(
            Item(
                "gnome-wallpaper",
                "Wallpaper",
                "captured",
                (Entry(WALLPAPER, Value("gvariant", "'file:///home/aiko/a.jpg'")),),
            ),
        ),
    )
    # The dock could not be captured the first time: nobody can say that it changed.
    assert differences(SETTINGS, moved) == ()
    other = replace(
        moved,
        items=(
            Item("gnome-wallpaper", "Wallpaper", "captured", (Entry(WALLPAPER, Value("gvariant", "'file:///x.jpg'")),)),
        ),
    )
    (found,) = differences(moved, other)
    assert (found.how, found.name, shown(found.old), shown(found.new)) == (
        "changed", "Wallpaper", "file:///home/aiko/a.jpg", "file:///x.jpg",
    )  # fmt: skip


def test_sealed_settings_open_with_their_passphrase_and_whole_or_not_at_all() -> None:
    data = seal(SETTINGS, "passphrase", b"repository")
    assert data == seal(SETTINGS, "passphrase", b"repository")
    assert b"Wallpaper" not in data
    assert encode(open_sealed(data, "passphrase", b"repository")) == encode(SETTINGS)
    for changed, passphrase, salt in (
        (data, "other", b"repository"),
        (data, "passphrase", b"elsewhere"),
        (data[:-1], "passphrase", b"repository"),
        (data[:20] + bytes([data[20] ^ 1]) + data[21:], "passphrase", b"repository"),
        (b"", "passphrase", b"repository"),
    ):
        with pytest.raises(SettingsUnreadable):
            open_sealed(changed, passphrase, salt)
