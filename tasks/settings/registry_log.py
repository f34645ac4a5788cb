"""What the logs of a registry hive hold that its file does not: Windows writes changes there first.

A hive whose two sequence numbers differ is not complete without them. Only entries count that continue the file's own
number, one after the other, and whose hashes are right: a log keeps entries of long ago, and its last one may be torn.
(The parser's own recovery applies all of them, in whatever order, so it is not used.) Format: "Windows registry file
format specification" by M. Suhanov, "Format of transaction log files"; that of Windows 8.1 and later.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_BASE: Final = 4096
_LOG_BASE: Final = 512
_ENTRY: Final = struct.Struct("<4sIIIIIQQ")
_SEED: Final = 0x82EF4D887A4E55C5
_WORD: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Entry:
    sequence: int
    bins: int
    #: Where in the bins each page belongs, and its content.
    pages: tuple[tuple[int, bytes], ...]


def with_logs(hive: bytes, logs: Sequence[bytes]) -> bytes:
    """Return the hive as Windows would have it once it has loaded it.

    Raises ``ValueError`` when it is not complete, and the logs do not complete it.
    """
    if len(hive) < _BASE or hive[:4] != b"regf":
        raise ValueError("it is no registry file")
    primary, secondary = struct.unpack_from("<II", hive, 4)
    sound = _checksum(hive[:508]) == struct.unpack_from("<I", hive, 508)[0]
    if primary == secondary and sound:
        return hive
    entries: dict[int, _Entry] = {}
    for log in logs:
        entries |= {entry.sequence: entry for entry in _entries(log)}
    at = secondary if sound else min(entries, default=secondary)
    if at not in entries:
        raise ValueError("it was not closed properly, and its logs do not continue it")
    whole = bytearray(hive)
    while (entry := entries.get(at)) is not None:
        size = _BASE + entry.bins
        if len(whole) < size:
            whole += bytes(size - len(whole))
        for offset, page in entry.pages:
            whole[_BASE + offset : _BASE + offset + len(page)] = page
        struct.pack_into("<I", whole, 40, entry.bins)
        at += 1
    struct.pack_into("<II", whole, 4, at, at)
    struct.pack_into("<I", whole, 508, _checksum(bytes(whole[:508])))
    return bytes(whole)


def _entries(log: bytes) -> Iterator[_Entry]:
    at = _LOG_BASE
    while at + _ENTRY.size <= len(log):
        magic, size, _, sequence, bins, count, of_body, of_head = _ENTRY.unpack_from(log, at)
        content = log[at : at + size]
        if magic != b"HvLE" or size < _ENTRY.size + 8 * count or size % 512 or len(content) != size:
            return
        if marvin32(content[40:]) != of_body or marvin32(content[:32]) != of_head:
            return
        pages: list[tuple[int, bytes]] = []
        place = _ENTRY.size + 8 * count
        for offset, length in struct.iter_unpack("<II", content[_ENTRY.size : place]):
            if place + length > size or offset + length > bins:
                return
            pages.append((offset, content[place : place + length]))
            place += length
        yield _Entry(sequence, bins, tuple(pages))
        at += size


def _checksum(header: bytes) -> int:
    """Return the XOR of the first 508 bytes, in words; 0 and -1 are not used."""
    result = 0
    for (word,) in struct.iter_unpack("<I", header):
        result ^= word
    return {0: 1, _WORD: _WORD - 1}.get(result, result)


def marvin32(data: bytes, seed: int = _SEED) -> int:
    """Return the hash of an entry's head or body; the seed is the one that Windows uses for registry logs."""
    low, high = seed & _WORD, seed >> 32
    tail = len(data) - len(data) % 4
    last = int.from_bytes(data[tail:] + b"\x80", "little")
    for (word,) in (*struct.iter_unpack("<I", data[:tail]), (last,), (0,)):
        low = (low + word) & _WORD
        high ^= low
        low = (_rotated(low, 20) + high) & _WORD
        high = _rotated(high, 9) ^ low
        low = (_rotated(low, 27) + high) & _WORD
        high = _rotated(high, 19)
    return high << 32 | low


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _WORD
