"""A computer walked through a maintenance, on real parts: saved, cleared, wiped, back, restored, accepted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.events import Event
from tasks.verbs.maintenance import accept_return
from tests.support.maintenance_site import MaintenanceSite, collected

HOST = "lab3-07"
Make = Callable[..., MaintenanceSite]


@pytest.fixture
def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., MaintenanceSite]:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))

    def site(**options: Any) -> MaintenanceSite:
        made = MaintenanceSite(tmp_path / "school", capsys, **options)
        made.init("secret enough")
        return made

    return site


def test_the_whole_way(make: Make) -> None:
    site = make()
    before = site.files()
    site.open()
    events: list[Event] = []
    standing = site.walk(report=events.append)[HOST]
    assert standing.reasons == ()
    assert site.steps() == [
        "opened", "announced", "agreed", "woken", "saved", "verified", "refreshed", "cleared", "started", "done",
        "returned", "identified", "brought", "restored", "checked", "told",
    ]  # fmt: skip
    assert (standing.state, standing.step) == ("done", "told")
    assert site.files() == before
    (wiped,) = site.wiped
    cleared = next(one["detail"] for one in site.records() if one["step"] == "cleared")
    assert (wiped["clearance"], wiped["snapshot"]) == (cleared["clearance"], cleared["snapshot"])
    accept_return(site.context(), site.plan, HOST, by="Aiko Ito")
    standing = site.walk()[HOST]
    assert (standing.state, standing.step) == ("done", "accepted")
    assert len(site.wiped) == 1
    assert collected(events) == [
        "snapshot.completed", "clearance.issued", "host.returned", "restore.completed"
    ]  # fmt: skip
