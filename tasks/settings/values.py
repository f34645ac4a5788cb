r"""Entries of settings: one value at one place, whatever the platform keeps it in.

An entry is called by its collector, the container it lies in and its name there::

    registry  HKCU\Control Panel\Desktop            Wallpaper       REG_SZ     C:\Users\a.ito\Pictures\sea.jpg
    dconf     /org/gnome/desktop/background/         picture-uri     gvariant   'file:///home/a.ito/sea.jpg'
    ini       {config}/kdeglobals                    [General]ColorScheme  text  BreezeDark
    plist     com.apple.dock                         orientation     plist      <string>left</string>
    files     {config}/gtk-3.0/bookmarks             (empty)         file       base64 of its content
    command   tzutil /g                              (empty)         text       W. Europe Standard Time

Values are JSON values and typed, so that a DWORD never becomes a text and an unexpanded ``%USERPROFILE%`` stays one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

#: What a value can be, and the type that its data has in JSON.
KINDS: Final[Mapping[str, type]] = {
    # One value as GLib writes it: https://docs.gtk.org/glib/gvariant-text-format.html
    "gvariant": str,
    "text": str,
    # An XML property list fragment.
    "plist": str,
    # base64
    "file": str,
    # {"sha256", "size"} of a file that is in the snapshot itself and too large to stand here
    "file-reference": dict,
    "REG_SZ": str,
    "REG_EXPAND_SZ": str,
    "REG_DWORD": int,
    "REG_QWORD": int,
    "REG_MULTI_SZ": list,
    # base64
    "REG_BINARY": str,
    "REG_NONE": str,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry lies; paths in it may begin with a variable such as ``{home}``."""

    collector: str
    container: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A typed value. ``data`` is a JSON value of the type that ``KINDS`` tells; a list is a tuple here."""

    kind: str
    data: Any

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"kind": self.kind, "data": list(self.data) if isinstance(self.data, tuple) else self.data}

    @classmethod
    def from_json(cls, value: object) -> Value:
        """Return the value in JSON. Raises ``ValueError`` when it is none: nothing is guessed."""
        if not isinstance(value, Mapping) or set(value) != {"kind", "data"}:
            raise ValueError("a value has 'kind' and 'data'")
        kind: Any = value["kind"]
        data: Any = value["data"]
        if not isinstance(kind, str) or kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of value that is known here")
        # Not isinstance: True is no number here.
        if data.__class__.__name__ != KINDS[kind].__name__:
            raise ValueError(f"the data of a {kind} is a {KINDS[kind].__name__}")
        if kind in ("file", "REG_BINARY", "REG_NONE"):
            try:
                base64.b64decode(data, validate=True)
            except binascii.Error:
                raise ValueError(f"the data of a {kind} is base64") from None
        if kind in ("REG_DWORD", "REG_QWORD") and not 0 <= data < 2 ** (32 if kind == "REG_DWORD" else 64):
            raise ValueError(f"{data} is no {kind}")
        if kind == "REG_MULTI_SZ":
            if not all(isinstance(one, str) for one in data):
                raise ValueError("a REG_MULTI_SZ is a list of texts")
            data = tuple(data)
        return cls(kind, data)


@dataclass(frozen=True, slots=True)
class Entry:
    """One value at one place. ``changed`` is when it was last written, in ns since 1970, where the platform knows."""

    place: Place
    value: Value
    changed: int | None = None


class PartOfThem(list[Entry]):
    """Entries of a capture some of which could not be had: ``reason`` says in words which and why."""

    def __init__(self, entries: Iterable[Entry], reason: str) -> None:
        super().__init__(entries)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Change:
    """A value to set at a place (None: to remove it), where ``expect`` is what stands there now (None: nothing)."""

    place: Place
    value: Value | None
    expect: Value | None


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """What became of a change: ``ok``, else why not, in words. ``conflict``: something else stood there."""

    place: Place
    ok: bool
    reason: str = ""
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Whose settings they are: the account on the host and what the variables of paths stand for there."""

    name: str
    home: str
    #: ``home desktop documents config data appdata localappdata`` and so on, absolute, without a separator at the end.
    variables: Mapping[str, str]
    uid: int = -1
    gid: int = -1
    #: Whether the person is signed in now, when the host knows.
    signed_in: bool | None = None


class SettingsHost(Protocol):
    """Carries out operations on a host, as a person; ``tasks/remote/PROTOCOL.md`` lists them (``settings``)."""

    def read_settings(self, user: str, home: str, operations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the answer to each operation: ``{"ok": true, ...}`` or ``{"ok": false, "reason", "detail"}``."""
        ...

    def write_settings(self, user: str, home: str, operations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Carry out operations that write, after the plan was announced; the answers as above."""
        ...

    def read_file(self, path: str) -> bytes | None:
        """Return a file with the rights of whoever serves, None where there is none. Raises ``HelperFailed``."""
        ...


class Collector(Protocol):
    """Reads and writes the entries of one kind of place."""

    #: Its name in the catalog (``kind`` of a capture).
    kind: str

    def capture(self, host: SettingsHost, account: Account, captures: Sequence[Any]) -> list[list[Entry] | str]:
        """Return the entries of each capture (``PartOfThem``: not all), or in words why there are none to be had."""
        ...

    def current(
        self, host: SettingsHost, account: Account, places: Sequence[Place]
    ) -> tuple[Mapping[Place, Value], Mapping[Place, str]]:
        """Return what stands at these places now, and for places of which that cannot be told, why."""
        ...

    def apply(self, host: SettingsHost, account: Account, changes: Sequence[Change]) -> list[ChangeResult]:
        """Make changes; each only where what stands there is still what it expects."""
        ...
