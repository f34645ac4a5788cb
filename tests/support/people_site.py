"""A school whose people decide: teachers, a delegate, an educator, and two who may override."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from configs.maintenance import MaintenancePlan
from tasks.answers import Decision
from tasks.records.codes import new_secret
from tasks.verbs.codes import Invitation, own_code
from tasks.verbs.context import Context
from tasks.verbs.decisions import Answer, decide, invite
from tests.support.gate_site import GateSite

PEOPLE: dict[str, dict[str, Any]] = {
    "a.ito": {"name": "Aiko Ito", "email": "a.ito@north.example", "delegates": ["m.okafor"]},
    "b.berg": {"name": "Bo Berg"},
    "m.okafor": {"name": "Mary Okafor"},
    "e.exam": {"name": "Eva Exam", "roles": ["teacher", "educator"]},
    "head": {"name": "Hanna Head", "email": "head@north.example", "roles": ["override"]},
    "deputy": {"name": "Dan Deputy", "roles": ["override"]},
}
#: A moment that all tests without a command line agree on.
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class PeopleSite(GateSite):
    """``GateSite`` with ``people.yaml`` and a key for codes."""

    def __init__(self, folder: Path, capture: Any, **host: Any) -> None:
        super().__init__(folder, capture, **host)
        self.key = folder / "code.key"
        self.key.write_text(new_secret())
        self.key.chmod(0o600)
        self.config["approval"] = {"code_key": f"file:{self.key}"}
        self.people = {key: dict(person) for key, person in PEOPLE.items()}
        self.write()

    def write(self) -> None:
        """Write configuration, inventory and people as they stand."""
        super().write()
        if hasattr(self, "people"):
            (self.folder / "people.yaml").write_text(yaml.safe_dump({"people": self.people}))

    def add_hosts(self, **hosts: dict[str, Any]) -> None:
        """Write more computers into the inventory."""
        path = self.folder / "inventory" / "more.yaml"
        known = {name: {"site": "north", "transport": "local", **entry} for name, entry in hosts.items()}
        hosts_file = self.folder / "inventory" / "hosts.yaml"
        hosts_file.write_text(hosts_file.read_text() + yaml.safe_dump(known))
        assert not path.exists()

    @property
    def ledger(self) -> Path:
        """Return the folder of the ledger's lines."""
        return self.folder / "repository" / "records" / "ledger" / "north"

    def lines(self) -> list[Path]:
        """Return the files of the ledger's lines, in their order."""
        return sorted(self.ledger.iterdir())


def plan_for(*hosts: str, **changes: Any) -> MaintenancePlan:
    """Return a plan for the week after ``NOW``, by hand."""
    return MaintenancePlan.model_validate(
        {
            "name": "summer",
            "kind": "reimage",
            "site": "north",
            "hosts": {"hosts": list(hosts) or ["lab3-07"]},
            "window": {"start": "2026-07-06 17:00", "end": "2026-07-10 06:00"},
            "deadline": "2026-07-05 12:00",
            "action": {"kind": "manual"},
            **changes,
        }
    )


def codes_of(context: Context, plan: MaintenancePlan | None, hosts: list[str], now: datetime = NOW) -> dict[str, str]:
    """Return the code of each person who is asked."""
    return {one.person: one.code for one in invite(context, plan, hosts, now=now)}


def own(context: Context, person: str, now: datetime = NOW) -> Invitation:
    """Return somebody's own code."""
    return own_code(context, "north", person, now=now)


def say(context: Context, code: str, decision: str, *, hours: float = 0, **more: Any) -> Answer:
    """Decide some hours after ``NOW``, and never wait."""
    return decide(
        context,
        code=code,
        decision=Decision(decision),
        now=NOW + timedelta(hours=hours),
        sleep=lambda seconds: None,
        **more,
    )
