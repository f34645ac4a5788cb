"""Append records, and read them back.

They lie in ``records/<kind>/<UTC time>-<id>.json`` of a backend: the repository's own location or one beside it. A file
that cannot be read as a record is told to the reporter and left out; it stops nobody.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from tasks.backends.base import Backend
from tasks.errors import NotFound
from tasks.events import Reporter, Warned, silent
from tasks.records.model import (
    PENDING_RESTORE,
    TIME_FORMAT,
    UNDO,
    PendingRestore,
    Record,
    UndoPointer,
    decode_record,
    encode_record,
)

#: Folder of all records.
FOLDER: Final = "records/"

_Value = TypeVar("_Value")
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time by this worker's clock."""
    return datetime.now(UTC)


def _folder(kind: str, subject: str) -> str:
    return f"{kind}/{subject}/" if subject else f"{kind}/"


class RecordStore:
    """The records of one repository. Thread-safe."""

    def __init__(self, backend: Backend, report: Reporter = silent, *, clock: Clock = utc_now) -> None:
        self.backend = backend
        self.clock = clock
        self._report = report

    def append(self, kind: str, data: Mapping[str, Any], *, subject: str = "") -> Record:
        """Write a new record and return it. Raises ``ValueError`` when there seems to be a secret in it.

        With a ``subject``, such as a host, it lies in a folder of its own within its kind.
        """
        record = Record(kind, secrets.token_hex(8), self.clock().astimezone(UTC), data)
        self.save(f"{_folder(kind, subject)}{record.file_name}", record, overwrite=False)
        return record

    def records(
        self, kind: str, *, newest_first: bool = False, subject: str = "", since: datetime | None = None
    ) -> Iterator[Record]:
        """Yield the records of a kind in the order of their times; they are read as they are asked for.

        With ``since``, those written from then on, by their names; the others are not read.
        """
        prefix = f"{FOLDER}{_folder(kind, subject)}"
        first = prefix + since.astimezone(UTC).strftime(TIME_FORMAT) if since is not None else ""
        names = sorted((info.name for info in self.backend.list(prefix)), reverse=newest_first)
        for name in names:
            if name < first:
                continue
            record = self.load(name.removeprefix(FOLDER))
            if record is not None:
                yield record

    def save(self, name: str, record: Record, *, overwrite: bool) -> None:
        """Write a record file by its name below ``records/``. Raises ``FileExistsError``."""
        self.backend.save(FOLDER + name, encode_record(record), overwrite=overwrite)

    def load(self, name: str) -> Record | None:
        """Return the record in a file by its name below ``records/``; None when there is none, or none to read."""
        try:
            record = decode_record(self.backend.load(FOLDER + name), kind=name.partition("/")[0])
        except NotFound:
            return None
        except ValueError as error:
            self.warn(f"the record {name} cannot be read and is left out: {error}")
            return None
        return record

    def warn(self, message: str) -> None:
        """Tell something that a person should know."""
        self._report(Warned("", message))

    def add_undo(self, pointer: UndoPointer) -> Record:
        """Note where a restore's before-image is. Do it before the restore writes anything."""
        return self.append(UNDO, pointer.to_data())

    def undos(self, host: str) -> Iterator[tuple[Record, UndoPointer]]:
        """Yield the restores of a host that can be undone, the latest first."""
        for record, pointer in self._read(UNDO, UndoPointer.from_data, newest_first=True):
            if pointer.host == host:
                yield record, pointer

    def add_pending(self, pending: PendingRestore) -> Record:
        """Note that a restore waits, or (with ``open`` false, all else the same) that it waits no longer."""
        return self.append(PENDING_RESTORE, pending.to_data())

    def pending(self) -> list[PendingRestore]:
        """Return the restores that wait, the oldest first."""
        waiting: dict[tuple[str, str, str], PendingRestore] = {}
        for _, pending in self._read(PENDING_RESTORE, PendingRestore.from_data):
            key = (pending.host, pending.teacher, pending.snapshot)
            if pending.open:
                waiting.setdefault(key, pending)
            else:
                waiting.pop(key, None)
        return list(waiting.values())

    def _read(
        self, kind: str, parse: Callable[[Mapping[str, Any]], _Value], *, newest_first: bool = False
    ) -> Iterator[tuple[Record, _Value]]:
        for record in self.records(kind, newest_first=newest_first):
            try:
                yield record, parse(record.data)
            except ValueError as error:
                self.warn(f"the record {kind}/{record.file_name} cannot be read and is left out: {error}")
