"""A spool in memory, whose URLs lead nowhere: the test puts and gets by name. No part of the product."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from tasks.backends.base import Buffer, check_name
from tasks.errors import NotFound


class MemorySpool:
    """A ``SpoolStore``; ``objects`` is what lies in it."""

    location = "memory:spool"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.offered: list[str] = []
        self._lock = threading.Lock()

    def offer_put(self, name: str) -> str:
        with self._lock:
            self.offered.append(check_name(name))
        return f"put:{name}"

    def offer_get(self, name: str) -> str:
        return f"get:{check_name(name)}"

    def put(self, name: str, data: Buffer) -> None:
        with self._lock:
            self.objects[check_name(name)] = bytes(data)

    def take(self, name: str) -> bytes:
        with self._lock:
            if name not in self.objects:
                raise NotFound(f"{self.location}: {name}: no such file")
            return self.objects[name]

    def discard(self, name: str) -> None:
        with self._lock:
            self.objects.pop(name, None)

    def list(self, older_than: float) -> Iterator[str]:
        with self._lock:
            return iter([*self.objects] if older_than <= 0 else [])
