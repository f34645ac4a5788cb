"""A small school of Windows computers on this machine: each is a Windows under Wine, behind a WinRM server or an sshd.

What runs there is PowerShell for Windows under Wine, not Windows. ``python -m tests.support.windows_site FOLDER`` runs
the WinRM server of one of them until standard input ends or it is killed: for a demo that shall outlive itself.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.certificate import make_certificate
from tests.support.loopback_site import LoopbackSite
from tests.support.sshd import SshServer, make_key
from tests.support.wine import WinePrefix, run_command_line
from tests.support.winrm_server import WinRmServer

SPOOL = "firstbell-spool"
#: How a server process says that it listens, with its port behind.
_LISTENS = "listens on "
_PASSWORD = "FIRSTBELL_WINRM_PASSWORD"


class WindowsSite(LoopbackSite):
    """One school, ``north``, with Windows computers.

    ``spool=False`` leaves everything to WinRM itself. ``spool_endpoint`` is how the computers reach S3, when that is
    not the way of the worker.
    """

    def __init__(self, folder: Path, *, tied: bool = True, spool: bool = True) -> None:
        super().__init__(folder, tied=tied)
        self.spool = spool
        self.spool_endpoint: str | None = None
        self.winrm_password = secrets.token_urlsafe(12)

    def start(self) -> None:
        super().start()
        self.s3.create_bucket(SPOOL)

    def environment(self) -> dict[str, str]:
        return {**super().environment(), _PASSWORD: self.winrm_password}

    @contextmanager
    def other_spool(self, *, spool: bool = True, endpoint: str | None = None) -> Iterator[None]:
        """Meanwhile work without the spool, or let the computers reach it at another address."""
        before = self.spool, self.spool_endpoint
        try:
            self.spool, self.spool_endpoint = spool, endpoint
            self._write("app.yaml", self._config())
            yield
        finally:
            self.spool, self.spool_endpoint = before
            self._write("app.yaml", self._config())

    def spooled(self) -> list[str]:
        """Return the names of all objects in the spool."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint_url,
            aws_access_key_id=self.s3.access_key,
            aws_secret_access_key=self.s3.secret_key,
            region_name="us-east-1",
        )
        try:
            return [one["Key"] for one in client.list_objects_v2(Bucket=SPOOL).get("Contents", ())]
        finally:
            client.close()

    def add_windows(self, name: str, server: WinRmServer, *, teachers: Sequence[str] = ("a.ito",), **more: Any) -> None:
        """Add a computer behind a WinRM server of this process."""
        assert server.password == self.winrm_password, "one password for all computers of the school"
        digest = server.certificate_hash
        self.add_winrm(name, server.port, server.user, digest.hex() if digest else None, teachers=teachers, **more)

    def add_winrm(self, name: str, port: int, user: str, fingerprint: str | None, **more: Any) -> None:
        """Add a computer behind a WinRM server: over https when it has a certificate, else over http, sealed."""
        winrm: dict[str, Any] = {"auth": "ntlm", "password": f"env:{_PASSWORD}"}
        winrm |= {"scheme": "https", "fingerprint": fingerprint} if fingerprint else {"scheme": "http"}
        self._add(name, {"transport": "winrm", "port": port, "user": user, "winrm": winrm, **more})

    def add_openssh(self, name: str, prefix: WinePrefix, **more: Any) -> None:
        """Add a computer behind an sshd that hands each command line to Windows, as OpenSSH's server there does."""
        assert self.sshd is not None
        key = authorize_windows(self.sshd, prefix, self.folder / f"key-{name}")
        ssh = {"key_files": [str(key)], "known_hosts": str(self.sshd.known_hosts), "use_agent": False}
        self._add(name, {"transport": "ssh", "port": self.sshd.port, "user": self.sshd.user, "ssh": ssh, **more})

    def _add(self, name: str, entry: dict[str, Any]) -> None:
        self.hosts[name] = {"address": "127.0.0.1", "groups": ["room-12"], "teachers": ["a.ito"], **entry}
        if (self.folder / "inventory").is_dir():
            self.write_inventory()

    def _config(self) -> dict[str, Any]:
        spool: dict[str, Any] = {"location": f"s3://{SPOOL}/{{site}}"} if self.spool else {}
        if spool and self.spool_endpoint:
            spool["public_endpoint"] = self.spool_endpoint
        return {**super()._config(), "spool": spool}


def authorize_windows(sshd: SshServer, prefix: WinePrefix, key: Path) -> Path:
    """Let a new key in, whose command lines run in that Windows whatever they are; return the key."""
    forced = key.with_suffix(".sh")
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in prefix.environment().items())
    program = " ".join(shlex.quote(word) for word in prefix.argv("")[:-1])
    forced.write_text(f'#!/bin/sh\nexec env {variables} {program} "$SSH_ORIGINAL_COMMAND"\n')
    forced.chmod(0o700)
    sshd.authorize(make_key(key), options=f'command="{forced}"')
    return key


class ServerProcess:
    """A WinRM server in a process of its own, which may outlive this one."""

    def __init__(self, prefix: WinePrefix, folder: Path, password: str, *, tied: bool = True) -> None:
        folder.mkdir(exist_ok=True)
        known = {"prefix": str(prefix.folder), "runtime": str(prefix.runtime), "user": prefix.user, "tied": tied}
        (folder / "server.json").write_text(json.dumps(known))
        with (folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.windows_site", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=Path(__file__).parents[2],
                env={**os.environ, _PASSWORD: password},
                start_new_session=True,
                text=True,
            )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        if not said.startswith(_LISTENS):
            raise RuntimeError(f"the WinRM server did not start:\n{(folder / 'server.log').read_text()}")
        self.port, self.user, self.fingerprint = json.loads(said.removeprefix(_LISTENS))

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def main(folder: Path) -> int:
    """Serve until standard input ends, if that is wanted, or somebody ends this process."""
    known = json.loads((folder / "server.json").read_text())
    prefix = WinePrefix(Path(known["prefix"]), Path(known["runtime"]))
    prefix.user = known["user"]
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with WinRmServer(
        lambda line: run_command_line(prefix, line),
        password=os.environ[_PASSWORD],
        certificate=make_certificate(folder),
    ) as server:
        digest = server.certificate_hash
        about = [server.port, server.user, digest.hex() if digest else None]
        sys.stdout.write(_LISTENS + json.dumps(about) + "\n")
        sys.stdout.flush()
        if known["tied"]:
            threading.Thread(target=lambda: (sys.stdin.read(), stopped.set()), daemon=True).start()
        while not stopped.wait(0.5):
            continue
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
