"""Names and paths that an inventory holds, of the host and of the worker."""

from __future__ import annotations

import re

from configs.folders import check_exclude, check_folder, text_or_advice

__all__ = [
    "check_account",
    "check_address",
    "check_exclude",
    "check_folder",
    "check_home",
    "check_key_file",
    "text_or_advice",
]

#: No path, no list separator of a passwd file, nothing that ends a line; a domain may stand before it.
_ACCOUNT = re.compile(r"[^\s/:][^/:\x00-\x1f]{0,255}")
_ADDRESS = re.compile(r"[^\s/@\x00-\x1f]{1,253}")


def check_account(value: str) -> str:
    """Return the name of an account unchanged.

    Raises:
        ValueError: no account can have this name.
    """
    if _ACCOUNT.fullmatch(value) is None:
        msg = "this is no account name"
        raise ValueError(msg)
    return value


def check_address(value: str) -> str:
    """Return a name or an address in the network unchanged.

    Raises:
        ValueError: it is none, for example because it holds a user or a path.
    """
    if _ADDRESS.fullmatch(value) is None or value.startswith("-"):
        msg = "this is no name or address of a computer"
        raise ValueError(msg)
    return value


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
