"""Whose files a host run covers, and where they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from inventory.model import Host
from tasks.errors import ConfigError
from tasks.remote.filesystem import Facts, UserProfile
from tasks.restorer.foreign import folded
from tasks.verbs.accounts import account_of, find_account

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class Person:
    """A user profile that a run covers. ``folders`` maps ``desktop``, ``documents`` and so on to their real paths."""

    name: str
    home: bytes
    full_name: str = ""
    folders: Mapping[str, bytes] = field(default_factory=dict)
    #: What ``{user}`` stands for, where it is not the name: of ``NORTH\\a.ito`` it is ``a.ito``.
    account: str = ""

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
    windows = facts.platform == "windows"
    for name in host.teachers or _everybody(facts):
        user = _told(name, facts)
        account = (user.name if user else name).rpartition("\\")[2].partition("@")[0] if windows else ""
        configured = host.homes.get(name)
        if configured is not None:
            alike = folded if windows else bytes
            at_home = user is not None and alike(user.home) == alike(configured.encode())
            folders = user.folders if user is not None and at_home else {}
            people.append(Person(name, configured.encode(), user.full_name if user else "", folders, account))
        elif user is None:
            notes.append(_nobody(name, facts))
        elif not user.exists:
            notes.append(f"{name} has never signed in on this computer, so there is nothing to save for them")
        else:
            people.append(Person(name, user.home, user.full_name, user.folders, account))
    return people, notes


def people_asked(host: Host, platform: str) -> tuple[str, ...] | None:
    """Return whose facts to ask for: None, for everybody, on Windows, which may know a teacher by a longer name."""
    return None if platform == "windows" else host.teachers or None


def _everybody(facts: Facts) -> tuple[str, ...]:
    """Return the names of those who have a profile; with the domain where two accounts have the same."""
    there = [user for user in facts.users if user.exists]
    count = Counter(user.name.casefold() for user in there)
    return tuple(user.full_account if count[user.name.casefold()] > 1 else user.name for user in there)


def _told(name: str, facts: Facts) -> UserProfile | None:
    if facts.platform == "windows":
        return find_account(name, facts.users, lambda user: user.full_account)
    return next((user for user in facts.users if user.name == name), None)


def _nobody(name: str, facts: Facts) -> str:
    if facts.platform != "windows":
        return f"{name} has no account on this computer"
    several = sorted(user.full_account for user in facts.users if account_of(user.name) == account_of(name))
    if len(several) > 1:
        return f"{name} may be any of {', '.join(several)} on this computer: write it with its domain in the inventory"
    return f"{name} has no profile on this computer, so there is nothing to save for them"


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
        return (person.account or person.name).encode()
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
