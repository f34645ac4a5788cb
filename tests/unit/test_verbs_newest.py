"""The newest snapshot of a host, found without reading those of others again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Tree
from tasks.verbs.newest import newest_snapshot, snapshots_of_hosts
from tests.support.snapshot_fixture import new_repository

NOW = datetime(2026, 8, 24, 17, 30, tzinfo=UTC)


@pytest.fixture
def repository() -> Iterator[Repository]:
    made = new_repository()
    yield made
    made.close()


def save(repository: Repository, host: str, hours: int, *tags: str) -> Snapshot:
    tree = repository.save_tree(Tree([])).id
    repository.flush()
    return repository.save_snapshot(
        Snapshot(NOW - timedelta(hours=hours), tree, ("/home/a",), host, tags=tags or ("firstbell",))
    )


def test_only_ours_count_and_no_before_image(repository: Repository) -> None:
    good = save(repository, "lab3-07", 5)
    save(repository, "lab3-07", 1, "firstbell", "before-restore")
    save(repository, "lab3-07", 2, "by-hand")
    save(repository, "lab3-08", 3)
    assert newest_snapshot(repository.snapshots(), "lab3-07") == good
    assert newest_snapshot(repository.snapshots(), "lab3-09") is None


def test_those_of_other_hosts_are_read_once(repository: Repository, tmp_path: Path) -> None:
    own = [save(repository, "lab3-07", hours) for hours in (3, 2)]
    others = [save(repository, "lab3-08", hours) for hours in range(20)]
    first = snapshots_of_hosts(repository, {"lab3-07"}, tmp_path)
    assert {one.id for one in first} == {one.id for one in own + others}
    again = snapshots_of_hosts(repository, {"lab3-07"}, tmp_path)
    assert {one.id for one in again} == {one.id for one in own}
    # What is new is seen at once, what is gone is not.
    newer = save(repository, "lab3-07", 0)
    repository.backend.remove(f"snapshots/{(own[0].id or b'').hex()}")
    found = snapshots_of_hosts(repository, {"lab3-07"}, tmp_path)
    assert {one.id for one in found} == {own[1].id, newer.id}
    (path,) = tmp_path.rglob("*.json")
    assert len(json.loads(path.read_text())) == 22


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff", None])
def test_what_is_not_to_be_used_costs_time_only(repository: Repository, tmp_path: Path, content: bytes | None) -> None:
    own = save(repository, "lab3-07", 3)
    folder = tmp_path / repository.config.id
    if content is None:
        folder.write_text("a file where the folder should be")
    else:
        folder.mkdir()
        (folder / "snapshot-hosts.json").write_bytes(content)
    for _ in range(2):
        assert snapshots_of_hosts(repository, {"lab3-07"}, tmp_path) == [own]
