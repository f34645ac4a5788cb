"""A stream that loses, repeats and cuts pieces in both directions, by chance from a seed. No part of the product."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from tasks.transports.base import Buffer, Stream


@dataclass(frozen=True)
class Losses:
    """The share of pieces, of at most ``piece`` bytes, that are lost, repeated, or lose a part of themselves."""

    dropped: float = 0.0
    doubled: float = 0.0
    cut: float = 0.0
    piece: int = 16 * 1024
    seed: int = 1


class LossyStream(Stream):
    """Wraps a real stream; ``harmed`` counts what it did to the pieces."""

    def __init__(self, inner: Stream, losses: Losses) -> None:
        self.inner = inner
        self.harmed = 0
        self._losses = losses
        self._out = random.Random(losses.seed)
        self._in = random.Random(losses.seed + 1)
        self._lock = threading.Lock()

    def write(self, data: Buffer) -> None:
        view = memoryview(data)
        for start in range(0, len(view), self._losses.piece):
            harmed = self._harm(bytes(view[start : start + self._losses.piece]), self._out)
            if harmed:
                self.inner.write(harmed)

    def read(self, limit: int) -> bytes:
        while True:
            piece = self.inner.read(min(limit, self._losses.piece))
            if not piece:
                return b""
            harmed = self._harm(piece, self._in)
            if harmed:
                return harmed

    def _harm(self, piece: bytes, chance: random.Random) -> bytes:
        losses = self._losses
        roll = chance.random()
        if roll >= losses.dropped + losses.doubled + losses.cut:
            return piece
        with self._lock:
            self.harmed += 1
        if roll < losses.dropped:
            return b""
        if roll < losses.dropped + losses.doubled:
            return piece + piece
        start = chance.randrange(len(piece))
        return piece[:start] + piece[start + chance.randrange(1, len(piece) - start + 1) :]

    def finish_input(self) -> None:
        self.inner.finish_input()

    def wait(self, timeout: float) -> int:
        return self.inner.wait(timeout)

    def error_text(self) -> str:
        return self.inner.error_text()

    def close(self) -> None:
        self.inner.close()
