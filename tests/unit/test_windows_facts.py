"""What only Windows tells, as values; and whose names are one person's."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.errors import ProtocolError
from tasks.remote.facts import OneDriveFolder, facts_of
from tasks.verbs.accounts import find_account, same_account

BASE: dict[str, Any] = {
    "platform": "windows",
    "system": "Windows 11",
    "hostname": "LAB4-01",
    "uid": -1,
    "time": 1,
    "users": [],
    "disk": [],
}


def test_a_host_that_is_no_windows_tells_nothing_of_it() -> None:
    assert facts_of(BASE).windows is None


def test_all_that_windows_tells() -> None:
    told = facts_of(
        {
            **BASE,
            "windows": {
                "powershell": "5.1.22621.1",
                "language_mode": "FullLanguage",
                "admin": True,
                "privileges": ["SeBackupPrivilege"],
                "shadow_copies": "allowed",
                "quotas": {"MaxMemoryPerShellMB": 2147483647},
                "onedrive": {
                    "a.ito": [{"folder": "/C/Users/a.ito/OneDrive - North", "account": "a.ito@north.example"}]
                },
            },
        }
    ).windows
    assert told is not None
    assert (told.admin, told.shadow_copies, told.privileges) == (True, "allowed", ("SeBackupPrivilege",))
    assert told.onedrive["a.ito"] == (OneDriveFolder(b"/C/Users/a.ito/OneDrive - North", "a.ito@north.example"),)


def test_what_windows_does_not_tell_is_not_known() -> None:
    told = facts_of({**BASE, "windows": {"admin": None}}).windows
    assert told is not None
    assert (told.admin, told.powershell, told.onedrive) == (None, "", {})
    with pytest.raises(ProtocolError):
        facts_of({**BASE, "windows": {"onedrive": [1]}})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.ito", "NORTH\\a.ito", True),
        ("A.Ito", "a.ito", True),
        ("a.ito@north.example", "NORTH\\A.ITO", True),
        ("NORTH\\a.ito", "LAB4-01\\a.ito", False),
        ("a.ito", "a.ito2", False),
        (".\\a.ito", "LAB4-01\\a.ito", True),
    ],
)
def test_names_of_one_person(one: str, other: str, *, same: bool) -> None:
    assert same_account(one, other) is same_account(other, one) is same


def test_of_two_that_might_be_meant_it_is_neither() -> None:
    known = ["NORTH\\a.ito", "SOUTH\\a.ito", "b"]
    assert find_account("a.ito", known, str) is None
    assert find_account("south\\A.ITO", known, str) == "SOUTH\\a.ito"
    assert find_account("b@anywhere.example", known, str) == "b"
    assert find_account("b@anywhere.example", ["NORTH\\b"], str) == "NORTH\\b"
    assert find_account("c", known, str) is None
