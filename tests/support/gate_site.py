"""One school with one computer, which is a folder on this machine: enough for the gate, and quick."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from configs.load import load_config
from flows.cli import main
from inventory.load import load_inventory
from tasks.backends.local import LocalBackend
from tasks.repository.repository import Repository
from tasks.verbs.context import Context

HOST = "lab3-07"


class GateSite:
    """A configuration, an inventory, a repository in a folder and a home with files; ``run`` is the command line."""

    def __init__(self, folder: Path, capture: Any, **host: Any) -> None:
        """Write it all below ``folder``; ``host`` goes into the inventory, ``capture`` is pytest's ``capsys``."""
        self.folder = folder
        self._capture = capture
        self.home = folder / "homes" / "a.ito"
        self.home.mkdir(parents=True)
        (self.home / "Desktop").mkdir()
        for number in range(30):
            (self.home / "Desktop" / f"lesson {number:02}.txt").write_text(f"lesson {number}\n" * 50)
        self.config: dict[str, Any] = {
            "repository": {"location": str(folder / "repository"), "password": "env:FIRSTBELL_PASSWORD"},
            # Whoever has an account on the machine that the test runs on.
            "gate": {"ignore_profiles": ["*"]},
            "sites": {"north": {"title": "Northfield Primary School", "time_zone": "Europe/Berlin"}},
        }
        self.host: dict[str, Any] = {
            "site": "north",
            "transport": "local",
            "teachers": ["a.ito"],
            "homes": {"a.ito": str(self.home)},
            **host,
        }
        self.write()

    def write(self) -> None:
        """Write configuration and inventory as they stand."""
        (self.folder / "app.yaml").write_text(yaml.safe_dump(self.config))
        (self.folder / "inventory").mkdir(exist_ok=True)
        (self.folder / "inventory" / "hosts.yaml").write_text(yaml.safe_dump({HOST: self.host}))

    def init(self, password: str) -> None:
        """Make the repository, with a key that is quick to derive."""
        backend = LocalBackend(self.folder / "repository")
        Repository.init(backend, password, scrypt_n=2**4).close()

    def write_calendar(self, **changes: Any) -> Path:
        """Write a calendar that covers the weeks around today and protects nothing, unless ``changes`` say so."""
        today = datetime.now(UTC).date()
        term = {"name": "Term", "first": str(today - timedelta(days=60)), "last": str(today + timedelta(days=60))}
        path = self.folder / "calendars" / "north.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({"terms": [term], "quiet_hours": [], **changes}))
        return path

    def run(self, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
        """Run ``firstbell ... --json`` and return its exit code and what it said."""
        code, out, _ = self.say(*arguments, "--json")
        return code, [json.loads(line) for line in out.splitlines()]

    def say(self, *arguments: str) -> tuple[int, str, str]:
        """Run ``firstbell`` and return its exit code, its output and its messages."""
        self._capture.readouterr()
        where = ["--config", str(self.folder / "app.yaml"), "--inventory", str(self.folder / "inventory")]
        code = main([*arguments, *where])
        said = self._capture.readouterr()
        return code, said.out, said.err

    def last(self, *arguments: str, expect: int) -> dict[str, Any]:
        """Run it, and return the last document; the exit code must be as expected."""
        code, lines = self.run(*arguments)
        assert code == expect, (arguments, code, lines)
        return lines[-1]

    def codes(self, *, expect: int = 20) -> list[str]:
        """Return the reasons of the gate, as words for programs."""
        return [reason["code"] for reason in self.last("gate", HOST, expect=expect)["reasons"]]

    def context(self) -> Context:
        """Return what a verb starts from."""
        config = load_config(self.folder / "app.yaml", {})
        return Context(config, load_inventory(self.folder / "inventory", {}), folder=self.folder)
