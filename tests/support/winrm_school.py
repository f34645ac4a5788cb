"""A school whose one Windows computer is PowerShell under Wine behind a WinRM server; S3 for its spool is real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tasks.verbs.context import Context
from tests.support.seaweed import SeaweedServer
from tests.support.wine import WinePrefix, run_command_line
from tests.support.winrm_server import WinRmServer

HOST = "lab4-01"
SPOOL = "firstbell"


class WinRmSchool:
    """The parts, running, and their configuration in ``folder``."""

    def __init__(self, folder: Path, windows: WinePrefix, s3: SeaweedServer, winrm: WinRmServer) -> None:
        self.folder = folder
        self.windows = windows
        self.s3 = s3
        self.winrm = winrm

    def environment(self) -> dict[str, str]:
        """Return the environment in which firstbell finds all this."""
        return {
            "FIRSTBELL_CONFIG": str(self.folder / "app.yaml"),
            "FIRSTBELL_INVENTORY": str(self.folder / "inventory"),
            "FIRSTBELL_PASSWORD": "the bell rings first",
            "FIRSTBELL_WINRM_PASSWORD": self.winrm.password,
            "FIRSTBELL_S3_KEY_ID": self.s3.access_key,
            "FIRSTBELL_S3_SECRET": self.s3.secret_key,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def write(self, *, spool: dict[str, Any] | None = None, **host: Any) -> None:
        """Write configuration and inventory; ``host`` changes keys of the computer."""
        config = {
            "repository": {"location": str(self.folder / "repository")},
            "spool": {"location": f"s3://{SPOOL}/spool"} if spool is None else spool,
            "s3": {
                "endpoint_url": self.s3.endpoint_url,
                "region": "us-east-1",
                "addressing_style": "path",
                "access_key_id": "env:FIRSTBELL_S3_KEY_ID",
                "secret_access_key": "env:FIRSTBELL_S3_SECRET",
            },
        }
        computer = {
            "site": "north",
            "address": self.winrm.address,
            "port": self.winrm.port,
            "transport": "winrm",
            "user": self.winrm.user,
            "winrm": {"scheme": "http", "password": "env:FIRSTBELL_WINRM_PASSWORD"},
            **host,
        }
        (self.folder / "inventory").mkdir(exist_ok=True)
        (self.folder / "app.yaml").write_text(yaml.safe_dump(config))
        (self.folder / "inventory" / "hosts.yaml").write_text(yaml.safe_dump({HOST: computer}))

    def context(self) -> Context:
        """Return what a verb starts from; its references are looked up in this process's environment."""
        return Context.load(environ=self.environment())


@contextmanager
def winrm_school(folder: Path, windows: WinePrefix, s3: SeaweedServer) -> Iterator[WinRmSchool]:
    """Give the school, with its configuration written."""
    folder.mkdir(exist_ok=True)
    with WinRmServer(lambda line: run_command_line(windows, line)) as server:
        school = WinRmSchool(folder, windows, s3, server)
        school.write()
        yield school
