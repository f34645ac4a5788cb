"""Snapshot, wipe, restore and undo of a Windows profile through the real helper, under Wine."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.archiver.archiver import Archiver, CapturePlan
from tasks.archiver.manifest import read_manifest
from tasks.backends.local import LocalBackend
from tasks.errors import TransportError
from tasks.remote.filesystem import RemoteHost
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer import file_writer
from tasks.restorer.plan import RestorePlan, RestoreRequest, build_plan
from tasks.restorer.restorer import Restorer
from tasks.restorer.undo import BEFORE_RESTORE, UNDO_DOCUMENT, apply_undo, needs_before_image, undo_document
from tasks.restorer.verify import verify
from tests.support.windows_helper import windows_host
from tests.support.wine import WinePrefix

pytestmark = pytest.mark.wine

#: Where Wine keeps attributes that this computer's files do not have: hidden and system.
_DOSATTRIB = "user.DOSATTRIB"
LONG = "a folder with quite a long name, as teachers like them, and then some more words"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    opened = Repository.init(LocalBackend(tmp_path / "repository"), "first bell", scrypt_n=2**4)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def host(windows: WinePrefix) -> Iterator[RemoteHost]:
    with windows_host(windows) as host:
        yield host


@pytest.fixture
def home(windows: WinePrefix, request: pytest.FixtureRequest) -> Path:
    folder = windows.drive / "users" / request.node.name[-40:]
    make_profile(folder)
    return folder


def make_profile(home: Path) -> None:
    """Make a small profile with what Windows and Wine can hold together."""
    files = {
        "Desktop/desktop.ini": b"[.ShellClassInfo]\r\n",
        "Desktop/Stundenplan für Öl & Wasser.docx": os.urandom(30_000),
        "Desktop/leer.txt": b"",
        "Documents/ends with a dot.": b"dot",
        "Documents/ends with a blank ": b"blank",
        "Documents/nul": b"a reserved name",
        "Documents/\U0001f392.txt": b"outside the first plane",
        "Documents/sparse.bin": b"x" + bytes(2 * 1024 * 1024) + b"y",
        "Documents/" + "/".join([LONG] * 4) + "/deep.txt": b"deep",
        "Documents/locked.pdf": os.urandom(5000),
    }
    files |= {f"Pictures/{number:03}.jpg": os.urandom(2000) for number in range(120)}
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(1, 1_600_000_000_000_000_000 + len(name) * 12_345_600))
    (home / "Music" / "empty folder").mkdir(parents=True)
    (home / "Documents" / "locked.pdf").chmod(0o444)
    os.setxattr(home / "Desktop" / "desktop.ini", _DOSATTRIB, b"0x26")
    os.setxattr(home / "Music", _DOSATTRIB, b"0x12")
    for folder, _, _ in os.walk(home, topdown=False):
        os.utime(folder, ns=(1, 1_500_000_000_123_456_700))


def seen(home: Path) -> dict[str, tuple[object, ...]]:
    """Return what is in a profile: content, time, whether it is read-only, hidden or system, by path."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(home):
        for name in [*folders, *files]:
            path = Path(folder, name)
            entry = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if name in files else ""
            marks = int(os.getxattr(path, _DOSATTRIB), 16) & 6 if _DOSATTRIB in os.listxattr(path) else 0
            read_only = name in files and not entry.st_mode & 0o222
            found[str(path.relative_to(home))] = (content, entry.st_mtime_ns, read_only, marks)
    return found


def root_of(windows: WinePrefix, home: Path) -> bytes:
    return b"/C/" + os.fsencode(home.relative_to(windows.drive))


def save(repository: Repository, host: RemoteHost, root: bytes, plan: RestorePlan | None = None) -> Snapshot:
    """Save a profile; with ``plan``, the before-image of that."""
    capture = CapturePlan("lab3-07", "lab3-07", (root,), ())
    if plan is not None:
        capture = replace(
            capture,
            roots=plan.roots,
            only=needs_before_image(plan),
            tags=(BEFORE_RESTORE,),
            documents={UNDO_DOCUMENT: undo_document(plan, host="lab3-07").encode()},
        )
    result = Archiver(repository, host.source()).snapshot(capture, parent=None, now=datetime.now(UTC))
    assert result.snapshot is not None
    assert result.skips == ()
    return result.snapshot


def plan_of(repository: Repository, host: RemoteHost, snapshot: Snapshot) -> RestorePlan:
    known = {entry.path: entry.sha256 for entry in read_manifest(repository, snapshot) if entry.sha256}
    request = RestoreRequest(snapshot, mode="apply")
    return build_plan(repository, host.sink(), request, now=datetime.now(UTC), known_hashes=known)


def test_a_wiped_profile_comes_back_just_as_it_was(
    windows: WinePrefix, host: RemoteHost, repository: Repository, home: Path
) -> None:
    before = seen(home)
    snapshot = save(repository, host, root_of(windows, home))
    shutil.rmtree(home)
    result = Restorer(repository, host.sink()).apply(plan_of(repository, host, snapshot))
    assert result.complete, result.problems
    assert seen(home) == before
    assert result.problems == ()
    assert verify(repository, host.sink(), snapshot).good
    again = plan_of(repository, host, snapshot)
    assert set(again.counts) == {"same"}, [item for item in again.items if item.action != "same"]


def test_a_restore_is_undone(windows: WinePrefix, host: RemoteHost, repository: Repository, home: Path) -> None:
    snapshot = save(repository, host, root_of(windows, home))
    shutil.rmtree(home / "Pictures")
    older = home / "Documents" / "locked.pdf"
    older.chmod(0o644)
    older.write_bytes(b"an older version")
    os.utime(older, ns=(1, 1_000_000_000))
    older.chmod(0o444)
    messy = seen(home)
    plan = plan_of(repository, host, snapshot)
    before_image = save(repository, host, root_of(windows, home), plan)
    assert Restorer(repository, host.sink()).apply(plan).complete
    assert seen(home).keys() > messy.keys()
    assert older.read_bytes() != b"an older version"
    undone = apply_undo(repository, host.sink(), before_image)
    assert undone.complete, undone.problems
    assert {path: what[0] for path, what in seen(home).items()} == {path: what[0] for path, what in messy.items()}


def test_a_helper_that_is_killed_leaves_no_half_file(
    windows: WinePrefix, host: RemoteHost, repository: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(home)
    snapshot = save(repository, host, root_of(windows, home))
    shutil.rmtree(home)
    monkeypatch.setattr(file_writer, "BATCH_FILES", 20)
    with windows_host(windows) as victim:
        plan = plan_of(repository, victim, snapshot)
        sink = victim.sink()
        write_file, written = sink.write_file, itertools.count(1)

        def write_or_kill(*arguments: Any, **options: Any) -> None:
            if next(written) == 90:
                windows.run("taskkill", "/F", "/PID", str(victim.hello.pid))
            write_file(*arguments, **options)

        monkeypatch.setattr(sink, "write_file", write_or_kill)
        with pytest.raises(TransportError):
            Restorer(repository, sink).apply(plan)
    there = {path: what[0] for path, what in seen(home).items() if what[0]}
    half = {path for path in there if ".firstbell-" in path}
    assert half
    assert 20 <= len(there) - len(half) < 90
    assert all(there[path] == before[path][0] for path in there.keys() - half)
    assert Restorer(repository, host.sink()).apply(plan_of(repository, host, snapshot)).complete
    assert seen(home) == before
