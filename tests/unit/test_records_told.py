"""Each letter once, whatever dies when."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from tasks.backends.memory import MemoryBackend
from tasks.records import told
from tasks.records.store import RecordStore
from tasks.records.told import LEASE, Attempt, Stands, begin_letter, letter_digest

DIGEST = letter_digest("north", "lab3-summer", "announcement", "a.ito")
DATA = {"plan": "lab3-summer", "person": "a.ito"}


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime(2026, 7, 1, 8, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> RecordStore:
    return RecordStore(MemoryBackend(), clock=clock)


def begun(found: Attempt | Stands) -> Attempt:
    assert isinstance(found, Attempt)
    return found


def standing(found: Attempt | Stands) -> str:
    assert isinstance(found, Stands)
    return found.standing


def test_a_letter_that_was_sent_is_not_written_again(store: RecordStore, clock: Clock) -> None:
    begun(begin_letter(store, DIGEST, DATA)).end("sent")
    clock.now += timedelta(days=400)
    assert standing(begin_letter(store, DIGEST, DATA)) == "sent"
    # Somebody else's, or about something else, is another one.
    begun(begin_letter(store, letter_digest("north", "lab3-summer", "announcement", "m.okafor"), DATA))


def test_parts_of_a_digest_do_not_run_together() -> None:
    assert letter_digest("a", "bc") != letter_digest("ab", "c")


def test_one_that_dies_before_the_end_is_written_once_more_and_then_left_to_a_person(
    store: RecordStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(begin_letter(store, DIGEST, DATA))
    # The process that began it lives: it may still be at it.
    assert standing(begin_letter(store, DIGEST, DATA)) == "under-way"
    monkeypatch.setattr(told, "is_running", lambda _pid: False)
    begun(begin_letter(store, DIGEST, DATA))
    assert standing(begin_letter(store, DIGEST, DATA)) == "unknown"
    clock.now += timedelta(days=30)
    assert standing(begin_letter(store, DIGEST, DATA)) == "unknown"


def test_a_worker_of_another_computer_counts_as_dead_after_the_lease(
    store: RecordStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(begin_letter(store, DIGEST, DATA))
    monkeypatch.setattr(told, "host_name", lambda: "another")
    clock.now += LEASE - timedelta(seconds=1)
    assert standing(begin_letter(store, DIGEST, DATA)) == "under-way"
    clock.now += timedelta(seconds=1)
    assert begun(begin_letter(store, DIGEST, DATA)).number == 2


def test_a_mail_server_that_is_down_for_days_leaves_no_heap_and_costs_nobody_the_letter(store: RecordStore) -> None:
    for _ in range(50):
        begun(begin_letter(store, DIGEST, DATA)).end("later", "the mail server cannot be reached")
    assert len(list(store.backend.list("records/told/"))) <= 4
    begun(begin_letter(store, DIGEST, DATA)).end("sent")
    assert standing(begin_letter(store, DIGEST, DATA)) == "sent"


def test_an_answer_that_is_lost_twice_does_not_go_on_for_ever(store: RecordStore) -> None:
    begun(begin_letter(store, DIGEST, DATA)).end("uncertain")
    begun(begin_letter(store, DIGEST, DATA)).end("later")
    begun(begin_letter(store, DIGEST, DATA)).end("uncertain")
    assert standing(begin_letter(store, DIGEST, DATA)) == "unknown"


def test_an_address_that_is_refused_is_not_tried_again(store: RecordStore) -> None:
    begun(begin_letter(store, DIGEST, DATA)).end("refused", "550 no such user")
    found = begin_letter(store, DIGEST, DATA)
    assert isinstance(found, Stands)
    assert (found.standing, found.text) == ("refused", "550 no such user")


def test_what_is_told_again_after_a_week_is_not_told_earlier(store: RecordStore, clock: Clock) -> None:
    week = timedelta(days=7)
    for _ in range(3):
        begun(begin_letter(store, DIGEST, DATA, again_after=week)).end("sent")
        clock.now += week - timedelta(seconds=1)
        assert standing(begin_letter(store, DIGEST, DATA, again_after=week)) == "sent"
        clock.now += timedelta(seconds=1)


def test_of_several_workers_one_writes(store: RecordStore) -> None:
    together = threading.Barrier(4)

    def try_it(_number: int) -> Attempt | Stands:
        together.wait()
        return begin_letter(store, DIGEST, DATA)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(try_it, range(4)))
    assert sum(isinstance(one, Attempt) for one in found) == 1


def test_nothing_of_the_letter_is_written_down(store: RecordStore) -> None:
    begun(begin_letter(store, DIGEST, DATA)).end("sent")
    for info in store.backend.list("records/told/"):
        data = json.loads(store.backend.load(info.name))["data"]
        assert set(data) <= {"plan", "person", "computer", "process", "ending", "text"}
