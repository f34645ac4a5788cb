"""A small school on this computer: an S3 server, an sshd, an inventory and a configuration, all real, all on loopback.

The demo, the benchmark and the end-to-end tests share it. Everything lies in one folder.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.support.seaweed import SeaweedServer
from tests.support.sshd import SshServer, find_sshd

BUCKET = "firstbell-north"


class LoopbackSite:
    """One school, ``north``, whose computers are folders on this machine behind one sshd.

    Without an sshd the computers are reached by the local transport, and ``transport`` says so.
    """

    def __init__(self, folder: Path, *, tied: bool = True) -> None:
        """Keep everything in ``folder``; with ``tied=False`` the servers outlive this process."""
        self.folder = folder
        self.s3 = SeaweedServer(folder / "s3", tied=tied)
        self.sshd = SshServer(folder / "sshd") if find_sshd() is not None else None
        self.transport = "ssh" if self.sshd is not None else "local"
        self.password = secrets.token_urlsafe(24)
        self.hosts: dict[str, dict[str, Any]] = {}

    @property
    def location(self) -> str:
        """The repository in restic's spelling."""
        return f"s3:{self.s3.endpoint_url}/{BUCKET}/repository"

    def start(self) -> None:
        """Start the servers and write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "s3").mkdir(exist_ok=True)
        self.s3.start()
        if self.sshd is not None:
            (self.folder / "sshd").mkdir(exist_ok=True)
            self.sshd.start()
        (self.folder / "inventory").mkdir(exist_ok=True)
        self._write("app.yaml", self._config())
        self.write_inventory()

    def stop(self) -> None:
        """Stop the servers; the folder stays."""
        if self.sshd is not None:
            self.sshd.stop()
        self.s3.stop()

    def add_host(self, name: str, teacher: str, home: Path, **more: Any) -> None:
        """Add a computer whose one teacher has ``home``."""
        self.hosts[name] = {
            "address": "127.0.0.1",
            "groups": ["room-12"],
            "teachers": [teacher],
            "homes": {teacher: str(home)},
            **more,
        }
        if (self.folder / "inventory").is_dir():
            self.write_inventory()

    def write_inventory(self) -> None:
        """Write the inventory as it stands."""
        defaults: dict[str, Any] = {"site": "north", "transport": self.transport}
        if self.sshd is not None:
            defaults |= {
                "port": self.sshd.port,
                "user": self.sshd.user,
                "ssh": {
                    "key_files": [str(self.sshd.client_key)],
                    "known_hosts": str(self.sshd.known_hosts),
                    "use_agent": False,
                },
            }
        self._write("inventory/defaults.yaml", defaults)
        self._write("inventory/groups.yaml", {"room-12": {}})
        self._write("inventory/hosts.yaml", self.hosts)

    def environment(self) -> dict[str, str]:
        """Return the environment in which firstbell finds all this."""
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FIRSTBELL_", "PREFECT_"))
        }
        return {
            **clean,
            "FIRSTBELL_CONFIG": str(self.folder / "app.yaml"),
            "FIRSTBELL_INVENTORY": str(self.folder / "inventory"),
            "FIRSTBELL_PASSWORD": self.password,
            "FIRSTBELL_S3_KEY_ID": self.s3.access_key,
            "FIRSTBELL_S3_SECRET": self.s3.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def restic_environment(self) -> dict[str, str]:
        """Return the environment in which the stock restic client finds the same repository."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "RESTIC_"))},
            **self.s3.environment(),
            "RESTIC_REPOSITORY": self.location,
            "RESTIC_PASSWORD": self.password,
            "RESTIC_CACHE_DIR": str(self.folder / "restic-cache"),
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the argv of the command line with these arguments."""
        return [str(Path(sys.executable).parent / "firstbell"), *arguments]

    def run(self, *arguments: str, check: bool = True, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``firstbell`` with these arguments and ``input`` to read, and return what it said."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment(), capture_output=True, text=True, timeout=600, input=input
        )
        if check and done.returncode:
            raise AssertionError(f"firstbell {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def restic(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the stock restic client on the same repository."""
        done = subprocess.run(
            ["restic", "-o", "s3.bucket-lookup=path", *arguments],
            env=self.restic_environment(),
            capture_output=True,
            text=True,
            timeout=600,
        )
        if check and done.returncode:
            raise AssertionError(f"restic {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def _config(self) -> dict[str, Any]:
        return {
            "repository": {"location": f"s3://{BUCKET}/repository"},
            "s3": {
                "endpoint_url": self.s3.endpoint_url,
                "region": "us-east-1",
                "addressing_style": "path",
                "access_key_id": "env:FIRSTBELL_S3_KEY_ID",
                "secret_access_key": "env:FIRSTBELL_S3_SECRET",
            },
            "sites": {"north": {"title": "Northfield Primary School", "time_zone": "Europe/Berlin"}},
        }

    def _write(self, name: str, document: Any) -> None:
        (self.folder / name).write_text(yaml.safe_dump(document, sort_keys=False))
