"""The registry of somebody who is not signed in, from the files in the profile, without loading them.

Keys are found by regipy (MIT), which is made for looking at such files. Values are taken as they are stored: it would
convert, cut and strip them. Format: "Windows registry file format specification" by M. Suhanov.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from tasks.errors import HelperFailed
from tasks.settings.registry_log import with_logs

_BASE: Final = 4096
_HEAD: Final = 4
#: A longer value lies in several cells (``db``), this much in each.
_SEGMENT: Final = 16344
#: No setting is longer, in bytes.
_LARGEST: Final = 256 * 1024
#: Deeper keys and longer lists are in no sound hive: the limits of Windows.
_DEEPEST: Final = 512
_MOST: Final = 65536
_INLINE: Final = 0x80000000
_LATIN_NAME: Final = 1


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value as it is stored; ``key`` is that below the one asked for, empty for itself."""

    key: str
    name: str
    kind: int
    data: bytes


@dataclass(slots=True)
class _Key:
    name: str
    record: Any
    below: dict[str, _Key] | None = None


class OfflineHive:
    """The keys of one file. A part that is damaged is as if it were not there."""

    def __init__(self, data: bytes) -> None:
        """Raise ``ValueError`` when it is no hive."""
        # Quick to load only where it is used: most people are signed in.
        from regipy.registry import Cell, NKRecord

        self._data = data
        self._stream = BytesIO(data)
        (offset,) = struct.unpack_from("<I", data, 36)
        self._check(offset, b"nk")
        make: Callable[..., Any] = NKRecord
        record = make(Cell(offset=_BASE + offset + _HEAD + 2, cell_type="nk", size=0), self._stream)
        self._root = _Key("", record)

    def values(self, path: str, *, subtree: bool = False) -> list[StoredValue]:
        r"""Return the values of a key, ``Control Panel\Desktop``, and with ``subtree`` of all keys below it."""
        key = self._root
        for part in path.split("\\") if path else ():
            below = self._below(key).get(part.casefold())
            if below is None:
                return []
            key = below
        return list(self._walk(key, "", subtree=subtree))

    def _walk(self, key: _Key, path: str, *, subtree: bool, depth: int = 0) -> Iterator[StoredValue]:
        for name, kind, data in self._values(key.record):
            yield StoredValue(path, name, kind, data)
        if subtree and depth < _DEEPEST:
            for below in self._below(key).values():
                inside = f"{path}\\{below.name}" if path else below.name
                yield from self._walk(below, inside, subtree=True, depth=depth + 1)

    def _below(self, key: _Key) -> dict[str, _Key]:
        if key.below is None:
            from construct import ConstructError
            from regipy.exceptions import RegipyException

            key.below = {}
            try:
                for record in key.record.iter_subkeys():
                    name = _key_name(record)
                    key.below[name.casefold()] = _Key(name, record)
                    if len(key.below) > _MOST:
                        break
            except (RegipyException, ConstructError, ValueError):
                # What was found before the damage counts.
                pass
        return key.below

    def _values(self, record: Any) -> Iterator[tuple[str, int, bytes]]:
        count = record.header.values_count
        if not 0 < count < _MOST:
            return
        try:
            offsets = struct.unpack(f"<{count}I", self._cell(record.header.values_list_offset, 4 * count))
        except ValueError:
            return
        for offset in offsets:
            try:
                self._check(offset, b"vk")
                _, length, size, place, kind, flags = struct.unpack("<2sHIIIH", self._cell(offset, 18))
                name = self._cell(offset, 20 + length)[20:]
                latin = flags & _LATIN_NAME
                text = name.decode("latin-1" if latin else "utf-16-le")
                yield text, kind, self._content(offset, size, place)
            except ValueError:
                continue

    def _content(self, offset: int, size: int, place: int) -> bytes:
        if size & _INLINE:
            return self._cell(offset, 12)[8 : 8 + min(size & ~_INLINE, 4)]
        if size > _LARGEST:
            raise ValueError("it is too large for a setting")
        if size <= _SEGMENT or self._cell(place, 2) != b"db":
            return self._cell(place, size)
        count, segments = struct.unpack("<HI", self._cell(place, 8)[2:])
        places = struct.unpack(f"<{count}I", self._cell(segments, 4 * count))
        return b"".join(self._cell(one, min(_SEGMENT, size - _SEGMENT * index)) for index, one in enumerate(places))

    def _cell(self, offset: int, size: int) -> bytes:
        """Return the first bytes of a cell's content. Raises ``ValueError`` where there are not so many."""
        start = _BASE + offset + _HEAD
        found = self._data[start : start + max(size, 0)]
        if len(found) != size:
            raise ValueError("a part of the registry file lies outside of it")
        return found

    def _check(self, offset: int, kind: bytes) -> None:
        if self._cell(offset, 2) != kind:
            raise ValueError("the registry file is damaged")


def open_hive(read: Callable[[str], bytes | None], name: str) -> OfflineHive:
    """Return the hive of this name, completed by its logs; ``read`` gives a file, None where there is none.

    Raises ``HelperFailed`` with words for why it cannot be read.
    """
    data = read(name)
    if data is None:
        raise HelperFailed(f"the profile has no {name.rpartition('/')[2]}: that person has not signed in yet")
    from construct import ConstructError

    try:
        complete = with_logs(data, []) if _is_complete(data) else with_logs(data, _logs(read, name))
        return OfflineHive(complete)
    except (ValueError, struct.error, ConstructError) as error:
        raise HelperFailed(f"the registry of that person cannot be read: {error}") from error


def _is_complete(data: bytes) -> bool:
    try:
        with_logs(data, [])
    except ValueError:
        return False
    return True


def _logs(read: Callable[[str], bytes | None], name: str) -> list[bytes]:
    return [log for log in (read(f"{name}.LOG1"), read(f"{name}.LOG2")) if log is not None]


def _key_name(record: Any) -> str:
    # The library would replace what is not ASCII.
    name: bytes = record.header.key_name_string
    return name.decode("latin-1" if record.header.flags.KEY_COMP_NAME else "utf-16-le")
