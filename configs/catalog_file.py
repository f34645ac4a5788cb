"""Reading one catalog file: its items, and everything that is wrong with it, each with its line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from configs.catalog_captures import CAPTURES, kinds_hint
from configs.catalog_checks import Finding, item_findings
from configs.catalog_item import CatalogItem, Prerequisite
from configs.catalog_variables import PLATFORMS
from configs.errors import ConfigError
from configs.problems import Problem, did_you_mean, problems_of
from configs.yaml_file import Document, KeyPath, parse_yaml

#: Version of the format, ``catalog: 1`` at the top of each file.
CATALOG_VERSION: Final = 1
#: pydantic counts what was sound in a list; what was not is told by itself.
_TOO_SHORT: Final = (
    "Tuple should have at least",
    "Value should have at least",
    "Mapping should have at least",
    "Dictionary should have at least",
)
_TOP: Final = ("catalog", "platform", "leave_out", "items")


@dataclass
class CatalogFile:
    """What one file holds. ``items`` are those that are sound in themselves; ``broken`` are ids of the others."""

    source: str
    document: Document
    items: list[CatalogItem] = field(default_factory=list)
    leave_out: tuple[str, ...] = ()
    broken: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    #: Id -> where its item stands in the file.
    places: dict[str, KeyPath] = field(default_factory=dict)

    def add(self, where: KeyPath, path: Sequence[str], text: str, label: str = "") -> None:
        """Note a problem of the value at ``where`` + ``path``; ``label`` stands for ``where`` in the message."""
        shown = ".".join((label or ".".join(where), *path)).strip(".")
        line = self.document.line((*where, *path)) or self.document.lines.get(())
        self.problems.append(Problem(shown, text, line))

    def add_finding(self, item_id: str, finding: Finding) -> None:
        """Note what is wrong with one item, by its id."""
        self.add(self.places[item_id], finding[0], finding[1], item_id)

    def message(self) -> str:
        """Return all problems in the order of their lines, headed by the file's name."""
        found = sorted(self.problems, key=lambda one: one.line or 0)
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        lines = [f"line {one.line}: {one}" if one.line else str(one) for one in found]
        return "\n  ".join([f"{self.source}: {count}", *lines])


def read_catalog_file(path: Path, *, platform: str | None = None) -> CatalogFile:
    """Return the content of a file; ``platform`` is what its items are of when the file does not say.

    Raises:
        ConfigError: there is no such file, or it cannot be read. Problems in it are in what is returned.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the catalog {path} cannot be read: {error.strerror}",
            hint="Check that it is a file and that this account may read it.",
        ) from None
    return parse_catalog(data, source=str(path), platform=platform)


def parse_catalog(data: bytes, *, source: str, platform: str | None = None) -> CatalogFile:
    """Return the content of a catalog's text; see ``read_catalog_file``."""
    document = parse_yaml(data)
    found = CatalogFile(source, document, problems=list(document.problems))
    if found.problems:
        return found
    content = document.content
    if not isinstance(content, dict):
        found.add((), (), "here belong lines 'catalog: 1' and 'items:', with a list of items below")
        return found
    _check_top(found, content)
    platform = content.get("platform", platform)
    items = content.get("items") or []
    if not isinstance(items, list):
        found.add(("items",), (), "this must be a list: each item begins with '- id: ...'")
        return found
    # As text: what is no text at all is told below.
    ids = Counter(str(one.get("id")) for one in items if isinstance(one, dict))
    first: dict[str, int | None] = {}
    for index, raw in enumerate(items):
        where = ("items", str(index))
        if not isinstance(raw, dict):
            found.add(where, (), "an item is a list of lines 'key: value', the first of which is '- id: ...'")
            continue
        name = str(raw.get("id") or "")
        if name and ids[name] > 1:
            if name in first:
                found.add(where, ("id",), f"the item in line {first[name]} has the same id; keep one of them", name)
            first.setdefault(name, document.line((*where, "id")))
        found.places.setdefault(name, where)
        _read_item(found, where, name, {**({"platform": platform} if platform else {}), **raw})
    return found


