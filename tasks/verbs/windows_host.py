"""What a snapshot of a Windows host has to find out first: names as the disk spells them, folders outside of homes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from tasks.remote.filesystem import WindowsFacts
from tasks.repository.tree import Node
from tasks.restorer.foreign import folded
from tasks.verbs.accounts import find_account
from tasks.verbs.people import Person

#: A path on a disk of the computer, and not on a server.
_LOCAL: Final = re.compile(rb"/[A-Z](?:/|\Z)")


class Looks(Protocol):
    """What can tell what stands at a path; a ``RemoteSink`` is one."""

    def stat(self, paths: Sequence[bytes]) -> list[Node | None]:
        """Return what stands at each path, or None."""


class Spelling:
    """Paths as the disk has them: people and the registry write them as they like, and trees are looked up by name."""

    def __init__(self, host: Looks, paths: Iterable[bytes]) -> None:
        """Ask the host about all of these paths, and the folders above them, at once."""
        asked = sorted({above for path in paths for above in _prefixes(path)})
        self._there = dict(zip(asked, host.stat(asked), strict=True)) if asked else {}

    def exists(self, path: bytes) -> bool:
        """Return whether something stands at one of the paths."""
        return self._there.get(path) is not None

    def of(self, path: bytes) -> bytes:
        """Return one of the paths with each name as the host tells it; what is not there stays as it is written."""
        spelled = b""
        for above in _prefixes(path):
            name = above.rpartition(b"/")[2]
            node = self._there.get(above)
            same = node is not None and node.name and folded(node.name) == folded(name)
            spelled += b"/" + (node.name if node is not None and same else name)
        return spelled or b"/"

    def person(self, person: Person) -> Person:
        """Return somebody whose home and folders are spelled as on the disk."""
        folders = {name: self.of(path) for name, path in person.folders.items()}
        return replace(person, home=self.of(person.home), folders=folders)


def paths_of(people: Iterable[Person]) -> list[bytes]:
    """Return the homes and the folders of people, as far as they are on a disk of the computer."""
    return [path for person in people for path in (person.home, *person.folders.values()) if _LOCAL.match(path)]


def with_onedrive(people: Iterable[Person], facts: WindowsFacts | None) -> list[Person]:
    """Return people with the OneDrive folders that lie outside of their homes among their folders."""
    found: list[Person] = []
    for person in people:
        outside = [one for one in _onedrive_of(person, facts) if not _is_in(one, person.home)]
        named = {f"OneDrive {number}" if number > 1 else "OneDrive": one for number, one in enumerate(outside, 1)}
        found.append(replace(person, folders={**person.folders, **named}))
    return found


def folders_elsewhere(people: Iterable[Person]) -> tuple[list[bytes], list[str]]:
    """Return the folders of people that lie on a disk outside of their owner's home; and notes about others.

    Somebody's Desktop is part of what ``{home}`` means, wherever it was moved to.
    """
    found: list[bytes] = []
    notes: list[str] = []
    for person in people:
        on_servers = sorted(name for name, path in person.folders.items() if not _LOCAL.match(path))
        if on_servers:
            notes.append(
                f"{', '.join(on_servers)} of {person.name} {'lies' if len(on_servers) == 1 else 'lie'} on a server and "
                "not on this computer: save the server itself"
            )
        found += [path for path in person.folders.values() if _LOCAL.match(path) and not _is_in(path, person.home)]
    return list(dict.fromkeys(found)), notes


def _is_in(path: bytes, folder: bytes) -> bool:
    return folded(path + b"/").startswith(folded(folder) + b"/")


def _onedrive_of(person: Person, facts: WindowsFacts | None) -> list[bytes]:
    known: Mapping[str, Sequence[bytes]] = {
        name: [one.folder for one in folders] for name, folders in (facts.onedrive if facts else {}).items()
    }
    name = find_account(person.name, known, str)
    return list(known[name]) if name is not None else []


def _prefixes(path: bytes) -> list[bytes]:
    parts = [part for part in path.split(b"/") if part]
    return [b"/" + b"/".join(parts[: end + 1]) for end in range(len(parts))]
