"""The worker's side of the spool at its end: nothing stays that was still on its way."""

from __future__ import annotations

import threading

import pytest

from tasks.backends.base import Buffer
from tasks.errors import StoreUnavailable
from tasks.remote.channels import spool as module
from tasks.remote.channels.spool import HostSpool
from tests.support.memory_spool import MemorySpool


class SlowSpool(MemorySpool):
    """Stores when it is told to, and may then say that it did not."""

    def __init__(self, *, answers: bool = True) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._answers = answers

    def put(self, name: str, data: Buffer) -> None:
        self.begun.set()
        assert self.go_on.wait(30)
        super().put(name, data)
        if not self._answers:
            raise StoreUnavailable("the answer was lost")


@pytest.mark.parametrize("answers", [True, False])
def test_what_is_being_stored_at_the_end_is_removed(answers: bool) -> None:
    store = SlowSpool(answers=answers)
    spool = HostSpool(store, bytes(32))
    stored = spool.store(1, b"x" * 100_000)
    assert store.begun.wait(30)
    closing = threading.Thread(target=spool.close)
    closing.start()
    store.go_on.set()
    closing.join(30)
    assert stored.done()
    assert store.objects == {}


def test_what_takes_longer_than_a_close_is_removed_when_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE", 0.05)
    store = SlowSpool()
    spool = HostSpool(store, bytes(32))
    stored = spool.store(1, b"x" * 100_000)
    assert store.begun.wait(30)
    spool.close()
    store.go_on.set()
    stored.result(30)
    assert store.objects == {}
