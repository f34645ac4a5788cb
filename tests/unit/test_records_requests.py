"""One request is carried out once: in turn, at the same time, and after a crash."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.backends.base import Backend, Buffer
from tasks.backends.local import LocalBackend
from tasks.backends.memory import MemoryBackend
from tasks.errors import BackendError, RestoreRefused
from tasks.records.model import RequestState, RequestStatus
from tasks.records.requests import LEASE, REPEAT_AFTER, Claim, RestoreRequests
from tasks.records.store import FOLDER, RecordStore

DIGEST = "ab" * 32


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 25, 7, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def requests(clock: Clock) -> RestoreRequests:
    return RestoreRequests(RecordStore(MemoryBackend(), clock=clock))


def claimed(found: Claim | RequestStatus) -> Claim:
    assert isinstance(found, Claim)
    return found


def test_a_second_identical_request_is_not_carried_out(requests: RestoreRequests, clock: Clock) -> None:
    requests.submit(DIGEST, {"include": ["Desktop"]})
    assert requests.status(DIGEST).state is RequestState.REQUESTED
    claim = claimed(requests.claim(DIGEST))
    running = requests.claim(DIGEST)
    assert isinstance(running, RequestStatus)
    assert running.state is RequestState.RUNNING
    claim.done({"restored": 12})
    done = requests.claim(DIGEST)
    assert isinstance(done, RequestStatus)
    assert (done.state, done.summary, done.attempts) == (RequestState.DONE, {"restored": 12}, 1)
    # Another request is another matter; so is the same one when it is asked for again, or much later.
    claimed(requests.claim("cd" * 32)).done({})
    claimed(requests.claim(DIGEST, again=True)).done({})
    clock.now += REPEAT_AFTER
    assert claimed(requests.claim(DIGEST)).attempt == 3


def test_a_claim_knows_what_it_resumes(requests: RestoreRequests) -> None:
    claimed(requests.claim(DIGEST)).done({})
    fresh = claimed(requests.claim(DIGEST, again=True))
    assert fresh.resumes is None
    fresh.failed("cable")
    second = claimed(requests.claim(DIGEST))
    assert second.resumes == 2
    second.failed("cable again")
    third = claimed(requests.claim(DIGEST))
    assert third.resumes == 2
    third.done({})
    assert claimed(requests.claim(DIGEST, again=True)).resumes is None


def test_one_that_failed_may_be_tried_again_at_once(requests: RestoreRequests) -> None:
    with pytest.raises(OSError, match="cable"), claimed(requests.claim(DIGEST)):
        raise OSError("cable")
    status = requests.status(DIGEST)
    assert (status.state, status.summary) == (RequestState.FAILED, {"reason": "cable"})
    with claimed(requests.claim(DIGEST)) as claim:
        claim.done({})
    assert requests.status(DIGEST).state is RequestState.DONE


def test_a_dead_workers_request_is_taken_over_after_the_lease(requests: RestoreRequests, clock: Clock) -> None:
    dead = claimed(requests.claim(DIGEST))
    clock.now += LEASE - timedelta(seconds=1)
    assert isinstance(requests.claim(DIGEST), RequestStatus)
    assert dead.beat()
    clock.now += LEASE - timedelta(seconds=1)
    assert isinstance(requests.claim(DIGEST), RequestStatus), "its heart has beaten meanwhile"
    clock.now += timedelta(seconds=1)
    assert requests.status(DIGEST).state is RequestState.REQUESTED
    heir = claimed(requests.claim(DIGEST))
    # It lived after all: it must stop, and what it says does not count.
    assert not dead.beat()
    assert dead.lost
    with pytest.raises(RestoreRefused, match="taken over"):
        dead.check()
    dead.done({"by": "the dead"})
    assert requests.status(DIGEST).state is RequestState.RUNNING
    heir.check()
    heir.done({"by": "the heir"})
    assert requests.status(DIGEST).summary == {"by": "the heir"}


def test_the_heart_beats_by_itself(tmp_path: Path) -> None:
    beaten = threading.Event()

    class Watched(LocalBackend):
        def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
            super().save(name, data, overwrite=overwrite)
            if name.endswith("-beat.json"):
                beaten.set()

    requests = RestoreRequests(RecordStore(Watched(tmp_path)), lease=timedelta(seconds=0.2))
    with claimed(requests.claim(DIGEST)) as claim:
        assert beaten.wait(30)
        claim.done({})
    assert not claim.lost


def test_a_store_that_is_gone_for_longer_than_the_lease_ends_the_claim(clock: Clock) -> None:
    class Shaky(MemoryBackend):
        broken = False

        def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
            if self.broken:
                raise BackendError("no answer")
            super().save(name, data, overwrite=overwrite)

    backend = Shaky()
    claim = claimed(RestoreRequests(RecordStore(backend, clock=clock)).claim(DIGEST))
    backend.broken = True
    clock.now += LEASE - timedelta(seconds=1)
    assert claim.beat()
    clock.now += timedelta(seconds=1)
    assert not claim.beat()
    assert claim.lost


def test_files_of_others_do_not_matter(clock: Clock) -> None:
    backend = MemoryBackend()
    requests = RestoreRequests(RecordStore(backend, clock=clock))
    folder = f"{FOLDER}restore-claim/{DIGEST}/"
    for name in ("000009-end.json", "000008-beat.json", "9-claim.json", "readme"):
        backend.save(folder + name, b"?")
    assert claimed(requests.claim(DIGEST)).attempt == 1
    backend.save(folder + "000001-claim.json", b"torn")
    assert claimed(requests.claim(DIGEST)).attempt == 2


def test_a_digest_is_no_path(requests: RestoreRequests) -> None:
    for text in ("../x", "", "AB" * 32, "ab/cd"):
        with pytest.raises(ValueError):
            requests.claim(text)


@pytest.mark.parametrize("where", ["memory", "local"])
def test_of_many_threads_one_wins(where: str, tmp_path: Path, clock: Clock) -> None:
    backend: Backend = MemoryBackend() if where == "memory" else LocalBackend(tmp_path)
    requests = RestoreRequests(RecordStore(backend, clock=clock))
    barrier = threading.Barrier(8)

    def attempt() -> Claim | RequestStatus:
        barrier.wait(30)
        return requests.claim(DIGEST)

    for round_ in range(1, 6):
        with ThreadPoolExecutor(8) as pool:
            found = [future.result() for future in [pool.submit(attempt) for _ in range(8)]]
        won = [claim for claim in found if isinstance(claim, Claim)]
        assert [claim.attempt for claim in won] == [round_]
        assert {status.state for status in found if isinstance(status, RequestStatus)} == {RequestState.RUNNING}
        # Taken over after a crash, too, by one only.
        clock.now += LEASE


def _claim_in_process(folder: Path, barrier: Callable[[], object], out: multiprocessing.SimpleQueue[str]) -> None:
    requests = RestoreRequests(RecordStore(LocalBackend(folder)))
    barrier()
    found = requests.claim(DIGEST)
    out.put("claim" if isinstance(found, Claim) else found.state.value)
    # Not before the other has looked: what the dead have claimed is free.
    barrier()
    # Leaves without a word, as a killed worker does.
    os._exit(0)


def test_of_two_processes_one_wins(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    out: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    workers = [context.Process(target=_claim_in_process, args=(tmp_path, barrier.wait, out)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted([out.get(), out.get()]) == ["claim", "running"]
