"""The archiver and the stock client on the same repository."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.archiver.parent import select_parent
from tasks.backends.registry import open_backend
from tasks.policy.snapshot_state import SnapshotState
from tasks.repository.repository import Repository
from tests.support.memory_source import DirectorySource
from tests.support.plain_folder import describe, make_folder
from tests.support.stock_restic import PASSWORD, StockRestic

pytestmark = pytest.mark.restic


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home" / "a.ito"
    make_folder(home, target_utf8_only=True)
    (home / "fifo").unlink()  # left out by rule
    return home


@pytest.fixture
def location(tmp_path: Path) -> str:
    return str(tmp_path / "repository")


def open_(location: str) -> Repository:
    repository = Repository.open(open_backend(location), PASSWORD)
    repository.load_index()
    return repository


def plan_of(home: Path) -> CapturePlan:
    return CapturePlan("lab3-07", "lab3-07", (os.fsencode(home),), (), documents={"facts.json": b"{}\n"})


def test_the_stock_client_restores_our_snapshot(home: Path, location: str, tmp_path: Path) -> None:
    repository = Repository.init(open_backend(location), PASSWORD, scrypt_n=1024)
    result = Archiver(repository, DirectorySource()).snapshot(plan_of(home), parent=None, now=datetime.now(UTC))
    assert result.state is SnapshotState.COMPLETE
    repository.close()
    stock = StockRestic(location, tmp_path)

    stock.check()
    stock.run("restore", "latest", "--target", str(tmp_path / "restored"))

    assert describe(tmp_path / "restored" / home.relative_to("/")) == describe(home)
    assert (tmp_path / "restored" / ".firstbell" / "facts.json").read_bytes() == b"{}\n"
    assert b'"path":' in stock.run("dump", "latest", "/.firstbell/manifest.jsonl")


def test_a_snapshot_of_the_stock_client_is_a_parent(home: Path, location: str, tmp_path: Path) -> None:
    Repository.init(open_backend(location), PASSWORD, scrypt_n=1024).close()
    StockRestic(location, tmp_path).run("backup", "--host", "lab3-07", str(home))
    repository = open_(location)
    parent = select_parent(repository.snapshots(), "lab3-07", (str(home),))
    assert parent is not None
    source = DirectorySource()

    result = Archiver(repository, source).snapshot(plan_of(home), parent=parent, now=datetime.now(UTC))

    assert source.read_paths == []
    assert result.files == result.files_unchanged > 30
    repository.close()
    StockRestic(location, tmp_path).check()


def test_we_go_on_after_forget_and_prune(home: Path, location: str, tmp_path: Path) -> None:
    repository = Repository.init(open_backend(location), PASSWORD, scrypt_n=1024)
    first = Archiver(repository, DirectorySource()).snapshot(plan_of(home), parent=None, now=datetime.now(UTC))
    repository.close()
    (home / "large").unlink()
    repository = open_(location)
    second = Archiver(repository, DirectorySource()).snapshot(
        plan_of(home), parent=first.snapshot, now=datetime.now(UTC)
    )
    repository.close()
    stock = StockRestic(location, tmp_path)
    assert first.snapshot is not None
    assert first.snapshot.id is not None
    stock.run("forget", "--prune", first.snapshot.id.hex())
    (home / "new").write_bytes(os.urandom(600_000))

    repository = open_(location)
    third = Archiver(repository, DirectorySource()).snapshot(
        plan_of(home), parent=second.snapshot, now=datetime.now(UTC)
    )

    assert third.files_unchanged == third.files - 1
    repository.close()
    stock.check()
    stock.run("restore", "latest", "--target", str(tmp_path / "restored"))
    assert describe(tmp_path / "restored" / home.relative_to("/")) == describe(home)
