"""repository.restic_client with the stock restic client, on repositories that it made itself."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks.backends.registry import open_backend
from tasks.backends.s3_options import S3Options
from tasks.errors import (
    ConfigError,
    Damaged,
    Denied,
    FirstbellError,
    Locked,
    NoRepository,
    RepositoryError,
    StoreUnavailable,
    ToolMissing,
    WrongPassword,
)
from tasks.repository.ids import hash_of
from tasks.repository.key_file import open_key, seal_key
from tasks.repository.restic_client import OLDEST, ResticClient
from tests.support.seaweed import SeaweedServer

pytestmark = pytest.mark.restic

PASSWORD = " a 'password'\t\"$HOME\" ä% "


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "repository") if request.param == "local" else str(request.getfixturevalue("s3_location"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(2_000_000))
    (folder / "small").write_bytes(b"text")
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository as the stock client makes it, but for its key."""
    folder = tmp_path_factory.mktemp("template") / "repository"
    ResticClient(str(folder), PASSWORD).run(["init"], time_limit=60)
    lighten(str(folder), PASSWORD)
    return folder


@pytest.fixture
def client(template: Path, tmp_path: Path) -> ResticClient:
    """A new repository in a directory."""
    return ResticClient(str(shutil.copytree(template, tmp_path / "repository")), PASSWORD)


def lighten(location: str, password: str) -> None:
    """Replace the key by one that opens at once: the stock client's takes it half a second of CPU per command."""
    backend = open_backend(location)
    (old,) = [found.name for found in backend.list("keys/")]
    new = seal_key(open_key(backend.load(old), password), password, scrypt_n=2**4)
    backend.save(f"keys/{hash_of(new).hex()}", new)
    backend.remove(old)
    backend.close()


def backup(client: ResticClient, folder: Path) -> str:
    output = client.run(["backup", "--json", str(folder)], time_limit=60).output
    summaries = [found for line in output if (found := json.loads(line))["message_type"] == "summary"]
    return str(summaries[0]["snapshot_id"])


def packs(client: ResticClient) -> list[Path]:
    return [path for path in (Path(client.location) / "data").rglob("*") if path.is_file()]


