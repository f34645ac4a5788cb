"""Shadow copies: asked for, and what was read in use instead is counted and in the manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.archiver.manifest import read_manifest
from tasks.entries import Directory, FileEnd, Piece, Skipped, WalkRequest
from tasks.errors import ProtocolError
from tasks.events import Event, Warned
from tasks.remote.frames import Frame
from tasks.remote.remote_source import RemoteSource
from tasks.remote.rows import NameTable
from tasks.remote.session import Session
from tests.support.memory_source import DirectorySource
from tests.support.snapshot_fixture import new_repository

NOW = datetime(2026, 11, 25, tzinfo=UTC)


class HalfShadowed(DirectorySource):
    """A source that says of one file that it was read in use, and keeps what it was asked."""

    asked: list[WalkRequest]

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        self.asked = [request]
        return super().entries(request)

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        for item in super().read(paths):
            live = isinstance(item, FileEnd) and item.path.endswith(b"open.pst")
            yield replace(item, live=True) if live and isinstance(item, FileEnd) else item


def test_what_was_read_in_use_is_counted_and_in_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "open.pst").write_bytes(b"mail")
    (tmp_path / "closed.txt").write_bytes(b"text")
    repository = new_repository()
    source = HalfShadowed()
    plan = CapturePlan("pc", "pc", (bytes(tmp_path),), (), shadow=True)
    result = Archiver(repository, source).snapshot(plan, parent=None, now=NOW)
    assert source.asked[0].shadow
    assert (result.files, result.files_live) == (2, 1)
    assert result.snapshot is not None
    entries = {entry.path.rpartition(b"/")[2]: entry for entry in read_manifest(repository, result.snapshot)}
    assert (entries[b"open.pst"].live, entries[b"closed.txt"].live) == (True, False)
    assert entries[b"open.pst"].sha256 is not None
    # The next run finds it unchanged, with its hash from the manifest.
    again = Archiver(repository, HalfShadowed()).snapshot(plan, parent=result.snapshot, now=NOW)
    assert again.files_live == 0
    repository.close()


def test_a_warning_about_an_empty_desktop_names_no_folder(tmp_path: Path) -> None:
    desktop = tmp_path / "Desktop"
    desktop.mkdir()
    (desktop / "secret plan.txt").write_bytes(b"x")

    def refuse(path: bytes) -> None:
        if path.endswith(b"plan.txt"):
            raise PermissionError(13, "no")

    events: list[Event] = []
    repository = new_repository()
    plan = CapturePlan("pc", "pc", (bytes(tmp_path),), (), must_exist=(bytes(desktop),))
    Archiver(repository, DirectorySource(on_open=refuse), events.append).snapshot(plan, parent=None, now=NOW)
    (warning,) = [event.message for event in events if isinstance(event, Warned)]
    assert warning == "a Desktop is not empty, and nothing in it could be saved"
    repository.close()


class Scripted:
    """A channel on which the answer to one list is written down."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.sent: list[Frame] = []
        self._frames = list(frames)

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    def send_all(self, frames: Sequence[Frame]) -> None:
        self.sent += frames

    def receive(self) -> Frame:
        return self._frames.pop(0)

    def close(self) -> None:
        self._frames.clear()


def listed(document: object) -> tuple[RemoteSource, list[Directory | Skipped]]:
    folder = json.dumps({"path": "/", "rows": [], "last": True}).encode()
    frames = [
        Frame({"t": "item", "id": 1, "seq": 0}, json.dumps(document).encode()),
        Frame({"t": "entry", "id": 1, "seq": 1}, folder),
        Frame({"t": "done", "id": 1, "seq": 2}),
    ]
    session = Session(Scripted(frames))  # type: ignore[arg-type]
    source = RemoteSource(session, NameTable())
    try:
        return source, list(source.entries(WalkRequest((b"/C/Users",), shadow=True)))
    finally:
        session.close()


def test_the_host_tells_which_shadow_copies_it_made() -> None:
    source, found = listed({"shadow": {"C": "made", "D": "the account may not make one"}})
    assert source.shadow_copies == {"C": "made", "D": "the account may not make one"}
    assert [type(one) for one in found] == [Directory]


def test_a_host_that_tells_it_otherwise_is_not_believed() -> None:
    with pytest.raises(ProtocolError):
        listed({"shadow": ["C"]})
