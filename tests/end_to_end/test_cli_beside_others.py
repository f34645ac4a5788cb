"""Several at work in one repository: two of our runs, and the stock client, which may also forget and prune."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.command_run import CommandRun, host_result, json_lines
from tests.support.loopback_site import LoopbackSite
from tests.support.teacher_home import differences, fingerprint, make_home

pytestmark = [pytest.mark.ssh, pytest.mark.s3, pytest.mark.restic]


def test_three_at_once_lose_nothing(school: LoopbackSite, tmp_path: Path) -> None:
    homes = {name: tmp_path / name for name in ("left", "right", "stock")}
    for number, (name, home) in enumerate(homes.items()):
        make_home(home, seed=40 + number // 2, files=40, large_mib=4)  # two of them are alike, but for one file
        (home / "Desktop" / "whose.txt").write_text(name)
        school.add_host(name, "a.ito", home)
    with (
        CommandRun(school, "snapshot", "left") as left,
        CommandRun(school, "snapshot", "right") as right,
        subprocess.Popen(
            ["restic", "-o", "s3.bucket-lookup=path", "backup", "--quiet", "--host", "stock", str(homes["stock"])],
            env=school.restic_environment(),
        ) as stock,
    ):
        assert (left.wait(), right.wait(), stock.wait(60)) == (0, 0, 0)
    school.restic("check", "--read-data")
    for name, home in homes.items():
        before = fingerprint(home)
        shutil.rmtree(home)
        school.run("restore", name, "--yes")
        assert differences(before, fingerprint(home)) == [], name


def test_the_stock_client_keeps_the_snapshot_and_not_what_a_restore_kept_aside(
    school: LoopbackSite, tmp_path: Path
) -> None:
    home = tmp_path / "a.ito"
    make_home(home, files=20, large_mib=1)
    school.add_host("pruned", "a.ito", home)
    school.run("snapshot", "pruned")
    before = fingerprint(home)
    shutil.rmtree(home / "Documents")
    school.run("restore", "pruned", "--yes")
    school.restic("forget", "--host", "pruned", "--keep-last", "1", "--prune")
    shutil.rmtree(home)
    school.run("restore", "pruned", "--yes")
    assert differences(before, fingerprint(home)) == []
    # The next snapshot finds its parent, and reads nothing again.
    result = host_result(school.run("snapshot", "pruned", "--json").stdout)
    assert result["bytes_added"] < 100_000
    school.restic("check", "--read-data")
    # A computer is asked for by its name: that is its snapshot, whatever else was saved of it since.
    listed = json_lines(school.run("ls", "pruned", "-r", "--json").stdout)
    assert any(line["path"] == os.fspath(home / "Documents") for line in listed)


def test_two_that_carry_out_the_same_restore(school: LoopbackSite, tmp_path: Path) -> None:
    home = tmp_path / "a.ito"
    make_home(home, files=40, large_mib=4)
    school.add_host("twice", "a.ito", home)
    school.run("snapshot", "twice")
    before = fingerprint(home)
    shutil.rmtree(home)
    with (
        CommandRun(school, "restore", "twice", "--yes") as one,
        CommandRun(school, "restore", "twice", "--yes") as other,
    ):
        codes = sorted((one.wait(), other.wait()))
    assert codes in ([0, 0], [0, 1]), one.errors + other.errors
    assert differences(before, fingerprint(home)) == []
