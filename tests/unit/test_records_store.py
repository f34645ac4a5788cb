"""Records: appended, read back, and what cannot be read is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.backends.local import LocalBackend
from tasks.backends.memory import MemoryBackend
from tasks.events import Event, Warned
from tasks.records.model import UNDO, PendingRestore, Record, UndoPointer, decode_record, encode_record
from tasks.records.store import FOLDER, RecordStore


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 7, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def test_records_come_back_in_order_from_a_directory(tmp_path: Path) -> None:
    store = RecordStore(LocalBackend(tmp_path / "beside"), clock=Clock())
    written = [store.append("note", {"number": number}) for number in range(3)]
    again = RecordStore(LocalBackend(tmp_path / "beside"))
    assert list(again.records("note")) == written
    assert list(again.records("note", newest_first=True)) == written[::-1]
    assert list(again.records("other")) == []
    assert written[0].file_name.startswith("20261125T073001.000000Z-")


def test_what_cannot_be_read_is_told_and_left_out() -> None:
    backend = MemoryBackend()
    events: list[Event] = []
    store = RecordStore(backend, events.append, clock=Clock())
    good = store.append(UNDO, UndoPointer("lab3-07", "aa", "bb", "cc").to_data())
    for number, text in enumerate(
        [
            b"",
            b"\xff\xfe",
            b"[1]",
            b"null",
            b'{"version": 2}',
            encode_record(Record("note", "x", good.time, {})),
            encode_record(good).replace(b"+00:00", b""),
            encode_record(good).replace(b'"lab3-07"', b"7"),
        ]
    ):
        backend.save(f"{FOLDER}{UNDO}/2026-{number}.json", text)
    backend.save(f"{FOLDER}{UNDO}/readme", b"put here by somebody")
    assert [record for record, _ in store.undos("lab3-07")] == [good]
    assert len(events) == 9
    assert all(isinstance(event, Warned) and "left out" in event.message for event in events)


def test_the_latest_restore_of_a_host_is_undone_first() -> None:
    store = RecordStore(MemoryBackend(), clock=Clock())
    for host, before in (("lab3-07", "01"), ("lab3-08", "02"), ("lab3-07", "03")):
        store.add_undo(UndoPointer(host, before, "aa", "bb"))
    assert [pointer.before for _, pointer in store.undos("lab3-07")] == ["03", "01"]


def test_a_pending_restore_waits_until_it_is_closed() -> None:
    store = RecordStore(MemoryBackend(), clock=Clock())
    first = PendingRestore("lab3-07", "a.ito", "aa", {"include": ["Desktop"]})
    second = PendingRestore("lab3-07", "b.ono", "aa", {})
    store.add_pending(first)
    store.add_pending(second)
    assert store.pending() == [first, second]
    store.add_pending(PendingRestore("lab3-07", "a.ito", "aa", {}, open=False))
    assert store.pending() == [second]


@pytest.mark.parametrize(
    "data",
    [{"password": "x"}, {"deep": [{"s3": {"secret_access_key": "x"}}]}, {"sessionToken": "x"}, {"PassPhrase": 1}],
)
def test_a_secret_is_refused(data: dict[str, object]) -> None:
    backend = MemoryBackend()
    with pytest.raises(ValueError, match="reads like a secret"):
        RecordStore(backend).append("note", data)
    assert list(backend.list()) == []


def test_a_record_keeps_its_moment_in_utc() -> None:
    record = Record("note", "x", datetime.fromisoformat("2026-11-25T08:30:00+01:00"), {"a": 1})
    found = decode_record(encode_record(record), kind="note")
    assert found.time == record.time
    assert found.time.tzinfo is UTC
    assert record.file_name == "20261125T073000.000000Z-x.json"
