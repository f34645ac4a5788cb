"""Whose profiles are on a computer: names of Windows, which has several for one person, and one for several."""

from __future__ import annotations

from tasks.remote.facts import Facts, UserProfile, WindowsFacts
from tasks.verbs.profiles import profiles_there, signed_in


def facts(*accounts: str, platform: str = "windows", loaded: tuple[str, ...] = (), gone: tuple[str, ...] = ()) -> Facts:
    users = []
    for account in (*accounts, *gone):
        domain, _, name = account.rpartition("\\")
        users.append(UserProfile(name, -1, -1, b"/C/Users/x", "", exists=account in accounts, domain=domain))
    windows = WindowsFacts(loaded=loaded) if platform == "windows" else None
    return Facts(platform, "", "", "", "", "", -1, 0, tuple(users), (), windows)


def test_a_person_is_called_as_the_snapshot_does() -> None:
    there = facts("NORTH\\a.ito", "PC\\Administrator", gone=("NORTH\\b.new",))
    assert profiles_there(there, ["A.Ito"]) == ("A.Ito", "PC\\Administrator")
    assert profiles_there(facts("NORTH\\a.ito"), ["NORTH\\a.ito"]) == ("NORTH\\a.ito",)
    assert profiles_there(facts("NORTH\\a.ito"), ["SOUTH\\a.ito"]) == ("NORTH\\a.ito",)


def test_two_profiles_are_not_one_persons() -> None:
    assert profiles_there(facts("NORTH\\a.ito", "PC\\a.ito"), ["a.ito"]) == ("NORTH\\a.ito", "PC\\a.ito")
    both = ["NORTH\\a.ito", "PC\\a.ito"]
    assert profiles_there(facts(*both), both) == tuple(both)


def test_who_is_signed_in() -> None:
    assert signed_in(facts("NORTH\\a.ito", loaded=("a.ito", "svc-firstbell")), ["NORTH\\a.ito"]) == (
        "NORTH\\a.ito",
        "svc-firstbell",
    )
    assert signed_in(facts("a.ito", platform="linux"), ["a.ito"]) == ()


def test_elsewhere_names_are_taken_as_they_are() -> None:
    assert profiles_there(facts("a.ito", "A.ito", platform="linux"), ["a.ito"]) == ("a.ito", "A.ito")
