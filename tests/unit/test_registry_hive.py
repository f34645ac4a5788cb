"""Registry files of people who are not signed in: every kind of value, odd names, logs, and damage."""

from __future__ import annotations

import struct

import pytest

from tasks.errors import HelperFailed
from tasks.settings.registry_hive import OfflineHive, StoredValue, open_hive
from tasks.settings.registry_log import marvin32, with_logs
from tasks.settings.registry_values import from_stored, to_stored
from tasks.settings.values import Value
from tests.support.hive_file import hive
from tests.support.registry_hive import hive as other_hive

LONG = bytes(range(256)) * 150
KINDS = {
    "Text": (1, "Zoë\0".encode("utf-16-le")),
    "Expand": (2, "%USERPROFILE%\\x\0".encode("utf-16-le")),
    "Binary": (3, b"\x00\x01\xff"),
    "Long": (3, LONG),
    "Number": (4, b"\xff\xff\xff\xff"),
    "Many": (7, "one\0two\0\0".encode("utf-16-le")),
    "Large": (11, b"\xff" * 8),
    "None": (0, b""),
    "": (1, b"d\0\0\0"),
}


def _stored(data: bytes, path: str, *, subtree: bool = False) -> list[StoredValue]:
    return OfflineHive(data).values(path, subtree=subtree)


def test_every_kind_of_value_is_read_as_it_is_stored() -> None:
    data = hive({"Software": {"Zoë": KINDS, "Other": {"a": "1"}}})
    assert {one.name: (one.kind, one.data) for one in _stored(data, "SOFTWARE\\zoË")} == KINDS
    assert _stored(data, "Software\\None") == _stored(data, "Software\\Zo") == []
    assert _stored(data, "Software", subtree=True) == [
        *(StoredValue("Other", "a", 1, b"1\0\0\0"),),
        *(StoredValue("Zoë", name, kind, content) for name, (kind, content) in KINDS.items()),
    ]


def test_long_lists_of_keys_and_names_in_other_letters_are_read() -> None:
    data = other_hive({f"Ключ {number}": {"v": str(number)} for number in range(4)})
    assert [one.data for one in _stored(data, "ключ 3")] == ["3\0".encode("utf-16-le")]
    assert len(_stored(data, "", subtree=True)) == 4


@pytest.mark.parametrize(
    ("number", "data", "expected"),
    [
        (1, "a\0\0".encode("utf-16-le"), Value("REG_SZ", "a")),
        (1, "a".encode("utf-16-le"), Value("REG_SZ", "a")),
        (1, b"a\0b", None),
        (1, b"\x00\xd8", None),
        (4, b"\1\0", None),
        (4, b"\xff\xff\xff\xff", Value("REG_DWORD", 2**32 - 1)),
        (11, b"\1" + bytes(7), Value("REG_QWORD", 1)),
        (7, b"", Value("REG_MULTI_SZ", ())),
        (7, bytes(2), Value("REG_MULTI_SZ", ())),
        (7, bytes(4), Value("REG_MULTI_SZ", ("",))),
        (7, "a\0\0b\0\0".encode("utf-16-le"), Value("REG_MULTI_SZ", ("a", "", "b"))),
        (7, "a".encode("utf-16-le"), Value("REG_MULTI_SZ", ("a",))),
        (6, b"x", None),
        (0x10000001, b"x", None),
    ],
)
def test_values_are_what_their_kind_says_or_none(number: int, data: bytes, expected: Value | None) -> None:
    found = from_stored(number, data)
    assert found == expected
    if found is not None:
        assert from_stored(*to_stored(found)) == found
        assert Value.from_json(found.to_json()) == found


def _dirty(data: bytes, primary: int, secondary: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<II", changed, 4, primary, secondary)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", changed[:508]):
        checksum ^= word
    struct.pack_into("<I", changed, 508, checksum)
    return bytes(changed)


def _entry(sequence: int, page: bytes, *, bins: int = 4096, offset: int = 0) -> bytes:
    head = struct.pack("<4sIIIII", b"HvLE", 512 * 9, 0, sequence, bins, 1)
    body = (struct.pack("<II", offset, len(page)) + page).ljust(512 * 9 - 40, b"\0")
    head += struct.pack("<Q", marvin32(body))
    return head + struct.pack("<Q", marvin32(head)) + body


