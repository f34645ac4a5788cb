"""Every guarantee of tasks/backends/base.py, on every backend."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tasks.backends.base import Backend, FileInfo
from tasks.backends.memory import MemoryBackend
from tasks.backends.registry import open_backend
from tasks.backends.retry import RetryBackend
from tasks.backends.shared import SharedBackends
from tasks.errors import BackendError, NotFound

CONTENT = bytes(range(256)) * 5
NAMES = ["config", "keys/" + "a1" * 32, "data/4f/" + "4f" * 32, "_x/Y.z-1_/0", "a/b/c/d/e", "n" * 255]
ILLEGAL = [
    "",
    "/",
    "/config",
    "config/",
    "a//b",
    "..",
    "../config",
    "data/../config",
    "./config",
    ".hidden",
    "data/.hidden",
    "a b",
    "a\nb",
    "a\\b",
    "a\0b",
    "é",
    "-option",
    "n" * 256,
]


@dataclass
class Place:
    """One kind of backend at an unused location; ``open`` gives another backend on the same files."""

    kind: str
    location: str
    pool: SharedBackends = field(default_factory=SharedBackends)

    def open(self) -> Backend:
        backend = open_backend(self.location, connections=8, shared=self.pool if self.kind == "shared" else None)
        assert isinstance(backend, RetryBackend)
        return backend if self.kind == "retry" else backend.inner


@pytest.fixture(params=["memory", "local", "retry", "shared", pytest.param("s3", marks=pytest.mark.s3)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "s3":
        return Place("s3", request.getfixturevalue("s3_location"))
    if request.param == "memory":
        return Place("memory", f"memory:{secrets.token_hex(8)}")
    return Place(request.param, str(tmp_path / "store"))


@pytest.fixture
def backend(place: Place) -> Iterator[Backend]:
    backend = place.open()
    backend.ensure_location()
    yield backend
    backend.close()


def test_the_suite_covers_each_kind(place: Place, backend: Backend) -> None:
    kinds = {
        "memory": "MemoryBackend", "local": "LocalBackend", "retry": "RetryBackend", "s3": "S3Backend",
        "shared": "SharedBackend",
    }  # fmt: skip
    assert type(backend).__name__ == kinds[place.kind]


def test_a_shared_backend_is_made_once_and_closed_by_the_last_who_uses_it(tmp_path: Path) -> None:
    made: list[Backend] = []
    closed: list[str] = []

    class Watched(MemoryBackend):
        def close(self) -> None:
            closed.append(self.location)

    def make() -> Backend:
        made.append(Watched())
        return made[-1]

    pool = SharedBackends()
    one, other = pool.open("here", make), pool.open("here", make)
    one.save("config", CONTENT)
    one.close()
    one.close()
    assert other.load("config") == CONTENT
    assert (len(made), closed) == (1, [])
    other.close()
    assert len(closed) == 1
    pool.open("here", make).close()
    assert (len(made), len(closed)) == (2, 2)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_file_is_there_for_everybody(place: Place, backend: Backend, name: str) -> None:
    backend.save(name, CONTENT)
    other = place.open()
    for each in (backend, other):
        assert each.load(name) == CONTENT
        assert each.stat(name) == FileInfo(name, len(CONTENT))
        assert list(each.list()) == [FileInfo(name, len(CONTENT))]
    other.close()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(data)[3:900:2]])
def test_any_buffer_is_copied(backend: Backend, kind: object) -> None:
    source = bytearray(CONTENT)
    buffer = kind(source)  # type: ignore[operator]
    expected = bytes(buffer)
    backend.save("config", buffer)
    source[:] = bytes(len(source))
    loaded = backend.load("config")
    assert type(loaded) is bytes
    assert loaded == expected


def test_an_empty_file_is_a_file(backend: Backend) -> None:
    backend.save("locks/empty", b"")
    assert backend.load("locks/empty") == b""
    assert backend.load("locks/empty", offset=0, length=0) == b""
    assert backend.stat("locks/empty").size == 0
    assert list(backend.list()) == [FileInfo("locks/empty", 0)]
    with pytest.raises(BackendError):
        backend.load("locks/empty", offset=-1)


def test_each_range_is_exact_or_an_error(backend: Backend) -> None:
    content = b"01234"
    backend.save("config", content)
    for offset in range(-7, 8):
        for length in (None, *range(8)):
            start = offset if offset >= 0 else len(content) + offset
            end = len(content) if length is None else start + length
            if length is not None and offset < 0 and length > -offset:
                with pytest.raises(ValueError, match="cannot follow"):
                    backend.load("config", offset=offset, length=length)
            elif 0 <= start <= end <= len(content):
                assert backend.load("config", offset=offset, length=length) == content[start:end], (offset, length)
            else:
                with pytest.raises(BackendError) as caught:
                    backend.load("config", offset=offset, length=length)
                assert not isinstance(caught.value, NotFound), (offset, length)
                assert not backend.is_transient(caught.value), (offset, length)
    with pytest.raises(ValueError, match="negative"):
        backend.load("config", length=-1)


@pytest.mark.parametrize("name", ["config", "data/4f/4f4f", "config/below"])
def test_what_is_not_there(backend: Backend, name: str) -> None:
    if name == "config/below":
        backend.save("config", CONTENT)
    for call in (
        lambda: backend.load(name),
        lambda: backend.load(name, offset=3, length=2),
        lambda: backend.load(name, offset=-3),
        lambda: backend.load(name, length=0),
        lambda: backend.stat(name),
    ):
        with pytest.raises(NotFound) as caught:
            call()
        assert not backend.is_transient(caught.value)
    backend.remove(name)


def test_a_folder_is_not_a_file(backend: Backend) -> None:
    backend.save("data/4f/4f4f", CONTENT)
    for name in ("data", "data/4f"):
        with pytest.raises(NotFound):
            backend.load(name)
        with pytest.raises(NotFound):
            backend.stat(name)


def test_an_empty_place_lists_nothing(backend: Backend) -> None:
    assert list(backend.list()) == []
    assert list(backend.list("data/")) == []


def test_list_is_by_whole_folders(backend: Backend) -> None:
    names = ["config", "data/00/00aa", "data/00/00bb", "data/ff/ffaa", "database/x", "keys/k"]
    for name in names:
        backend.save(name, name.encode())
    assert sorted(found.name for found in backend.list()) == names
    assert sorted(found.name for found in backend.list("data/")) == names[1:4]
    assert [found.name for found in backend.list("data/ff/")] == ["data/ff/ffaa"]
    assert list(backend.list("config/")) == []
    assert all(found.size == len(found.name) for found in backend.list())
    for prefix in ("data", "/", "data//", "../", ".data/"):
        with pytest.raises(ValueError, match="not a"):
            backend.list(prefix)


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_names_go_nowhere(backend: Backend, name: str) -> None:
    for call in (
        lambda: backend.save(name, CONTENT),
        lambda: backend.load(name),
        lambda: backend.stat(name),
        lambda: backend.remove(name),
    ):
        with pytest.raises(ValueError, match="not a legal name"):
            call()
    assert list(backend.list()) == []


def test_overwrite_replaces_the_whole_file(backend: Backend) -> None:
    backend.save("config", CONTENT)
    backend.save("config", b"short")
    assert backend.load("config") == b"short"
    assert backend.stat("config").size == 5


def test_without_overwrite_the_first_one_stays(backend: Backend) -> None:
    backend.save("config", CONTENT, overwrite=False)
    with pytest.raises(FileExistsError):
        backend.save("config", b"other", overwrite=False)
    assert backend.load("config") == CONTENT
    backend.remove("config")
    backend.save("config", b"other", overwrite=False)
    assert backend.load("config") == b"other"


def test_without_overwrite_one_of_many_wins(backend: Backend) -> None:
    start = threading.Barrier(6)

    def save(number: int) -> bytes | None:
        content = bytes([number]) * 50_000
        start.wait(10)
        try:
            backend.save("locks/race", content, overwrite=False)
        except FileExistsError:
            return None
        return content

    with ThreadPoolExecutor(6) as pool:
        won = [content for content in pool.map(save, range(6)) if content is not None]
    assert len(won) == 1
    assert backend.load("locks/race") == won[0]


def test_remove(backend: Backend) -> None:
    backend.save("data/aa/one", CONTENT)
    backend.save("data/aa/two", CONTENT)
    backend.remove("data/aa/one")
    backend.remove("data/aa/one")
    backend.remove("locks/never")
    assert [found.name for found in backend.list()] == ["data/aa/two"]
    with pytest.raises(NotFound):
        backend.load("data/aa/one")


def test_many_threads(backend: Backend) -> None:
    def work(number: int) -> int:
        for turn in range(4):
            name = f"data/{number:02x}/{turn}"
            content = bytes([number, turn]) * (1000 + number)
            backend.save(name, content)
            assert backend.load(name) == content
            assert backend.load(name, offset=1000, length=10) == content[1000:1010]
            assert backend.stat(name).size == len(content)
            assert name in {found.name for found in backend.list(f"data/{number:02x}/")}
            if turn % 2:
                backend.remove(name)
        return number

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(work, range(12))) == list(range(12))
    assert sum(1 for _ in backend.list("data/")) == 24


def test_nobody_sees_a_partial_file(place: Place, backend: Backend) -> None:
    """Readers of a file that is written over and over get one of its contents, never a mixture."""
    contents = [bytes([number]) * (700_000 + 50_000 * number) for number in range(3)]
    backend.save("data/aa/changing", contents[0])
    done = threading.Event()

    def read() -> int:
        reader, reads = place.open(), 0
        while not done.is_set() or not reads:
            assert reader.load("data/aa/changing") in contents
            assert {found.size for found in reader.list("data/aa/")} <= {len(content) for content in contents}
            reads += 1
        reader.close()
        return reads

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for turn in range(12):
                backend.save("data/aa/changing", contents[turn % 3])
        finally:
            done.set()
        assert all(reader.result(30) > 0 for reader in readers)


_SAVE_AND_DIE = """
import sys
from tasks.backends.registry import open_backend
backend = open_backend(sys.argv[1]).inner
backend.save("data/00/warm", b"up")
print("ready", flush=True)
for number in range(1000):
    backend.save(f"data/00/{number}", bytes([number % 256]) * 8_000_000)
