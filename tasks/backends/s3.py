"""Files as objects on an S3 server, in the layout of restic's S3 backend: one object per file, ``prefix/name``.

An object appears whole or not at all, and every current S3 server shows it to all readers at once. Packs are about
16 MiB, so there is no multipart upload, and with it nothing half-done to clean up.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from tasks.backends.base import Backend, Buffer, FileInfo, check_name
from tasks.backends.names import check_prefix, check_range, resolve_range, too_short
from tasks.backends.s3_location import S3Location, parse_s3_location
from tasks.backends.s3_options import S3Options
from tasks.errors import BackendError, NotFound, StoreUnavailable

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

#: What S3 servers answer that do not know conditional writes.
_NO_CONDITION: Final = frozenset({"NotImplemented", "501"})
_MISMATCH: Final = frozenset({"XAmzContentSHA256Mismatch", "BadDigest"})


def open_location(rest: str, options: S3Options | None, connections: int) -> S3Backend:
    """Return the backend for the location ``s3:<rest>``; the server is not asked yet."""
    return S3Backend(parse_s3_location(rest), options or S3Options(), connections=connections)


class S3Backend(Backend):
    """A prefix in a bucket. All threads share one client, made when it is first needed."""

    def __init__(self, place: S3Location, options: S3Options, *, connections: int = 8) -> None:
        self.location = str(place)
        self._place = place
        self._options = options
        self._connections = connections
        self._prefix = place.prefix + "/" if place.prefix else ""
        self._lock = threading.Lock()
        self._made: S3Client | None = None
        self._closed = False

    def ensure_location(self) -> None:
        """Create the bucket when there is none."""
        client = self._client()
        try:
            with self._errors("look for the bucket"):
                client.head_bucket(Bucket=self._place.bucket)
        except NotFound:
            region = client.meta.region_name
            more: dict[str, Any] = {}
            if region != "us-east-1":  # there, S3 refuses to hear the obvious
                more["CreateBucketConfiguration"] = {"LocationConstraint": region}
            with self._errors("create the bucket"), contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=self._place.bucket, **more)

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        """Put one object; with ``overwrite=False`` under ``If-None-Match: *``."""
        check_name(name)
        client = self._client()
        # bytes go out in one piece; botocore would feed a file-like object to the socket in small ones.
        body = data if isinstance(data, bytes) else bytes(data)
        more: dict[str, Any] = {}
        if self._options.storage_class and name.startswith("data/"):
            more["StorageClass"] = self._options.storage_class
        if overwrite:
            self._put(client, name, body, **more)
            return
        try:
            self._put(client, name, body, IfNoneMatch="*", **more)
        except _ConditionUnknown:
            with contextlib.suppress(NotFound):
                self.stat(name)
                raise FileExistsError(name) from None
            self._put(client, name, body, **more)

    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Get an object or a range of it, in one request."""
        check_name(name)
        check_range(offset, length)
        if length == 0:
            resolve_range(name, self.stat(name).size, offset, 0)
            return b""
        client = self._client()
        more: dict[str, Any] = {}
        if offset or length is not None:
            more["Range"] = _range(offset, length)
        try:
            with self._errors(name):
                answer = client.get_object(Bucket=self._place.bucket, Key=self._prefix + name, **more)
                body = answer["Body"]
                try:
                    content: bytes = body.read()
                finally:
                    body.close()
        except _RangeOutside:
            # Reading nothing at the very end is legal, but no HTTP range says it.
            resolve_range(name, self.stat(name).size, offset, length)
            return b""
        return _cut(name, content, offset, length)

    def stat(self, name: str) -> FileInfo:
        """Ask for an object's size."""
        check_name(name)
        client = self._client()
        with self._errors(name):
            answer = client.head_object(Bucket=self._place.bucket, Key=self._prefix + name)
        return FileInfo(name, answer["ContentLength"])

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        """Yield the objects, a thousand per request, in the order of their names."""
        check_prefix(prefix)
        return (FileInfo(name, size) for name, size, _ in self._list(self._client(), prefix))

    def list_until(self, latest: datetime) -> Iterator[str]:
        """Yield the names of the objects that were stored before ``latest`` by the server's clock."""
        return (name for name, _, stored in self._list(self._client(), "") if stored < latest)

    def remove(self, name: str) -> None:
        """Delete an object."""
        check_name(name)
        client = self._client()
        with contextlib.suppress(NotFound), self._errors(name):
            client.delete_object(Bucket=self._place.bucket, Key=self._prefix + name)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            self._closed = True
            client, self._made = self._made, None
        if client:
            client.close()

    def is_transient(self, error: BaseException) -> bool:
        """Overload, timeouts, connections refused or broken."""
        return isinstance(error, StoreUnavailable)

    def _client(self) -> S3Client:
        with self._lock:
            if self._closed:
                raise BackendError(f"{self.location}: the backend is closed")
            if self._made is None:
                from tasks.backends.s3_client import make_client

                self._made = make_client(self._place, self._options, self._connections)
            return self._made

    def _put(self, client: S3Client, name: str, body: bytes, **more: Any) -> None:
        try:
            with self._errors(name):
                client.put_object(Bucket=self._place.bucket, Key=self._prefix + name, Body=body, **more)
        except _Mismatch as error:
            if hashlib.sha256(body).hexdigest() == name.rpartition("/")[2]:
                raise StoreUnavailable(f"{self.location}: {name} was damaged on its way to the server") from error
            raise BackendError(
                f"{self.location}: {name} does not have the content that its name promises, and was not stored",
                hint="This computer's memory may be faulty; test it before the next run.",
            ) from error

    def _list(self, client: S3Client, prefix: str) -> Iterator[tuple[str, int, datetime]]:
        where = prefix or "list"
        with self._errors(where):
            pages = iter(
                client.get_paginator("list_objects_v2").paginate(
                    Bucket=self._place.bucket, Prefix=self._prefix + prefix
                )
            )
        while True:
            with self._errors(where):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                name = found["Key"][len(self._prefix) :]
                with contextlib.suppress(ValueError):
                    yield check_name(name), found["Size"], found["LastModified"]

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn what botocore raises into our errors."""
        from botocore.exceptions import BotoCoreError, ClientError
        from urllib3.exceptions import HTTPError

        from tasks.backends.s3_errors import error_code, translate

        try:
            yield
        except (BotoCoreError, ClientError, HTTPError, OSError) as error:
            code = error_code(error)
            if code in {"PreconditionFailed", "412"}:
                raise FileExistsError(what) from None
            if code in {"InvalidRange", "416"}:
                raise _RangeOutside(what) from None
            if code in _NO_CONDITION:
                raise _ConditionUnknown(f"{self.location}: {what}: the server does not implement this") from error
            if code in _MISMATCH:
                raise _Mismatch(what) from error
            raise translate(error, f"{self.location}: {what}") from error


class _RangeOutside(BackendError):
    """The server has no byte of the range."""


class _ConditionUnknown(BackendError):
    """The server does not know ``If-None-Match`` on writes."""


class _Mismatch(BackendError):
    """The hash that the request was signed with is not that of the content."""


def _range(offset: int, length: int | None) -> str:
    """Return the value of a Range header (RFC 9110, 14.1.2)."""
    if offset < 0:
        return f"bytes={offset}"
    return f"bytes={offset}-" if length is None else f"bytes={offset}-{offset + length - 1}"


def _cut(name: str, content: bytes, offset: int, length: int | None) -> bytes:
    """Return just what was asked for from what a range request gave."""
    if offset < 0:
        if len(content) < -offset:
            raise too_short(name, len(content))
        return content[: len(content) if length is None else length]
    if length is not None and len(content) != length:
        raise too_short(name, offset + len(content))
    return content