def _check_top(found: CatalogFile, content: Mapping[str, Any]) -> None:
    for key in content:
        if key not in _TOP:
            found.add((), (key,), "unknown key." + did_you_mean(key, _TOP))
    version = content.get("catalog")
    if version is None:
        found.add((), ("catalog",), f"field required: write 'catalog: {CATALOG_VERSION}' at the top")
    elif str(version).isdecimal() and int(version) > CATALOG_VERSION:
        text = f"this is a catalog of version {version}, and this firstbell knows version {CATALOG_VERSION}; update it"
        found.add((), ("catalog",), text)
    elif str(version) != str(CATALOG_VERSION):
        found.add((), ("catalog",), f"this must be {CATALOG_VERSION}")
    if (platform := content.get("platform")) is not None and platform not in PLATFORMS:
        text = f"'{platform}' is none of {', '.join(PLATFORMS)}."
        found.add((), ("platform",), text + did_you_mean(str(platform), PLATFORMS))
    left_out = content.get("leave_out") or []
    if isinstance(left_out, list) and all(isinstance(one, str) for one in left_out):
        found.leave_out = tuple(left_out)
    else:
        found.add((), ("leave_out",), "this must be a list of ids")


def _read_item(found: CatalogFile, where: KeyPath, name: str, raw: Mapping[str, Any]) -> None:
    problems = list(_kind_problems(raw))
    told = {path[:2] for path, _ in problems}
    try:
        item = CatalogItem.model_validate(raw)
    except ValidationError as error:
        for path, text in problems_of(error, CatalogItem):
            if path[:2] not in told and not text.startswith(_TOO_SHORT):
                problems.append((_without_tag(path), _with_advice(path, text)))
            elif text.endswith("not 0") and not _part(raw, path):
                problems.append((_without_tag(path), "this is empty; write at least one"))
    else:
        problems += item_findings(item)
        if not problems:
            found.items.append(item)
    if problems:
        found.broken.add(name)
    for path, text in problems:
        found.add(where, path, text, name)


def _kind_problems(raw: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield captures of a kind that there is not; what pydantic says of them is about its own unions."""
    captures = raw.get("capture")
    captures = [captures] if isinstance(captures, dict) else captures
    for index, one in enumerate(captures if isinstance(captures, list) else ()):
        if not isinstance(one, dict):
            yield ("capture", str(index)), "a capture is written '{kind: ..., ...}' or as lines 'key: value'"
        elif "kind" not in one:
            yield ("capture", str(index)), f"'kind' is missing.{kinds_hint('')}"
        elif not isinstance(one["kind"], str) or one["kind"] not in CAPTURES:
            yield ("capture", str(index), "kind"), f"unknown kind '{one['kind']}'.{kinds_hint(one['kind'])}"


def _part(raw: Any, path: Sequence[str]) -> Any:
    """Return what stands in the file at a path below an item, or None."""
    for key in _without_tag(tuple(path)):
        if isinstance(raw, list) and key.isdecimal() and int(key) < len(raw):
            raw = raw[int(key)]
        elif isinstance(raw, dict):
            raw = raw.get(key)
        else:
            return None
    return raw


def _without_tag(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path without the kind that pydantic puts behind the index of a capture."""
    if len(path) > 2 and path[0] == "capture" and path[2] in CAPTURES:
        return (*path[:2], *path[3:])
    return path


def _with_advice(path: tuple[str, ...], text: str) -> str:
    if text != "unknown key.":
        return text
    if len(path) > 3 and path[0] == "capture" and path[2] in CAPTURES:
        return text + did_you_mean(path[-1], CAPTURES[path[2]].model_fields)
    return text + did_you_mean(path[-1], Prerequisite.model_fields) if path[0] == "prerequisites" else text
