"""backends.retry against a scripted flaky backend: what it repeats, how long, and what it leaves alone."""

from __future__ import annotations

import logging
import threading

import pytest

from tasks.backends.memory import MemoryBackend
from tasks.backends.retry import RetryBackend, Retrying, RetryPolicy
from tasks.errors import BackendError, Denied, NotFound, StoreUnavailable
from tests.support.flaky import Fault, ScriptedFlakyBackend


class FakeTime:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def wrap(*faults: Fault, policy: RetryPolicy | None = None) -> tuple[RetryBackend, ScriptedFlakyBackend, FakeTime]:
    time = FakeTime()
    flaky = ScriptedFlakyBackend(MemoryBackend(), *faults)
    return RetryBackend(flaky, policy, report=lambda _: None, wait=time.wait, clock=time.clock), flaky, time


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_save_with_unknown_outcome_is_repeated(when: str, overwrite: bool) -> None:
    backend, flaky, time = wrap(Fault(when), Fault(when))  # type: ignore[arg-type]
    backend.save("config", b"content", overwrite=overwrite)
    assert flaky.inner.load("config") == b"content"
    # Without overwrite the second attempt meets the file of the first, and is content.
    waits = 1 if when == "after" and not overwrite else 2
    assert len(time.waits) == waits
    assert flaky.calls.count("save") == waits + 1


def test_our_own_first_attempt_is_not_somebody_else() -> None:
    backend, _, _ = wrap(Fault("after"))
    backend.save("config", b"ours", overwrite=False)
    assert backend.load("config") == b"ours"


def test_somebody_else_who_came_between_is_noticed() -> None:
    backend, flaky, _ = wrap(Fault("before"))
    flaky.inner.save("config", b"theirs")
    with pytest.raises(FileExistsError):
        backend.save("config", b"ours", overwrite=False)
    assert flaky.inner.load("config") == b"theirs"


def test_an_existing_file_is_told_at_once() -> None:
    backend, flaky, time = wrap()
    flaky.inner.save("config", b"same")
    with pytest.raises(FileExistsError):
        backend.save("config", b"same", overwrite=False)
    assert not time.waits


def test_every_call_is_repeated() -> None:
    backend, flaky, time = wrap()
    backend.save("data/aa/x", b"0123456789")
    for call in ("load", "stat", "list", "remove", "ensure_location"):
        flaky.faults = [Fault(call=call), Fault(call=call)]
        time.waits.clear()
        if call == "load":
            assert backend.load("data/aa/x", offset=2, length=3) == b"234"
        elif call == "stat":
            assert backend.stat("data/aa/x").size == 10
        elif call == "list":
            assert [found.name for found in backend.list("data/")] == ["data/aa/x"]
        elif call == "remove":
            backend.remove("data/aa/x")
            assert list(flaky.inner.list()) == []
        else:
            backend.ensure_location()
        assert len(time.waits) == 2, call
        assert not flaky.faults


def test_a_list_that_breaks_off_yields_nothing_twice() -> None:
    backend, _, _ = wrap(Fault("midway", call="list"))
    for number in range(10):
        backend.save(f"data/aa/{number}", b"x")
    names = [found.name for found in backend.list()]
    assert sorted(names) == [f"data/aa/{number}" for number in range(10)]


@pytest.mark.parametrize("error", [NotFound("no"), Denied("no"), BackendError("no"), ValueError("no"), KeyError("no")])
def test_the_rest_passes_through_at_once(error: Exception) -> None:
    backend, flaky, time = wrap(Fault(error=error, call="stat"))
    with pytest.raises(type(error)) as caught:
        backend.stat("config")
    assert caught.value is error
    assert flaky.calls == ["stat"]
    assert not time.waits
    assert not backend.is_transient(error)
    assert backend.is_transient(StoreUnavailable("later"))


