"""Choosing hosts, and what is said when nothing is chosen."""

from __future__ import annotations

import pytest

from inventory.errors import InventoryError
from inventory.model import Host, Inventory
from inventory.select import select


def inventory(*hosts: Host) -> Inventory:
    return Inventory({host.name: host for host in hosts})


def host(name: str, site: str, *groups: str, teachers: tuple[str, ...] = ()) -> Host:
    return Host(name=name, site=site, groups=groups, address=name, user="x", teachers=teachers)


SCHOOLS = inventory(
    host("lab3-07", "north", "lab-3", "science", teachers=("a.ito", "m.okafor")),
    host("lab3-08", "north", "lab-3", teachers=("a.ito",)),
    host("lab4-01", "north", "lab-4"),
    host("Lab3-07b", "south", "lab-3", teachers=("j.novak",)),
)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, ["lab3-07", "lab3-08", "lab4-01", "Lab3-07b"]),
        ({"site": "north"}, ["lab3-07", "lab3-08", "lab4-01"]),
        ({"host": "lab3-07"}, ["lab3-07"]),
        ({"host": ["lab4-01", "LAB3-07"]}, ["lab3-07", "lab4-01"]),
        ({"host": "lab3-*"}, ["lab3-07", "lab3-08", "Lab3-07b"]),
        ({"site": "north", "group": "lab-3"}, ["lab3-07", "lab3-08"]),
        ({"group": ["science", "lab-4"]}, ["lab3-07", "lab4-01"]),
        ({"teacher": "A.Ito"}, ["lab3-07", "lab3-08"]),
        ({"teacher": "a.ito", "group": "science"}, ["lab3-07"]),
        ({"host": [], "site": None}, ["lab3-07", "lab3-08", "lab4-01", "Lab3-07b"]),
    ],
)
def test_selection(filters: dict, names: list[str]) -> None:
    assert [one.name for one in select(SCHOOLS, **filters)] == names


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ({"site": "nroth"}, "no host matches site 'nroth'. Did you mean 'north'?"),
        ({"site": "east"}, "no host matches site 'east'. There are: north, south."),
        ({"host": "lab4-10"}, "no host matches host 'lab4-10'. Did you mean 'lab4-01'?"),
        ({"host": "printer"}, "no host matches host 'printer'."),
        (
            {"host": ["lab3-07", "lab3-9*"], "group": "art"},
            "no host matches group 'art'. There are: lab-3, lab-4, science.; no host matches host 'lab3-9*'. Did you "
            "mean 'lab3-08'?",
        ),
        ({"teacher": "a.itoh"}, "no host matches teacher 'a.itoh'. Did you mean 'a.ito'?"),
        (
            {"site": "south", "group": "lab-4"},
            "each of these matches hosts, but none matches all of them: --site south --group lab-4.",
        ),
        (
            {"site": "north", "host": ["lab3-07", "lab3-07b"]},
            "each of these matches hosts, but none matches all of them: --site north --host lab3-07 --host lab3-07b. "
            "'Lab3-07b' is in site south, groups lab-3, teachers j.novak.",
        ),
    ],
)
def test_a_selection_that_chooses_nothing(filters: dict, text: str) -> None:
    with pytest.raises(InventoryError) as caught:
        select(SCHOOLS, **filters)
    assert str(caught.value) == text
    assert caught.value.hint


def test_an_empty_inventory() -> None:
    with pytest.raises(InventoryError, match="the inventory has no hosts"):
        select(inventory(), site="north")
    with pytest.raises(InventoryError, match="No host has a teacher"):
        select(inventory(host("a", "north")), teacher="a.ito")
