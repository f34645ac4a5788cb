"""Proving a snapshot: against the host, and by reading it back."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tasks.backends.local import LocalBackend
from tasks.repository.repository import Repository
from tasks.restorer.plan import RestoreRequest, build_plan
from tasks.restorer.verify import read_back, verify
from tests.support.directory_sink import DirectorySink
from tests.support.snapshot_fixture import new_repository, save_snapshot

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number:02}.odt").write_bytes(os.urandom(3000 + number))
    return folder


def test_spot_finds_what_differs_and_how(home: Path) -> None:
    repository = new_repository()
    snapshot = save_snapshot(repository, [home], piece=1000)
    assert verify(repository, DirectorySink(), snapshot).good

    (home / "03.odt").unlink()
    (home / "04.odt").write_bytes(b"changed")
    times = (home / "05.odt").stat().st_mtime_ns
    (home / "05.odt").write_bytes(os.urandom(3005))
    os.utime(home / "05.odt", ns=(times, times))
    (home / "06.odt").unlink()
    (home / "06.odt").mkdir()
    result = verify(repository, DirectorySink(), snapshot)
    assert {(os.path.basename(one.path), one.kind) for one in result.mismatches} == {
        (b"03.odt", "missing"),
        (b"04.odt", "changed"),
        (b"05.odt", "different"),
        (b"06.odt", "missing"),
    }
    assert (result.checked, result.total, result.good) == (40, 40, False)
    repository.close()


def test_a_sample_is_repeatable_and_known_hashes_are_believed(home: Path) -> None:
    repository = new_repository()
    snapshot = save_snapshot(repository, [home], piece=1000)
    assert verify(repository, DirectorySink(), snapshot, 5).checked == 5
    assert verify(repository, DirectorySink(), snapshot, 0.26).checked == 11
    assert verify(repository, DirectorySink(), snapshot, 100).checked == 40
    known = {os.fsencode(path): bytes(32) for path in home.iterdir()}
    seen = [
        [one.path for one in verify(repository, DirectorySink(), snapshot, 5, seed=seed, known_hashes=known).mismatches]
        for seed in (1, 1, 2)
    ]
    assert len(seen[0]) == 5
    assert seen[0] == seen[1] != seen[2]
    with pytest.raises(ValueError):
        verify(repository, DirectorySink(), snapshot, -1)
    # Nothing looked at is not good.
    assert not verify(repository, DirectorySink(), snapshot, 0).good
    repository.close()


def test_a_plan_is_verified_where_it_was_restored_to(home: Path, tmp_path: Path) -> None:
    repository = new_repository()
    snapshot = save_snapshot(repository, [home])
    target = {os.fsencode(home): os.fsencode(tmp_path / "other")}
    plan = build_plan(repository, DirectorySink(), RestoreRequest(snapshot, mode="apply", target=target), now=NOW)
    result = verify(repository, DirectorySink(), plan)
    assert {one.kind for one in result.mismatches} == {"missing"}
    os.rename(home, tmp_path / "other")
    assert verify(repository, DirectorySink(), plan).good
    repository.close()


def test_read_back_finds_damage_by_file(home: Path, tmp_path: Path) -> None:
    repository = Repository.init(LocalBackend(tmp_path / "repository"), "first bell", scrypt_n=2**4)
    snapshot = save_snapshot(repository, [home], piece=1000)
    result = read_back(repository, snapshot)
    assert result.good
    assert result.bytes == sum(path.stat().st_size for path in home.iterdir())
    known = {os.fsencode(home / "08.odt"): bytes(32)}
    assert [one.path for one in read_back(repository, snapshot, known_hashes=known).mismatches] == list(known)

    plan = build_plan(repository, DirectorySink(), RestoreRequest(snapshot), now=NOW)
    node = next(item.node for item in plan.items if item.path.endswith(b"07.odt"))
    assert node.content is not None
    place = repository.blob_place(node.content[1])
    assert place is not None
    name = place.pack.hex()
    pack = tmp_path / "repository" / "data" / name[:2] / name
    pack.chmod(0o600)
    with pack.open("r+b") as file:
        file.seek(place.blob.offset + 20)
        file.write(b"rot")
    result = read_back(repository, snapshot)
    assert [(os.path.basename(one.path), one.kind) for one in result.mismatches] == [(b"07.odt", "damaged")]
    assert not read_back(repository, snapshot, 40).good
    repository.close()