def _log(*entries: bytes) -> bytes:
    return b"regf".ljust(512, b"\0") + b"".join(entries)


def _value(data: bytes) -> bytes:
    (found,) = _stored(data, "Key")
    return found.data


BEFORE, AFTER, LATER = (hive({"Key": {"v": (4, bytes([number] * 4))}}) for number in (1, 2, 3))


def test_a_closed_hive_is_not_touched_by_old_logs() -> None:
    assert with_logs(BEFORE, [_log(_entry(1, AFTER[4096:]))]) == BEFORE


def test_a_hive_that_was_not_closed_is_completed_in_the_order_of_numbers() -> None:
    dirty = _dirty(BEFORE, 8, 7)
    logs = [
        _log(_entry(8, LATER[4096:]), _entry(3, BEFORE[4096:])),
        _log(_entry(6, LATER[4096:]), _entry(7, AFTER[4096:])),
    ]
    whole = with_logs(dirty, logs)
    assert _value(whole) == b"\3\3\3\3"
    assert struct.unpack_from("<II", whole, 4) == (9, 9)
    assert with_logs(whole, []) == whole


def test_a_torn_entry_ends_a_log_and_a_gap_ends_all() -> None:
    dirty = _dirty(BEFORE, 8, 7)
    torn = bytearray(_entry(8, LATER[4096:]))
    torn[600] ^= 1
    assert _value(with_logs(dirty, [_log(_entry(7, AFTER[4096:]), bytes(torn))])) == b"\2\2\2\2"
    assert _value(with_logs(dirty, [_log(_entry(7, AFTER[4096:]), _entry(9, LATER[4096:]))])) == b"\2\2\2\2"


def test_a_hive_grows_by_its_log() -> None:
    larger = hive({"Key": {"v": (4, bytes([2] * 4))}, "More": {"x": "y" * 3000}})
    dirty = _dirty(BEFORE, 8, 7)
    entry_size = len(larger) - 4096
    head = struct.pack("<4sIIIII", b"HvLE", 512 * (entry_size // 512 + 1), 0, 7, entry_size, 1)
    body = (struct.pack("<II", 0, entry_size) + larger[4096:]).ljust(512 * (entry_size // 512 + 1) - 40, b"\0")
    head += struct.pack("<Q", marvin32(body))
    whole = bytearray(with_logs(dirty, [_log(head + struct.pack("<Q", marvin32(head)) + body)]))
    whole[36:40] = larger[36:40]  # where the root lies; no log says that
    assert [one.name for one in _stored(bytes(whole), "More")] == ["x"]


def _open(files: dict[str, bytes]) -> OfflineHive:
    return open_hive(files.get, "NTUSER.DAT")


def test_what_cannot_be_read_is_told_in_words() -> None:
    with pytest.raises(HelperFailed, match="has not signed in yet"):
        _open({})
    with pytest.raises(HelperFailed, match="it is no registry file"):
        _open({"NTUSER.DAT": b"x" * 9000})
    with pytest.raises(HelperFailed, match="not closed properly"):
        _open({"NTUSER.DAT": _dirty(BEFORE, 8, 7), "NTUSER.DAT.LOG1": _log(_entry(9, AFTER[4096:]))})
    with pytest.raises(HelperFailed, match="cannot be read"):
        _open({"NTUSER.DAT": BEFORE[:4100]})
    files = {"NTUSER.DAT": _dirty(BEFORE, 8, 7), "NTUSER.DAT.LOG2": _log(_entry(7, AFTER[4096:]))}
    assert [one.data for one in _open(files).values("Key")] == [b"\2\2\2\2"]


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_hive_never_breaks_the_capture(seed: int) -> None:
    import random

    rnd = random.Random(seed)
    data = bytearray(hive({"Software": {"Zoë": KINDS, "Other": {"a": "1"}}}))
    for _ in range(rnd.randint(1, 40)):
        data[rnd.randrange(4096, len(data))] = rnd.randrange(256)
    try:
        hive_ = OfflineHive(bytes(data))
    except ValueError:
        return
    for one in hive_.values("", subtree=True):
        from_stored(one.kind, one.data)
