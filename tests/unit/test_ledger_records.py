"""The ledger by itself: whatever is done to its files, it shows, or it changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.backends.base import Buffer, FileInfo
from tasks.backends.memory import MemoryBackend
from tasks.backends.registry import open_backend
from tasks.errors import BackendError
from tasks.records.codes import CodeKey, new_secret
from tasks.records.ledger import Entry, Ledger, LedgerState

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
KEY = CodeKey.derive(new_secret(), "north")
FOLDER = "records/ledger/north/"
LINES = 5


def name(seq: int) -> str:
    return f"{FOLDER}{seq:012d}.json"


def filled(backend: MemoryBackend | None = None, lines: int = LINES, memory: Path | None = None) -> Ledger:
    ledger = Ledger(backend or MemoryBackend(), "north", [KEY], memory)
    for number in range(lines):
        ledger.append(lambda _, number=number: ("said", {"number": number, "text": "Grüße"}), now=NOW)  # type: ignore[misc]
    return ledger


def told(state: LedgerState) -> list[tuple[int, str, Any, Any]]:
    return [(one.seq, one.event, one.data["number"], one.data["text"]) for one in state.entries]


_ORIGINAL = filled()
FILES = {seq: _ORIGINAL.backend.load(name(seq)) for seq in range(1, LINES + 1)}
TOLD = told(_ORIGINAL.read())


def reader(files: dict[int, bytes]) -> LedgerState:
    backend = MemoryBackend()
    for seq, content in files.items():
        backend.save(name(seq), content)
    return Ledger(backend, "north", [KEY]).read()


def test_what_was_written_is_read_in_order() -> None:
    state = reader(FILES)
    assert state.problems == ()
    assert told(state) == TOLD
    assert [one[2] for one in TOLD] == list(range(LINES))


@settings(max_examples=400, deadline=None)
@given(st.integers(1, LINES), st.integers(0, 2000), st.integers(0, 255))
def test_a_changed_byte_shows_or_means_nothing(seq: int, place: int, value: int) -> None:
    content = bytearray(FILES[seq])
    content[place % len(content)] = value
    state = reader({**FILES, seq: bytes(content)})
    assert state.problems or told(state) == TOLD
    if seq < LINES and bytes(content) != FILES[seq]:
        # The next line has the digest of every byte.
        assert state.problems


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.integers(1, LINES + 2), st.none() | st.integers(1, LINES), min_size=1))
def test_lines_that_are_moved_removed_or_copied_show(moves: dict[int, int | None]) -> None:
    files = dict(FILES)
    for to, source in moves.items():
        if source is None:
            files.pop(to, None)
        else:
            files[to] = FILES[source]
    state = reader(files)
    cut_off = files == {seq: FILES[seq] for seq in range(1, len(files) + 1) if seq in FILES}
    assert bool(state.problems) is not cut_off
    # What is left is never anything else than what was written.
    assert [one for one in TOLD if one in told(state)] == told(state)


def test_an_end_cut_off_shows_where_the_lines_are_remembered(tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    ledger = filled(memory=memory)
    ledger.backend.remove(name(LINES))
    state = Ledger(ledger.backend, "north", [KEY], memory).read()
    assert state.problems == (f"line {LINES} was there and is gone",)
    assert told(state) == TOLD
    for spoilt in ("", "[]", "{}", '{"1": 2}', '{"x": "y"}', '{"5": "{}"}'):
        memory.write_text(spoilt)
        assert told(Ledger(ledger.backend, "north", [KEY], memory).read()) == TOLD[:-1]
    memory.unlink()
    memory.mkdir()
    assert told(Ledger(ledger.backend, "north", [KEY], memory).read()) == TOLD[:-1]


class _Meanwhile(MemoryBackend):
    """Lets somebody else append right after the files were listed, once."""

    other: Ledger | None = None

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        found = list(super().list(prefix))
        other, self.other = self.other, None
        if other is not None:
            other.append(lambda _: ("said", {"number": 5, "text": ""}), now=NOW)
        return iter(found)


def test_a_line_appended_while_it_is_read_is_not_missed(tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    backend = _Meanwhile()
    filled(backend, memory=memory)
    backend.other = Ledger(backend, "north", [KEY], memory)
    state = Ledger(backend, "north", [KEY], memory).read()
    assert (state.problems, len(state.entries)) == ((), LINES)
    assert len(Ledger(backend, "north", [KEY], memory).read().entries) == LINES + 1


def test_a_changed_line_of_the_same_size_changes_nothing_here_and_shows_when_all_is_read(tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    ledger = filled(memory=memory)
    ledger.backend.save(name(2), FILES[2].replace(b"said", b"sold"))
    there = Ledger(ledger.backend, "north", [KEY], memory)
    assert told(there.read()) == TOLD
    assert "line 2 is not as it was: somebody changed it" in there.read(everything=True).problems


def test_another_key_or_school_believes_nothing() -> None:
    backend = MemoryBackend()
    filled(backend)
    for site, key in (("north", CodeKey.derive(new_secret(), "north")), ("south", KEY)):
        copy = MemoryBackend()
        for seq, content in FILES.items():
            copy.save(f"records/ledger/{site}/{seq:012d}.json", content)
        state = Ledger(copy, site, [key]).read()
        assert state.entries == ()
        assert len(state.problems) >= LINES
    assert Ledger(backend, "north", [CodeKey.derive(new_secret(), "north"), KEY]).read().entries


def test_a_file_that_is_not_ours_takes_no_place() -> None:
    backend = MemoryBackend()
    ledger = filled(backend)
    for seq in (LINES + 1, LINES + 2, 999_999_999_999):
        backend.save(name(seq), b"{}")
    entry, state = ledger.append(lambda _: ("said", {"number": 9, "text": ""}), now=NOW)
    assert entry is not None
    assert entry.seq == LINES + 3
    assert state.problems
    again = Ledger(backend, "north", [KEY]).read()
    assert told(again)[-1][0] == LINES + 3
    assert again.problems


def test_writers_at_once_decide_by_what_stands_there() -> None:
    """Each wants to be the only one; all but one must see that somebody was."""
    backend = MemoryBackend()
    filled(backend, 1)
    start = threading.Barrier(8)
    won: list[Entry] = []

    def write() -> None:
        ledger = Ledger(backend, "north", [KEY])
        start.wait()

        def only_one(state: LedgerState) -> tuple[str, dict[str, Any]] | None:
            if any(one.event == "won" for one in state.entries):
                return None
            return "won", {}

        entry, _ = ledger.append(only_one, now=NOW)
        if entry is not None:
            won.append(entry)
        ledger.append(lambda _: ("said", {"number": 0, "text": ""}), now=NOW)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = Ledger(backend, "north", [KEY]).read()
    assert len(won) == 1
    assert state.problems == ()
    assert [one.event for one in state.entries].count("won") == 1
    assert len(state.entries) == 10


@pytest.mark.s3
def test_writers_at_once_on_a_real_store(s3_location: str) -> None:
    start = threading.Barrier(4)
    won: list[bool] = []

    def write() -> None:
        backend = open_backend(s3_location, connections=2)
        start.wait()
        entry, _ = Ledger(backend, "north", [KEY]).append(
            lambda state: None if state.entries else ("said", {"number": 1, "text": ""}), now=NOW
        )
        won.append(entry is not None)
        backend.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, False, False, True]


class _LastOneCounts(MemoryBackend):
    """A store that cannot refuse a second file of a name, and lets somebody else write right after us, once."""

    other: Ledger | None = None

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        super().save(name, data, overwrite=True)
        other, self.other = self.other, None
        if other is not None:
            other.append(lambda _: ("said", {"number": 77, "text": ""}), now=NOW, state=LedgerState())


def test_where_the_store_cannot_refuse_the_loser_writes_again() -> None:
    backend = _LastOneCounts()
    backend.other = Ledger(backend, "north", [KEY])
    ledger = Ledger(backend, "north", [KEY])
    entry, state = ledger.append(lambda _: ("said", {"number": 1, "text": ""}), now=NOW)
    assert entry is not None
    assert [one[2] for one in told(Ledger(backend, "north", [KEY]).read())] == [77, 1]
    assert state.problems == ()


class _Full(MemoryBackend):
    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        raise FileExistsError(name)


def test_it_gives_up_in_the_end() -> None:
    with pytest.raises(BackendError, match="others wrote again and again"):
        Ledger(_Full(), "north", [KEY]).append(lambda _: ("said", {}), now=NOW)