@pytest.fixture
def held_lock(client: ResticClient, files: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A backup that waits for its input, and so holds its lock."""
    process = subprocess.Popen(
        ["restic", "-r", client.location, "--no-cache", "backup", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "RESTIC_PASSWORD": PASSWORD},
    )
    try:
        while not list((Path(client.location) / "locks").iterdir()):
            assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.wait(60)
        if process.stdin:
            process.stdin.close()


def test_the_whole_round(location: str, files: Path) -> None:
    """Local and S3: init, backup, check, stats, forget, prune, and each leaves the repository sound."""
    lines: list[str] = []
    client = ResticClient(location, PASSWORD, report=lines.append)
    assert client.version() >= OLDEST
    client.run(["init"], time_limit=60)
    lighten(location, PASSWORD)
    first = backup(client, files)
    (files / "large").write_bytes(os.urandom(1_000_000))
    second = backup(client, files)
    assert "no errors were found" in client.check()
    client.check(read_data=True)
    client.check(read_data="1/2")
    assert "no errors were found" in lines
    before = client.stats()
    assert before.snapshots == 2
    assert before.size > 3_000_000
    client.forget([first, "0" * 64])  # the second one was never there: somebody else may be quicker
    pruned = client.prune(max_unused="0")
    assert any("done" in line for line in pruned)
    after = client.stats()
    assert after.snapshots == 1
    assert after.size < 1_100_000
    assert after.blobs < before.blobs
    client.check(read_data=True)
    backend = open_backend(location)
    assert [found.name.split("/")[1][:8] for found in backend.list("snapshots/")] == [second]
    assert list(backend.list("locks/")) == []
    backend.close()


def test_damage_is_found(client: ResticClient, files: Path) -> None:
    backup(client, files)
    large = max(packs(client), key=lambda path: path.stat().st_size)
    content = bytearray(large.read_bytes())
    content[1000] ^= 1
    large.chmod(0o600)
    large.write_bytes(content)
    client.check()  # looks at the structure alone
    with pytest.raises(Damaged, match="contains errors") as caught:
        client.check(read_data=True)
    assert "repair" in caught.value.hint
    large.unlink()
    with pytest.raises(Damaged, match="does not exist"):
        client.check()


def test_a_wrong_password(client: ResticClient) -> None:
    with pytest.raises(WrongPassword) as caught:
        ResticClient(client.location, "another-password").check()
    assert caught.value.exit_code == 12
    assert "another-password" not in str(caught.value)


def test_no_repository(location: str) -> None:
    with pytest.raises(NoRepository) as caught:
        ResticClient(location, PASSWORD).check()
    assert location in str(caught.value)
    assert "firstbell init" in caught.value.hint


def test_a_lock_excludes_until_it_is_gone(client: ResticClient, held_lock: subprocess.Popen[bytes]) -> None:
    for call in (client.check, client.prune, lambda: client.forget(["0" * 64])):
        with pytest.raises(Locked) as caught:
            call()
        assert caught.value.transient
    client.unlock()  # its owner lives: it stays
    with pytest.raises(Locked):
        client.check()
    held_lock.kill()
    held_lock.wait(60)
    with pytest.raises(Locked) as caught:
        client.check()
    assert "unlock" in caught.value.hint
    client.unlock()
    client.check()


@pytest.mark.s3
def test_refused_by_the_store(s3_location: str, s3_server: SeaweedServer) -> None:
    wrong = S3Options(access_key_id=s3_server.access_key, secret_access_key="wrong-secret" * 3)
    with pytest.raises(Denied) as caught:
        ResticClient(s3_location, PASSWORD, options=wrong).check()
    assert "wrong-secret" not in str(caught.value)
    with pytest.raises(Denied):
        ResticClient(s3_location, PASSWORD, {"AWS_SECRET_ACCESS_KEY": "wrong-secret" * 3}).check()


def test_a_store_that_never_answers_meets_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        options = S3Options(access_key_id="AKIAX", secret_access_key="x" * 20)
        client = ResticClient(f"s3:http://127.0.0.1:{silent.getsockname()[1]}/bucket/x", PASSWORD, options=options)
        with pytest.raises(StoreUnavailable, match="did not end within 1 s"):
            client.check(time_limit=1.0)
    assert not [child for child in psutil.Process().children() if "restic" in child.name()]


def test_s3_settings_reach_restic(s3_server: SeaweedServer, s3_location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile and an endpoint variable, which restic 0.14 itself does not know."""
    place = s3_location.replace(f"s3:{s3_server.endpoint_url}/", "s3://")
    options = S3Options(
        endpoint_url=s3_server.endpoint_url,
        access_key_id=s3_server.access_key,
        secret_access_key=s3_server.secret_key,
        region="eu-west-1",
    )
    for name in s3_server.environment():
        monkeypatch.delenv(name)
    client = ResticClient(place, PASSWORD, options=options)
    client.run(["init"], time_limit=60)
    client.check()


def test_secrets_are_not_in_the_process_list_nor_in_any_text(s3_location: str, s3_server: SeaweedServer) -> None:
    password = "hidden-" + secrets.token_urlsafe(12)
    seen: list[str] = []
    watched = threading.Event()

    def look(line: str) -> None:
        seen.append(line)
        for child in psutil.Process().children():
            try:
                if child.name() == "restic":
                    seen.append("\0".join(child.cmdline()))
                    watched.set()
            except psutil.NoSuchProcess:
                continue

    client = ResticClient(s3_location, password, report=look)
    client.run(["init"], time_limit=60)
    lighten(s3_location, password)
    client.check(read_data=True)
    assert watched.is_set()
    assert any("s3.bucket-lookup=path" in text for text in seen)
    for other in (ResticClient(s3_location, password + "x"), ResticClient(s3_location + "-absent", password)):
        with pytest.raises(RepositoryError) as caught:
            other.check()
        seen += [str(caught.value), repr(caught.value), repr(other)]
    # A program that repeats its environment must not carry it into our texts either.
    echo = ResticClient(s3_location, password, report=seen.append)
    with pytest.raises(FirstbellError) as failed:
        echo.run(["backup", "--password-command=printenv", "/absent"], time_limit=60)
    seen += [str(failed.value), repr(failed.value)]
    for secret in (password, s3_server.secret_key):
        assert not [text for text in seen if secret in text]


def test_the_workers_own_restic_settings_do_not_leak_in(
    client: ResticClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RESTIC_REPOSITORY", "/somewhere/else")
    monkeypatch.setenv("RESTIC_REPOSITORY_FILE", "/absent")
    monkeypatch.setenv("RESTIC_PASSWORD_FILE", "/absent")
    monkeypatch.setenv("RESTIC_PASSWORD_COMMAND", "false")
    monkeypatch.setenv("RESTIC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    client.check()
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "home").exists()
    assert [path.name for path in tmp_path.iterdir() if "restic" in path.name] == []


def test_a_cache_that_is_kept(client: ResticClient, files: Path, tmp_path: Path) -> None:
    cached = ResticClient(client.location, PASSWORD, cache_dir=tmp_path / "kept")
    backup(cached, files)
    assert list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize("snapshot", ["", "latest", "-h", "--prune", "ABCDEF12", "abc", "a" * 65])
def test_only_ids_are_forgotten(snapshot: str) -> None:
    with pytest.raises(ValueError, match="not the ID"):
        ResticClient("/absent", PASSWORD).forget(["0" * 64, snapshot])


def test_forgetting_nothing_or_very_much(client: ResticClient, files: Path) -> None:
    kept = backup(client, files)
    client.forget([])
    client.forget([f"{number:064x}" for number in range(1001)])
    assert client.stats().snapshots == 1
    client.forget([kept])
    assert client.stats().snapshots == 0


@pytest.mark.parametrize("subset", ["--read-data", "all", "1/", "5 %", "-1"])
def test_subsets_that_are_none(subset: str) -> None:
    with pytest.raises(ConfigError, match="not a subset"):
        ResticClient("/absent", PASSWORD).check(read_data=subset)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "not installed"),
        ("echo restic 0.12.1 compiled with go1.16", "0.12.1 is too old"),
        ("echo hello", "does not say that it is restic"),
        ("exit 1", "does not say that it is restic"),
    ],
)
def test_the_wrong_tool(tmp_path: Path, script: str | None, said: str) -> None:
    program = tmp_path / "restic"
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
    with pytest.raises(ToolMissing, match=said) as caught:
        ResticClient(str(tmp_path / "repository"), PASSWORD, program=str(program)).check()
    assert "apt install restic" in caught.value.hint


def test_memory_is_no_place_for_restic() -> None:
    with pytest.raises(ConfigError, match="memory"):
        ResticClient("memory:x", PASSWORD).check()
