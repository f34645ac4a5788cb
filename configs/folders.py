r"""Folders and patterns that people write: which placeholders they may hold, and what is no path at all.

A Windows path may be written as Windows has it, ``D:\Projects``; it is kept as ``/D/Projects``, which is what
snapshots, rules and the host's helper call it (restic's layout on Windows).
"""

from __future__ import annotations

import re

from configs.problems import did_you_mean
from configs.values import placeholders

#: What stands for a teacher's own folders, whatever they are called on the host.
FOLDER_PLACEHOLDERS = ("home", "user", "desktop", "documents", "downloads", "pictures", "music", "videos")
_ROOTED = tuple(f"{{{name}}}" for name in FOLDER_PLACEHOLDERS if name != "user")
#: The beginning of a full path on Windows.
_DRIVE = re.compile(r"([A-Za-z]):[\\/]")
#: What may stand in front of a full path so that it may be long.
_DEVICE = ("\\\\?\\", "\\\\.\\")


def text_or_advice(value: object) -> object:
    """Return the value unchanged.

    Raises:
        ValueError: it is what YAML makes of ``{home}`` without quotes.
    """
    if isinstance(value, dict) and len(value) == 1 and next(iter(value.values())) is None:
        msg = f'put this into quotes: "{{{next(iter(value))}}}"'
        raise ValueError(msg)
    return value


def portable_path(value: str) -> str:
    r"""Return a path that is written as Windows has it with ``/``: ``C:\Users\a.ito`` is ``/C/Users/a.ito``.

    Any other text is returned unchanged.

    Raises:
        ValueError: it is a path of a server (``\\server\share``), a drive without a path, or has a stream's colon.
    """
    text = value[4:] if value.startswith(_DEVICE) and _DRIVE.match(value[4:]) else value
    if text.startswith("\\\\"):
        msg = f"'{value}' is a folder of a server, not of this computer; save the server as a host of its own"
        raise ValueError(msg)
    if re.fullmatch(r"[A-Za-z]:", text):
        msg = f"'{value}' names no folder; write '{value}\\' for the whole drive"
        raise ValueError(msg)
    drive = _DRIVE.match(text)
    if drive is None:
        rooted = text.startswith(("~\\", *(f"{one}\\" for one in _ROOTED)))
        return text.replace("\\", "/") if rooted else text
    rest = text[3:].replace("\\", "/")
    if ":" in rest:
        msg = f"'{value}' has a ':' in it, which no name on Windows can have"
        raise ValueError(msg)
    return f"/{drive[1].upper()}/{rest.strip('/')}".rstrip("/")


def check_folder(value: str) -> str:
    """Return a folder to save, a Windows path as ``portable_path`` has it.

    Raises:
        ValueError: it is no full path, or has a placeholder that nobody knows.
    """
    value = portable_path(value)
    for name in placeholders(value):
        if name not in FOLDER_PLACEHOLDERS:
            known = ", ".join(f"{{{one}}}" for one in FOLDER_PLACEHOLDERS)
            msg = f"unknown placeholder '{{{name}}}'; here there are {known}." + did_you_mean(name, FOLDER_PLACEHOLDERS)
            raise ValueError(msg)
    if not value.startswith(("/", *_ROOTED)):
        msg = f"'{value}' is no full path; begin with '{{home}}/', with '/' or, on Windows, with 'C:\\'"
        raise ValueError(msg)
    if ".." in value.split("/"):
        msg = f"'{value}' holds '..'; write the path itself"
        raise ValueError(msg)
    return value


def portable_pattern(value: str) -> str:
    r"""Return a pattern that can only be Windows' spelling with ``/``: ``~\Downloads\cache\`` or ``C:\Temp\*.iso``.

    In such a one ``[`` stands for itself. A pattern like ``Downloads\cache`` may mean either a folder on Windows or a
    quoted character; it is returned as it is, and read as the host's system has it.
    """
    if not (_DRIVE.match(value) or value.startswith("~\\") or (value.endswith("\\") and not value.endswith("\\\\"))):
        return value
    text = value.replace("\\", "/").replace("[", "\\[")
    return f"/{text[0].upper()}/{text[3:]}" if _DRIVE.match(text) else text


def check_exclude(value: str) -> str:
    """Return a pattern to leave out, one of Windows as ``portable_pattern`` has it.

    Raises:
        ValueError: it is empty, or spells a home in the manner of ``include``, which would match nothing, or has what
            other programs' patterns know and these do not.
    """
    value = portable_pattern(value)
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
