"""The second pass over catalog items: what the keys of an item say together, and the items with one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from configs.catalog_captures import Capture, CommandCapture
from configs.catalog_item import CatalogItem, restorable
from configs.catalog_secrets import secrets_of
from configs.catalog_variables import VARIABLES, Platform, variables_in
from configs.problems import did_you_mean

#: Path below the item, and what is wrong.
Finding = tuple[tuple[str, ...], str]
#: Kinds that only one platform has; the others are everywhere.
_ONLY_ON: Final[Mapping[str, Platform]] = {"registry": "windows", "dconf": "linux", "plist": "macos"}


def item_findings(item: CatalogItem) -> Iterator[Finding]:
    """Yield what the keys of one item say wrongly together."""
    yield from _restore_findings(item)
    if item.platform == "linux" and item.desktop is None:
        yield ("desktop",), "an item of Linux says which desktop it belongs to: 'gnome', 'kde' or 'any'"
    if item.platform != "linux" and item.desktop is not None:
        yield ("desktop",), f"only items of Linux belong to a desktop, and this one is of {item.platform}"
    for index, capture in enumerate(item.capture):
        where = ("capture", str(index))
        only = _ONLY_ON.get(capture.kind)
        if only is not None and item.platform != only:
            yield (*where, "kind"), f"'{capture.kind}' is there on {only} only, and this item is of {item.platform}"
        yield from (((*where, key), text) for key, text in _capture_findings(capture, item.platform))
    for index, one in enumerate(item.prerequisites):
        if not (one.programs or one.commands or one.paths):
            text = (
                f"nothing says how to see that '{one.application}' is installed: name 'programs', 'commands' or 'paths'"
            )
            yield ("prerequisites", str(index)), text
        yield from (
            (("prerequisites", str(index), "paths"), text) for text in _strange_variables(one.paths, item.platform)
        )
    if item.redact and not any(one.kind in {"registry", "plist", "ini", "dconf"} for one in item.capture):
        yield (
            ("redact",),
            "only registry, plist, ini and dconf have names that could be redacted; leave files out by 'exclude'",
        )
    if not item.sensitive:
        for index, found in secrets_of(item):
            text = f"this would capture a secret ('{found}'): add 'sensitive: true', or leave it out"
            yield ("capture", str(index)), text


def _restore_findings(item: CatalogItem) -> Iterator[Finding]:
    if item.restore in {"cannot", "needs-it"} and item.because is None:
        yield ("because",), f"field required, since this is '{item.restore}': say why, in plain words"
    if item.restore == "cannot" and item.do_first is None:
        yield ("do_first",), "field required, since this cannot come back: what can the teacher do before the wipe?"
    if item.restore in {"by-itself", "first-sign-in"}:
        if item.because is not None:
            yield ("because",), f"this comes back ('{item.restore}'); what of it does not is for 'limits'"
        if not any(restorable(one) for one in item.capture):
            text = "nothing in it can be put back: 'presence' and a command without 'apply' only tell what is there"
            yield ("restore",), text


def _capture_findings(capture: Capture, platform: Platform) -> Iterator[tuple[str, str]]:
    match capture.kind:
        case "files" | "presence":
            yield from (("paths", text) for text in _strange_variables(capture.paths, platform))
            if capture.kind == "files":
                yield from (("exclude", text) for text in _strange_variables(capture.exclude, platform))
            if capture.kind == "presence" and not (capture.paths or capture.keys):
                yield "kind", "nothing to look for: name 'paths' or, on Windows, 'keys'"
            if capture.kind == "presence" and capture.keys and platform != "windows":
                yield "keys", f"a registry is there on windows only, and this item is of {platform}"
        case "ini":
            yield from (("file", text) for text in _strange_variables((capture.file,), platform))
            if "*" in capture.file:
                yield "file", "this must be one file, without '*'"
        case "command":
            yield from _command_findings(capture, platform)
        case _:
            return


def _command_findings(capture: CommandCapture, platform: Platform) -> Iterator[tuple[str, str]]:
    for key, words in (("argv", capture.argv), ("apply", capture.apply)):
        for text in _strange_variables(words, platform):
            yield key, text + ("" if "Did you mean" in text else " Of a text in braces write '{ text }'.")
    if capture.run_as == "administrator" and platform != "windows":
        yield "run_as", f"on {platform} a command is always the teacher's; leave 'run_as' out"
    if "{value}" in " ".join(capture.argv):
        yield "argv", "the command that asks has no '{value}'; that is for 'apply'"
    if capture.format == "json" and capture.by_argument:
        yield "apply", "an answer in JSON goes to standard input, not into '{value}'"


def _strange_variables(paths: Iterable[str], platform: Platform) -> Iterator[str]:
    for name in dict.fromkeys(one for path in paths for one in variables_in(path)):
        if name not in VARIABLES[platform] and name != "value":
            yield f"there is no '{{{name}}}' on {platform}.{did_you_mean(name, VARIABLES[platform])}"


def order_findings(items: Sequence[CatalogItem], left_out: Iterable[str] = ()) -> Iterator[tuple[str, Finding]]:
    """Yield the id of each item that requires what is not there or, over others, itself."""
    known = {one.id: one for one in items}
    gone = frozenset(left_out)
    for item in items:
        for other in item.requires:
            if other in known:
                continue
            text = (
                f"it needs '{other}', which is left out"
                if other in gone
                else f"it needs '{other}', which is not in this catalog.{did_you_mean(other, known)}"
            )
            yield item.id, (("requires",), text)
    for circle in _circles(known):
        yield circle[0], (("requires",), f"items wait for each other: {' needs '.join((*circle, circle[0]))}")


def _circles(known: Mapping[str, CatalogItem]) -> Iterator[tuple[str, ...]]:
    """Yield each circle once, beginning with its item that stands first."""
    told: set[frozenset[str]] = set()
    for start in known:
        path = _way_back(start, known)
        if path is not None and frozenset(path) not in told:
            told.add(frozenset(path))
            yield path


def _way_back(start: str, known: Mapping[str, CatalogItem]) -> tuple[str, ...] | None:
    """Return the shortest way from an item over what it requires back to it."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for other in known[way[-1]].requires:
            if other == start:
                return way
            if other in known and other not in seen:
                seen.add(other)
                ways.append((*way, other))
    return None
