"""Absolute paths as raw bytes."""

from __future__ import annotations

from tasks.remote.frames import decode_path
from tasks.remote.sftp.replies import RequestError


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
    return path == folder or folder == b"/" or path.startswith(folder + b"/")


def resolve(target: bytes, path: bytes) -> bytes:
    """Return where a symlink at ``path`` points, as an absolute path without dots; further symlinks are not resolved."""
    done = [] if target.startswith(b"/") else [part for part in split(path)[0].split(b"/") if part]
    for part in target.split(b"/"):
        if part == b"..":
            del done[-1:]
        elif part and part != b".":
            done.append(part)
    return b"/" + b"/".join(done)
