"""A classroom on loopback: several computers, each with an sshd, a home and a hardware serial number of its own.

The helper reads the serial number from ``/sys/class/dmi/id`` (Linux). So each sshd runs in a mount namespace of its
own, with a folder of the test over that one, and whatever it starts sees the computer's own number. That needs
``unshare`` of util-linux, as root or where the system lets everybody make a user namespace; ``missing()`` says so.
Without, the computers run all the same, and all tell the number of this machine, if it has one.
Everything that makes a computer what it is lies in its folder: an imager in another process can change it, too.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.sshd import SshServer, find_sshd, fingerprint, make_key

CURE = "apt install util-linux openssh-server, and run as root or allow user namespaces"
#: ``$1`` is the folder with the serial number. Where there is no such folder in /sys, an empty disk makes room for it.
_OWN_SERIAL = (
    "set -e; mount --make-rprivate /; id=/sys/class/dmi/id;"
    ' [ -d "$id" ] || { mount -t tmpfs none /sys/class; mkdir -p "$id"; };'
    ' mount --bind "$1" "$id"; shift; exec "$@"'
)
_PLACE = "firstbell-place"


def _becoming(serial_folder: Path) -> tuple[str, ...]:
    """Return the program that becomes another one, which sees the serial number in a folder."""
    mounted = ("sh", "-c", _OWN_SERIAL, _PLACE, str(serial_folder))
    if os.geteuid() == 0:
        return ("unshare", "--mount", *mounted)
    # Root in a namespace of one's own may mount; sshd itself must run as who we are.
    back = ("unshare", "--user", f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}")
    return ("unshare", "--user", "--map-root-user", "--mount", *mounted, *back)


@cache
def missing() -> str:
    """Return what is missing here for computers with serial numbers of their own; empty when nothing is."""
    if find_sshd() is None or shutil.which("unshare") is None:
        return "unshare or sshd"
    try:
        done = subprocess.run(
            [*_becoming(Path("/etc")), "test", "-e", "/sys/class/dmi/id/passwd"], capture_output=True, timeout=60
        )
    except OSError:
        return "unshare"
    return "" if done.returncode == 0 else "the right to make a mount namespace"


class ClassroomComputer:
    """One computer. ``home`` is its teacher's; ``start`` switches it on, ``stop`` off, on the same port each time."""

    def __init__(self, folder: Path, name: str, *, teacher: str = "a.ito", serial: str | None = None) -> None:
        """Lay it out in ``folder``, which must be new; it is off. Left out, ``serial`` is made from the name."""
        self.folder = folder
        self.name = name
        self.teacher = teacher
        self.home = folder / "home" / teacher
        self.home.mkdir(parents=True)
        self._dmi = folder / "dmi"
        self._dmi.mkdir()
        self.serial = f"SN-{name.upper()}" if serial is None else serial
        #: Whether the computer tells ``serial``; else it tells what this machine has.
        self.own_serial = not missing()
        self.sshd = SshServer(folder / "sshd", before=_becoming(self._dmi) if self.own_serial else ())

    @property
    def serial(self) -> str:
        """The hardware's serial number; empty for a board that has none. May be set while the computer is on."""
        return (self._dmi / "product_serial").read_text().strip()

    @serial.setter
    def serial(self, serial: str) -> None:
        (self._dmi / "product_serial").write_text(f"{serial}\n")

    @property
    def fingerprint(self) -> str:
        """The ``SHA256:...`` fingerprint of the host key that it shows."""
        return self.sshd.host_key_fingerprint

    @property
    def pid_file(self) -> Path:
        """Where the number of its sshd stands while it is on."""
        return self.folder / "sshd.pid"

    @property
    def is_on(self) -> bool:
        """Whether it is switched on."""
        return self.pid_file.exists()

    def start(self) -> ClassroomComputer:
        """Switch it on and wait until it answers."""
        self.sshd.start()
        self.pid_file.write_text(str(self.sshd.pid))
        return self

    def stop(self) -> None:
        """Switch it off: nothing answers any more, and each connection is cut. May be called twice."""
        self.pid_file.unlink(missing_ok=True)
        self.sshd.stop()

    def change_host_key(self) -> str:
        """Give it another host key, as setting it up anew does, and return the fingerprint; connections are cut."""
        was_on = self.is_on
        self.stop()
        self.sshd.change_host_key()
        if was_on:
            self.start()
        return self.fingerprint

    def wipe(self, *, profile: bool = True) -> None:
        """Erase everything in the teacher's home; without ``profile``, the home itself, too."""
        erase(self.home)
        if not profile:
            self.home.rmdir()

    def entry(self) -> dict[str, Any]:
        """Return its entry in the inventory."""
        return {
            "address": self.sshd.address,
            "port": self.sshd.port,
            "teachers": [self.teacher],
            "homes": {self.teacher: str(self.home)},
        }