"""


@pytest.mark.parametrize("place", ["local", "retry", pytest.param("s3", marks=pytest.mark.s3)], indirect=True)
@pytest.mark.parametrize("files", [0, 2])
def test_kill_leaves_no_partial_file(place: Place, backend: Backend, files: int) -> None:
    """A process that is killed within ``save`` leaves whole files or none. (Memory dies with its process.)"""
    child = subprocess.Popen(
        [sys.executable, "-c", _SAVE_AND_DIE, place.location],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    try:
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        while sum(1 for _ in backend.list("data/")) <= files:
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait(10)
        if child.stdout:
            child.stdout.close()
    found = list(backend.list())
    assert len(found) > files
    for each in found:
        content = backend.load(each.name)
        assert len(content) == each.size
        if each.name != "data/00/warm":
            number = int(each.name.rpartition("/")[2])
            assert content == bytes([number % 256]) * 8_000_000
    backend.save("data/00/warm", b"again")
    assert backend.load("data/00/warm") == b"again"


def test_after_close_every_call_is_an_error(place: Place, backend: Backend) -> None:
    backend.save("config", CONTENT)
    other = place.open()
    other.close()
    other.close()
    for call in (
        lambda: other.save("config", b""),
        lambda: other.load("config"),
        lambda: other.stat("config"),
        lambda: list(other.list()),
        lambda: other.remove("config"),
    ):
        with pytest.raises(BackendError, match="closed"):
            call()
    assert backend.load("config") == CONTENT


def test_location_is_for_people(place: Place, backend: Backend) -> None:
    assert re.fullmatch(r"memory:\w+|/.*/store|s3:http://127.0.0.1:\d+/firstbell/\w+", backend.location)
    backend.ensure_location()
    assert place.open().location == backend.location
