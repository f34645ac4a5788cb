"""Locations of repositories, as text."""

from __future__ import annotations

import re

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
