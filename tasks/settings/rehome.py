r"""What paths in a value become for another account: of ``C:\Users\a.ito\sea.jpg`` where she is ``C:\Users\aito``.

Only whole path components are replaced, the longest known path first: of ``/home/al`` nothing in ``/home/alan`` is
meant. Variables hold paths as they travel, ``/C/Users/a.ito``; in values of Windows they stand as Windows writes them.
Bytes, numbers and file contents are left as they are: nobody can say what a path in them is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from tasks.settings.values import Value

_TEXTS: Final = ("gvariant", "text", "plist", "REG_SZ", "REG_EXPAND_SZ")
#: What may stand before a path in a text: nothing, a quote, a separator of lists, the slashes of ``file://``.
_BEFORE: Final = r"(?<![\w.\-])"
#: What may follow the last component.
_AFTER: Final = r"(?![\w\-]|\.\w)"
#: A path of Windows as it travels.
_ON_DRIVE: Final = re.compile(r"/([A-Za-z])/(.+)")


def rehome(value: Value, old: Mapping[str, str], new: Mapping[str, str], *, windows: bool = False) -> Value:
    """Return the value with each path that a variable stood for replaced by what it stands for now."""
    pairs = _pairs(old, new, windows=windows)
    if not pairs:
        return value
    if value.kind in _TEXTS:
        return replace(value, data=_rehomed(value.data, pairs, windows=windows))
    if value.kind == "REG_MULTI_SZ":
        return replace(value, data=tuple(_rehomed(one, pairs, windows=windows) for one in value.data))
    return value


def native_path(path: str) -> str:
    r"""Return how Windows writes a path that travels as ``/C/Users/a.ito``; another one as it is."""
    match = _ON_DRIVE.fullmatch(path)
    return match[1] + ":\\" + match[2].replace("/", "\\") if match else path


def _pairs(old: Mapping[str, str], new: Mapping[str, str], *, windows: bool) -> dict[str, str]:
    """Return new paths by old ones, of those that changed. What is no path (the account's name) is in no value."""
    found = {path: new[name] for name, path in old.items() if set(path) & {"/", "\\"} and new.get(name)}
    if windows:
        found = {native_path(path): native_path(to) for path, to in found.items()}
    return {path: to for path, to in found.items() if path != to}


def _rehomed(text: str, pairs: Mapping[str, str], *, windows: bool) -> str:
    # One pass for all of them: what was put in is not looked at again.
    longest_first = sorted(pairs, key=len, reverse=True)
    spelled = {one: path for path in longest_first for one in _spellings(path, windows=windows)}
    pattern = _BEFORE + "(" + "|".join(re.escape(one) for one in spelled) + ")" + _AFTER
    folded = {one.casefold(): (one, path) for one, path in spelled.items()}

    def put(match: re.Match[str]) -> str:
        if windows and match[1].casefold() not in folded:
            return match[1]  # an i without its dot is no other spelling of one
        one, path = folded[match[1].casefold()] if windows else (match[1], spelled[match[1]])
        return _like(one, path, pairs[path])

    return re.sub(pattern, put, text, flags=re.IGNORECASE if windows else 0)


def _spellings(path: str, *, windows: bool) -> list[str]:
    """Return how a path is written: plain, in a URL, with doubled separators inside quotes."""
    found = [path]
    if windows:
        found += [path.replace("\\", "\\\\"), path.replace("\\", "/")]
    found += [one for one in (_in_url(path, windows=windows),) if one not in found]
    return found


def _in_url(path: str, *, windows: bool) -> str:
    from urllib.parse import quote

    return quote(path.replace("\\", "/") if windows else path, safe="/:")


def _like(one: str, path: str, new: str) -> str:
    """Return the new path written as the old one was."""
    if one == path:
        return new
    if one == path.replace("\\", "\\\\"):
        return new.replace("\\", "\\\\")
    if one == path.replace("\\", "/"):
        return new.replace("\\", "/")
    return _in_url(new, windows="\\" in path)
