r"""Places that the catalog speaks of without knowing them: ``{appdata}``, ``{documents}``, and how paths are written.

Paths are kept with ``/`` on every platform; a full path on Windows, ``C:\ProgramData``, as ``/C/ProgramData``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from configs.folders import FOLDER_PLACEHOLDERS, portable_path
from configs.problems import did_you_mean

Platform = Literal["windows", "macos", "linux"]
PLATFORMS: Final[tuple[Platform, ...]] = ("windows", "macos", "linux")

_FOLDERS: Final[Mapping[str, str]] = {
    "home": "the teacher's home",
    "desktop": "the teacher's desktop folder, wherever it lies",
    "documents": "the teacher's documents folder",
    "downloads": "the teacher's downloads folder",
    "pictures": "the teacher's pictures folder",
    "music": "the teacher's music folder",
    "videos": "the teacher's videos folder",
    "user": "the teacher's account name",
}
#: Platform -> variable -> what it stands for.
VARIABLES: Final[Mapping[Platform, Mapping[str, str]]] = {
    "windows": {
        **_FOLDERS,
        "appdata": "settings that may follow the teacher (AppData\\Roaming)",
        "localappdata": "settings of this computer (AppData\\Local)",
        "programdata": "settings of the whole computer (C:\\ProgramData)",
        "programfiles": "installed programs (C:\\Program Files, and C:\\Program Files (x86))",
        "windows": "Windows itself (C:\\Windows)",
    },
    "macos": {
        **_FOLDERS,
        "library": "the teacher's Library folder",
        "appsupport": "Library/Application Support of the teacher",
        "preferences": "Library/Preferences of the teacher",
        "containers": "Library/Containers of the teacher",
    },
    "linux": {
        **_FOLDERS,
        "config": "settings of the teacher's programs (XDG_CONFIG_HOME, else ~/.config)",
        "data": "data of the teacher's programs (XDG_DATA_HOME, else ~/.local/share)",
        "state": "state of the teacher's programs (XDG_STATE_HOME, else ~/.local/state)",
    },
}
_NAMES: Final = sorted({*FOLDER_PLACEHOLDERS, *(name for known in VARIABLES.values() for name in known)})
#: A variable: a word in braces. What else stands in braces is text, as in a line of PowerShell.
_VARIABLE: Final = re.compile(r"\{([a-z]+)\}")


def variables_in(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a text, in the order they stand."""
    return tuple(_VARIABLE.findall(text))


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """Return the text with its variables replaced.

    Raises:
        KeyError: a variable has no value; the key is its name.
    """
    return _VARIABLE.sub(lambda match: values[match[1]], text)


def check_no_nul(value: str) -> str:
    """Return a text that may stand in a path or a command. Raises ``ValueError``."""
    if "\0" in value:
        msg = "this holds a NUL character, which no path and no command can"
        raise ValueError(msg)
    return value


def check_path(value: str) -> str:
    r"""Return a path or pattern of the catalog with ``/``.

    Raises:
        ValueError: it does not begin at a known place, or has ``..`` in it.
    """
    text = value.replace("\\", "/") if value.startswith("{") else portable_path(value)
    check_no_nul(text)
    for name in variables_in(text):
        if name not in _NAMES:
            advice = did_you_mean(name, _NAMES) or " docs/settings.md lists them."
            msg = f"unknown variable '{{{name}}}'.{advice}"
            raise ValueError(msg)
    place, _, rest = text.partition("/")
    if not (text.startswith("/") or (_VARIABLE.fullmatch(place) and place != "{user}")):
        msg = f"'{value}' does not say where it lies; begin with a variable such as '{{home}}/', or with a full path"
        raise ValueError(msg)
    if re.match(r"/(?:[A-Za-z]/)?\*", text):
        msg = f"'{value}' is the whole computer; begin with a folder"
        raise ValueError(msg)
    if ".." in text.split("/"):
        msg = f"'{value}' holds '..'; write the path itself"
        raise ValueError(msg)
    if text.endswith("/"):
        msg = f"'{value}' ends in a separator; write '{text}**' for all that is in the folder"
        raise ValueError(msg)
    if "**" in rest and any("**" in part and part != "**" for part in rest.split("/")):
        msg = f"'{value}': '**' stands for whole folders, so it must stand alone between two separators"
        raise ValueError(msg)
    return text
