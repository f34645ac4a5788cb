"""How fast something moves."""

from __future__ import annotations

from typing import Final

#: A longer pause counts as this, in seconds: nobody wanted anything meanwhile.
_PAUSE: Final = 1.0
#: In less time nothing can be told, in seconds.
_ENOUGH: Final = 0.2


class Meter:
    """Counts bytes, and the time in which they moved."""

    def __init__(self) -> None:
        self._bytes = 0
        self._busy = 0.0
        self._last: float | None = None

    def add(self, count: int, now: float) -> None:
        """Count bytes that have moved by ``now``, in seconds of any origin."""
        if self._last is not None:
            self._busy += min(now - self._last, _PAUSE)
            self._bytes += count
        self._last = now

    @property
    def rate(self) -> float | None:
        """Bytes per second; None when too little has moved."""
        return self._bytes / self._busy if self._busy > _ENOUGH and self._bytes else None
