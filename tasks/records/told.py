"""Who was told of what: so that a run which is repeated every ten minutes writes each letter once.

One thing that one person is told of is a *letter*; its digest names a folder ``records/told/<digest>``. Before a letter
is handed over, ``<attempt>-begun.json`` is created there, which one of several workers can only do; afterwards
``<attempt>-ended.json`` says how it ended. What has begun and not ended within the lease belongs to a worker that is
dead: its letter may have gone out or not. It is written once more, so that nobody goes without; when that ends in the
same way it is left to a person, so that a worker which dies at this point each time sends nobody a letter every ten
minutes.

Nothing of a letter stands here, only whom it was for and what it was about.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from tasks.errors import BackendError
from tasks.records.model import Record
from tasks.records.store import FOLDER, RecordStore
from tasks.repository.owner import host_name, is_running

TOLD: Final = "told"
#: Handing over one letter takes no longer, whatever the mail server does.
LEASE: Final = timedelta(minutes=15)
#: How often a letter is begun whose end nobody knows.
UNKNOWN_ATTEMPTS: Final = 2

#: ``sent``; ``refused``: this address takes no letter; ``later``: not sent, again in the next run; ``uncertain``: the
#: mail server may have it.
Ending = Literal["sent", "refused", "later", "uncertain"]
#: How a letter stands besides: another worker writes it right now; or nobody knows, and a person must ask.
Standing = Literal["sent", "refused", "under-way", "unknown"]

_PART: Final = re.compile(r"(\d{6})-(begun|ended)\.json")


@dataclass(frozen=True, slots=True)
class Stands:
    """Why a letter is not written now, and since when that is so."""

    standing: Standing
    since: datetime | None = None
    text: str = ""


def letter_digest(*parts: str) -> str:
    """Return the digest of what a letter is about and for whom."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class Attempt:
    """The right to write a letter, once; it must be ended."""

    def __init__(self, store: RecordStore, folder: str, number: int, data: Mapping[str, Any]) -> None:
        self._store = store
        self._folder = folder
        self._data = data
        self.number = number

    def end(self, ending: Ending, text: str = "") -> None:
        """Write down how it ended; ``text`` says why, for people, and holds no address."""
        record = _record(self._store, {**self._data, "ending": ending, "text": text})
        with contextlib.suppress(FileExistsError):
            self._store.save(f"{self._folder}{self.number:06d}-ended.json", record, overwrite=False)


def begin_letter(
    store: RecordStore, digest: str, data: Mapping[str, Any], *, again_after: timedelta | None = None
) -> Attempt | Stands:
    """Return the right to write a letter, or why it is not written now.

    ``data`` says whom it is for and what it is about. With ``again_after`` a letter that was sent so long ago is
    written once more. Raises ``BackendError``: then nothing may be sent.
    """
    folder = f"{TOLD}/{digest}/"
    attempts = _attempts(store, folder)
    stands = _standing(store, folder, attempts, again_after)
    if stands is not None:
        return stands
    attempt = Attempt(store, folder, max(attempts, default=0) + 1, data)
    try:
        store.save(f"{folder}{attempt.number:06d}-begun.json", _record(store, data), overwrite=False)
    except FileExistsError:
        return Stands("under-way")
    _forget(store, folder, attempts)
    return attempt


def letter_stands(store: RecordStore, digest: str) -> Stands | None:
    """Return how a letter stands, None when it is to be written; nothing is begun by asking."""
    folder = f"{TOLD}/{digest}/"
    return _standing(store, folder, _attempts(store, folder), None)


def _standing(
    store: RecordStore, folder: str, attempts: Mapping[int, set[str]], again_after: timedelta | None
) -> Stands | None:
    """Return why the letter is not written now, going back from its last attempt; None when it is to be written."""
    now, unknown = store.clock(), 0
    for number in sorted(attempts, reverse=True):
        begun = store.load(f"{folder}{number:06d}-begun.json")
        ended = store.load(f"{folder}{number:06d}-ended.json") if "ended" in attempts[number] else None
        sign = ended or begun
        if sign is not None and again_after is not None and now - sign.time >= again_after:
            break
        match ended.data.get("ending") if ended is not None else None:
            case "later":
                continue
            case "sent" | "refused" as ending if ended is not None:
                return Stands("sent" if ending == "sent" else "refused", ended.time, str(ended.data.get("text", "")))
            case _:
                if ended is None and begun is not None and _alive(store, begun):
                    return Stands("under-way", begun.time)
                unknown += 1
    return Stands("unknown") if unknown >= UNKNOWN_ATTEMPTS else None


def _attempts(store: RecordStore, folder: str) -> dict[int, set[str]]:
    prefix = FOLDER + folder
    found: dict[int, set[str]] = {}
    for info in store.backend.list(prefix):
        match = _PART.fullmatch(info.name.removeprefix(prefix))
        if match:
            found.setdefault(int(match[1]), set()).add(match[2])
    return found


def _forget(store: RecordStore, folder: str, attempts: Mapping[int, set[str]]) -> None:
    """Remove attempts that are known to have sent nothing: while a mail server is down there are many."""
    for number, parts in attempts.items():
        ended = store.load(f"{folder}{number:06d}-ended.json") if "ended" in parts else None
        if ended is None or ended.data.get("ending") != "later":
            continue
        for part in ("ended", "begun"):
            with contextlib.suppress(BackendError):
                store.backend.remove(f"{FOLDER}{folder}{number:06d}-{part}.json")


def _alive(store: RecordStore, begun: Record) -> bool:
    process = begun.data.get("process")
    if begun.data.get("computer") == host_name() and isinstance(process, int) and not is_running(process):
        return False
    return store.clock() - begun.time < LEASE


def _record(store: RecordStore, data: Mapping[str, Any]) -> Record:
    by = {"computer": host_name(), "process": os.getpid()}
    return Record(TOLD, secrets.token_hex(8), store.clock().astimezone(UTC), {**data, **by})
