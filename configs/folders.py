"""Folders and patterns that people write: which placeholders they may hold, and what is no path at all."""

from __future__ import annotations

import re

from configs.problems import did_you_mean
from configs.values import placeholders

#: What stands for a teacher's own folders, whatever they are called on the host.
FOLDER_PLACEHOLDERS = ("home", "user", "desktop", "documents", "downloads", "pictures", "music", "videos")
_ROOTED = tuple(f"{{{name}}}" for name in FOLDER_PLACEHOLDERS if name != "user")


def text_or_advice(value: object) -> object:
    """Return the value unchanged.

    Raises:
        ValueError: it is what YAML makes of ``{home}`` without quotes.
    """
    if isinstance(value, dict) and len(value) == 1 and next(iter(value.values())) is None:
        msg = f'put this into quotes: "{{{next(iter(value))}}}"'
        raise ValueError(msg)
    return value


def check_folder(value: str) -> str:
    """Return a folder to save unchanged.

    Raises:
        ValueError: it is no full path, or has a placeholder that nobody knows.
    """
    for name in placeholders(value):
        if name not in FOLDER_PLACEHOLDERS:
            known = ", ".join(f"{{{one}}}" for one in FOLDER_PLACEHOLDERS)
            msg = f"unknown placeholder '{{{name}}}'; here there are {known}." + did_you_mean(name, FOLDER_PLACEHOLDERS)
            raise ValueError(msg)
    if not value.startswith(("/", *_ROOTED)):
        msg = f"'{value}' is no full path; begin with '{{home}}/' or with '/'"
        raise ValueError(msg)
    if ".." in value.split("/"):
        msg = f"'{value}' holds '..'; write the path itself"
        raise ValueError(msg)
    return value


def check_exclude(value: str) -> str:
    """Return a pattern to leave out unchanged.

    Raises:
        ValueError: it is empty, or spells a home in the manner of ``include``, which would match nothing, or has what
            other programs' patterns know and these do not.
    """
    if not value.strip():
        msg = "an empty pattern leaves out nothing; remove it"
        raise ValueError(msg)
    if value.startswith("!"):
        msg = f"'{value}': an exclude cannot be taken back; write '\\!' for the character"
        raise ValueError(msg)
    if re.search(r"(?<!\\)\[", value):
        msg = f"'{value}': there are no sets of characters; write '\\[' for the character"
        raise ValueError(msg)
    if any(name in FOLDER_PLACEHOLDERS for name in placeholders(value)):
        msg = f"'{value}': patterns have no placeholders; write '~/' for every teacher's home"
        raise ValueError(msg)
    return value
