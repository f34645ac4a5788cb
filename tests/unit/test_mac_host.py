"""What macOS hides is not taken for empty. No Mac is at hand here: the helper's answers are scripted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.backends.memory import MemoryBackend
from tasks.errors import HelperFailed
from tasks.policy.snapshot_state import SnapshotState
from tasks.remote.filesystem import RemoteHost
from tasks.repository.repository import Repository
from tasks.verbs.mac_host import veiled_folders
from tasks.verbs.people import Person
from tests.support.memory_source import DirectorySource


@dataclass
class Mac:
    """A helper that answers as told; it satisfies as much of RemoteHost as is asked for."""

    answer: Mapping[str, Any] | HelperFailed

    def settings(self) -> Mac:
        return self

    def read_settings(self, user: str, home: str, operations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        assert [one["op"] for one in operations] == ["identity"]
        if isinstance(self.answer, HelperFailed):
            raise self.answer
        return [self.answer]


@pytest.fixture
def repository() -> Iterator[Repository]:
    opened = Repository.init(MemoryBackend(), "secret", scrypt_n=2**4)
    opened.load_index()
    with opened.lock():
        yield opened
    opened.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"ok": True, "full_disk_access": True}, ""),
        # Neither of the files that only it opens is there: whoever is told that may look.
        ({"ok": True, "full_disk_access": None}, ""),
        ({"ok": True, "full_disk_access": False}, "macOS does not let us look into protected folders of a.ito"),
        ({"ok": False, "detail": "the home is closed"}, "it cannot be told whether macOS hides files of a.ito"),
        (HelperFailed("this account may not act as a.ito"), "it cannot be told whether macOS hides files of a.ito"),
    ],
)
@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
def test_an_empty_desktop_without_full_disk_access_is_never_complete(
    repository: Repository, tmp_path: Path, answer: Any, told: str, *, full: bool
) -> None:
    for name in ("Desktop", "Documents", "Pictures"):
        (tmp_path / name).mkdir()
    (tmp_path / "Pictures" / "sea.jpg").write_text("sea")
    if full:
        (tmp_path / "Desktop" / "lesson").mkdir()
        (tmp_path / "Desktop" / "lesson" / "plan.txt").write_text("plan")
        (tmp_path / "Documents" / "marks.txt").write_text("marks")
    home = os.fsencode(tmp_path)
    notes: list[str] = []
    veiled = veiled_folders(cast("RemoteHost", Mac(answer)), [Person("a.ito", home)], notes)
    assert [note for note in notes if told and told in note and "Full Disk Access" in note] == notes
    assert bool(notes) == bool(told)

    plan = CapturePlan("mac-1", "mac-1", (home,), (), must_exist=(home + b"/Desktop",), veiled=veiled)
    result = Archiver(repository, DirectorySource()).snapshot(plan, parent=None, now=datetime.now(UTC))
    # Downloads is not there at all, which says nothing.
    assert result.state is (SnapshotState.PARTIAL if told and not full else SnapshotState.COMPLETE)
