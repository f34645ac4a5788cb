"""The log of one computer in one maintenance: what was done with it, one record for each step.

The records are numbered, ``records/maintenance-step/<plan>/<host>/<number>.json``, and each is created only where
there is none of its number: of two workers that go on from the same state one is refused, whatever their clocks say.
Each names the one before it. A log with a record that is missing, damaged or of a newer version is ``damage``, and
whoever reads it does nothing more with that computer: what cannot be read may be what says no.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tasks.errors import NotFound, TakenOver
from tasks.records.model import Record, decode_record
from tasks.records.store import FOLDER, RecordStore

STEP: Final = "maintenance-step"

_FILE: Final = re.compile(r"(\d{6})\.json")


@dataclass(frozen=True, slots=True)
class Step:
    """One record of a log: its number from 1 on, what was done, when (aware UTC), and what that step tells."""

    number: int
    step: str
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


class StepLog:
    """The steps of one computer, as far as they were read. Not for several threads."""

    def __init__(self, store: RecordStore, plan: str, host: str) -> None:
        self.plan = plan
        self.host = host
        self._store = store
        self._folder = f"{STEP}/{plan}/{host}/"
        self._steps: list[Step] = []
        self._last_id = ""
        #: Why the log is not to be relied on, in words; None when it is.
        self.damage: str | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return the steps that can be relied on, in order."""
        return tuple(self._steps)

    def refresh(self) -> None:
        """Read what is new."""
        if self.damage is not None:
            return
        names = sorted(
            info.name.removeprefix(FOLDER + self._folder) for info in self._store.backend.list(FOLDER + self._folder)
        )
        if len(names) < len(self._steps):
            self.damage = "a record of it has vanished"
            return
        for name in names[len(self._steps) :]:
            number = len(self._steps) + 1
            if name != _name(number):
                missing = bool(_FILE.fullmatch(name))
                self.damage = f"its record {number} is missing" if missing else f"{name} is no record of it"
                return
            try:
                self._take(number, decode_record(self._store.backend.load(FOLDER + self._folder + name), kind=STEP))
            except NotFound:
                self.damage = f"its record {number} is missing"
                return
            except ValueError as error:
                self.damage = f"its record {number} cannot be read: {error}"
                return

    def append(self, step: str, detail: Mapping[str, Any] | None = None) -> Step:
        """Write the next step, durably, and return it. Raises ``TakenOver`` when another worker wrote one meanwhile."""
        if self.damage is not None:
            raise ValueError(f"nothing is appended to a log that is damaged: {self.damage}")
        number = len(self._steps) + 1
        data = {
            "plan": self.plan,
            "host": self.host,
            "step": step,
            "after": self._last_id,
            "detail": dict(detail or {}),
        }
        record = Record(STEP, secrets.token_hex(8), self._store.clock().astimezone(UTC), data)
        try:
            self._store.save(self._folder + _name(number), record, overwrite=False)
        except FileExistsError:
            # Or it is our own, and only the answer to its first attempt was lost.
            if not self._is_ours(number, record):
                raise TakenOver(
                    "another worker has gone on with this computer", hint="That one goes on with it.", host=self.host
                ) from None
        return self._take(number, record)

    def _is_ours(self, number: int, record: Record) -> bool:
        found = self._store.load(self._folder + _name(number))
        return found is not None and found.id == record.id

    def _take(self, number: int, record: Record) -> Step:
        data = record.data
        step, detail = data.get("step"), data.get("detail")
        if (data.get("plan"), data.get("host")) != (self.plan, self.host):
            raise ValueError("it is of another maintenance or computer")
        legal = isinstance(step, str) and isinstance(detail, dict)
        if not legal:
            raise ValueError("'step' or 'detail' is missing")
        if data.get("after") != self._last_id:
            raise ValueError("it does not follow the one before it")
        found = Step(number, str(step), record.time, dict(detail or {}))
        self._steps.append(found)
        self._last_id = record.id
        return found


def _name(number: int) -> str:
    return f"{number:06d}.json"
