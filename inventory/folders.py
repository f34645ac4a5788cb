"""Paths that an inventory holds, on the host and on the worker."""

from __future__ import annotations

from configs.folders import check_exclude, check_folder, text_or_advice

__all__ = ["check_exclude", "check_folder", "check_home", "check_key_file", "text_or_advice"]


def check_home(value: str) -> str:
    """Return the path of a home unchanged.

    Raises:
        ValueError: it is not absolute.
    """
    if not value.startswith("/"):
        msg = f"'{value}' is no full path; begin with '/'"
        raise ValueError(msg)
    return value


def check_key_file(value: str) -> str:
    """Return the path of a private key on the worker; ``file:`` before it is understood and dropped.

    Raises:
        ValueError: it is not absolute, or the key itself was pasted in.
    """
    path = value.removeprefix("file:")
    if "PRIVATE KEY" in value or "\n" in value:
        msg = "this looks like the key itself; put it into a file only its owner can read and write its path"
        raise ValueError(msg)
    if not path.startswith(("/", "~")):
        msg = f"'{value}' is no full path of a key file; begin with '/' or '~/'"
        raise ValueError(msg)
    return path
