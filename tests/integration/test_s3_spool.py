"""The spool in a bucket, against a real S3 server: a URL is for one object and one method, and expires."""

from __future__ import annotations

import http.client
import logging
import secrets
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.backends.retry import RetryPolicy
from tasks.backends.s3_location import parse_s3_location
from tasks.backends.s3_options import S3Options
from tasks.backends.s3_spool import S3Spool
from tasks.backends.spool import SpoolStore, sweep
from tasks.errors import Denied, NotFound, StoreUnavailable


@pytest.fixture
def spool(s3_location: str) -> Iterator[S3Spool]:
    store = S3Spool(parse_s3_location(s3_location.removeprefix("s3:")))
    try:
        yield store
    finally:
        store.close()


def fresh() -> str:
    return f"{secrets.token_hex(8)}/from-host-00000001"


def ask(method: str, url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Send a request as a host does, which has nothing but the URL."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_host_puts_and_the_worker_takes_and_discards(spool: S3Spool) -> None:
    store: SpoolStore = spool
    name, content = fresh(), secrets.token_bytes(300_000)
    assert ask("PUT", store.offer_put(name), content)[0] == 200
    assert store.take(name) == store.take(name) == content
    store.discard(name)
    store.discard(name)
    with pytest.raises(NotFound):
        store.take(name)


def test_the_worker_puts_and_a_host_gets(spool: S3Spool) -> None:
    name, content = fresh(), secrets.token_bytes(300_000)
    spool.put(name, content)
    assert ask("GET", spool.offer_get(name)) == (200, content)


def test_a_url_is_for_one_object_one_method_and_some_minutes(spool: S3Spool) -> None:
    name, other = fresh(), fresh()
    spool.put(name, b"content")
    put, get = spool.offer_put(name), spool.offer_get(name)
    assert ask("GET", put)[0] == 403
    assert ask("PUT", get, b"x")[0] == 403
    assert ask("PUT", put.replace(name, other), b"x")[0] == 403
    assert ask("DELETE", put)[0] == 403
    assert spool.take(name) == b"content"
    query = parse_qs(urlsplit(put).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-Expires"] == ["900"]
    assert query["X-Amz-SignedHeaders"] == ["host"]


def test_a_url_expires(s3_location: str) -> None:
    store = S3Spool(parse_s3_location(s3_location.removeprefix("s3:")), minutes=2 / 60)
    name = fresh()
    store.put(name, b"content")
    url = store.offer_get(name)
    deadline = time.monotonic() + 60
    while (status := ask("GET", url)[0]) == 200 and time.monotonic() < deadline:
        pass
    assert status == 403
    assert ask("GET", store.offer_get(name))[0] == 200
    store.close()


def test_hosts_may_know_the_server_by_another_address(s3_location: str) -> None:
    place = parse_s3_location(s3_location.removeprefix("s3:"))
    store = S3Spool(place, reach="http://s3.school.example:9000")
    url = urlsplit(store.offer_put(fresh()))
    assert url.netloc == "s3.school.example:9000"
    assert url.path.startswith(f"/{place.bucket}/{place.prefix}/")
    store.put("here/it-is", b"content")
    assert store.take("here/it-is") == b"content"
    store.close()


def test_what_was_left_is_swept_and_what_is_in_use_is_not(spool: S3Spool) -> None:
    names = sorted(fresh() for _ in range(3))
    for name in names:
        spool.put(name, b"content")
    assert sweep(spool, 3600) == 0
    # In an hour, everything that lies there now is old.
    assert sorted(spool.list(-3600)) == names
    assert sweep(spool, -3600) == 3
    assert list(spool.list(-3600)) == []


def test_names_cannot_leave_the_place(spool: S3Spool) -> None:
    for name in ("../repository/config", "/config", "a//b", ""):
        with pytest.raises(ValueError, match="not a legal name"):
            spool.offer_put(name)


def test_without_credentials_nothing_is_offered(s3_location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = S3Spool(parse_s3_location(s3_location.removeprefix("s3:")))
    with pytest.raises(Denied, match="no access key"):
        store.offer_put(fresh())
    store.close()


def test_no_log_and_no_error_has_a_url_or_a_key(
    s3_location: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    place = parse_s3_location("http://127.0.0.1:9/bucket/spool")
    options = S3Options(access_key_id="AKSPOOL", secret_access_key="very-secret-key")
    store = S3Spool(place, options, policy=RetryPolicy(first=0.01, unproven=0.05))
    name = fresh()
    url = store.offer_put(name)
    told = [caplog.text]
    for action in (lambda: store.put(name, b"x"), lambda: store.take(name), lambda: store.discard(name)):
        with pytest.raises(StoreUnavailable) as caught:
            action()
        told += [str(caught.value), repr(caught.value)]
    told += [caplog.text, repr(store)]
    signature = parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]
    for text in told:
        assert "X-Amz" not in text
        assert signature not in text
        assert "very-secret-key" not in text
    store.close()
