"""The files of an inventory, each checked by itself: shape, names, duplicates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from configs.problems import problems_of
from configs.values import NAME_PATTERN
from configs.yaml_file import Document, KeyPath, read_yaml
from inventory.errors import InventoryError
from inventory.model import Defaults, GroupEntry, HostEntry

EntryModel = TypeVar("EntryModel", bound=Defaults)
_NAME = re.compile(NAME_PATTERN)


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong: in which file, in which line where that is known, at which key, and what."""

    file: str
    line: int | None
    path: str
    text: str

    def __str__(self) -> str:
        place = self.file + (f", line {self.line}" if self.line else "")
        return f"{place}, at '{self.path}': {self.text}" if self.path else f"{place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Entry(Generic[EntryModel]):
    """What one file says about one host or group, or as defaults."""

    model: EntryModel
    file: str
    document: Document
    path: KeyPath

    def origin(self, *key: str) -> str:
        """Return where a key of this entry stands, for a person: ``hosts.yaml, line 12``."""
        line = self.document.line((*self.path, *key))
        return self.file + (f", line {line}" if line else "")

    def problem(self, text: str, *key: str) -> FileProblem:
        """Return a problem at a key of this entry."""
        path = (*self.path, *key)
        return FileProblem(self.file, self.document.line(path), ".".join(path), text)


@dataclass
class Layers:
    """All entries by name, and the problems found so far."""

    defaults: Entry[Defaults]
    groups: dict[str, Entry[GroupEntry]] = field(default_factory=dict)
    hosts: dict[str, Entry[HostEntry]] = field(default_factory=dict)
    #: Groups that are there but wrong: told once, not again by each host in them.
    broken_groups: set[str] = field(default_factory=set)
    #: Files that could not be taken in at all: what is missing may stand there.
    unread: set[str] = field(default_factory=set)
    problems: list[FileProblem] = field(default_factory=list)

    def complete_for(self, groups: Iterable[str]) -> bool:
        """Return whether everything below a host in these groups was read, so that what is missing is missing."""
        return not self.unread & {"defaults.yaml", "groups.yaml"} and self.broken_groups.isdisjoint(groups)


def host_files(folder: Path) -> list[Path]:
    """Return the files that hold hosts: ``hosts.yaml`` and those of ``hosts/``, in the order they are read."""
    single = folder / "hosts.yaml"
    several = sorted(path for path in (folder / "hosts").glob("*.yaml") if not path.name.startswith("."))
    return ([single] if single.exists() else []) + several


def read_layers(folder: Path) -> Layers:
    """Return everything the folder holds; what is wrong in it is in ``problems``.

    Raises:
        InventoryError: there is no such folder, or no file with hosts in it.
    """
    files = host_files(folder) if folder.is_dir() else []
    if not files:
        what = f"there is no hosts.yaml in {folder}" if folder.is_dir() else f"there is no inventory at {folder}"
        raise InventoryError(
            what,
            hint=(
                "Copy inventory/*.example.yaml there and adapt them, import a spreadsheet with 'firstbell inventory "
                "import computers.csv', or say where the inventory lies with --inventory or FIRSTBELL_INVENTORY."
            ),
        )
    layers = Layers(Entry(Defaults(), "defaults.yaml", Document(None), ()))
    _read_defaults(folder, layers)
    for name, content, document in _entries(folder / "groups.yaml", "groups.yaml", layers):
        group = _entry(GroupEntry, "groups.yaml", document, (name,), content, layers)
        if group is None:
            layers.broken_groups.add(name)
        else:
            layers.groups[name] = group
    known: dict[str, str] = {}
    for path in files:
        file = path.relative_to(folder).as_posix()
        for name, content, document in _entries(path, file, layers):
            before = known.setdefault(name.casefold(), f"{file}, line {document.line((name,))}")
            host = _entry(HostEntry, file, document, (name,), content, layers)
            if before != f"{file}, line {document.line((name,))}":
                text = f"this host stands already in {before} (capitals do not matter)"
                layers.problems.append(FileProblem(file, document.line((name,)), name, text))
            elif host is not None:
                layers.hosts[name] = host
    return layers


def _read_defaults(folder: Path, layers: Layers) -> None:
    document = _document(folder / "defaults.yaml", "defaults.yaml", layers)
    if document is not None and document.content is not None:
        entry = _entry(Defaults, "defaults.yaml", document, (), document.content, layers)
        if entry is None:
            layers.unread.add("defaults.yaml")
        else:
            layers.defaults = entry


def _document(path: Path, file: str, layers: Layers) -> Document | None:
    try:
        document = read_yaml(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        layers.problems.append(FileProblem(file, None, "", f"cannot be read: {error.strerror}"))
        layers.unread.add(file)
        return None
    layers.problems += [FileProblem(file, one.line, one.path, one.text) for one in document.problems]
    if document.problems:
        layers.unread.add(file)
        return None
    return document


def _entries(path: Path, file: str, layers: Layers) -> list[tuple[str, Any, Document]]:
    """Return name and content of each entry of a file of hosts or groups."""
    document = _document(path, file, layers)
    if document is None or document.content is None:
        return []
    if not isinstance(document.content, dict):
        layers.problems.append(FileProblem(file, 1, "", "here belong lines 'name:' with indented lines 'key: value'"))
        layers.unread.add(file)
        return []
    return [(name, content, document) for name, content in document.content.items()]


def _entry(
    model: type[EntryModel], file: str, document: Document, path: KeyPath, content: Any, layers: Layers
) -> Entry[EntryModel] | None:
    """Return the checked entry, or None after its problems were noted."""
    found: list[tuple[KeyPath, str]] = []
    if path and (_NAME.fullmatch(path[0]) is None or len(path[0]) > 128):
        text = "a name has only letters, digits, '.', '_' and '-', begins with a letter or digit, and is not too long"
        found.append(((), text))
    entry = None
    try:
        entry = model.model_validate(_without_nulls({} if content is None else content))
    except ValidationError as error:
        # not chained: the input may be a secret in the wrong place
        found += problems_of(error, model)
    for key, text in found:
        layers.problems.append(FileProblem(file, document.line((*path, *key)), ".".join((*path, *key)), text))
    return Entry(entry, file, document, path) if entry is not None and not found else None


def _without_nulls(content: Any) -> Any:
    """Return the content without keys that have no value, where a value is wanted: ``teachers:`` says nothing."""
    if not isinstance(content, Mapping):
        return content
    return {key: value for key, value in content.items() if value is not None or key in _NULLABLE}


#: Keys for which ``null`` is a value: it takes back what a lower layer sets.
_NULLABLE = frozenset({"become", "user"})
