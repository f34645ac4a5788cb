"""A backend that fails as a script says: for tests of what wraps or uses a backend. No part of the product."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from tasks.backends.base import Backend, Buffer, FileInfo
from tasks.errors import StoreUnavailable

_T = TypeVar("_T")
When = Literal["before", "after", "midway"]


@dataclass
class Fault:
    """One failure of the next call named ``call`` (or of any): before it has an effect, after, or half-way a list."""

    when: When = "before"
    error: Exception = field(default_factory=lambda: StoreUnavailable("scripted fault"))
    call: str = ""


class ScriptedFlakyBackend(Backend):
    """Wraps a real backend and raises the scripted faults, one per call, in order."""

    def __init__(self, inner: Backend, *faults: Fault) -> None:
        self.inner = inner
        self.location = inner.location
        self.faults = list(faults)
        self.calls: list[str] = []
        self._lock = threading.Lock()

    def ensure_location(self) -> None:
        self._do("ensure_location", self.inner.ensure_location)

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        self._do("save", lambda: self.inner.save(name, data, overwrite=overwrite))

    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        return self._do("load", lambda: self.inner.load(name, offset=offset, length=length))

    def stat(self, name: str) -> FileInfo:
        return self._do("stat", lambda: self.inner.stat(name))

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        fault = self._next("list")
        if fault and fault.when == "before":
            raise fault.error
        found = list(self.inner.list(prefix))
        yield from found[: len(found) // 2 if fault else None]
        if fault:
            raise fault.error

    def remove(self, name: str) -> None:
        self._do("remove", lambda: self.inner.remove(name))

    def close(self) -> None:
        self.inner.close()

    def is_transient(self, error: BaseException) -> bool:
        return isinstance(error, StoreUnavailable) or self.inner.is_transient(error)

    def _do(self, call: str, function: Callable[[], _T]) -> _T:
        fault = self._next(call)
        if fault and fault.when == "before":
            raise fault.error
        result = function()
        if fault:
            raise fault.error
        return result

    def _next(self, call: str) -> Fault | None:
        with self._lock:
            self.calls.append(call)
            if self.faults and self.faults[0].call in {"", call}:
                return self.faults.pop(0)
        return None
