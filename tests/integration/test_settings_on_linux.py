"""Settings of a real account on Linux: captured, wiped and put back, through the real helper and the real dconf.

As root the helper acts as ``nobody``, who is a real account without a home of its own; otherwise as whoever runs this.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from configs.catalog_captures import CommandCapture, DconfCapture, FilesCapture, IniCapture
from tasks.errors import HelperFailed
from tasks.settings.command import CommandCollector
from tasks.settings.dconf import DconfCollector, place_of
from tasks.settings.files import FilesCollector
from tasks.settings.ini import IniCollector
from tasks.settings.values import Change, Entry, Place, Value
from tests.support.helper_host import helper_host
from tests.support.settings_person import Person, has_dconf, settings_person

pytestmark = pytest.mark.skipif(
    not has_dconf(),
    reason="needs dconf and dbus-run-session (Debian: apt-get install dconf-cli dbus)",
)
WALLPAPER = "/org/gnome/desktop/background/picture-uri"


@pytest.fixture
def person() -> Iterator[Person]:
    with settings_person() as one:
        yield one


def _entries(found: list[Entry] | str) -> Mapping[Place, Value]:
    assert not isinstance(found, str), found
    return {entry.place: entry.value for entry in found}


def _all_new(entries: Mapping[Place, Value]) -> list[Change]:
    return [Change(place, value, None) for place, value in entries.items()]


def test_dconf_is_captured_wiped_and_put_back(person: Person) -> None:
    odd = "'it\\'s \"quoted\"\\nin two lines, ümläut = [group]'"
    person.run("dconf", "write", WALLPAPER, "'file:///home/a.ito/sea.jpg'")
    person.run("dconf", "write", "/org/gnome/desktop/background/primary-color", odd)
    person.run("dconf", "write", "/org/gnome/desktop/interface/text-scaling-factor", "1.25")
    person.run("dconf", "write", "/org/other/thing", "uint32 7")
    collector = DconfCollector()
    captures = [
        DconfCapture(kind="dconf", paths=("/org/gnome/desktop/background/",), exclude=()),
        DconfCapture(kind="dconf", paths=("/org/gnome/desktop/interface/text-scaling-factor", "/org/other/")),
    ]
    first, second = (_entries(found) for found in collector.capture(person.host, person.account, captures))
    assert first[place_of(WALLPAPER)] == Value("gvariant", "'file:///home/a.ito/sea.jpg'")
    assert second[place_of("/org/other/thing")] == Value("gvariant", "uint32 7")
    saved = {**first, **second}
    assert len(saved) == 4

    person.wipe()
    assert all(not found for found in collector.capture(person.host, person.account, captures))
    person.allow()
    assert all(result.ok for result in collector.apply(person.host, person.account, _all_new(saved)))
    assert person.run("dconf", "read", WALLPAPER).strip() == "'file:///home/a.ito/sea.jpg'"
    again = [_entries(found) for found in collector.capture(person.host, person.account, captures)]
    assert again == [first, second]
    # Nothing of it is root's.
    assert {path.stat().st_uid for path in person.home.rglob("*")} == {person.uid}


def test_asking_leaves_nothing_in_the_home_nor_elsewhere(person: Person) -> None:
    def there() -> set[str]:
        return {path.name for path in Path(tempfile.gettempdir()).glob("firstbell-person-*")}

    before = there()
    DconfCollector().capture(person.host, person.account, [DconfCapture(kind="dconf", paths=("/org/",))])
    CommandCollector().capture(person.host, person.account, [CommandCapture(kind="command", argv=("id",))])
    assert list(person.home.iterdir()) == []
    new = there() - before
    deadline = time.monotonic() + 60
    # Another test may just be asking, too: what it has made goes away as well.
    while (new := new & there()) and time.monotonic() < deadline:
        threading.Event().wait(0.1)
    assert new == set()


def test_dconf_leaves_alone_what_is_not_as_expected_and_resets_what_was_not_there(person: Person) -> None:
    person.run("dconf", "write", WALLPAPER, "'teacher'")
    person.run("dconf", "write", "/org/other/thing", "1")
    collector = DconfCollector()
    person.allow()
    changes = [
        Change(place_of(WALLPAPER), Value("gvariant", "'ours'"), Value("gvariant", "'default'")),
        Change(place_of("/org/other/thing"), None, Value("gvariant", "1")),
        Change(place_of("/org/other/bad"), Value("gvariant", "no gvariant ["), None),
        Change(place_of("/org/other/good"), Value("gvariant", "true"), None),
    ]
    kept, removed, bad, good = collector.apply(person.host, person.account, changes)
    assert (kept.ok, kept.conflict, removed.ok, bad.ok, good.ok) == (False, True, True, False, True)
    assert person.run("dconf", "dump", "/org/").split() == [
        "[gnome/desktop/background]", "picture-uri='teacher'", "[other]", "good=true",
    ]  # fmt: skip


def test_files_come_back_with_their_bytes_in_another_home(person: Person) -> None:
    person.write(".config/gtk-3.0/bookmarks", "file:///home/a.ito/Lessons Lessons\n")
    person.write(".config/app/a b/ünï.conf", "x=1\n")
    person.write(".config/app/Cache/huge", "no")
    collector = FilesCollector()
    captures = [
        FilesCapture(kind="files", paths=("{config}/gtk-3.0/bookmarks",)),
        FilesCapture(kind="files", paths=("{config}/app/**",), exclude=("Cache",)),
        FilesCapture(kind="files", paths=("{config}/none/*.conf", "{data}/nothing")),
    ]
    one, more, none = (_entries(found) for found in collector.capture(person.host, person.account, captures))
    assert [place.container for place in {**one, **more}] == ["{config}/gtk-3.0/bookmarks", "{config}/app/a b/ünï.conf"]
    assert none == {}
    person.wipe()
    person.allow()
    assert all(result.ok for result in collector.apply(person.host, person.account, _all_new({**one, **more})))
    assert (person.home / ".config/app/a b/ünï.conf").read_text() == "x=1\n"
    assert (person.home / ".config/gtk-3.0/bookmarks").stat().st_uid == person.uid
    # The second time they are there, and not as a new file is expected to be.
    second = collector.apply(person.host, person.account, _all_new(one))
    assert [(result.ok, result.conflict) for result in second] == [(False, True)]


def test_keys_of_kde_come_back_and_the_rest_of_the_file_stays(person: Person) -> None:
    path = person.write(
        ".config/kdeglobals",
        "# mine\n[General]\nColorScheme=BreezeDark\nName[de]=Dunkel\n\n[KDE]\nSingleClick=false\n[Colors][x]\na=1\n",
    )
    capture = IniCapture(
        kind="ini", file="{config}/kdeglobals", groups={"General": ("*",), "KDE": ("SingleClick",), "Colors][x": ("a",)}
    )
    collector = IniCollector()
    (found,) = collector.capture(person.host, person.account, [capture])
    saved = _entries(found)
    assert {place.name: value.data for place, value in saved.items()} == {
        "[General]ColorScheme": "BreezeDark", "[General]Name[de]": "Dunkel", "[KDE]SingleClick": "false",
        "[Colors][x]a": "1",
    }  # fmt: skip
    path.write_text("[General]\nColorScheme=BreezeLight\nfont=Sans\n# kept\n")
    person.own()
    person.allow()
    light = Value("text", "BreezeLight")
    changes = [
        Change(place, value, light if place.name == "[General]ColorScheme" else None) for place, value in saved.items()
    ]
    assert all(result.ok for result in collector.apply(person.host, person.account, changes))
    assert path.read_text() == (
        "[General]\nColorScheme=BreezeDark\nfont=Sans\n# kept\nName[de]=Dunkel\n\n"
        "[Colors][x]\na=1\n\n[KDE]\nSingleClick=false\n"
    )
    (again,) = collector.capture(person.host, person.account, [capture])
    font = Place("ini", "{config}/kdeglobals", "[General]font")
    assert _entries(again) == {**saved, font: Value("text", "Sans")}


def test_commands_ask_and_put_back_as_the_person(person: Person) -> None:
    state = person.write("printer", "Room 12\n")
    set_it = 'cat > "$HOME/printer"'
    capture = CommandCapture(kind="command", argv=("cat", "{home}/printer"), apply=("sh", "-c", set_it))
    who = CommandCapture(kind="command", argv=("id", "-u"))
    missing = CommandCapture(kind="command", argv=("no-such-program-here",))
    slow = CommandCapture(kind="command", argv=("sh", "-c", "echo broken >&2; exit 3"))
    collector = CommandCollector([capture])
    found, uid, nothing, broken = collector.capture(person.host, person.account, [capture, who, missing, slow])
    assert [entry.value.data for entry in uid] == [str(person.uid)]  # type: ignore[union-attr]
    assert nothing == []
    assert broken == "'sh' ended with 3: broken"
    saved = _entries(found)
    state.write_text("Room 7\n")
    person.allow()
    changes = [Change(place, value, Value("text", "Room 7")) for place, value in saved.items()]
    assert all(result.ok for result in collector.apply(person.host, person.account, changes))
    assert state.read_text() == "Room 12"
    # The same order again: something else stands there now.
    assert [result.conflict for result in collector.apply(person.host, person.account, changes)] == [True]


def test_nothing_is_written_before_it_was_allowed(person: Person) -> None:
    change = Change(Place("files", "{home}/x"), Value("file", "eA=="), None)
    with pytest.raises(HelperFailed, match="writing is not allowed yet"):
        FilesCollector().apply(person.host, person.account, [change])
    answers = person.host.read_settings(
        person.account.name, person.account.home, [{"op": "put", "path": f"{person.home}/x", "content": "eA=="}]
    )
    assert [answer["reason"] for answer in answers] == ["refused"]
    assert not (person.home / "x").exists()


def test_many_operations_pass_in_pieces(person: Person) -> None:
    contents = {f".config/many/{number}.conf": str(number) * 40_000 for number in range(10, 60)}
    for name, content in contents.items():
        person.write(name, content)
    collector = FilesCollector()
    (found,) = collector.capture(
        person.host, person.account, [FilesCapture(kind="files", paths=("{config}/many/*.conf",))]
    )
    saved = _entries(found)
    assert len(saved) == 50
    person.wipe()
    person.allow()
    assert all(result.ok for result in collector.apply(person.host, person.account, _all_new(saved)))
    assert {name: (person.home / name).read_text() for name in contents} == contents


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may act as somebody else")
def test_a_helper_that_is_somebody_else_says_so(person: Person) -> None:
    with helper_host(uid=12345) as remote, pytest.raises(HelperFailed, match="may not act as nobody"):
        remote.settings().read_settings("nobody", str(person.home), [{"op": "identity"}])
