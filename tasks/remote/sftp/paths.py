"""Absolute paths as raw bytes."""

from __future__ import annotations

import binascii

from tasks.errors import ProtocolError
from tasks.remote import frames
from tasks.remote.sftp.replies import RequestError


def decode_path(value: object) -> bytes:
    """Return the raw bytes of a path in a document. Raises ``RequestError``: only this request is wrong."""
    try:
        return frames.decode_path(value)
    except (ProtocolError, binascii.Error) as error:
        raise RequestError("bad-request", str(error)) from error


def parts_of(path: bytes) -> list[bytes]:
    """Return the names in an absolute path. Raises ``RequestError`` for one that is not plain."""
    if not path.startswith(b"/") or b"\0" in path:
        raise RequestError("bad-request", f"not an absolute path: {path[:200]!r}")
    parts = [part for part in path.split(b"/") if part]
    if b"." in parts or b".." in parts:
        raise RequestError("bad-request", f"a path with dots: {path[:200]!r}")
    return parts


def plain(value: object) -> bytes:
    """Return the path in a document, checked and without needless slashes."""
    return b"/" + b"/".join(parts_of(decode_path(value)))


def join(folder: bytes, name: bytes) -> bytes:
    """Return the path of a name in a folder."""
    return folder + name if folder.endswith(b"/") else folder + b"/" + name


def split(path: bytes) -> tuple[bytes, bytes]:
    """Return the folder that a path is in, and its name there."""
    folder, _, name = path.rpartition(b"/")
    return folder or b"/", name


def within(path: bytes, folder: bytes) -> bool:
    """Tell whether a path is a folder or below it."""
    return folder in (path, b"/") or path.startswith(folder + b"/")
