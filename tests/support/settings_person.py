"""A real account whose settings tests read and write, with a home in a temporary folder.

As root it is ``nobody``, who is a real account without a home of its own; otherwise whoever runs this.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.remote.filesystem import RemoteSettings
from tasks.settings.values import Account
from tests.support.helper_host import helper_host


def has_dconf() -> bool:
    """Return whether dconf and a bus for it are there."""
    return shutil.which("dconf") is not None and shutil.which("dbus-run-session") is not None


class Person:
    """A real account with a home in a temporary folder, and the helper that may act as it."""

    def __init__(self, home: Path, host: RemoteSettings) -> None:
        root = os.geteuid() == 0
        found = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.getuid())
        self.uid, self.gid = found.pw_uid, found.pw_gid
        self.home = home
        self.host = host
        variables = {"home": str(home), "config": f"{home}/.config", "data": f"{home}/.local/share"}
        self.account = Account(found.pw_name, str(home), variables, self.uid, self.gid)
        home.mkdir()
        self.own()

    def own(self) -> None:
        """Give everything in the home to the person."""
        if os.geteuid() == 0:
            for path in (self.home, *self.home.rglob("*")):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def run(self, *argv: str) -> str:
        """Run a program as the person, on a bus of its own."""
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        become = (
            ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"] if os.geteuid() == 0 else []
        )
        command = [*become, "dbus-run-session", "--", *argv]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd="/").stdout

    def write(self, name: str, content: str) -> Path:
        """Write a file of the person."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.own()
        return path

    def wipe(self) -> None:
        """Take everything away, as a new image does."""
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def allow(self) -> None:
        """Let what follows write."""
        self.host.allow_settings("0" * 64, str(self.home))


@contextmanager
def settings_person() -> Iterator[Person]:
    """Make a person with an empty home, and start the helper that may act as it.

    Not in pytest's folder: that is closed to others, and each session of pytest sees to it again.
    """
    with tempfile.TemporaryDirectory(prefix="firstbell-somebody-") as folder, helper_host() as remote:
        Path(folder).chmod(0o711)
        yield Person(Path(folder) / "home", remote.settings())
