"""However many runs walk a plan, no more computers than ``at_once`` are worked on at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from configs.maintenance import MaintenancePlan
from tasks.backends.memory import MemoryBackend
from tasks.records.store import RecordStore
from tasks.verbs.maintenance_slots import slot

PLAN = MaintenancePlan.model_validate(
    {
        "name": "lab3",
        "kind": "reimage",
        "site": "north",
        "hosts": {"hosts": ["a"]},
        "window": {"start": "2026-07-06 17:00", "end": "2026-07-07 06:00"},
        "action": {"kind": "manual"},
        "at_once": 3,
    }
)


def test_there_are_as_many_slots_as_the_plan_says_and_each_is_given_back() -> None:
    store = RecordStore(MemoryBackend())
    other = PLAN.model_copy(update={"name": "lab4"})
    for _ in range(3):
        with ExitStack() as held:
            assert [held.enter_context(slot(store, PLAN)) for _ in range(4)] == [True, True, True, False]
            assert held.enter_context(slot(store, other))


def test_many_threads_never_get_more() -> None:
    store = RecordStore(MemoryBackend())
    working, most, got = 0, 0, 0
    guard, all_there = threading.Lock(), threading.Barrier(12, timeout=30)

    def work(number: int) -> None:
        nonlocal working, most, got
        all_there.wait()
        for _ in range(5):
            with slot(store, PLAN) as free:
                if not free:
                    continue
                with guard:
                    working, got = working + 1, got + 1
                    most = max(most, working)
                with guard:
                    working -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert 1 <= most <= 3
    assert got >= 3


def test_what_goes_wrong_while_it_is_held_gives_it_back() -> None:
    store = RecordStore(MemoryBackend())
    for _ in range(5):
        try:
            with slot(store, PLAN) as free:
                assert free
                raise KeyError
        except KeyError:
            pass
