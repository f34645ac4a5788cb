"""A carrier of frames between worker and helper.

A channel delivers frames whole, in order and once, with back-pressure, or raises. Archiver and restorer cannot tell
which one it was. One thread may send while another receives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from tasks.remote.frames import Frame


class Channel(ABC):
    """A carrier of frames; the module text states what holds for all of them."""

    @property
    def depth(self) -> int:
        """How many bytes of answers should be on their way, or the link stands idle; 0 where a few MiB do."""
        return 0

    @abstractmethod
    def send(self, frame: Frame) -> None:
        """Send one frame; blocks while the other side does not take it.

        Raises ``Timeout``, ``Unreachable`` or ``HelperFailed``.
        """

    def send_all(self, frames: Iterable[Frame]) -> None:
        """Send frames in order; a channel that can join small ones does. ``frames`` is taken one by one."""
        for frame in frames:
            self.send(frame)

    @abstractmethod
    def receive(self) -> Frame:
        """Return the next frame.

        Raises ``Timeout`` after the idle deadline, ``Unreachable`` when the connection is gone, ``HelperFailed`` when
        the helper ended (its exit code turned into advice), ``ProtocolError`` when what arrives is no frame.
        """

    @abstractmethod
    def close(self) -> None:
        """End the helper and give up the channel. Never raises; may be called twice."""
