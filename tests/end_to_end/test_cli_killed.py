"""Killed at any moment: nothing that cannot be restored, nothing left over, and the next run uses what was stored."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import pytest

from tasks.backends.registry import open_backend
from tests.support.command_run import CommandRun, host_result, left_over, wait_until
from tests.support.loopback_site import LoopbackSite
from tests.support.teacher_home import differences, fingerprint, make_home

pytestmark = [pytest.mark.ssh, pytest.mark.s3, pytest.mark.restic]

#: How often a run is killed, at moments spread over the time that it takes.
KILLS = 3


@pytest.fixture
def home(school: LoopbackSite, tmp_path: Path) -> Path:
    """A home of some 60 MiB on the computer ``pc``."""
    folder = tmp_path / "a.ito"
    make_home(folder, files=150, large_mib=40)
    change(folder, 1)
    school.add_host("pc", "a.ito", folder)
    return folder


def change(home: Path, seed: int) -> None:
    """Write 16 MiB anew."""
    (home / "Desktop" / "recording.mp4").write_bytes(random.Random(seed).randbytes(16 << 20))


def stored(school: LoopbackSite, monkeypatch: pytest.MonkeyPatch, kind: str) -> int:
    """Return how many files of a kind the repository has now."""
    for name, value in school.s3.environment().items():
        monkeypatch.setenv(name, value)
    backend = open_backend(school.location)
    try:
        return sum(1 for _ in backend.list(f"{kind}/"))
    finally:
        backend.close()


def nobody_is_signed_in(school: LoopbackSite) -> None:
    server = school.sshd
    assert server is not None
    wait_until(lambda: not server.sessions(), what="the end of all that ran on the host")


def killed_again_and_again(school: LoopbackSite, *arguments: str) -> int:
    """Kill a run at one moment after the other; return how often it had not ended by itself."""
    count = 0
    longest = 0.6
    for turn in range(KILLS):
        with CommandRun(school, *arguments) as run:
            began = time.monotonic()
            if run.kill_after(longest + turn * 0.25):
                count += 1
            else:
                longest = (time.monotonic() - began) * 0.3
        nobody_is_signed_in(school)
    return count


def test_snapshots_that_were_killed(school: LoopbackSite, home: Path) -> None:
    assert killed_again_and_again(school, "snapshot", "pc") >= 1
    school.run("snapshot", "pc")
    change(home, 2)
    assert killed_again_and_again(school, "snapshot", "pc") >= 1
    school.run("snapshot", "pc")
    # Every snapshot file that is there stands for something whole, and no lock of the dead is in the way.
    school.restic("check", "--read-data")
    before = fingerprint(home)
    shutil.rmtree(home)
    school.run("restore", "pc", "--yes")
    assert differences(before, fingerprint(home)) == []


def test_what_a_killed_snapshot_stored_is_used_again(
    school: LoopbackSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "b.lee"
    (home / "Desktop").mkdir(parents=True)
    rnd = random.Random(time.time_ns())
    for number in range(8):
        (home / "Desktop" / f"{number}.mp4").write_bytes(rnd.randbytes(32 << 20))
    school.add_host("pc-2", "b.lee", home)
    before = stored(school, monkeypatch, "index")
    with CommandRun(school, "snapshot", "pc-2") as run:
        wait_until(lambda: run.ended or stored(school, monkeypatch, "index") > before, what="a first index file")
        assert not run.ended, "it was done before it could be killed"
        run.kill()
    result = host_result(school.run("snapshot", "pc-2", "--json").stdout)
    assert result["bytes"] == 8 * (32 << 20)
    assert result["bytes_added"] < 0.97 * result["bytes"]
    school.restic("check")


def test_restores_that_were_killed(school: LoopbackSite, home: Path) -> None:
    school.run("snapshot", "pc")
    before = fingerprint(home)
    shutil.rmtree(home)
    assert killed_again_and_again(school, "restore", "pc", "--yes") >= 1
    school.run("restore", "pc", "--yes")
    assert differences(before, fingerprint(home)) == []
    assert left_over(home) == []
    school.restic("check")
    # Each part has kept a before-image, and the latest undo takes back all of them.
    school.run("undo", "pc", "--yes")
    assert not home.exists()


def test_a_session_that_is_cut(school: LoopbackSite, home: Path) -> None:
    server = school.sshd
    assert server is not None
    with CommandRun(school, "snapshot", "pc", "--json") as run:
        wait_until(lambda: bool(server.sessions()) or run.ended, what="a session")
        server.kill_sessions()
        code = run.wait()
    result = host_result(run.output)
    # Cut before the helper was there or afterwards: it failed and says so, or nothing was missed.
    assert (code, result["state"]) in ((1, "failed"), (3, "partial"), (0, "complete"))
    if code == 1:
        assert result["hint"]
    assert host_result(school.run("snapshot", "pc", "--json").stdout)["state"] != "failed"
    before = fingerprint(home)
    shutil.rmtree(home)
    with CommandRun(school, "restore", "pc", "--yes") as run:
        wait_until(lambda: bool(left_over(home)) or run.ended, what="a first temporary file")
        server.kill_sessions()
        run.wait()
    school.run("restore", "pc", "--yes")
    assert differences(before, fingerprint(home)) == []
    assert left_over(home) == []


def test_a_store_that_is_away_for_a_moment(school: LoopbackSite, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(home, 3)
    before = stored(school, monkeypatch, "locks")
    with CommandRun(school, "snapshot", "pc", "--json") as run:
        wait_until(lambda: stored(school, monkeypatch, "locks") > before or run.ended, what="its lock")
        school.s3.stop(grace=0)
        try:
            assert not run.ended
        finally:
            school.s3.start()
        assert run.wait() == 0, run.output + run.errors
    school.restic("check", "--read-data")
    result = host_result(run.output)
    assert result["state"] == "complete"
    assert len(json.loads(school.restic("snapshots", "--json", result["snapshot"]).stdout)) == 1
