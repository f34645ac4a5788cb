"""The loopback classroom itself: each computer has a home, a host key and a serial number of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inventory.model import Host
from tasks.errors import IdentityRefused, Unreachable
from tasks.remote.launcher import launch
from tasks.transports.ssh import SshSettings, SshTransport
from tests.support.classroom import Classroom, ClassroomComputer, wait_for_key

pytestmark = [pytest.mark.ssh, pytest.mark.namespaces]


@pytest.fixture
def classroom(tmp_path: Path) -> Iterator[Classroom]:
    with Classroom(tmp_path / "room", {"lab3-01": "a.ito", "lab3-02": "m.okafor"}) as room:
        yield room


def serial_over_ssh(room: Classroom, computer: ClassroomComputer) -> str:
    settings = SshSettings(
        address="127.0.0.1",
        port=computer.sshd.port,
        user=room.user,
        key_files=(room.client_key,),
        known_hosts=room.known_hosts,
    )
    transport = SshTransport(computer.name, settings)
    transport.open()
    try:
        channel, hello = launch(transport)
        channel.close()
        return hello.serial
    finally:
        transport.close()


def test_each_computer_has_its_own_serial_number(classroom: Classroom) -> None:
    told = {name: serial_over_ssh(classroom, computer) for name, computer in classroom.computers.items()}
    assert told == {"lab3-01": "SN-LAB3-01", "lab3-02": "SN-LAB3-02"}
    classroom["lab3-01"].serial = ""
    assert serial_over_ssh(classroom, classroom["lab3-01"]) == ""


def test_a_new_host_key_is_another_one_on_the_same_port(classroom: Classroom) -> None:
    computer = classroom["lab3-01"]
    port, before = computer.sshd.port, computer.fingerprint
    assert computer.change_host_key() != before
    assert computer.sshd.port == port
    with pytest.raises(IdentityRefused):
        serial_over_ssh(classroom, computer)
    classroom.learn()
    assert serial_over_ssh(classroom, computer) == "SN-LAB3-01"


def test_off_and_on(classroom: Classroom) -> None:
    computer = classroom["lab3-02"]
    computer.stop()
    assert not computer.is_on
    with pytest.raises(Unreachable):
        serial_over_ssh(classroom, computer)
    computer.start()
    assert serial_over_ssh(classroom, computer) == "SN-LAB3-02"


def test_an_imager_in_another_process_wipes_one_computer(classroom: Classroom) -> None:
    one, other = classroom["lab3-01"], classroom["lab3-02"]
    for computer in (one, other):
        (computer.home / "Desktop").mkdir()
        (computer.home / "Desktop" / "lesson.odt").write_text("fractions")
    before = one.fingerprint
    argv = [sys.executable, "-m", "tests.support.imager", str(one.folder), "--serial", "OTHER"]
    subprocess.run(argv, check=True, capture_output=True)
    wait_for_key(one)
    assert one.fingerprint != before
    assert not list(one.home.iterdir())
    assert (other.home / "Desktop" / "lesson.odt").read_text() == "fractions"
    with pytest.raises(IdentityRefused):
        serial_over_ssh(classroom, one)
    classroom.learn()
    assert serial_over_ssh(classroom, one) == "OTHER"


def test_the_imager_wipes_nothing_without_a_clearance(classroom: Classroom, tmp_path: Path) -> None:
    computer = classroom["lab3-01"]
    (computer.home / "lesson.odt").write_text("fractions")
    before = computer.fingerprint
    (tmp_path / "clearance").write_text("no clearance at all")
    (tmp_path / "keys.pem").write_text("")
    argv = [sys.executable, "-m", "tests.support.imager", str(computer.folder)]
    argv += ["--clearance", str(tmp_path / "clearance"), "--key", str(tmp_path / "keys.pem")]
    assert subprocess.run(argv, capture_output=True).returncode == 20
    assert computer.home.joinpath("lesson.odt").exists()
    assert computer.fingerprint == before


def test_the_inventory_finds_them(classroom: Classroom) -> None:
    for name, entry in classroom.hosts().items():
        host = Host.model_validate({"name": name, "site": "north", **classroom.defaults(), **entry})
        assert host.port == classroom[name].sshd.port
        assert host.teachers == (classroom[name].teacher,)
