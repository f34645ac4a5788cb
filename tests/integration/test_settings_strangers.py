"""Settings as strangers have them: odd names, what may not be read, programs that misbehave, defaults."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.catalog import Catalog
from configs.catalog_captures import CommandCapture, DconfCapture, FilesCapture, PresenceCapture
from configs.catalog_item import CatalogItem
from tasks.errors import HelperFailed, TransportError
from tasks.settings.capture import capture_settings
from tasks.settings.collectors import collectors_for
from tasks.settings.command import CommandCollector
from tasks.settings.dconf import DconfCollector, path_of, place_of
from tasks.settings.document import Item, ProfileIdentity, decode, encode
from tasks.settings.files import FilesCollector
from tasks.settings.presence import PresenceCollector
from tasks.settings.values import Account, Change, Entry, Value
from tests.support.command_run import wait_until
from tests.support.gate_site import HOST
from tests.support.settings_person import Person, has_dconf, settings_person
from tests.support.settings_site import settings_site

pytestmark = pytest.mark.skipif(
    not has_dconf(), reason="needs dconf and dbus-run-session (Debian: apt-get install dconf-cli dbus)"
)


@pytest.fixture
def person() -> Iterator[Person]:
    with settings_person() as one:
        yield one


def files(person: Person, *paths: str, **more: Any) -> list[Entry] | str:
    """Capture files."""
    (found,) = FilesCollector().capture(
        person.host, person.account, [FilesCapture(kind="files", paths=paths, exclude=more.pop("exclude", ()), **more)]
    )
    return found


def said(person: Person, *argv: str) -> list[Entry] | str:
    """Capture what a command says."""
    (found,) = CommandCollector().capture(person.host, person.account, [CommandCapture(kind="command", argv=argv)])
    return found


def item_of(person: Person, capture: dict[str, Any], **more: Any) -> Item:
    """Capture one item by the catalog, through its document."""
    content = {
        "id": "north-thing", "platform": "linux", "desktop": "any", "name": "Thing", "why": "It matters.",
        "restore": "by-itself", "capture": [capture], **more,
    }  # fmt: skip
    catalog = Catalog("linux", (CatalogItem.model_validate(content),))
    found = capture_settings(person.host, person.account, catalog, collectors_for(catalog), identity=ProfileIdentity())
    (item,) = decode(encode(found.open)).items
    return item


def processes_of(person: Person) -> list[str]:
    """Return what runs as this person."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and folder.stat().st_uid == person.uid:
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip())
        except OSError:
            continue
    return found


def test_what_is_redacted_in_a_file_with_groups_is_never_stored(person: Person) -> None:
    person.write(".config/obs.ini", "[Socket]\nServerPort=1\nServerPassword=hunter2\nServerPassword[$e]=hunter3\n")
    item = item_of(
        person, {"kind": "ini", "file": "{config}/obs.ini", "groups": {"*": ["*"]}}, redact=["serverpassword"]
    )
    assert [(entry.place.name, entry.value.data) for entry in item.entries] == [("[Socket]ServerPort", "1")]


def test_files_with_odd_names_come_back_under_these_names(person: Person) -> None:
    names = ["[a]", "q?x", "st*r", "{home}", "{x}", "back\\slash", "new\nline", "ünï", "-x", os.fsdecode(b"bad\xff")]
    for name in names:
        person.write(f".config/odd/{name}", f"in {name!r}")
    saved = files(person, "{config}/odd/**")
    assert not isinstance(saved, str)
    assert {entry.place.container for entry in saved} == {f"{{config}}/odd/{name}" for name in names}
    person.wipe()
    person.allow()
    changes = [Change(entry.place, entry.value, None) for entry in saved]
    assert [result.reason for result in FilesCollector().apply(person.host, person.account, changes)] == [""] * 10
    for name in names:
        assert (person.home / ".config/odd" / name).read_text() == f"in {name!r}"
    # A bracket or a question mark is itself: only an asterisk stands for others.
    for pattern, count in (("[a]", 1), ("q?x", 1), ("s?*", 0), ("[a-z]", 0), ("*x", 2)):
        found = files(person, f"{{config}}/odd/{pattern}")
        assert not isinstance(found, str)
        assert len(found) == count, pattern
    wanted = PresenceCapture(kind="presence", paths=("{config}/odd/[a]", "{config}/odd/[a-z]*", "{config}/odd/*x"))
    (there,) = PresenceCollector().capture(person.host, person.account, [wanted])
    assert [entry.place.container for entry in there if not isinstance(entry, str)] == [
        "{config}/odd/[a]", "{config}/odd/*x",
    ]  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to somebody else")
