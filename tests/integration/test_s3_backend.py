"""backends.s3 against a real S3 server: outages, settings where AWS users keep them, TLS, secrets."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from tasks.backends.registry import open_backend
from tasks.backends.retry import RetryBackend, Retrying, RetryPolicy
from tasks.backends.s3_client import look_up_access
from tasks.backends.s3_location import parse_s3_location
from tasks.backends.s3_options import S3Options
from tasks.errors import BackendError, ConfigError, Denied, FirstbellError, NotFound, StoreUnavailable
from tests.support.certificate import make_certificate
from tests.support.seaweed import SeaweedServer

pytestmark = pytest.mark.s3


def save_many(backend: RetryBackend, count: int) -> dict[str, bytes]:
    contents = {f"data/{number:02x}/{number}": os.urandom(200_000) for number in range(count)}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: backend.save(name, contents[name]), contents))
    return contents


def opened(location: str, options: S3Options | None = None, *, connections: int = 8) -> RetryBackend:
    backend = open_backend(location, options, connections=connections)
    assert isinstance(backend, RetryBackend)
    return backend


def test_the_server_stops_in_the_middle_and_comes_back(s3_server: SeaweedServer, s3_location: str) -> None:
    """Saves that meet the outage are repeated until the server is back; nothing is lost, nothing is partial."""
    retries: list[Retrying] = []
    waiting = threading.Event()

    def report(retrying: Retrying) -> None:
        retries.append(retrying)
        waiting.set()

    policy = RetryPolicy(first=0.05, longest=0.3, deadline=60.0)
    backend = RetryBackend(opened(s3_location).inner, policy, report=report)
    before = save_many(backend, 4)
    with ThreadPoolExecutor(1) as pool:
        s3_server.stop(grace=0)
        try:
            with pytest.raises(StoreUnavailable, match="cannot connect"):
                backend.inner.load("data/00/0")
            running = pool.submit(save_many, backend, 12)
            assert waiting.wait(20)
            assert not running.done()
        finally:
            s3_server.start()
        contents = before | running.result(60)
    assert retries
    assert {each.name: each.size for each in backend.list()} == {name: len(data) for name, data in contents.items()}
    for name, content in contents.items():
        assert backend.load(name) == content
    backend.close()


def test_an_outage_longer_than_the_deadline_is_told(s3_server: SeaweedServer, s3_location: str) -> None:
    backend = RetryBackend(
        opened(s3_location).inner, RetryPolicy(first=0.01, longest=0.05, unproven=0.5), report=lambda _: None
    )
    s3_server.stop(grace=0)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            backend.save("config", b"x")
    finally:
        s3_server.start()
    assert "cannot connect to the S3 server" in str(caught.value)
    assert caught.value.transient
    assert "address" in caught.value.hint
    backend.close()


def test_a_list_of_more_than_one_page(s3_location: str) -> None:
    backend = opened(s3_location)
    names = {f"data/{number % 256:02x}/{number}" for number in range(1005)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: backend.save(name, b"x"), names))
    assert {found.name for found in backend.list()} == names
    backend.close()


def test_the_pool_is_as_large_as_asked_for(s3_location: str, caplog: pytest.LogCaptureFixture) -> None:
    backend = opened(s3_location, connections=16)
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: backend.save(f"data/aa/{number}", b"x" * 100_000), range(48)))
    assert not [record for record in caplog.records if "pool" in record.getMessage()]
    backend.close()


def test_foreign_objects_are_left_out(s3_server: SeaweedServer, s3_location: str) -> None:
    backend = opened(s3_location)
    backend.save("data/aa/x", b"x")
    prefix = s3_location.rpartition("/")[2]
    client = boto3.client("s3", endpoint_url=s3_server.endpoint_url)
    for key in (f"{prefix}/data/a b", f"{prefix}/.hidden", f"{prefix}/ä", f"{prefix}-beside/data/x"):
        client.put_object(Bucket="firstbell", Key=key, Body=b"foreign")
    client.close()
    assert [found.name for found in backend.list()] == ["data/aa/x"]
    backend.close()


def test_the_bucket_is_created_only_when_asked_for(s3_server: SeaweedServer, s3_location: str) -> None:
    location = f"s3:{s3_server.endpoint_url}/never-seen-{os.urandom(4).hex()}/repository"
    backend = opened(location)
    for call in (lambda: backend.save("config", b"x"), lambda: list(backend.list()), lambda: backend.load("config")):
        with pytest.raises(NotFound) as caught:
            call()
        assert "the bucket does not exist" in str(caught.value)
    with pytest.raises(NotFound):
        backend.stat("config")
    backend.ensure_location()
    backend.ensure_location()
    backend.save("config", b"x")
    assert backend.load("config") == b"x"
    backend.close()


class TestSettings:
    """Where AWS users keep their settings, and that ours override them."""

    def works(self, location: str, options: S3Options | None = None) -> bool:
        backend = opened(location, options)
        try:
            backend.save("config", b"x")
            return backend.load("config") == b"x"
        finally:
            backend.close()

    @pytest.fixture
    def bare(self, s3_location: str, monkeypatch: pytest.MonkeyPatch) -> str:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name)
        return s3_location

    def test_environment(self, s3_location: str) -> None:
        assert self.works(s3_location)

    def test_nothing_at_all(self, bare: str) -> None:
        with pytest.raises(Denied, match="no access key") as caught:
            self.works(bare)
        assert "AWS_ACCESS_KEY_ID" in caught.value.hint

    def test_profile(
        self, bare: str, s3_server: SeaweedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Credentials, region and endpoint from ~/.aws, by AWS_PROFILE and by our own setting."""
        keys = f"aws_access_key_id = {s3_server.access_key}\naws_secret_access_key = {s3_server.secret_key}\n"
        (tmp_path / "credentials").write_text(f"[school]\n{keys}")
        (tmp_path / "config").write_text(
            f"[profile school]\nregion = eu-west-1\nendpoint_url = {s3_server.endpoint_url}\n"
        )
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        place = "s3://firstbell/profile"
        assert self.works(place, S3Options(profile="school"))
        access = look_up_access(parse_s3_location(place.removeprefix("s3:")), S3Options(profile="school"))
        assert (access.endpoint_url, access.region, access.style) == (s3_server.endpoint_url, "eu-west-1", "path")
        assert access.environment == {
            "AWS_ACCESS_KEY_ID": s3_server.access_key,
            "AWS_SECRET_ACCESS_KEY": s3_server.secret_key,
        }
        monkeypatch.setenv("AWS_PROFILE", "school")
        assert self.works(place)
        with pytest.raises(ConfigError, match="absent"):
            self.works(place, S3Options(profile="absent"))

    def test_endpoint(self, s3_server: SeaweedServer, s3_location: str, monkeypatch: pytest.MonkeyPatch) -> None:
        place = s3_location.replace(f"s3:{s3_server.endpoint_url}/", "s3://")
        assert self.works(place, S3Options(endpoint_url=s3_server.endpoint_url))
        assert self.works(place, S3Options(endpoint_url=s3_server.endpoint_url, addressing_style="auto"))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint_url)
        assert self.works(place)

    def test_ours_override(self, s3_location: str, s3_server: SeaweedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        good = S3Options(access_key_id=s3_server.access_key, secret_access_key=s3_server.secret_key)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
        with pytest.raises(Denied, match="does not know the access key"):
            self.works(s3_location)
        assert self.works(s3_location, good)
        bad = S3Options(access_key_id=s3_server.access_key, secret_access_key="wrong" * 6)
        with pytest.raises(Denied, match="secret key is wrong"):
            self.works(s3_location, bad)
        with pytest.raises(ConfigError, match="belong together"):
            self.works(s3_location, S3Options(access_key_id="alone"))

    def test_region(self, bare: str, monkeypatch: pytest.MonkeyPatch) -> None:
        place = parse_s3_location("//bucket/x")
        regional = parse_s3_location("s3.eu-north-1.amazonaws.com/bucket/x")
        assert look_up_access(place, S3Options()).region == "us-east-1"
        assert look_up_access(regional, S3Options()).region == "eu-north-1"
        monkeypatch.setenv("AWS_REGION", "eu-west-2")
        access = look_up_access(place, S3Options())
        assert (access.region, access.style) == ("eu-west-2", "auto")
        assert access.endpoint_url == "https://s3.eu-west-2.amazonaws.com"
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
        assert look_up_access(place, S3Options()).region == "eu-west-3"
        assert look_up_access(place, S3Options(region="eu-south-1")).region == "eu-south-1"


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SeaweedServer, Path]]:
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    server = SeaweedServer(certificate=(certificate, key))
    try:
        server.start()
        server.create_bucket("firstbell")
        yield server, certificate
    finally:
        server.close()


