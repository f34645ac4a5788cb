"""What an S3 server in trouble answers, told as our errors: class, whether to retry, cure."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import pytest

from tasks.backends.registry import open_backend
from tasks.backends.retry import RetryBackend, RetryPolicy
from tasks.backends.s3 import S3Backend
from tasks.backends.s3_location import parse_s3_location
from tasks.backends.s3_options import S3Options
from tasks.errors import BackendError, ConfigError, Denied, FirstbellError, NotFound, StoreUnavailable
from tests.support.scripted_s3 import Answer, ScriptedS3Server

OPTIONS = S3Options(access_key_id="AKIASCRIPTED", secret_access_key="scripted-secret", session_token="scripted-token")


@pytest.fixture(autouse=True)
def no_aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def server() -> Iterator[ScriptedS3Server]:
    with ScriptedS3Server() as server:
        yield server


@pytest.fixture
def backend(server: ScriptedS3Server) -> Iterator[S3Backend]:
    backend = S3Backend(parse_s3_location(server.location.removeprefix("s3:")), OPTIONS)
    yield backend
    backend.close()


@pytest.mark.parametrize(
    ("status", "code", "kind", "cure"),
    [
        (404, "NoSuchKey", NotFound, ""),
        (404, "NoSuchBucket", NotFound, "firstbell init"),
        (403, "AccessDenied", Denied, "PutObject"),
        (403, "InvalidAccessKeyId", Denied, "access key"),
        (403, "SignatureDoesNotMatch", Denied, "secret key"),
        (403, "RequestTimeTooSkewed", Denied, "clock"),
        (400, "ExpiredToken", Denied, "Log in again"),
        (403, "SomethingNew", Denied, "secret key"),
        (400, "AuthorizationHeaderMalformed", BackendError, "region"),
        (403, "InvalidObjectState", BackendError, "archive"),
        (507, "XMinioStorageFull", BackendError, "space"),
        (400, "InvalidBucketName", ConfigError, "another name"),
        (400, "SomethingNew", BackendError, ""),
        (503, "SlowDown", StoreUnavailable, "S3 server"),
        (503, "ServiceUnavailable", StoreUnavailable, "S3 server"),
        (500, "InternalError", StoreUnavailable, "S3 server"),
        (400, "RequestTimeout", StoreUnavailable, "S3 server"),
        (429, "SomethingNew", StoreUnavailable, "S3 server"),
        (502, "SomethingNew", StoreUnavailable, "S3 server"),
        (409, "ConditionalRequestConflict", StoreUnavailable, "S3 server"),
    ],
)
def test_codes(
    server: ScriptedS3Server, backend: S3Backend, status: int, code: str, kind: type[FirstbellError], cure: str
) -> None:
    server.answers = [Answer(status, code), Answer(status, code)]
    for call in (lambda: backend.load("config"), lambda: backend.save("config", b"x")):
        with pytest.raises(FirstbellError) as caught:
            call()
        assert type(caught.value) is kind
        assert cure in caught.value.hint
        assert backend.is_transient(caught.value) is (kind is StoreUnavailable)
        assert "config" in str(caught.value)
        assert server.location in str(caught.value)
    assert len(server.requests) == 2  # botocore itself tried nothing twice


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (403, Denied), (401, Denied), (400, BackendError), (503, StoreUnavailable)]
)
def test_a_head_request_has_only_its_status(
    server: ScriptedS3Server, backend: S3Backend, status: int, kind: type[FirstbellError]
) -> None:
    server.answers = [Answer(status, body=b"")]
    with pytest.raises(kind):
        backend.stat("config")


@pytest.mark.parametrize("answer", [Answer(body=b"x" * 100_000, cut=60_000), Answer(body=b"x" * 10, cut=0), Answer()])
def test_a_connection_that_breaks_off_is_an_error(server: ScriptedS3Server, backend: S3Backend, answer: Answer) -> None:
    server.answers = [answer]
    with pytest.raises(StoreUnavailable, match="broke off"):
        backend.load("config")


def test_a_longer_or_shorter_answer_is_never_a_result(server: ScriptedS3Server, backend: S3Backend) -> None:
    for body in (b"12", b"1234"):
        server.answers = [Answer(206, body=body)]
        with pytest.raises(BackendError):
            backend.load("config", offset=10, length=3)
    server.answers = [Answer(206, body=b"12")]
    with pytest.raises(BackendError):
        backend.load("config", offset=-3)


def test_retries_get_over_it(server: ScriptedS3Server, backend: S3Backend) -> None:
    trouble = [Answer(503, "SlowDown"), Answer(), Answer(body=b"x" * 9, cut=4), Answer(500, "InternalError")]
    server.answers = [*trouble, Answer(body=b"content")]
    patient = RetryBackend(backend, RetryPolicy(first=0.001), report=lambda _: None)
    assert patient.load("config") == b"content"
    server.answers = [*trouble, Answer(412, "PreconditionFailed"), Answer(body=b"content")]
    patient.save("config", b"content", overwrite=False)
    assert [method for method, _, _ in server.requests[-2:]] == ["PUT", "GET"]


def test_a_server_without_conditional_writes(server: ScriptedS3Server, backend: S3Backend) -> None:
    server.answers = [Answer(501, "NotImplemented"), Answer(404, body=b""), Answer(body=b"")]
    backend.save("config", b"content", overwrite=False)
    assert [(method, headers.get("If-None-Match")) for method, _, headers in server.requests] == [
        ("PUT", "*"),
        ("HEAD", None),
        ("PUT", None),
    ]
    server.answers = [Answer(501, "NotImplemented"), Answer(body=b"theirs")]
    with pytest.raises(FileExistsError):
        backend.save("config", b"content", overwrite=False)


def test_a_file_named_by_its_hash_is_signed_with_it(server: ScriptedS3Server, backend: S3Backend) -> None:
    content = b"content"
    named = hashlib.sha256(content).hexdigest()
    server.answers = [Answer(body=b"") for _ in range(3)]
    backend.save(f"data/{named[:2]}/{named}", content)
    backend.save("config", content)
    backend.save("data/" + "0" * 64, content)
    signed = [headers["X-Amz-Content-SHA256"] for _, _, headers in server.requests]
    assert signed == [named, named, "0" * 64]


def test_content_that_is_not_what_its_name_says(server: ScriptedS3Server, backend: S3Backend) -> None:
    named = hashlib.sha256(b"content").hexdigest()
    server.answers = [Answer(400, "XAmzContentSHA256Mismatch"), Answer(400, "XAmzContentSHA256Mismatch")]
    with pytest.raises(StoreUnavailable, match="on its way"):
        backend.save(named, b"content")
    with pytest.raises(BackendError, match="promises") as caught:
        backend.save(named, b"damaged")
    assert not backend.is_transient(caught.value)


def test_a_bucket_is_created_in_its_region(server: ScriptedS3Server) -> None:
    for region in ("eu-west-1", "us-east-1"):
        server.answers = [Answer(404, body=b""), Answer(body=b"")]
        options = S3Options(region=region, access_key_id="AKIASCRIPTED", secret_access_key="x" * 20)
        backend = open_backend(server.location, options)
        backend.ensure_location()
        backend.close()
    assert [(method, path) for method, path, _ in server.requests] == [("HEAD", "/bucket"), ("PUT", "/bucket")] * 2
    server.answers = [Answer(404, body=b""), Answer(409, "BucketAlreadyOwnedByYou")]
    backend = open_backend(server.location, OPTIONS)
    backend.ensure_location()
    server.answers = [Answer(403, body=b"")]
    with pytest.raises(Denied):
        backend.ensure_location()
    backend.close()


def test_packs_alone_get_the_storage_class(server: ScriptedS3Server) -> None:
    options = S3Options(access_key_id="AKIASCRIPTED", secret_access_key="x" * 20, storage_class="STANDARD_IA")
    backend = open_backend(server.location, options)
    server.answers = [Answer(body=b""), Answer(body=b"")]
    backend.save("data/aa/x", b"1")
    backend.save("index/x", b"1")
    backend.close()
    assert [headers.get("x-amz-storage-class") for _, _, headers in server.requests] == ["STANDARD_IA", None]