def test_what_may_not_be_read_is_told_and_keeps_nothing_else_out(person: Person) -> None:
    person.write(".config/app/mine.conf", "mine")
    (person.home / ".config/app/closed").mkdir()
    person.own()
    (person.home / ".config/app/closed").chmod(0)
    (person.home / ".config/app/root.conf").write_text("root's")
    (person.home / ".config/app/root.conf").chmod(0o600)
    (person.home / ".config/app/shadow").symlink_to("/etc/shadow")
    os.mkfifo(person.home / ".config/app/pipe")
    (person.home / ".config/app/endless").symlink_to("/dev/zero")
    item = item_of(person, {"kind": "files", "paths": ["{config}/app/**"]})
    assert [entry.place.container for entry in item.entries] == ["{config}/app/mine.conf"]
    assert item.state == "captured"
    assert item.reason.startswith("in part: ")
    assert {"closed: the folder may not be read", "root.conf: Permission denied", "shadow: Permission denied"} == set(
        item.reason.removeprefix("in part: ").split(", ")
    )
    only = item_of(person, {"kind": "files", "paths": ["{config}/app/closed/*"]})
    assert (only.state, only.reason) == ("failed", "closed: the folder may not be read")


def test_a_file_that_is_too_large_is_told(person: Person) -> None:
    person.write(".config/app/large", "x" * 3000)
    person.write(".config/app/small", "x")
    item = item_of(person, {"kind": "files", "paths": ["{config}/app/*"], "max_size": "2 KiB"})
    assert [entry.place.container for entry in item.entries] == ["{config}/app/small"]
    assert item.reason == "in part: large: larger than 2 KiB"


def test_what_is_left_out_does_not_count_as_settings(person: Person) -> None:
    for number in range(2100):
        (person.home / f".mozilla/p/storage/{number}").mkdir(parents=True)
        (person.home / f".mozilla/p/storage/{number}/x").write_text("")
    person.write(".mozilla/p/places.sqlite", "bookmarks")
    person.write(".mozilla/p/cache2/x", "no")
    found = files(person, "{home}/.mozilla/**", exclude=("{home}/.mozilla/*/storage/**", "cache2"))
    assert not isinstance(found, str), found
    assert [entry.place.container for entry in found] == ["{home}/.mozilla/p/places.sqlite"]
    assert isinstance(files(person, "{home}/.mozilla/**"), str)


def test_what_a_command_leaves_running_ends_with_it(person: Person) -> None:
    before = processes_of(person)
    script = "sleep 7771 & setsid sleep 7772 & (setsid sh -c 'sleep 7773 & exit' &); sleep 0.3; echo done"
    found = said(person, "sh", "-c", script)
    assert [entry.value.data for entry in found if not isinstance(entry, str)] == ["done"]
    assert [one for one in processes_of(person) if one.startswith("sleep 777") and one not in before] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_helper_that_is_ended_takes_its_commands_with_it(person: Person, number: int) -> None:
    def runs() -> bool:
        return any(one.startswith("sleep 7781") for one in processes_of(person))

    def ask() -> None:
        with contextlib.suppress(HelperFailed, TransportError):
            said(person, "sleep", "7781")

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(runs, what="the command")
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            # The helper itself: our own child that is a Python.
            fields = (folder / "stat").read_text().rpartition(")")[2].split() if folder.name.isdigit() else ["", "0"]
            if int(fields[1]) == os.getpid() and b"python" in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), number)
    asking.join()
    wait_until(lambda: not runs(), what="the end of the command")


def test_a_command_that_says_the_same_forever_is_ended_at_once(person: Person) -> None:
    assert said(person, "yes") == "'yes' said more than 524 kB"
    assert said(person, "sh", "-c", "yes >&2") == "'sh' said more than 524 kB"


