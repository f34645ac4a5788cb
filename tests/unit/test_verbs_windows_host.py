"""Whose files a run on a Windows host covers, where they are, and what is told of shadow copies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inventory.model import Host
from tasks.archiver.archiver import CapturePlan, SnapshotResult
from tasks.entries import Skipped
from tasks.policy.snapshot_state import SnapshotState
from tasks.remote.facts import Facts, OneDriveFolder, UserProfile, WindowsFacts
from tasks.verbs.people import Person, capture_roots, covered_people, people_asked
from tasks.verbs.snapshot import cloud_notes, shadow_notes
from tasks.verbs.windows_host import Spelling, folders_elsewhere, paths_of, with_onedrive
from tests.support.windows_sink import WindowsSink

HOME = b"/C/Users/a.ito"


def user(name: str, home: bytes = HOME, **folders: bytes) -> UserProfile:
    return UserProfile(name, -1, -1, home, "", exists=True, folders=folders)


def facts(*users: UserProfile, windows: WindowsFacts | None = None) -> Facts:
    return Facts("windows", "Windows 11", "LAB4-01", "", "", "", -1, 0, users, (), windows or WindowsFacts())


def host(*teachers: str, **more: Any) -> Host:
    return Host(name="pc", site="north", address="pc", platform="windows", teachers=teachers, **more)


def test_a_teacher_is_found_by_the_name_alone() -> None:
    told = facts(user("NORTH\\A.Ito", desktop=HOME + b"/Desktop"), user("NORTH\\b", b"/C/Users/b"))
    people, notes = covered_people(host("a.ito"), told)
    assert [(one.name, one.home, one.account) for one in people] == [("a.ito", HOME, "A.Ito")]
    assert notes == []
    assert [one.name for one in covered_people(host(), told)[0]] == ["NORTH\\A.Ito", "NORTH\\b"]
    assert covered_people(host("a.ito@north.example"), told)[0][0].home == HOME


def test_a_teacher_who_is_not_there_or_might_be_two() -> None:
    told = facts(user("NORTH\\a.ito"), user("LAB4-01\\a.ito", b"/C/Users/a.ito.LAB4-01"))
    people, notes = covered_people(host("a.ito", "m.okafor"), told)
    assert people == []
    assert notes == [
        "a.ito may be any of LAB4-01\\a.ito, NORTH\\a.ito on this computer: write it with its domain in the inventory",
        "m.okafor has no profile on this computer, so there is nothing to save for them",
    ]
    assert covered_people(host("north\\a.ito"), told)[0][0].home == HOME


def test_a_computer_may_tell_the_domain_apart() -> None:
    told = facts(
        replace(user("a.ito"), domain="NORTH"),
        replace(user("a.ito", b"/C/Users/a.ito.LAB4-01"), domain="LAB4-01"),
        replace(user("b", b"/C/Users/b"), domain="NORTH"),
    )
    assert covered_people(host("lab4-01\\a.ito"), told)[0][0].home == b"/C/Users/a.ito.LAB4-01"
    assert [one.name for one in covered_people(host(), told)[0]] == ["NORTH\\a.ito", "LAB4-01\\a.ito", "b"]
    assert covered_people(host("a.ito"), told)[0] == []


def test_a_home_of_the_inventory_keeps_the_folders_that_the_host_tells() -> None:
    told = facts(user("a.ito", desktop=b"/D/Desktop"))
    configured = host("a.ito", homes={"a.ito": "c:\\users\\A.ITO"})
    people, _ = covered_people(configured, told)
    assert people[0].home == b"/C/users/A.ITO"
    assert people[0].desktop == b"/D/Desktop"


def test_everybody_is_asked_for_on_windows() -> None:
    assert people_asked(host("a.ito"), "windows") is None
    assert people_asked(host("a.ito"), "linux") == ("a.ito",)
    assert people_asked(host(), "linux") is None


def test_the_user_in_a_pattern_is_the_account() -> None:
    people = [Person("NORTH\\a.ito", HOME, account="a.ito")]
    assert capture_roots(["/D/Projects/{user}"], people) == (b"/D/Projects/a.ito",)


def test_paths_as_the_disk_spells_them() -> None:
    sink = WindowsSink({"/C/Users/a.ito/Schreibtisch": None, "/D/Ünterlagen": None})
    asked = (b"/C/USERS/A.ITO/schreibtisch", "/D/ünterlagen".encode(), b"/C/Users/a.ito/new folder")
    spelling = Spelling(sink, asked)
    assert [spelling.of(path) for path in asked] == [
        b"/C/Users/a.ito/Schreibtisch",
        "/D/Ünterlagen".encode(),
        b"/C/Users/a.ito/new folder",
    ]
    assert [spelling.exists(path) for path in asked] == [True, True, False]
    person = Person("a", b"/C/users/A.ITO", folders={"desktop": b"/C/users/A.ITO/SCHREIBTISCH"})
    spelled = Spelling(sink, paths_of([person])).person(person)
    assert (spelled.home, spelled.desktop) == (HOME, HOME + b"/Schreibtisch")


def test_folders_that_were_moved_out_of_the_home_belong_to_it() -> None:
    windows = WindowsFacts(onedrive={"NORTH\\a.ito": (OneDriveFolder(b"/D/OneDrive - North", "a.ito@north.example"),)})
    person = Person(
        "a.ito",
        HOME,
        folders={
            "desktop": b"/C/USERS/a.ito/Desktop",
            "documents": b"/D/Homes/a.ito",
            "pictures": b"//server/homes/a.ito/Pictures",
        },
    )
    found, notes = folders_elsewhere(with_onedrive([person], windows))
    assert found == [b"/D/Homes/a.ito", b"/D/OneDrive - North"]
    assert notes == ["pictures of a.ito lies on a server and not on this computer: save the server itself"]
    assert folders_elsewhere(with_onedrive([Person("a.ito", HOME)], None)) == ([], [])
    inside = WindowsFacts(onedrive={"a.ito": (OneDriveFolder(b"/C/Users/A.Ito/OneDrive"),)})
    assert with_onedrive([Person("a.ito", HOME)], inside) == [Person("a.ito", HOME)]


def test_files_that_are_only_in_the_cloud_are_told_loudly() -> None:
    skips = (Skipped(b"/C/Users/a/x", "cloud-only"), Skipped(b"/C/Users/a/y", "excluded"))
    result = SnapshotResult(None, SnapshotState.COMPLETE, 0, 0, 0, 0, skips, 1.0)
    (note,) = cloud_notes(result)
    assert note.startswith("1 file is only in the cloud (OneDrive) and not in this snapshot")
    assert cloud_notes(replace(result, skips=())) == []


@pytest.mark.parametrize(
    ("live", "shadow", "told", "notes"),
    [
        (0, True, {"C": "made"}, []),
        (
            2,
            True,
            {"C": "made", "D": "the account may not make one"},
            [
                "2 files were read as they are, without a shadow copy: what a program had not written by then is not "
                "saved (D: the account may not make one)"
            ],
        ),
        (0, True, {"D": "the disk is full"}, ["no shadow copy of D: the disk is full"]),
        (1, False, {}, ["1 file was read as it is, without a shadow copy, as the inventory says"]),
    ],
)
def test_what_is_told_of_shadow_copies(live: int, *, shadow: bool, told: dict[str, str], notes: list[str]) -> None:
    plan = CapturePlan("pc", "pc", (b"/C/Users/a",), (), shadow=shadow)
    result = SnapshotResult(None, SnapshotState.COMPLETE, 3, 0, 0, 0, (), 1.0, files_live=live)
    assert shadow_notes(plan, result, told) == notes
