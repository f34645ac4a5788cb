"""A school with several computers, people and a maintenance plan: enough to plan with, and quick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from tests.support.gate_site import GateSite

ZONE = ZoneInfo("Europe/Berlin")


class PlanSite(GateSite):
    """``lab3-07`` and more computers of the room ``lab-3``, their teachers in ``people.yaml``, and a plan."""

    def __init__(self, folder: Path, capture: Any, *, hosts: tuple[str, ...] = ("lab3-07", "lab3-08")) -> None:
        self.names = hosts
        self.people: dict[str, Any] = {
            "a.ito": {"name": "Aiko Ito", "sites": ["north"]},
            "it-desk": {"name": "IT desk", "roles": ["it"]},
        }
        super().__init__(folder, capture, groups=["lab-3"])
        self.config["clearance"] = {"signing_key": "env:FIRSTBELL_CLEARANCE_KEY"}
        self.config["approval"] = {"code_key": "env:FIRSTBELL_CODE_KEY"}
        self.hosts: dict[str, dict[str, Any]] = {name: dict(self.host) for name in hosts}
        self.write_all()

    def write_all(self) -> None:
        """Write configuration, inventory and people as they stand."""
        self.write()
        (self.folder / "inventory" / "hosts.yaml").write_text(yaml.safe_dump(self.hosts))
        groups: dict[str, Any] = {name: {} for host in self.hosts.values() for name in host.get("groups", ())}
        (self.folder / "inventory" / "groups.yaml").write_text(yaml.safe_dump(groups))
        (self.folder / "people.yaml").write_text(yaml.safe_dump({"people": self.people}))

    def write_plan(self, name: str = "lab3", **changes: Any) -> dict[str, Any]:
        """Write a plan that begins in an hour and lasts ten, unless ``changes`` say so, and return it."""
        start, end = clock_of(1), clock_of(11)
        content = {
            "name": name,
            "kind": "reimage",
            "site": "north",
            "hosts": {"groups": ["lab-3"]},
            "window": {"start": start, "end": end},
            "action": {"kind": "manual"},
            "action_minutes": 30,
            **changes,
        }
        path = self.folder / "maintenance" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(content))
        return content

    def write_open_plan(self, name: str = "lab3", **changes: Any) -> dict[str, Any]:
        """Write a plan whose window is open, and to which people can agree still."""
        window = {"start": clock_of(-1), "end": clock_of(10)}
        return self.write_plan(name, window=window, deadline=clock_of(1), **changes)


def clock_of(hours: float) -> str:
    """Return what the clock of the school shows in some hours, as a plan has it.

    Added to that clock instead, they could end in the hour that is skipped in spring; and where it shows an hour for
    the second time in autumn, a plan means the first.
    """
    when = (datetime.now(UTC) + timedelta(hours=hours)).astimezone(ZONE)
    if when.fold and hours > 0:
        when += timedelta(hours=1)
    return f"{when:%Y-%m-%d %H:%M}"
