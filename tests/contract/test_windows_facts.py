"""What a Windows host says about itself and its people: profiles, folders that were moved, OneDrive."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.remote.facts import Facts, OneDriveFolder
from tasks.remote.filesystem import RemoteHost
from tests.support.registry_hive import expand, hive
from tests.support.windows_helper import windows_host
from tests.support.wine import WinePrefix, windows_path

PROFILES = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"
SHELL = r"Software\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders"
ONEDRIVE = r"Software\Microsoft\OneDrive\Accounts\Business1"
DOWNLOADS = "{374DE290-123F-4565-9164-39C4925E467B}"
SID = "S-1-5-21-1-2-3-"


def nested(path: str, content: dict[str, Any]) -> dict[str, Any]:
    for part in reversed(path.split("\\")):
        content = {part: content}
    return content


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for key, value in other.items():
        found[key] = merged(found[key], value) if isinstance(found.get(key), dict) else value
    return found


def add_registry(windows: WinePrefix, keys: dict[str, dict[str, str | int]]) -> None:
    """Set values by one import: each call of reg.exe costs a second."""
    text = ["Windows Registry Editor Version 5.00", ""]
    for key, values in keys.items():
        text.append(f"[{key.replace('HKLM', 'HKEY_LOCAL_MACHINE', 1).replace('HKU', 'HKEY_USERS', 1)}]")
        for name, value in values.items():
            if isinstance(value, int):
                text.append(f'"{name}"=dword:{value:08x}')
            else:  # REG_EXPAND_SZ
                data = ",".join(f"{byte:02x}" for byte in (value + "\0").encode("utf-16-le"))
                text.append(f'"{name}"=hex(2):{data}')
        text.append("")
    file = windows.folder / "add.reg"
    file.write_text("\r\n".join(text), encoding="utf-16")
    windows.run("regedit", "/S", windows_path(file))


@pytest.fixture(scope="module")
def school(windows: WinePrefix) -> WinePrefix:
    """People of a school computer: signed in, not signed in, gone, temporary, broken."""
    users = windows.drive / "users"
    for path in (
        "a.ito/OneDrive - North/Documents",
        "a.ito/Bureaublad",
        "a.ito/Pictures",
        "b.okoro/Desktop",
        "b.okoro/OneDrive - North/Schreibtisch",
        "c.plain/Desktop",
        "c.plain/Documents",
        "TEMP",
    ):
        (users / path).mkdir(parents=True)
    settings = nested(
        SHELL, {"Desktop": expand(r"%USERPROFILE%\OneDrive - North\Schreibtisch"), "Personal": r"\\nas\b"}
    )
    account = nested(
        ONEDRIVE, {"UserFolder": r"C:\Users\b.okoro\OneDrive - North", "UserEmail": "b.okoro@north.example"}
    )
    (users / "b.okoro" / "NTUSER.DAT").write_bytes(hive(merged(settings, account)))
    (users / "c.plain" / "NTUSER.DAT").write_bytes(b"regf, but damaged".ljust(8192, b"\xff"))
    homes = {
        "1001": (r"%SystemDrive%\Users\a.ito", 0),
        "1002": (r"C:\Users\B.OKORO", 0),
        "1003": (r"C:\Users\c.plain", 0),
        "1004": (r"C:\Users\gone", 0),
        "1005": (r"C:\Users\TEMP", 0x800),
        "1006.bak": (r"C:\Users\a.ito", 0),
    }
    keys: dict[str, dict[str, str | int]] = {
        rf"{PROFILES}\{SID}{number}": {"ProfileImagePath": home, "State": state}
        for number, (home, state) in homes.items()
    }
    keys[rf"{PROFILES}\S-1-5-18"] = {"ProfileImagePath": r"%systemroot%\system32\config\systemprofile"}
    keys[r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"] = {
        "CurrentBuildNumber": "22631",
        "DisplayVersion": "23H2",
    }
    add_registry(windows, keys)
    return windows


@pytest.fixture(scope="module")
def host(school: WinePrefix) -> Iterator[RemoteHost]:
    with windows_host(school) as host:
        # Wine keeps the settings of others only while it runs, as Windows keeps a profile loaded.
        keys: dict[str, dict[str, str | int]] = {}
        keys[rf"HKU\{SID}1001\{SHELL}"] = {
            "Desktop": r"%USERPROFILE%\Bureaublad",
            "Personal": r"%userprofile%\ONEDRIVE - NORTH\Documents",
            "My Pictures": r"C:\Users\a.ito\Pictures",
            "My Music": r"%USERPROFILE%\Missing",
            DOWNLOADS: r"C:\Users\a.ito",
        }
        keys[rf"HKU\{SID}1001\{ONEDRIVE}"] = {
            "UserFolder": r"C:\Users\a.ito\OneDrive - North",
            "UserEmail": "a.ito@north.example",
        }
        add_registry(school, keys)
        yield host


@pytest.fixture(scope="module")
def facts(host: RemoteHost) -> Facts:
    return host.facts(None)


def test_hello(host: RemoteHost) -> None:
    hello = host.hello
    assert (hello.platform, hello.uid) == ("windows", -1)
    assert hello.hostname
    assert hello.user
    assert hello.pid > 0
    assert abs(hello.time_ns - time.time_ns()) < 60 * 10**9


def test_the_computer(facts: Facts) -> None:
    assert facts.platform == "windows"
    assert facts.system.endswith("23H2 (build 22631)")
    assert len(facts.machine_id) == 36
    assert abs(facts.time_ns - time.time_ns()) < 60 * 10**9
    drive = next(disk for disk in facts.disk if disk.path == b"/C")
    assert 0 < drive.free < drive.total


def test_people_have_profiles_and_no_others(facts: Facts) -> None:
    people = {user.name: user for user in facts.users}
    assert {"a.ito", "B.OKORO", "c.plain", "gone"} <= set(people)
    assert not {"TEMP", "systemprofile"} & set(people)
    assert len([user for user in facts.users if user.home == b"/C/users/a.ito"]) == 1
    assert [people[name].exists for name in ("a.ito", "B.OKORO", "c.plain", "gone")] == [True, True, True, False]
    assert people["B.OKORO"].home == b"/C/users/b.okoro"
    assert people["gone"].folders == {}


def test_folders_are_where_their_owner_has_them(facts: Facts) -> None:
    people = {user.name: user for user in facts.users}
    assert people["a.ito"].folders == {
        "desktop": b"/C/users/a.ito/Bureaublad",
        "documents": b"/C/users/a.ito/OneDrive - North/Documents",
        "pictures": b"/C/users/a.ito/Pictures",
    }


def test_folders_of_who_is_not_signed_in_are_in_the_hive(facts: Facts) -> None:
    people = {user.name: user for user in facts.users}
    # Documents are on a file server: not on this computer.
    assert people["B.OKORO"].folders == {"desktop": b"/C/users/b.okoro/OneDrive - North/Schreibtisch"}


def test_without_settings_folders_are_in_the_usual_places(facts: Facts) -> None:
    people = {user.name: user for user in facts.users}
    assert people["c.plain"].folders == {
        "desktop": b"/C/users/c.plain/Desktop",
        "documents": b"/C/users/c.plain/Documents",
    }


def test_onedrive(facts: Facts) -> None:
    assert facts.windows is not None
    assert facts.windows.onedrive == {
        "a.ito": (OneDriveFolder(b"/C/users/a.ito/OneDrive - North", "a.ito@north.example"),),
        "B.OKORO": (OneDriveFolder(b"/C/users/b.okoro/OneDrive - North", "b.okoro@north.example"),),
    }


def test_what_only_windows_tells(facts: Facts) -> None:
    told = facts.windows
    assert told is not None
    assert told.powershell.startswith("7.")
    assert told.language_mode == "FullLanguage"
    assert told.admin in (True, None)
    assert told.shadow_copies == "not available here"
    assert "a.ito" in told.loaded
    assert "B.OKORO" not in told.loaded


def test_people_by_any_of_their_names(host: RemoteHost) -> None:
    for name in ("A.Ito", r"NORTH\a.ito", "a.ito@north.example"):
        assert [user.name for user in host.facts([name]).users] == ["a.ito"]
    assert host.facts(["nobody"]).users == ()
    assert host.facts([]).users == ()


def test_nothing_is_left_in_the_profiles(facts: Facts, school: WinePrefix) -> None:
    # A hive that is loaded gets log files beside it.
    assert sorted(path.name for path in Path(school.drive, "users", "b.okoro").iterdir()) == [
        "Desktop",
        "NTUSER.DAT",
        "OneDrive - North",
    ]
