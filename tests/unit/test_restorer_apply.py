"""Restoring real files from a repository in memory to a real directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tasks.backends.memory import MemoryBackend
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.plan import RestorePlan, RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tests.support.directory_sink import DirectorySink
from tests.support.snapshot_fixture import save_snapshot
from tests.support.teacher_home import differences, fingerprint, make_home

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.fixture
def repository() -> Iterator[Repository]:
    opened = Repository.init(MemoryBackend(), "first bell", scrypt_n=2**4)
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "a.ito"
    make_home(folder, files=60, large_mib=3)
    return folder


def plan_of(repository: Repository, snapshot: Snapshot, **more: object) -> RestorePlan:
    request = RestoreRequest(snapshot, **{"mode": "apply", **more})  # type: ignore[arg-type]
    return build_plan(repository, DirectorySink(), request, now=NOW)


def test_a_wiped_home_comes_back_just_as_it_was(repository: Repository, home: Path) -> None:
    before = fingerprint(home)
    snapshot = save_snapshot(repository, [home])
    shutil.rmtree(home)

    plan = plan_of(repository, snapshot)
    result = Restorer(repository, DirectorySink()).apply(plan)

    assert differences(before, fingerprint(home)) == []
    assert result.complete, result.problems
    assert result.restored == sum(1 for entry in before.values() if entry.type != "dir")
    assert os.stat(home / "Documents" / "sparse.img").st_blocks * 512 < 6 << 20
