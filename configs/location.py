"""Locations of repositories, as text."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

#: A bucket's name, AWS's rules without the rare ones: lower case, digits, ``-`` and ``.``, 3 to 63 characters.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def bucket_of(location: str) -> str | None:
    """Return the bucket of an S3 location in either spelling, or None for another kind of location."""
    if location.startswith("s3://"):
        return location.removeprefix("s3://").partition("/")[0]
    if location.startswith("s3:"):
        address = location.removeprefix("s3:")
        scheme, _, rest = address.rpartition("://")
        parts = rest.split("/")
        return parts[1] if len(parts) > 1 and (scheme or parts[0]) else ""
    return None


def location_problem(location: str) -> str | None:
    """Return what is wrong with a location whose placeholders are filled in, or None."""
    bucket = bucket_of(location)
    if bucket is not None:
        if not bucket:
            return f"'{location}' names no bucket; write 's3://bucket/prefix' or 's3:https://server/bucket/prefix'"
        if _BUCKET.fullmatch(bucket) is None:
            return (
                f"'{bucket}' cannot be the name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.', "
                "beginning and ending with a letter or digit"
            )
        return None
    path = location.removeprefix("local:")
    if path.startswith("/") or location.startswith("memory:"):
        return None
    return f"'{location}' is no location; write 's3://bucket/prefix' or the full path of a folder, beginning with '/'"


def check_endpoint(value: str) -> str:
    """Return the address of a server.

    Raises:
        ValueError: it is none, has more than scheme, name and port, or has a credential in it, which is not repeated.
    """
    try:
        parts = urlsplit(value)
        legal = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        legal = False
    if not legal:
        msg = "this is no address of a server; write for example 'https://s3.school.example:9000'"
        raise ValueError(msg)
    if "@" in parts.netloc:
        msg = "there is a credential in this address, which a computer would get to see; write it without"
        raise ValueError(msg)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        msg = "an address ends behind the port; write for example 'https://s3.school.example:9000'"
        raise ValueError(msg)
    return value.rstrip("/")


def check_proxy(value: str) -> str:
    """Return the address of a proxy, or ``system``.

    Raises:
        ValueError: it is neither.
    """
    return value if value == "system" else check_endpoint(value)


def bucket_and_prefix(location: str) -> tuple[str, str] | None:
    """Return bucket and prefix of an S3 location in either spelling, or None for another kind of location."""
    bucket = bucket_of(location)
    if bucket is None:
        return None
    # Behind the scheme, and in restic's spelling behind the server too.
    rest = location.removeprefix("s3://") if location.startswith("s3://") else location.partition("://")[2] or location
    parts = [part for part in rest.split("/") if part]
    skip = 1 if location.startswith("s3://") else 2
    return bucket, "/".join(parts[skip:])


def overlap(one: str, other: str) -> bool:
    """Return whether one of two S3 locations lies in the other, or they are the same; servers are not compared."""
    first, second = bucket_and_prefix(one), bucket_and_prefix(other)
    if first is None or second is None or first[0] != second[0]:
        return False
    a, b = (f"{prefix}/" if prefix else "" for prefix in (first[1], second[1]))
    return a.startswith(b) or b.startswith(a)
