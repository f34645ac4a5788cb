"""Killed at every step of a maintenance: nothing is wiped uncleared, no work overwritten, no computer forgotten."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.killed_walks import KilledWalks
from tests.support.maintenance_site import MaintenanceSite

HOST = "lab3-07"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> MaintenanceSite:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    # Who is killed leaves the file with the clearance behind.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    made = MaintenanceSite(tmp_path / "school", capsys)
    made.init("secret enough")
    return made


@pytest.fixture
def walks(site: MaintenanceSite) -> Iterator[KilledWalks]:
    found = KilledWalks(site.folder)
    yield found
    found.close()


def test_killed_once_at_every_step(site: MaintenanceSite, walks: KilledWalks) -> None:
    before = site.files()
    site.open()
    newer = site.home_of(HOST) / "Desktop" / "lesson 03.txt"
    worked = False
    codes = []
    for _ in range(120):
        codes.append(walks.walk("each"))
        started = [one["detail"]["clearance"] for one in site.records() if one["step"] == "started"]
        wiped = [one["clearance"] for one in site.wiped]
        # Each wipe has a clearance of its own that was written down as begun, and none was begun twice.
        assert set(wiped) <= set(started)
        assert len(set(started)) == len(started)
        assert len(wiped) <= 1
        if wiped and not worked and newer.exists():
            # It is there again, and what is written down says nothing of that yet: the teacher goes on with it.
            assert "brought" not in site.steps()
            newer.write_text("written after the restore began")
            worked = True
        if codes[-1] == 10:
            break
        if codes[-1] != -signal.SIGKILL:
            assert codes[-1] in (11, 12), codes
            site.later(minutes=50)
    places = walks.died.read_text().splitlines()
    assert codes[-1] == 10, (codes, site.steps())
    assert worked
    assert site.files() == {**before, "Desktop/lesson 03.txt": "written after the restore began"}
    assert site.steps().count("restored") == 1
    assert len(site.wiped) == 1
    expected = {"saved", "verified", "refreshed", "cleared", "started", "undone", "done", "returned", "identified"}
    expected |= {"brought", "restored", "checked", "told"}
    assert {f"{when} record {step}" for step in expected for when in ("before", "after")} <= set(places)
    assert {"before the wipe", "after the wipe", "amid the restore", "after restore", "after clear"} <= set(places)
    assert len(places) == len(set(places)) >= 42


def test_the_wipe_goes_on_although_its_worker_was_killed(site: MaintenanceSite, walks: KilledWalks) -> None:
    """The imager has begun, outlives its worker, and takes its time: nothing comes back before it has ended."""
    before = site.files()
    go = site.folder / "go"
    imager = site.folder / "imager.py"
    loop = "while not (folder / 'go').exists() and time.monotonic() < end:\n    time.sleep(0.02)"
    waiting = f"import time\nend = time.monotonic() + 120\n{loop}\nfor path in home.iterdir():"
    imager.write_text(
        imager.read_text().replace("for path in home.iterdir():", f"(folder / 'begun').touch()\n{waiting}")
    )
    site.open()
    worker = walks.begin("plain")
    wait_for((site.folder / "begun").exists)
    os.kill(worker, signal.SIGKILL)
    assert walks.ended() == -signal.SIGKILL
    # Nobody knows whether it has begun: nothing is begun again, and nothing brought back.
    assert site.walk()[HOST].state == "waits"
    assert site.steps()[-1] == "started"
    go.touch()
    wait_for(lambda: bool(site.wiped))
    assert site.walk()[HOST].state == "waits"
    assert site.files() == {}
    site.later(minutes=6)
    assert site.walk()[HOST].state == "done"
    assert site.files() == before
    assert site.steps().count("started") == 1


def wait_for(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
