"""The stock restic client on one repository, as a person would run it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

PASSWORD = "correct horse battery staple"


class StockRestic:
    """Runs restic with its cache in a folder of the test; output as bytes, since names need not be UTF-8."""

    def __init__(self, location: str | Path, scratch: Path, password: str = PASSWORD) -> None:
        self.location = str(location)
        self._environment = {
            **os.environ,
            "RESTIC_PASSWORD": password,
            "RESTIC_REPOSITORY": self.location,
            "RESTIC_CACHE_DIR": str(scratch / "restic-cache"),
            "TZ": "UTC",
        }

    def attempt(self, *arguments: str | bytes, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["restic", *arguments], env=self._environment, capture_output=True, timeout=120, check=False, cwd=cwd
        )

    def run(self, *arguments: str | bytes, cwd: Path | None = None) -> bytes:
        done = self.attempt(*arguments, cwd=cwd)
        assert done.returncode == 0, f"restic {arguments}: {done.stdout!r} {done.stderr!r}"
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["restic", *arguments], env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def init(self, version: int = 2) -> StockRestic:
        self.run("init", "--repository-version", str(version))
        return self

    def check(self) -> None:
        assert b"no errors were found" in self.run("check", "--read-data")

    def snapshots(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("snapshots", "--json")) or []
        return found