def test_a_bus_of_ours_takes_its_socket_away(person: Person) -> None:
    before = {path.name for path in Path("/tmp").glob("dbus-*") if path.stat().st_uid == person.uid}
    person.allow()
    for number in range(8):
        change = Change(place_of(f"/org/other/{number}"), Value("gvariant", "1"), None)
        assert DconfCollector().apply(person.host, person.account, [change])[0].ok
    assert {path.name for path in Path("/tmp").glob("dbus-*") if path.stat().st_uid == person.uid} <= before


def test_one_wrong_value_is_told_as_wrong_and_the_others_are_set(person: Person) -> None:
    texts = {f"/org/other/{number:02}": str(number) for number in range(12)} | {"/org/other/05": "bad ["}
    person.allow()
    changes = [Change(place_of(path), Value("gvariant", text), None) for path, text in texts.items()]
    results = DconfCollector().apply(person.host, person.account, changes)
    assert [path_of(result.place) for result in results if not result.ok] == ["/org/other/05"]
    assert "invalid value: bad [" in results[5].reason


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can say what dconf sets for somebody")
def test_what_the_computer_sets_for_everybody_is_no_choice_of_this_person(person: Person, tmp_path: Path) -> None:
    # An account that nobody uses, so that nobody else's dconf is told otherwise.
    name = next(one.pw_name for one in pwd.getpwall() if one.pw_name in ("games", "news", "lp", "daemon"))
    uid = pwd.getpwnam(name).pw_uid
    (tmp_path / "defaults" / "locks").mkdir(parents=True)
    (tmp_path / "defaults" / "all").write_text("[org/school]\nshared='school'\nlocked='school'\nboth='school'\n")
    (tmp_path / "defaults" / "locks" / "all").write_text("/org/school/locked\n")
    database = person.home.parent / "school"
    subprocess.run(["dconf", "compile", database, tmp_path / "defaults"], check=True)
    database.chmod(0o644)
    for path in (person.home, *person.home.rglob("*")):
        os.chown(path, uid, uid)
    account = Account(name, str(person.home), person.account.variables, uid, uid)
    profile = Path(f"/run/dconf/user/{uid}")
    above = [one for one in (profile.parent.parent, profile.parent) if not one.exists()]
    profile.parent.mkdir(parents=True, exist_ok=True)
    try:
        profile.write_text(f"# the school's\n\nuser-db:user\nfile-db:{database}\n")
        profile.chmod(0o644)
        collector = DconfCollector()
        person.allow()
        own = {"/org/school/both": "'mine'", "/org/school/locked": "'mine'", "/org/school/new": "1"}
        changes = [Change(place_of(path), Value("gvariant", text), None) for path, text in own.items()]
        results = collector.apply(person.host, account, changes)
        assert [result.ok for result in results] == [True, False, True], results
        assert "non-writable" in results[1].reason
        (found,) = collector.capture(person.host, account, [DconfCapture(kind="dconf", paths=("/org/school/",))])
    finally:
        profile.unlink(missing_ok=True)
        for one in reversed(above):
            one.rmdir()
    assert {path_of(entry.place): entry.value.data for entry in found if not isinstance(entry, str)} == {
        "/org/school/both": "'mine'", "/org/school/new": "1",
    }  # fmt: skip


def test_a_large_file_of_settings_is_promised_only_where_files_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with settings_site(tmp_path / "school", capsys) as site:
        catalog = site.folder / "catalog.yaml"
        catalog.write_text(catalog.read_text().replace("'{config}/timetable.conf'", "'{config}/timetable.*'"))
        site.put(".config/timetable.large", "x" * 600_000)
        site.put(".config/timetable.conf", "x")
        _, out, err = site.say("snapshot", HOST)
        assert "these lie in no folder that is saved: Timetable (of a.ito)" in out + err
        site.wipe()
        outcomes = site.outcomes()
        assert "with-files" not in outcomes
        assert "north-timetable" in outcomes["not-captured"]
        assert site.text(".config/timetable.conf") == "x"

        # Among the files, it comes back with them, and nothing is told.
        site.put(".config/timetable.large", "x" * 600_000)
        site.config["snapshot"] = {}
        site.write()
        _, out, err = site.say("snapshot", HOST)
        assert "no folder that is saved" not in out + err
        site.wipe()
        assert site.outcomes()["with-files"] == ["north-timetable"]
        assert site.text(".config/timetable.large") == "x" * 600_000
