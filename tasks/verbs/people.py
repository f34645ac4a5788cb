"""Whose files a host run covers, and where they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from inventory.model import Host
from tasks.errors import ConfigError
from tasks.remote.filesystem import Facts

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Person:
    """A user profile that a run covers. ``folders`` maps ``desktop``, ``documents`` and so on to their real paths."""

    name: str
    home: bytes
    full_name: str = ""
    folders: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return the name a person reads."""
        return self.full_name or self.name

    @property
    def desktop(self) -> bytes:
        """Return the path of the desktop, localized or redirected as it may be."""
        return self.folders.get("desktop", self.home + b"/Desktop")


def covered_people(host: Host, facts: Facts) -> tuple[list[Person], list[str]]:
    """Return whom a run on this host covers, and notes about those whom it cannot.

    With ``teachers`` in the inventory just those, else everybody with a user profile on the host. ``homes`` in the
    inventory wins over what the host tells.
    """
    people: list[Person] = []
    notes: list[str] = []
    told = {user.name: user for user in facts.users}
    for name in host.teachers or tuple(user.name for user in facts.users if user.exists):
        user = told.get(name)
        configured = host.homes.get(name)
        if configured is not None:
            folders = user.folders if user is not None and user.home == configured.encode() else {}
            people.append(Person(name, configured.encode(), user.full_name if user else "", folders))
        elif user is None:
            notes.append(f"{name} has no account on this computer")
        elif not user.exists:
            notes.append(f"{name} has never signed in on this computer, so there is nothing to save for them")
        else:
            people.append(Person(name, user.home, user.full_name, user.folders))
    return people, notes


def capture_roots(include: Sequence[str], people: Iterable[Person]) -> tuple[bytes, ...]:
    """Return the absolute paths that ``include`` names, for each person where it has a placeholder.

    Placeholders are ``{home}``, ``{user}`` and the known folders such as ``{desktop}``. A path inside another one is
    left out, since that one covers it. Raises ``ConfigError`` for a placeholder that nobody knows.
    """
    people = list(people)
    found: list[bytes] = []
    for pattern in include:
        if _PLACEHOLDER.search(pattern):
            found.extend(_expand(pattern, person) for person in people)
        else:
            found.append(pattern.encode("utf-8", "surrogateescape"))
    clean = sorted({path.rstrip(b"/") or b"/" for path in found})
    return tuple(path for path in clean if not any(_inside(path, other) for other in clean if other != path))


def _inside(path: bytes, other: bytes) -> bool:
    return path.startswith(other.rstrip(b"/") + b"/")


def _expand(pattern: str, person: Person) -> bytes:
    result = b""
    end = 0
    for match in _PLACEHOLDER.finditer(pattern):
        result += pattern[end : match.start()].encode("utf-8", "surrogateescape") + _value(match[1], pattern, person)
        end = match.end()
    return result + pattern[end:].encode("utf-8", "surrogateescape")


def _value(name: str, pattern: str, person: Person) -> bytes:
    if name == "home":
        return person.home
    if name == "user":
        return person.name.encode()
    if name == "desktop":
        return person.desktop
    if name in person.folders:
        return person.folders[name]
    if name in {"documents", "downloads", "pictures", "music", "videos"}:
        return person.home + b"/" + name.capitalize().encode()
    raise ConfigError(
        f"include {pattern!r} has an unknown placeholder '{{{name}}}'",
        hint="Known are {home}, {user}, {desktop}, {documents}, {downloads}, {pictures}, {music} and {videos}.",
    )
