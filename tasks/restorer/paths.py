"""Absolute paths as raw bytes, the same on every worker: ``posixpath`` would do, but for what it makes of ``//``."""

from __future__ import annotations

import base64
from typing import Any


def join(folder: bytes, name: bytes) -> bytes:
    """Return the path of ``name`` in ``folder``."""
    return folder + name if folder.endswith(b"/") else folder + b"/" + name


def parent(path: bytes) -> bytes:
    """Return the folder that holds ``path``; that of ``/`` is ``/``."""
    return path.rpartition(b"/")[0] or b"/"


def inside(path: bytes, folder: bytes) -> bool:
    """Return whether ``path`` is ``folder`` or lies below it."""
    return path == folder or path.startswith(folder if folder.endswith(b"/") else folder + b"/")


def relative(path: bytes, folder: bytes) -> bytes:
    """Return what follows ``folder`` in ``path``, without a leading ``/``; ``path`` must be inside it."""
    return path[len(folder) :].lstrip(b"/")


def clean(path: bytes) -> bytes:
    """Return an absolute path without doubled or trailing ``/``. Raises ``ValueError`` when it is none."""
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if not path.startswith(b"/") or b".." in parts or b"\0" in path:
        raise ValueError(f"not an absolute path: {path!r}")
    return b"/" + b"/".join(parts)


def display(path: bytes) -> str:
    r"""Return a path as people read it: on one line, with ``\n`` and ``\xff`` where it is not plain text."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def to_json(path: bytes) -> Any:
    """Return a path as JSON holds it: text when it is UTF-8, else ``{"b64": ...}`` with its raw bytes."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(path).decode("ascii")}


def from_json(value: Any) -> bytes:
    """Return the raw bytes of a path from ``to_json``. Raises ``ValueError`` when it is none."""
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        return base64.b64decode(value["b64"], validate=True)
    raise ValueError(f"not a path: {value!r}")
