"""From the text of a location to a backend: the spellings, and what is refused without repeating a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.backends.local import LocalBackend
from tasks.backends.registry import BACKENDS, open_backend, split_location
from tasks.backends.retry import RetryBackend
from tasks.backends.s3 import S3Backend
from tasks.backends.s3_location import S3Location, parse_s3_location
from tasks.backends.s3_options import S3Options
from tasks.errors import ConfigError


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3://bucket", S3Location("bucket", "")),
        ("s3://bucket/", S3Location("bucket", "")),
        ("s3://bucket/a/b/", S3Location("bucket", "a/b")),
        ("s3://bucket//a//b", S3Location("bucket", "a/b")),
        ("s3:http://127.0.0.1:8333/bucket/a", S3Location("bucket", "a", "http://127.0.0.1:8333")),
        ("s3:https://s3.school.example/bucket", S3Location("bucket", "", "https://s3.school.example")),
        ("s3:https://[::1]:9000/bucket/a b", S3Location("bucket", "a b", "https://[::1]:9000")),
        ("s3:s3.amazonaws.com/bucket/a", S3Location("bucket", "a", "https://s3.amazonaws.com")),
        ("s3:s3.eu-west-1.amazonaws.com/bucket", S3Location("bucket", "", "https://s3.eu-west-1.amazonaws.com")),
        ("S3:server:9000/bucket/x", S3Location("bucket", "x", "https://server:9000")),
    ],
)
def test_s3_spellings(location: str, expected: S3Location) -> None:
    scheme, rest = split_location(location)
    assert scheme == "s3"
    assert parse_s3_location(rest) == expected
    assert parse_s3_location(str(expected).removeprefix("s3:")) == expected


def test_region_of_an_aws_address() -> None:
    assert parse_s3_location("s3.eu-west-1.amazonaws.com/bucket").region == "eu-west-1"
    assert parse_s3_location("s3-us-gov-west-1.amazonaws.com/bucket").region == "us-gov-west-1"
    assert parse_s3_location("s3.amazonaws.com/bucket").region is None
    assert parse_s3_location("http://s3.local/bucket").region is None


@pytest.mark.parametrize(
    "rest",
    [
        *("", "//", "///", "//-b/x", "//b\nc", "//bucket/../x", "//bucket/./x", "//bucket/a\nb", "host", "http://host"),
        *("http:///bucket", "http://host:0/bucket", "http://host:99999/bucket", "http://host/bucket?x=1"),
        "http://[/bucket",
    ],
)
def test_refused_s3_locations(rest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_s3_location(rest)
    assert caught.value.hint


@pytest.mark.parametrize("location", ["s3:http://AKIAKEY:hunter2@host/bucket", "s3:AKIAKEY:hunter2@host/bucket"])
def test_a_credential_in_a_location_is_refused_and_not_repeated(location: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_backend(location)
    assert "hunter2" not in f"{caught.value!r} {caught.value} {caught.value.hint} {caught.value.__cause__!r}"
    assert "AKIAKEY" not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["", "  ", "sftp:user:hunter2@host:/x", "rest:https://u:hunter2@h/", "b2:x", "ftp://x"]
)
def test_unknown_kinds_are_refused_and_not_repeated(location: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_backend(location)
    assert "hunter2" not in str(caught.value)
    assert "s3://bucket/prefix" in caught.value.hint


def test_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for location, folder in [
        ("/srv/x", "/srv/x"),
        ("local:/srv/x", "/srv/x"),
        ("local:rel", f"{tmp_path}/rel"),
        ("rel/x", f"{tmp_path}/rel/x"),
        ("~/x", f"{tmp_path}/x"),
        ("/srv/a:b", "/srv/a:b"),
    ]:
        backend = open_backend(location)
        assert isinstance(backend, RetryBackend)
        assert isinstance(backend.inner, LocalBackend)
        assert backend.location == folder


def test_one_name_in_memory_is_one_store() -> None:
    open_backend("memory:one-store").save("config", b"x")
    assert open_backend("memory:one-store").load("config") == b"x"
    assert list(open_backend("memory:another-store").list()) == []


def test_every_line_of_the_registry_opens(tmp_path: Path) -> None:
    locations = {"local": f"local:{tmp_path}", "memory": "memory:registry", "s3": "s3://bucket"}
    assert set(locations) == set(BACKENDS)
    for location in locations.values():
        open_backend(location).close()


def test_opening_s3_imports_no_boto3_and_asks_nobody() -> None:
    backend = open_backend("s3:http://127.0.0.1:1/bucket/x", S3Options(region="eu-west-1"))
    assert isinstance(backend, RetryBackend)
    assert isinstance(backend.inner, S3Backend)
    assert backend.location == "s3:http://127.0.0.1:1/bucket/x"
