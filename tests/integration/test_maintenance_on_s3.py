"""The records of a maintenance on S3: of several workers one writes the next step, and a whole walk goes its way."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.backends.registry import open_backend
from tasks.backends.s3_options import S3Options
from tasks.errors import TakenOver
from tasks.records.lease import take_lease
from tasks.records.maintenance_log import StepLog
from tasks.records.store import RecordStore
from tasks.repository.repository import Repository
from tests.support.maintenance_site import MaintenanceSite

pytestmark = pytest.mark.s3
HOST = "lab3-07"


def test_of_several_workers_one_writes_the_next_step(s3_location: str) -> None:
    backend = open_backend(s3_location, S3Options())
    stores = [RecordStore(backend) for _ in range(4)]
    logs = [StepLog(store, "lab3", HOST) for store in stores]
    logs[0].append("opened")
    for log in logs:
        log.refresh()

    def append(log: StepLog) -> bool:
        try:
            log.append("announced")
        except TakenOver:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(append, logs)) == [False, False, False, True]
        leases = list(pool.map(lambda store: take_lease(store, "maintenance-lease", HOST), stores))
    assert sum(lease is not None for lease in leases) == 1
    log = StepLog(stores[0], "lab3", HOST)
    log.refresh()
    assert ([step.step for step in log.steps], log.damage) == (["opened", "announced"], None)


def test_the_whole_way(
    s3_location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = MaintenanceSite(tmp_path / "school", capsys)
    site.config["repository"]["location"] = s3_location
    site.write()
    site.write_all()
    Repository.init(open_backend(s3_location, S3Options()), "secret enough", scrypt_n=2**4).close()
    before = site.files()
    site.open()
    assert site.walk()[HOST].state == "done"
    assert site.files() == before
    assert len(site.wiped) == 1
