"""Examples of what an item captures, for tests, and whether they hold what the item says and nothing else.

A fixture names its item and has one part for each capture, in their order (docs/settings.md, "An example of what is
captured"). Its values are typed, so it is read as ordinary YAML.
"""

from __future__ import annotations

import base64
import binascii
import json
import plistlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from configs.catalog_captures import Capture, CommandCapture, FilesCapture, RegistryCapture
from configs.catalog_item import CatalogItem
from configs.catalog_patterns import matches_any

#: Kinds of registry values, as Windows names them, and what their data is in YAML: binary data is hexadecimal text.
REGISTRY_KINDS: Final[Mapping[str, type[Any]]] = {
    "REG_SZ": str,
    "REG_EXPAND_SZ": str,
    "REG_MULTI_SZ": list,
    "REG_DWORD": int,
    "REG_QWORD": int,
    "REG_BINARY": str,
    "REG_NONE": str,
}


def read_fixture(path: Path) -> Any:
    """Return the content of a fixture.

    Raises:
        OSError: it cannot be read.
        yaml.YAMLError: it is not YAML.
    """
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def fixture_problems(item: CatalogItem, content: Any) -> list[str]:
    """Return what a fixture says that its item would not capture, or lacks."""
    if not isinstance(content, dict) or set(content) != {"item", "captured"}:
        return ["a fixture has two keys: 'item' and 'captured'"]
    if content["item"] != item.id:
        return [f"it is of '{content['item']}', not of '{item.id}'"]
    parts = content["captured"]
    if not isinstance(parts, list) or len(parts) != len(item.capture):
        return [f"'captured' must have one part for each capture, which makes {len(item.capture)}"]
    found: list[str] = []
    for index, (capture, part) in enumerate(zip(item.capture, parts, strict=True)):
        if not isinstance(part, dict) or set(part) != {capture.kind}:
            found.append(f"captured.{index}: this must be '{capture.kind}:' with what was captured below")
        else:
            found += [f"captured.{index}: {text}" for text in _part_problems(item, capture, part[capture.kind])]
    return found


def _part_problems(item: CatalogItem, capture: Capture, part: Any) -> Iterator[str]:
    if capture.kind == "command":
        yield from _command_problems(capture, part)
        return
    if not part:
        yield "nothing is captured"
        return
    try:
        yield from _value_problems(item, capture, part)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        yield f"this is not how a '{capture.kind}' is written: {type(error).__name__} {error}"


def _value_problems(item: CatalogItem, capture: Capture, part: Any) -> Iterator[str]:
    folded = item.platform != "linux"
    match capture.kind:
        case "files":
            yield from _files_problems(capture, part, folded)
        case "registry":
            yield from _registry_problems(capture, part)
        case "dconf":
            yield from (f"'{path}' is no key of it" for path in part if not capture.covers(path))
            yield from (
                f"'{path}' needs text, as 'dconf read' shows it" for path, text in part.items() if not _told(text)
            )
        case "plist":
            yield from (f"'{key}' is no key of it" for key in part if not capture.covers(key))
            plistlib.dumps(part)
        case "ini":
            keys = [(group, key, value) for group, keys in part.items() for key, value in keys.items()]
            yield from (
                f"'{key}' in [{group}] is no key of it" for group, key, _ in keys if not capture.covers(group, key)
            )
            yield from (
                f"'{key}' in [{group}] needs text, as in the file" for group, key, value in keys if not _told(value)
            )
        case "presence":
            for one in part:
                mark = "\\" if one.startswith(("HKCU\\", "HKLM\\")) else "/"
                if not matches_any((*capture.paths, *capture.keys), one, separator=mark, ignore_case=folded):
                    yield f"'{one}' is nothing that it looks for"


def _told(value: Any) -> bool:
    return isinstance(value, str)


def _files_problems(capture: FilesCapture, part: Any, folded: bool) -> Iterator[str]:
    for one in part:
        if not capture.covers(one["path"], ignore_case=folded):
            yield f"'{one['path']}' is no path of it"
        if set(one) not in ({"path", "text"}, {"path", "base64"}):
            yield f"'{one['path']}' has 'text' or 'base64', and nothing else"
        elif "base64" in one:
            _decode(one["base64"])


def _registry_problems(capture: RegistryCapture, part: Any) -> Iterator[str]:
    for one in part:
        if not capture.covers(one["key"], one["value"]):
            yield f"'{one['key']}' '{one['value']}' is no value of it"
        if problem := _registry_problem(one):
            yield problem


def _registry_problem(one: Mapping[str, Any]) -> str:
    kind: str = one["kind"]
    data: Any = one["data"]
    if set(one) != {"key", "value", "kind", "data"}:
        return f"'{one['value']}' has 'key', 'value', 'kind' and 'data', and nothing else"
    if kind not in REGISTRY_KINDS:
        return f"'{kind}' is none of {', '.join(REGISTRY_KINDS)}"
    if type(data) is not REGISTRY_KINDS[kind]:
        return f"'{one['value']}': data of {kind} is a {REGISTRY_KINDS[kind].__name__}"
    if kind == "REG_BINARY":
        bytes.fromhex(data)
    return "" if kind != "REG_DWORD" or 0 <= data < 2**32 else f"'{one['value']}' is no 32-bit number"


def _command_problems(capture: CommandCapture, part: Any) -> Iterator[str]:
    if not isinstance(part, str) or not part.strip():
        yield "this must be what the command answers, as text"
    elif capture.format == "json":
        try:
            json.loads(part)
        except ValueError as error:
            yield f"this is no JSON: {error}"


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
