"""What an item captures and when it may be put back, in words for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from configs.catalog_captures import Capture
from configs.catalog_item import CatalogItem
from configs.values import size_text

_SAME: Final = {
    "os-release": "the same release of the system",
    "os-build": "the same build of the system",
    "app-major": "the same main version of the program",
}


def capture_lines(item: CatalogItem, *, code: str = "`") -> Iterator[str]:
    """Yield one line for each capture; names of places stand between two ``code`` marks."""
    for capture in item.capture:
        yield _line(capture, code)


def version_text(item: CatalogItem) -> str:
    """Return between which versions the item may be put back, or nothing when that does not matter."""
    limits = item.versions
    parts = [
        _between("Only for versions of the system", limits.os_min, limits.os_max),
        _between("Only for versions of the program", limits.app_min, limits.app_max),
        f"Put back only onto {_SAME[limits.same]}." if limits.same != "any" else "",
    ]
    return " ".join(part for part in parts if part)


def _between(what: str, oldest: str | None, newest: str | None) -> str:
    words = (f"from {oldest}" if oldest else "", f"up to {newest}" if newest else "")
    text = " ".join(word for word in words if word)
    return f"{what} {text}." if text else ""


def _line(capture: Capture, code: str) -> str:
    match capture.kind:
        case "files":
            left_out = f", without {_names(capture.exclude, code)}" if capture.exclude else ""
            return f"Files up to {size_text(capture.max_size)}: {_names(capture.paths, code)}{left_out}"
        case "registry":
            below = ", and all keys below" if capture.subtree else ""
            left_out = f", without {_names(capture.exclude, code)}" if capture.exclude else ""
            return f"Registry {code}{capture.key}{code}{below}: {_values(capture.values, code)}{left_out}"
        case "dconf":
            left_out = f", without {_names(capture.exclude, code)}" if capture.exclude else ""
            return f"dconf {_names(capture.paths, code)}{left_out}"
        case "plist":
            host = ", of this Mac only" if capture.host == "current" else ""
            left_out = f", without {_names(capture.exclude, code)}" if capture.exclude else ""
            return f"Preferences {code}{capture.domain}{code}{host}: {_values(capture.keys, code)}{left_out}"
        case "ini":
            groups = "; ".join(f"[{name}] {_values(keys, code)}" for name, keys in capture.groups.items())
            left_out = f"; without {_names(capture.exclude, code)}" if capture.exclude else ""
            return f"Keys in {code}{capture.file}{code}: {groups}{left_out}"
        case "command":
            words = " ".join(capture.argv[:1]) if len(" ".join(capture.argv)) > 100 else " ".join(capture.argv)
            who = " as an administrator" if capture.run_as == "administrator" else ""
            told = "" if capture.apply else ", only told"
            return f"What {code}{words}{code} answers{who}{told}"
        case "presence":
            return f"Whether it is there, nothing of it is read: {_names((*capture.paths, *capture.keys), code)}"


def _values(names: Iterable[str], code: str) -> str:
    found = tuple(names)
    return "everything" if found == ("*",) else _names(found, code)


def _names(names: Iterable[str], code: str) -> str:
    return ", ".join(f"{code}{one or '(default)'}{code}" for one in names)
