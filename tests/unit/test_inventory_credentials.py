"""References to secrets: what they give, what they refuse, and that no message holds a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from configs.errors import ConfigError
from inventory import credentials
from inventory.credentials import resolve

SECRET = "correct horse battery staple"


def refused(reference: str, **more: object) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        resolve(reference, **more)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value) + caught.value.hint
    assert caught.value.__cause__ is None
    return str(caught.value), caught.value.hint


def stored(folder: Path, content: bytes = SECRET.encode(), mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_from_the_environment() -> None:
    found = resolve("env:SCHOOL_PASSWORD", environ={"SCHOOL_PASSWORD": SECRET})
    assert found.get_secret_value() == SECRET
    assert SECRET not in repr(found) + str(found)


@pytest.mark.parametrize("environ", [{}, {"SCHOOL_PASSWORD": ""}])
def test_a_variable_that_is_not_set(environ: dict[str, str]) -> None:
    assert refused("env:SCHOOL_PASSWORD", environ=environ) == (
        "the secret 'env:SCHOOL_PASSWORD' is not there: the environment variable SCHOOL_PASSWORD is not set",
        "Set SCHOOL_PASSWORD for the process that runs firstbell, for a worker in its service file.",
    )


@pytest.mark.parametrize("content", [SECRET.encode(), SECRET.encode() + b"\n", SECRET.encode() + b"\r\n"])
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_from_a_file(tmp_path: Path, content: bytes, mode: int) -> None:
    assert resolve(f"file:{stored(tmp_path, content, mode)}").get_secret_value() == SECRET


def test_only_one_line_break_is_cut_off(tmp_path: Path) -> None:
    assert resolve(f"file:{stored(tmp_path, b' a  b ' + bytes([10, 10]))}").get_secret_value() == " a  b \n"


def test_home_in_a_file_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve("file:~/secret").get_secret_value() == SECRET


def test_a_file_that_everybody_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, mode=0o644)
    assert refused(f"file:{path}") == (
        f"the secret 'file:{path}' can be read by everybody on this computer",
        f"Run: chmod 600 {path}",
    )
    # a container runtime's own folder, where 0444 is the rule and nobody else looks in
    monkeypatch.setattr(credentials, "_CONTAINER_SECRETS", tmp_path.resolve())
    assert resolve(f"file:{path}").get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is no text in UTF-8 of at most 64 KiB"),
        (b"x" * 70_000, "is no text in UTF-8 of at most 64 KiB"),
    ],
)
def test_a_file_that_holds_no_secret(tmp_path: Path, content: bytes, text: str) -> None:
    path = stored(tmp_path, content)
    assert refused(f"file:{path}")[0] == f"the secret 'file:{path}' {text}"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    assert refused(f"file:{tmp_path}/nowhere")[0].endswith("is not there: no such file")
    assert refused(f"file:{tmp_path}")[0].endswith("is no ordinary file")
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert refused(f"file:{tmp_path}/fifo")[0].endswith("is no ordinary file")
    if os.geteuid() != 0:
        assert refused(f"file:{stored(tmp_path, mode=0o000)}")[0].endswith("cannot be read: Permission denied")


def test_from_a_block() -> None:
    asked = []

    def block(name: str) -> str:
        asked.append(name)
        return SECRET

    assert resolve("block:secret/north-repository", block).get_secret_value() == SECRET
    assert asked == ["secret/north-repository"]
    assert refused("block:secret/x")[1] == (
        "Run it as a deployment, or refer to the secret by 'env:' or 'file:' on this computer."
    )
    assert refused("block:secret/x", resolve_block=lambda _name: "")[0] == "the secret 'block:secret/x' is empty"


def test_a_secret_in_clear_is_refused_and_not_repeated() -> None:
    assert refused(SECRET) == (
        "a secret is configured in clear: this is not a reference to a secret",
        "Put the secret into an environment variable and write 'env:NAME', into a file only its owner can read and "
        "write 'file:/path/to/it', or into a Prefect secret block and write 'block:secret/name'.",
    )
