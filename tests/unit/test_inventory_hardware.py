"""MAC addresses and serial numbers in the inventory, how a computer is woken, and what a sheet says of them."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from inventory.csv_import import import_csv
from inventory.folders import check_mac, check_serial
from inventory.load import load_inventory
from inventory.model import Host, Inventory
from tasks.actions.wake import wake
from tasks.errors import ActionFailed, InventoryError

SHEET = """\
Computer,School,MAC Address,Serial Number
lab3-07,North,3C-52-82-0A-1B-2C,PF2ABC7D
lab3-08,North,3c52.820a.1b2d,
"""


def load(folder: Path, hosts: str, defaults: str = "user: x\nsite: north\n") -> Inventory:
    (folder / "defaults.yaml").write_text(defaults)
    (folder / "hosts.yaml").write_text(hosts)
    return load_inventory(folder, {})


@pytest.mark.parametrize("text", ["3C:52:82:0A:1B:2C", "3c-52-82-0a-1b-2c", "3c52.820a.1b2c", " 3C52820A1B2C "])
def test_the_spellings_of_a_mac_address(text: str) -> None:
    assert check_mac(text) == "3c:52:82:0a:1b:2c"


@pytest.mark.parametrize("text", ["", "3c:52:82:0a:1b", "gg:52:82:0a:1b:2c", "ff:ff:ff:ff:ff:ff", "0" * 12, "01" * 6])
def test_what_is_no_mac_address_of_a_computer(text: str) -> None:
    with pytest.raises(ValueError, match="MAC address"):
        check_mac(text)


@pytest.mark.parametrize("text", ["", "  ", "Default string", "To be filled by O.E.M.", "a\nb", "x" * 129])
def test_what_is_no_serial_number(text: str) -> None:
    with pytest.raises(ValueError, match="serial number"):
        check_serial(text)
    assert check_serial(" PF2ABC7D ") == "PF2ABC7D"


def test_the_way_to_wake_comes_from_the_nearest_layer(tmp_path: Path) -> None:
    inventory = load(
        tmp_path,
        "a: {mac: 3C-52-82-0A-1B-2C, serial: PF2ABC7D}\nb: {wake_address: 10.4.0.255, wake_port: 7}\n",
        "user: x\nsite: north\nwake_address: 10.3.0.255\n",
    )
    a, b = inventory.host("a"), inventory.host("b")
    assert (a.mac, a.serial, a.wake_address, a.wake_port) == ("3c:52:82:0a:1b:2c", "PF2ABC7D", "10.3.0.255", 9)
    assert (b.mac, b.serial, b.wake_address, b.wake_port) == (None, None, "10.4.0.255", 7)


def test_numbers_stay_as_they_are_typed(tmp_path: Path) -> None:
    host = load(tmp_path, "a: {mac: 10:20:30:40:50:10, serial: 0012345}\n").host("a")
    assert (host.mac, host.serial) == ("10:20:30:40:50:10", "0012345")


def test_no_group_has_the_mac_address_of_a_computer(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="mac"):
        load(tmp_path, "a: {}\n", "user: x\nsite: north\nmac: 3c:52:82:0a:1b:2c\n")


def test_what_two_computers_cannot_have_both_is_told(tmp_path: Path) -> None:
    inventory = load(
        tmp_path, "a: {mac: 3c-52-82-0a-1b-2c, serial: PF2}\nb: {mac: '3C52820A1B2C'}\nc: {serial: pf2}\nd: {}\n"
    )
    assert sorted(inventory.warnings) == [
        "hosts 'a' and 'b' have the same MAC address 3c:52:82:0a:1b:2c",
        "hosts 'a' and 'c' have the same serial number pf2",
    ]


def test_a_sheet_tells_them(tmp_path: Path) -> None:
    sheet, folder = tmp_path / "computers.csv", tmp_path / "inventory"
    sheet.write_text(SHEET)
    import_csv(sheet, folder, write=True)
    inventory = load_inventory(folder, {})
    assert (inventory.host("lab3-07").mac, inventory.host("lab3-07").serial) == ("3c:52:82:0a:1b:2c", "PF2ABC7D")
    assert (inventory.host("lab3-08").mac, inventory.host("lab3-08").serial) == ("3c:52:82:0a:1b:2d", None)
    assert import_csv(sheet, folder, write=False).count("unchanged") == 2


def test_a_wrong_cell_is_told_by_its_line(tmp_path: Path) -> None:
    sheet = tmp_path / "computers.csv"
    sheet.write_text(SHEET.replace("3C-52-82-0A-1B-2C", "unknown"))
    with pytest.raises(InventoryError, match="line 2: 'unknown' is no MAC address"):
        import_csv(sheet, tmp_path / "inventory", write=True)


def test_the_packet_that_wakes_a_computer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        wake(
            Host(
                name="lab3-07",
                site="north",
                address="127.0.0.1",
                mac="3c:52:82:0a:1b:2c",
                wake_address="127.0.0.1",
                wake_port=listening.getsockname()[1],
            )
        )
        # Six times FF, then the address sixteen times (AMD, "Magic Packet Technology").
        assert listening.recv(2048) == b"\xff" * 6 + bytes.fromhex("3c52820a1b2c") * 16


def test_a_computer_whose_mac_address_is_not_known_cannot_be_woken() -> None:
    with pytest.raises(InventoryError, match="MAC address is not known") as caught:
        wake(Host(name="lab3-07", site="north", address="127.0.0.1"))
    assert "'mac'" in caught.value.hint


def test_a_packet_that_cannot_be_sent() -> None:
    host = Host(name="a", site="north", address="a", mac="3c:52:82:0a:1b:2c", wake_address="no..name")
    with pytest.raises(ActionFailed, match="could not be sent to no"):
        wake(host)
