"""Reading YAML the strict way: text in, text out, duplicate keys refused, and each value's line known.

Plain scalars stay the text that was typed, null apart: the model gives them their type. So a room ``0101`` keeps its
zero, ``off`` is a word, and a name like ``no`` is no boolean.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from configs.errors import ConfigError
from configs.problems import Problem, render

_NULL = "tag:yaml.org,2002:null"
_TEXT = "tag:yaml.org,2002:str"
#: A list item or a value that begins with a character that means something to YAML.
_UNQUOTED = re.compile(r"\s*(?:-|[^\s:#]+:)\s+([{*&!%@`])")
_MERGE = "tag:yaml.org,2002:merge"
KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """One parsed file: its content, the line (from 1) of each key path in it, and what is wrong with it."""

    content: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, path: KeyPath) -> int | None:
        """Return the line of the deepest part of the path that stands in the file."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return None


class _TextLoader(yaml.SafeLoader):
    """The safe loader without guesses about types."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        return {_key_text(key): self.construct_object(value, deep=True) for key, value in node.value}


class _FastTextLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same on libyaml's parser, where it is installed: a big inventory reads ten times as fast."""

    construct_mapping = _TextLoader.construct_mapping


def _only_null_has_a_type(loader: Any) -> None:
    kept: dict[str | None, list[Any]] = {}
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [one for one in known if one[0] in {_NULL, _MERGE}]
    loader.yaml_implicit_resolvers = kept


_only_null_has_a_type(_TextLoader)
_only_null_has_a_type(_FastTextLoader)


def read_yaml(path: Path) -> Document:
    """Return the content of a YAML file; problems of the file itself are in the document, not raised.

    Raises:
        OSError: the file cannot be read.
    """
    return parse_yaml(path.read_bytes())


def read_mapping(path: Path, *, what: str, begins: str, hint: str) -> Document:
    """Return a file of keys, which may be empty; ``what`` it is and how it ``begins`` are for the message.

    Raises:
        FileNotFoundError: there is none.
        ConfigError: it cannot be read, is no YAML, or something else than keys.
    """
    try:
        document = read_yaml(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(
            f"{what} {path} cannot be read: {error.strerror}", hint="Check that this account may read it."
        ) from None
    problems = document.problems
    content = document.content if document.content is not None else {}
    if not problems and not isinstance(content, dict):
        problems = (Problem("", f"here belong lines {begins}"),)
    if problems:
        raise ConfigError(render(str(path), problems), hint=hint)
    return replace(document, content=content)


def parse_yaml(data: bytes) -> Document:
    """Return the content of a YAML text in UTF-8, with or without a byte order mark."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Document(None, problems=(Problem("", f"line {line} is not UTF-8 text; save the file as UTF-8"),))
    try:
        return _parse(text, _FastTextLoader)
    except yaml.YAMLError:
        pass
    except RecursionError:
        return Document(None, problems=(Problem("", "its lists stand in one another too deeply"),))
    # once more by the parser whose messages are the clearer ones, and the same on every machine
    try:
        return _parse(text, _TextLoader)
    except yaml.YAMLError as error:
        return Document(None, problems=(_syntax_problem(error, text),))
    except RecursionError:
        return Document(None, problems=(Problem("", "its lists stand in one another too deeply"),))


def _parse(text: str, kind: type[Any]) -> Document:
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None)
        lines: dict[KeyPath, int] = {}
        problems: list[Problem] = []
        _survey(node, (), lines, problems, set())
        return Document(None if problems else loader.construct_document(node), lines, tuple(problems))
    finally:
        loader.dispose()


def _survey(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], problems: list[Problem], seen: set[int]) -> None:
    """Note the line of each key and each key that stands twice; an alias is looked at once."""
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        known: dict[str, int] = {}
        for key_node, value_node in node.value:
            key, line = _key_text(key_node), key_node.start_mark.line + 1
            if key in known and key_node.tag != _MERGE:
                text = f"stands twice, in line {known[key]} and in line {line}; keep one of them"
                problems.append(Problem(".".join((*path, key)), text, line))
            known.setdefault(key, line)
            lines[(*path, key)] = line
            _survey(value_node, (*path, key), lines, problems, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _survey(item, (*path, str(index)), lines, problems, seen)


def _line_of(text: str, index: int) -> str:
    return next(itertools.islice(io.StringIO(text), index, None), "")


def _key_text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "a key must be a plain word", node.start_mark)
    return str(node.value)


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    if "'\\t'" in what:
        what = "a tab stands where YAML wants spaces"
    elif "unknown escape character" in what or "expected escape sequence" in what:
        what = "a '\\' within double quotes; put a Windows path into single quotes, or write it without quotes"
    elif what == "mapping values are not allowed here":
        what = "a ':' that does not belong here; put a text that contains ': ' into quotes"
    elif (
        mark is not None
        and (opener := _UNQUOTED.match(_line_of(text, mark.line)))
        and (opener[1] != "{" or "<block end>" in what)
    ):
        what = f"a text that begins with '{opener[1]}' must stand in quotes"
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return Problem("", f"{place}this is not YAML: {what}")