class Classroom:
    """Several computers, and one worker's ``known_hosts`` and key that fit them as they were first set up."""

    def __init__(
        self, folder: Path, computers: Sequence[str] | Mapping[str, str], *, serials: Mapping[str, str] | None = None
    ) -> None:
        """Lay out the computers in ``folder``: names, or names with their teachers. ``serials`` may give numbers."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        teachers = computers if isinstance(computers, Mapping) else {}
        self.client_key = make_key(folder / "client_key")
        self.computers = {
            name: ClassroomComputer(
                folder / name, name, teacher=teachers.get(name, "a.ito"), serial=(serials or {}).get(name)
            )
            for name in computers
        }
        self.known_hosts = folder / "known_hosts"
        self.learn()
        for one in self.computers.values():
            one.sshd.authorize(self.client_key)

    def __getitem__(self, name: str) -> ClassroomComputer:
        return self.computers[name]

    @property
    def user(self) -> str:
        """The account to log in with."""
        return next(iter(self.computers.values())).sshd.user

    def learn(self) -> None:
        """Write the worker's known_hosts as the computers are now."""
        lines = [one.sshd.known_line(key) for one in self.computers.values() for key in one.sshd.host_keys]
        self.known_hosts.write_text("".join(lines))

    def defaults(self) -> dict[str, Any]:
        """Return what holds for all of them in the inventory, without a site."""
        return {
            "transport": "ssh",
            "user": self.user,
            "ssh": {
                "key_files": [str(self.client_key)],
                "known_hosts": str(self.known_hosts),
                "use_agent": False,
            },
        }

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return the entries of all computers in the inventory."""
        return {name: one.entry() for name, one in self.computers.items()}

    def start(self) -> Classroom:
        """Switch all of them on."""
        for one in self.computers.values():
            one.start()
        return self

    def stop(self) -> None:
        """Switch all of them off."""
        for one in self.computers.values():
            one.stop()

    def __enter__(self) -> Classroom:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()


def erase(home: Path) -> None:
    """Erase everything in a folder."""
    for path in home.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def reimage(folder: Path, *, serial: str | None = None) -> None:
    """Set up anew the computer in ``folder``, from whatever process: erase its homes, change its host keys, restart.

    With ``serial``, it is another computer that comes back. One that is off stays off.
    """
    for home in (folder / "home").iterdir():
        erase(home)
    for key in [path for path in (folder / "sshd").glob("host_*") if path.suffix != ".pub"]:
        before = fingerprint(Path(f"{key}.pub"))
        for path in (key, Path(f"{key}.pub")):
            path.unlink()
        make_key(key, key.name.removeprefix("host_"))
        assert fingerprint(Path(f"{key}.pub")) != before
    if serial is not None:
        (folder / "dmi" / "product_serial").write_text(f"{serial}\n")
    if (pid_file := folder / "sshd.pid").exists():
        _restart(int(pid_file.read_text()))


def _restart(pid: int) -> None:
    """Cut the connections of an sshd, and let it begin anew with the keys that are there now (sshd(8), SIGHUP)."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listing.splitlines()]
    for child, parent in pairs:
        if parent == pid:
            os.kill(child, signal.SIGKILL)
    os.kill(pid, signal.SIGHUP)


def wait_for_key(computer: ClassroomComputer, *, timeout: float = 15.0) -> None:
    """Wait until a computer shows the host key that lies in its folder: an imager has restarted it."""
    sshd = computer.sshd
    known = {Path(f"{key}.pub").read_text().split()[1] for key in sshd.host_keys}
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        shown = subprocess.run(
            ["ssh-keyscan", "-T", "2", "-p", str(sshd.port), sshd.address], capture_output=True, text=True
        ).stdout
        if any(line.split()[-1] in known for line in shown.splitlines() if not line.startswith("#")):
            return
        threading.Event().wait(0.05)
    raise RuntimeError(f"{computer.name} does not show its new host key within {timeout:g} s")