def test_tls(tls_server: tuple[SeaweedServer, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    server, certificate = tls_server
    location = f"s3:{server.endpoint_url}/firstbell/tls"
    account = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)

    def save(location: str, ca_bundle: str | None = None) -> None:
        backend = opened(location, S3Options(**account, ca_bundle=ca_bundle))
        try:
            content = b"over TLS"
            name = hashlib.sha256(content).hexdigest()
            backend.save(name, content)
            assert backend.load(name) == content
        finally:
            backend.close()

    with pytest.raises(BackendError, match="not trusted") as caught:
        save(location)
    assert "ca_bundle" in caught.value.hint
    assert not caught.value.transient
    save(location, str(certificate))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    save(location)
    with pytest.raises(ConfigError, match=r"absent\.pem"):
        save(location, str(certificate.parent / "absent.pem"))


def test_https_to_a_server_without_tls(s3_location: str) -> None:
    with pytest.raises(BackendError, match="does not speak TLS"):
        opened(s3_location.replace("http:", "https:")).load("config")


def test_no_secret_in_any_text(
    s3_server: SeaweedServer, s3_location: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every logger at DEBUG: no key in a log, an exception with its causes, or a repr."""
    token = "session-token-" + "t" * 30
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    texts: list[str] = []
    good = S3Options(access_key_id=s3_server.access_key, secret_access_key=s3_server.secret_key)
    wrong = S3Options(access_key_id=s3_server.access_key, secret_access_key=s3_server.secret_key[::-1])
    with_token = S3Options(
        access_key_id=s3_server.access_key, secret_access_key=s3_server.secret_key, session_token=token
    )
    with caplog.at_level(logging.DEBUG):
        for options in (good, wrong, with_token):
            for location in (s3_location, s3_location.replace(str(s3_server.port), "1")):
                backend = RetryBackend(opened(location, options).inner, RetryPolicy(unproven=0.01))
                texts += [
                    repr(backend),
                    repr(backend.inner),
                    repr(vars(backend.inner)),
                    repr(options),
                    backend.location,
                ]
                for call in (
                    lambda b=backend: b.save("config", b"x"),
                    lambda b=backend: b.load("absent"),
                    lambda b=backend: list(b.list()),
                    lambda b=backend: b.stat("absent"),
                ):
                    try:
                        call()
                    except FirstbellError as error:
                        texts += ["".join(traceback.format_exception(error)), repr(error), str(error), error.hint]
                backend.close()
        access = look_up_access(parse_s3_location("//bucket"), with_token)
        texts.append(repr(access))
    texts += [record.getMessage() for record in caplog.records]
    assert len(texts) > 60
    everything = "\n".join(texts)
    assert "SignatureDoesNotMatch" in everything  # the wrong key did meet the server
    for secret in (s3_server.secret_key, s3_server.secret_key[::-1], token):
        assert secret not in everything
