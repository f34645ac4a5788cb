"""Killed at every step of a maintenance: nothing is wiped uncleared, no work overwritten, no computer forgotten."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tasks.events import Event, FileRestored
from tasks.records.maintenance_log import Step, StepLog
from tasks.verbs.maintenance_hands import Hands
from tests.support.maintenance_site import MaintenanceSite

HOST = "lab3-07"
Die = Callable[[str], None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> MaintenanceSite:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    made = MaintenanceSite(tmp_path / "school", capsys)
    made.init("secret enough")
    return made


def deadly(hands: Hands, die: Die) -> Hands:
    """Return hands that die after each thing they do; before it is after the record before it."""

    def wrapped(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def doing(*arguments: Any) -> Any:
            found = do(*arguments)
            if name == "action":
                return _Deadly(found, die)
            die(f"after {name}")
            return found

        return doing

    return replace(hands, **{one.name: wrapped(one.name, getattr(hands, one.name)) for one in fields(hands)})


class _Deadly:
    def __init__(self, action: Any, die: Die) -> None:
        self._action = action
        self._die = die

    def start(self, order: Any) -> Any:
        self._die("before the wipe")
        result = self._action.start(order)
        self._die("after the wipe")
        return result


def killed_once_at_each(site: MaintenanceSite, died: Path) -> int:
    """Walk in a process of its own, which is killed where none was killed before; return its exit code."""
    known = set(died.read_text().splitlines()) if died.exists() else set()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 70
    try:

        def die(where: str) -> None:
            if where not in known:
                with died.open("a") as file:
                    file.write(where + "\n")
                os.kill(os.getpid(), signal.SIGKILL)

        append = StepLog.append

        def dying(self: StepLog, step: str, detail: Mapping[str, Any] | None = None) -> Step:
            die(f"before record {step}")
            found = append(self, step, detail)
            die(f"after record {step}")
            return found

        StepLog.append = dying  # type: ignore[method-assign]

        def report(event: Event) -> None:
            if isinstance(event, FileRestored):
                die("amid the restore")

        standing = site.walk(deadly(site.hands(), die), report=report)[HOST]
        code = 10 if standing.state == "done" else 11 if standing.state == "waits" else 12
    finally:
        os._exit(code)


def test_killed_once_at_every_step(site: MaintenanceSite, tmp_path: Path) -> None:
    before = site.files()
    site.open()
    died = tmp_path / "died"
    newer = site.home_of(HOST) / "Desktop" / "lesson 03.txt"
    worked = False
    codes = []
    for _ in range(120):
        codes.append(killed_once_at_each(site, died))
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
    places = died.read_text().splitlines()
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


def test_the_wipe_goes_on_although_its_worker_was_killed(site: MaintenanceSite) -> None:
    """The imager has begun, outlives its worker, and takes its time: nothing comes back before it has ended."""
    before = site.files()
    go = site.folder / "go"
    imager = site.folder / "imager.py"
    waiting = "import os, time\nwhile not (folder / 'go').exists():\n    time.sleep(0.02)\nfor path in home.iterdir():"
    imager.write_text(
        imager.read_text().replace("for path in home.iterdir():", f"(folder / 'begun').touch()\n{waiting}")
    )
    site.open()
    child = os.fork()
    if not child:
        try:
            site.walk()
        finally:
            os._exit(0)
    wait_for((site.folder / "begun").exists)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
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
    deadline = time.monotonic() + 30
    while not there():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