def test_waits_grow_to_a_ceiling_with_full_jitter() -> None:
    policy = RetryPolicy(first=1.0, longest=8.0, deadline=1e9, unproven=1e9)
    rounds = []
    for _ in range(40):
        backend, _, time = wrap(*(Fault() for _ in range(8)), policy=policy)
        backend.save("config", b"x")
        rounds.append(time.waits)
    for attempt, ceiling in enumerate([1, 2, 4, 8, 8, 8, 8, 8]):
        waits = [waits[attempt] for waits in rounds]
        assert max(waits) <= ceiling
        assert max(waits) > ceiling * 0.75  # 40 draws all below: 1 in 100,000
        assert min(waits) < ceiling * 0.25
    assert len({wait for waits in rounds for wait in waits}) > 300


@pytest.mark.parametrize(("proven", "limit"), [(True, 60.0), (False, 10.0)])
def test_the_deadline_ends_it_with_the_last_error(proven: bool, limit: float) -> None:
    policy = RetryPolicy(first=0.5, longest=5.0, deadline=60.0, unproven=10.0)
    backend, flaky, time = wrap(policy=policy)
    if proven:
        backend.save("config", b"x")
    flaky.faults = [Fault(error=StoreUnavailable(f"fault {number}")) for number in range(500)]
    with pytest.raises(StoreUnavailable) as caught:
        backend.load("config")
    attempts = 500 - len(flaky.faults)
    assert str(caught.value) == f"fault {attempts - 1}"
    assert limit - policy.longest <= sum(time.waits) <= limit
    assert attempts == len(time.waits) + 1


def test_a_very_long_outage_does_not_overflow() -> None:
    policy = RetryPolicy(first=0.001, longest=0.001, deadline=1e9, unproven=1e9)
    backend, flaky, _ = wrap(*(Fault() for _ in range(3000)), policy=policy)
    backend.save("config", b"x")
    assert flaky.calls.count("save") == 3001


def test_close_ends_a_wait_at_once() -> None:
    waiting = threading.Event()
    flaky = ScriptedFlakyBackend(MemoryBackend(), *(Fault() for _ in range(100)))
    policy = RetryPolicy(first=3600.0, longest=3600.0, deadline=1e9, unproven=1e9)
    backend = RetryBackend(flaky, policy, report=lambda _: waiting.set())
    caught: list[BaseException] = []

    def work() -> None:
        try:
            backend.save("config", b"x")
        except StoreUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert waiting.wait(10)
    backend.close()
    thread.join(60)
    assert not thread.is_alive()
    assert len(caught) == 1
    assert flaky.calls.count("save") == 1


def test_each_retry_is_reported_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    reports: list[Retrying] = []
    time = FakeTime()
    flaky = ScriptedFlakyBackend(MemoryBackend(), Fault(), Fault())
    RetryBackend(flaky, report=reports.append, wait=time.wait, clock=time.clock).save("config", b"x")
    assert [(each.call, str(each.error), each.attempt) for each in reports] == [
        ("save config", "scripted fault", 1),
        ("save config", "scripted fault", 2),
    ]
    assert [each.delay for each in reports] == time.waits
    flaky.faults = [Fault()]
    with caplog.at_level(logging.WARNING, logger="tasks"):
        RetryBackend(flaky, wait=time.wait, clock=time.clock).save("config", b"x")
    assert [record.getMessage() for record in caplog.records] == [
        f"save config: scripted fault; trying again in {time.waits[-1]:.1f} s"
    ]


def test_a_store_that_stays_away_is_waited_for_once_and_not_again_by_each_call() -> None:
    policy = RetryPolicy(deadline=60.0)
    backend, flaky, time = wrap(policy=policy)
    backend.save("config", b"content")
    flaky.faults.extend([Fault("before")] * 1000)
    began = time.now
    for call in (lambda: backend.load("config"), lambda: backend.remove("locks/1"), lambda: backend.remove("locks/2")):
        with pytest.raises(StoreUnavailable):
            call()
    assert time.now - began <= policy.deadline
    # Once it answers, it is worth waiting for again.
    flaky.faults.clear()
    assert backend.load("config") == b"content"
    flaky.faults.extend([Fault("before")] * 3)
    assert backend.load("config") == b"content"
