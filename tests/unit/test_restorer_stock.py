"""Snapshots that the stock client made, restored by us: every byte, mode, time and link."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.backends.local import LocalBackend
from tasks.repository.opened import opened
from tasks.restorer.plan import RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.verify import read_back, verify
from tests.support.directory_sink import DirectorySink
from tests.support.teacher_home import differences, fingerprint, make_home

pytestmark = pytest.mark.restic
PASSWORD = "first bell"


def restic(repository: Path, *argv: str, cwd: Path) -> None:
    environment = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(cwd / "cache")}
    command = ["restic", "--repo", str(repository), "--quiet", *argv]
    subprocess.run(command, check=True, cwd=cwd, env=environment, timeout=120, stdout=subprocess.PIPE)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_home_saved_by_the_stock_client_comes_back(version: str, tmp_path: Path) -> None:
    home = tmp_path / "home" / "a.ito"
    make_home(home, files=60, large_mib=6)
    os.mkfifo(home / "Desktop" / "fifo")
    before = fingerprint(home)
    store = tmp_path / "repository"
    restic(store, "init", "--repository-version", version, cwd=tmp_path)
    restic(store, "backup", str(home), cwd=tmp_path)
    shutil.rmtree(home)
    with opened(LocalBackend(store), PASSWORD) as repository:
        snapshot = repository.find_snapshot("latest")
        assert read_back(repository, snapshot).good
        sink = DirectorySink()
        plan = build_plan(repository, sink, RestoreRequest(snapshot, mode="apply"), now=datetime.now(UTC))
        result = Restorer(repository, sink).apply(plan)
        assert result.complete, result.problems
        assert differences(before, fingerprint(home)) == []
        assert verify(repository, sink, snapshot).good
        again = build_plan(repository, sink, RestoreRequest(snapshot, mode="apply"), now=datetime.now(UTC))
        assert set(again.counts) == {"same"}, [item for item in again.items if item.action != "same"]


def test_a_relative_path_saved_by_the_stock_client_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "deep" / "a.txt").write_text("a")
    store = tmp_path / "repository"
    restic(store, "init", cwd=tmp_path)
    restic(store, "backup", "work", cwd=tmp_path)
    with opened(LocalBackend(store), PASSWORD) as repository:
        snapshot = repository.find_snapshot("latest")
        target = {b"/work": os.fsencode(tmp_path / "out")}
        request = RestoreRequest(snapshot, mode="apply", target=target, include=("deep/*.txt",))
        plan = build_plan(repository, DirectorySink(), request, now=datetime.now(UTC))
        assert Restorer(repository, DirectorySink()).apply(plan).complete
    assert (tmp_path / "out" / "deep" / "a.txt").read_text() == "a"
