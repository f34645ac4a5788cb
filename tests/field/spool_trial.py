"""How the store that computers use as a spool is tried: what checks need of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tasks.remote.filesystem import RemoteHost
from tests.field.outcome import Outcome


@dataclass(frozen=True)
class SpoolTrial:
    """``attempt`` sends something each way through the store; ``inline`` starts a helper that must do without."""

    attempt: Callable[[], Outcome]
    inline: Callable[[], AbstractContextManager[RemoteHost]]
    #: How many objects went through the store so far.
    objects: Callable[[], int]
