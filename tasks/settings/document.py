"""The document that holds one person's settings, as it lies in a snapshot.

Canonical JSON: the same settings give the same bytes, so that an unchanged profile adds nothing to the repository; for
the same reason there is no time in it, the snapshot has one. A digest over the content shows damage that decryption
cannot see (an older firstbell, a disk that lied while it was written, somebody's hand).

A reader takes the document whole or not at all. An item that its catalog does not know stays in it, and is told.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tasks.errors import RepositoryError
from tasks.settings.values import Entry, Place, Value

VERSION: Final = 1
#: What a document is called among those of a snapshot; an account with odd characters gets their hash.
PREFIX: Final = "settings-"
SUFFIX: Final = ".json"

ItemState = Literal["captured", "absent", "failed", "not-allowed", "left-out"]
_OLDER: Final = "Take an older snapshot for the settings; the files are not touched by this."
_STATES: Final = ("captured", "absent", "failed", "not-allowed", "left-out")
_SAFE: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class SettingsUnreadable(RepositoryError):
    """A settings document that is damaged or of a newer version. Nothing of it is applied."""


@dataclass(frozen=True, slots=True)
class Item:
    """What was captured of one item of the catalog. ``name`` is as the catalog called it then."""

    id: str
    name: str
    state: ItemState
    entries: tuple[Entry, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProfileIdentity:
    """By what a user profile is told from a new one of the same name: the machine, and the account on it.

    Either may be empty where the host does not tell; then the profile counts as another one only if the other differs.
    """

    machine: str = ""
    account: str = ""

    def same_as(self, other: ProfileIdentity) -> bool:
        """Return whether it is known to be the very same profile."""
        return bool(self.machine and self.account) and self == other


@dataclass(frozen=True, slots=True)
class Settings:
    """One person's settings. ``variables`` is what the variables of paths stood for, ``{home}`` first of all."""

    account: str
    platform: str
    catalog: str
    identity: ProfileIdentity = ProfileIdentity()
    desktop: str = ""
    system: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    items: tuple[Item, ...] = ()

    def entries(self) -> Iterator[tuple[Item, Entry]]:
        """Yield every entry with its item."""
        for item in self.items:
            for entry in item.entries:
                yield item, entry


def document_name(account: str, suffix: str = SUFFIX) -> str:
    """Return the name of an account's document in ``/.firstbell/``."""
    if account and all(character in _SAFE for character in account):
        return f"{PREFIX}{account}{suffix}"
    # A name in full would hold a backslash, or whatever else an account may have.
    return f"{PREFIX}{hashlib.sha256(account.encode()).hexdigest()[:16]}{suffix}"


def encode(settings: Settings) -> bytes:
    """Return the document."""
    content = {
        "account": settings.account,
        "platform": settings.platform,
        "catalog": settings.catalog,
        "identity": {"machine": settings.identity.machine, "account": settings.identity.account},
        "desktop": settings.desktop,
        "system": settings.system,
        "variables": dict(sorted(settings.variables.items())),
        "items": [_item_to_json(item) for item in sorted(settings.items, key=lambda item: item.id)],
    }
    # Written once: that of somebody with a large profile is megabytes.
    text = _canonical(content)
    return b'{"settings":%b,"sha256":"%b","version":%d}\n' % (text, _sha256(text).encode(), VERSION)


def decode(data: bytes) -> Settings:
    """Return what is in a document. Raises ``SettingsUnreadable``, and then nothing of it may be applied."""
    try:
        outer = json.loads(data.decode("utf-8"))
        version = outer["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _unreadable("it is damaged: it is no document of settings") from None
    if type(version) is int and version > VERSION:
        raise _unreadable(
            f"it was written by a newer firstbell (version {version}, known is {VERSION})", "Update firstbell."
        )
    try:
        return _from_json(_content(outer))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(f"it is damaged: {error}") from None


def _content(outer: Any) -> Any:
    if (
        type(outer["version"]) is not int
        or outer["version"] != VERSION
        or set(outer) != {"version", "sha256", "settings"}
    ):
        raise ValueError("its frame is not as it should be")
    if outer["sha256"] != _sha256(_canonical(outer["settings"])):
        raise ValueError("its checksum does not match")
    return outer["settings"]


def _unreadable(why: str, hint: str = _OLDER) -> SettingsUnreadable:
    return SettingsUnreadable(f"the settings in this snapshot cannot be read: {why}", hint=hint)


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _item_to_json(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {"id": item.id, "name": item.name, "state": item.state}
    if item.reason:
        found["reason"] = item.reason
    if item.entries:
        ordered = sorted(item.entries, key=lambda entry: _key(entry.place))
        found["entries"] = [_entry_to_json(entry) for entry in ordered]
    return found


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    place = entry.place
    found = {"collector": place.collector, "in": place.container, "name": place.name, **entry.value.to_json()}
    return found if entry.changed is None else {**found, "changed": entry.changed}


def _from_json(content: Any) -> Settings:
    identity = content["identity"]
    items = tuple(_item_from_json(one) for one in _list(content["items"]))
    ids = [item.id for item in items]
    if len(set(ids)) != len(ids):
        raise ValueError("an item stands in it twice")
    variables = content["variables"]
    if not isinstance(variables, dict):
        raise TypeError("'variables' is no object")
    return Settings(
        account=_text(content["account"]),
        platform=_text(content["platform"]),
        catalog=_text(content["catalog"]),
        identity=ProfileIdentity(_text(identity["machine"]), _text(identity["account"])),
        desktop=_text(content["desktop"]),
        system=_text(content["system"]),
        variables={_text(name): _text(value) for name, value in variables.items()},
        items=items,
    )


def _item_from_json(value: Any) -> Item:
    state = value["state"]
    if state not in _STATES:
        raise ValueError(f"{state!r} is no state of an item")
    entries = tuple(_entry_from_json(one) for one in _list(value.get("entries", [])))
    places = [entry.place for entry in entries]
    if len(set(places)) != len(places):
        raise ValueError("a place stands twice in an item")
    return Item(_text(value["id"]), _text(value["name"]), state, entries, _text(value.get("reason", "")))


def _entry_from_json(value: Any) -> Entry:
    place = Place(_text(value["collector"]), _text(value["in"]), _text(value["name"]))
    changed = value.get("changed")
    if changed is not None and type(changed) is not int:
        raise ValueError("'changed' is no number")
    return Entry(place, Value.from_json({"kind": value["kind"], "data": value["data"]}), changed)


def _key(place: Place) -> tuple[str, str, str]:
    return (place.collector, place.container, place.name)


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError("a list is missing")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is missing")
    return value
