"""Backends for tests of what happens when the store misbehaves."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tasks.backends.base import Buffer
from tasks.backends.memory import MemoryBackend
from tasks.errors import StoreUnavailable


class FlakyBackend(MemoryBackend):
    """Memory whose ``save`` fails while ``fails`` says so of the name, and that counts what is read."""

    def __init__(self) -> None:
        super().__init__("memory:flaky")
        self.fails: Callable[[str], bool] = lambda name: False
        self.saved: list[str] = []
        self.reads: list[tuple[str, int, int | None]] = []
        self.gate: threading.Event | None = None

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        if self.gate is not None and name.startswith("data/"):
            assert self.gate.wait(30)
        if self.fails(name):
            raise StoreUnavailable("the store is down for the test")
        super().save(name, data, overwrite=overwrite)
        self.saved.append(name)

    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        self.reads.append((name, offset, length))
        return super().load(name, offset=offset, length=length)

    def names(self, prefix: str) -> list[str]:
        return sorted(info.name for info in self.list(prefix))
