"""The two spellings of a place on S3: the AWS tools' ``s3://bucket/prefix`` and restic's ``s3:host/bucket/prefix``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tasks.errors import ConfigError

_HINT: Final = "Use 's3://bucket/prefix', or 's3:http://host:port/bucket/prefix' for a server of your own."
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_AWS_REGION: Final = re.compile(r"https://s3[.-]([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket, a prefix without slashes around it, and the server's address when the location names one."""

    bucket: str
    prefix: str
    endpoint_url: str | None = None

    def __str__(self) -> str:
        path = f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket
        return f"s3:{self.endpoint_url}/{path}" if self.endpoint_url else f"s3://{path}"

    @property
    def region(self) -> str | None:
        """The region that an AWS address names, such as ``s3.eu-west-1.amazonaws.com``."""
        found = _AWS_REGION.fullmatch(self.endpoint_url or "")
        return found[1] if found else None


def parse_s3_location(rest: str) -> S3Location:
    """Return the place that ``s3:<rest>`` means.

    Raises:
        ConfigError: no bucket, a bad name, or a credential in the address; the text does not repeat it.
    """
    if rest.startswith("//"):
        endpoint, path = None, rest[2:]
    else:
        endpoint, path = _endpoint(rest if re.match(r"https?://", rest) else f"https://{rest}")
    bucket, _, prefix = path.strip("/").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError("the S3 location has no bucket, or not a legal name for one", hint=_HINT)
    parts = [part for part in prefix.split("/") if part]
    if any(part in {".", ".."} or not part.isprintable() for part in parts):
        raise ConfigError("the prefix of the S3 location has '.', '..' or control characters in it", hint=_HINT)
    return S3Location(bucket, "/".join(parts), endpoint)


def _endpoint(url: str) -> tuple[str, str]:
    """Return (address of the server, path behind it)."""
    try:
        parts = urlsplit(url)
        legal = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        legal = False
    if not legal or parts.query or parts.fragment:
        raise ConfigError("the S3 location has no legal server address", hint=_HINT)
    if "@" in parts.netloc:
        raise ConfigError(
            "the S3 location has a credential in it, which logs and process lists would show",
            hint="Put references to the keys into the configuration, or the keys into AWS_* variables.",
        )
    return f"{parts.scheme}://{parts.netloc}", parts.path
