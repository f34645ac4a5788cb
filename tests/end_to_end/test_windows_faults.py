"""A Windows computer on a bad day: connections cut, answers lost, a store that refuses, a service that is restarted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import windows_teacher
from tests.support.command_run import CommandRun, host_result, json_lines, wait_until
from tests.support.flaky_http import Faults, FlakyHttp
from tests.support.windows_computer import WindowsComputer, windows_computer
from tests.support.windows_site import WindowsSite
from tests.support.windows_teacher import differences, glance

pytestmark = [pytest.mark.wine, pytest.mark.s3]

MIB = 1024 * 1024


@pytest.fixture
def computer(windows_site: WindowsSite, tmp_path: Path) -> Iterator[WindowsComputer]:
    # A name of its own: the repository is shared, and a snapshot begins with what is known of a computer of that name.
    name = tmp_path.name.replace("_", "-")
    with windows_computer(name, tmp_path / "pc", windows_site) as computer:
        windows_teacher.fill(computer.prefix, files=120, large_mib=40)
        yield computer


@pytest.mark.restic
def test_a_bad_network_and_a_store_that_refuses(windows_site: WindowsSite, computer: WindowsComputer) -> None:
    before = glance(computer.prefix)
    spooled = windows_site.spooled()
    faults = computer.server.faults
    faults.drop_every, faults.lose_receives, faults.stale_seals = 3, 3, 2
    with FlakyHttp(windows_site.s3.endpoint_url, Faults(refuse_put=3, refuse_get=4, cut=7)) as flaky:
        with windows_site.other_spool(endpoint=flaky.url):
            result = computer.snapshot()
            assert result["state"] in ("complete", "complete-with-acknowledged-skips"), result
            assert result["files"] == sum(entry.type == "file" for entry in before.values())
            assert computer.server.carried["stdout"] < 2 * MIB
            windows_teacher.wipe(computer.prefix)
            faults.drop_every, faults.drop_when, faults.lose_receives = 2, "unanswered", 3
            told = computer.restore()
        assert flaky.count["refused"] >= 2
    assert faults.dropped >= 20
    assert faults.lose_receives == 0
    assert told["result"]["failed"] == 0
    assert differences(before, glance(computer.prefix)) == []
    windows_site.restic("check", "--read-data")
    assert windows_site.spooled() == spooled
    computer.expect_nothing_left()


def test_the_service_is_restarted_under_way(windows_site: WindowsSite, computer: WindowsComputer) -> None:
    """Its programs end with it, and all that they knew; what is stored or restored by then stays so."""
    before = glance(computer.prefix)
    spooled = windows_site.spooled()
    run = _restarted_under_way(windows_site, computer, "snapshot")
    result = host_result(run.output)
    assert result["state"] in ("complete", "complete-with-acknowledged-skips"), (result, run.errors)
    assert result["files"] == sum(entry.type == "file" for entry in before.values())
    assert len(computer.lines) == 2, "it was not cut under way"
    windows_teacher.wipe(computer.prefix)
    wiped = glance(computer.prefix)
    with CommandRun(windows_site, "restore", computer.name, "--yes", "--json") as run:
        wait_until(lambda: run.ended or len(files_of(computer)) >= 20, timeout=90, what="the first files")
        computer.server.restart()
        run.wait()
    assert len(computer.lines) == 4, "it was not cut under way"
    told = json_lines(run.output)[-1]
    assert told["type"] == "restore_result", (told, run.errors)
    assert told["result"]["failed"] == 0
    # Both parts are counted, and one undo takes both back.
    assert told["result"]["restored"] >= len(files_of(computer)) >= 120
    assert differences(before, glance(computer.prefix)) == []
    undone = json_lines(windows_site.run("undo", computer.name, told["undo_id"], "--yes", "--json").stdout)[-1]
    assert undone["result"]["removed"] >= 120
    assert differences(wiped, glance(computer.prefix)) == []
    assert windows_site.spooled() == spooled
    computer.expect_nothing_left()


def files_of(computer: WindowsComputer) -> list[str]:
    """Return the names of the teacher's files that a restore brings."""
    names = [name for _, _, files in os.walk(computer.home) for name in files]
    return [name for name in names if not name.startswith((".firstbell", "NTUSER"))]


def _restarted_under_way(site: WindowsSite, computer: WindowsComputer, verb: str, *more: str) -> CommandRun:
    """Run a command, and restart the service of the computer once there is something in the spool."""
    with CommandRun(site, verb, computer.name, *more, "--json") as run:
        wait_until(lambda: run.ended or bool(site.spooled()), timeout=90, what="the first segment in the spool")
        computer.server.restart()
        run.wait()
    return run
