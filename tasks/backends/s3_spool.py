"""A spool in a bucket: objects of minutes, reached by hosts through presigned URLs (signature version 4).

A URL is signed here, without asking the server. It is valid for ``minutes``, less when the account's own credentials
are temporary and end sooner.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tasks.backends.base import Buffer, check_name
from tasks.backends.retry import RetryBackend, RetryPolicy
from tasks.backends.s3 import S3Backend
from tasks.backends.s3_location import S3Location
from tasks.backends.s3_options import S3Options
from tasks.errors import BackendError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: A host's answer is awaited meanwhile: no insisting for the five minutes that a repository is worth. In seconds.
_POLICY: Final = RetryPolicy(first=0.2, longest=5.0, deadline=120.0, unproven=20.0)


class S3Spool:
    """The ``SpoolStore`` below one place in a bucket; all host runs may share it."""

    def __init__(
        self,
        place: S3Location,
        options: S3Options | None = None,
        *,
        minutes: float = 15.0,
        reach: str | None = None,
        connections: int = 8,
        policy: RetryPolicy | None = None,
    ) -> None:
        """Use ``place``; ``reach`` is the address of the server as hosts know it, when that is another one."""
        self.location = str(place)
        self._place = place
        self._seen_by_hosts = dataclasses.replace(place, endpoint_url=reach) if reach else place
        self._options = options or S3Options()
        self._seconds = max(1, round(minutes * 60))
        self._prefix = place.prefix + "/" if place.prefix else ""
        self._store = S3Backend(place, dataclasses.replace(self._options, storage_class=None), connections=connections)
        self._files = RetryBackend(self._store, policy or _POLICY)
        self._lock = threading.Lock()
        self._made: S3Client | None = None
        self._closed = False

    def offer_put(self, name: str) -> str:
        """Return a URL for one PUT."""
        return self._sign("put_object", name)

    def offer_get(self, name: str) -> str:
        """Return a URL for GET."""
        return self._sign("get_object", name)

    def put(self, name: str, data: Buffer) -> None:
        """Store an object."""
        self._files.save(name, data)

    def take(self, name: str) -> bytes:
        """Return an object."""
        return self._files.load(name)

    def discard(self, name: str) -> None:
        """Delete an object."""
        self._files.remove(name)

    def list(self, older_than: float) -> Iterator[str]:
        """Yield the old objects, as the server's clock has it."""
        latest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=older_than)
        return self._store.list_until(latest)

    def close(self) -> None:
        """Give up the connections; waits for another try end at once."""
        with self._lock:
            self._closed = True
            client, self._made = self._made, None
        if client:
            client.close()
        self._files.close()

    def _sign(self, method: str, name: str) -> str:
        from botocore.exceptions import BotoCoreError

        from tasks.backends.s3_errors import translate

        check_name(name)
        client = self._signer()
        try:
            return client.generate_presigned_url(
                method,
                Params={"Bucket": self._place.bucket, "Key": self._prefix + name},
                ExpiresIn=self._seconds,
            )
        except BotoCoreError as error:
            raise translate(error, self.location) from error

    def _signer(self) -> S3Client:
        with self._lock:
            if self._closed:
                raise BackendError(f"{self.location}: the spool is closed")
            if self._made is None:
                from tasks.backends.s3_client import make_signer

                self._made = make_signer(self._seen_by_hosts, self._options)
            return self._made
