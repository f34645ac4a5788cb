"""Checks of what callers pass in, shared by every backend so that all of them refuse the same things."""

from __future__ import annotations

from tasks.backends.base import check_name
from tasks.errors import BackendError


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` unchanged: empty, or a whole folder such as ``data/``; anything else is a ``ValueError``."""
    if prefix:
        if not prefix.endswith("/"):
            raise ValueError(f"not a folder in a backend, it must end with '/': {prefix!r}")
        check_name(prefix[:-1])
    return prefix


def check_range(offset: int, length: int | None) -> None:
    """Raise ``ValueError`` when no file of whatever size could answer such a read."""
    if length is not None and length < 0:
        raise ValueError(f"negative length: {length}")
    if offset < 0 and length is not None and length > -offset:
        raise ValueError(f"{length} bytes cannot follow {-offset} bytes before the end")


def resolve_range(name: str, size: int, offset: int, length: int | None) -> tuple[int, int]:
    """Return (first byte, number of bytes) of a read from a file of ``size`` bytes.

    Raises:
        BackendError: the file is shorter than asked for.
    """
    start = size + offset if offset < 0 else offset
    count = size - start if length is None else length
    if start < 0 or start > size or start + count > size:
        raise too_short(name, size)
    return start, count


def too_short(name: str, size: int) -> BackendError:
    """Return the error for a read beyond the end of a stored file of ``size`` bytes."""
    return BackendError(
        f"{name} is shorter than it should be: {size} bytes are stored",
        hint="Run 'firstbell check': a file of the repository is damaged.",
    )
