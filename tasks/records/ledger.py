"""The ledger of a school: numbered lines, each signed, each with the digest of the one before it.

A line is the record ``records/ledger/<site>/<12 digits>.json``, created and never written again. Its data holds the
``event``, what belongs to it, ``previous`` (SHA-256 of the file of the line before), ``kid`` and ``mac``, an
HMAC-SHA256 by the school's key over all of that. So a line shows that was changed, removed, moved, or made by somebody
without the key, and of two writers at once one sees the other's line before it decides again.

Only the end of the ledger could be cut off unseen. Therefore each computer remembers the lines that it has read: one
that is gone afterwards shows there.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from configs.whole_file import write_whole
from tasks.backends.base import Backend
from tasks.errors import BackendError, NotFound
from tasks.records.codes import CodeKey
from tasks.records.model import Record, decode_record, encode_record
from tasks.records.store import FOLDER

LEDGER: Final = "ledger"

_NAME: Final = re.compile(r"(\d{12})\.json", re.ASCII)
#: Another writer came first so often in a row: something else is wrong.
_TRIES: Final = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that is ours: its number, when it was written, what happened, and the digest of its file in hex."""

    seq: int
    at: datetime
    event: str
    data: Mapping[str, Any]
    digest: str


@dataclass(frozen=True, slots=True)
class LedgerState:
    """The lines that are ours, in their order, and in words what is wrong with the ledger as a whole."""

    entries: tuple[Entry, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def head(self) -> Entry | None:
        """Return the last line."""
        return self.entries[-1] if self.entries else None


#: Return event and data of the line to append, or None for none, given what stands there; raise to refuse.
Build = Callable[[LedgerState], tuple[str, Mapping[str, Any]] | None]


class Ledger:
    """The ledger of one school.

    ``keys`` are those that may have signed a line, the first one signs; without any, lines can neither be read nor
    written. ``memory`` is the file in which this computer remembers the lines.
    """

    def __init__(self, backend: Backend, site: str, keys: Sequence[CodeKey], memory: Path | None = None) -> None:
        self.backend = backend
        self.site = site
        self.keys = tuple(keys)
        self._memory = memory
        self._known: dict[int, bytes] = {}
        self._prefix = f"{FOLDER}{LEDGER}/{site}/"

    def is_empty(self) -> bool:
        """Return whether nobody ever wrote a line, as far as can be seen."""
        return next(iter(self._listed()), None) is None and not self._remembered()

    def read(self, *, everything: bool = False) -> LedgerState:
        """Return what stands in it. Lines that this computer remembers are read again only with ``everything``."""
        # In this order: a line that somebody appends meanwhile is not remembered before it is listed.
        known = self._remembered()
        listed = dict(self._listed())
        problems = [f"line {seq} was there and is gone" for seq in sorted(known.keys() - listed.keys())]
        # What was removed is not forgotten: the next line follows it, so that everybody sees the gap.
        files = {seq: content for seq, content in known.items() if seq not in listed}
        for seq, size in listed.items():
            kept = known.get(seq)
            if kept is not None and len(kept) == size and not everything:
                files[seq] = kept
                continue
            try:
                files[seq] = self.backend.load(self._name(seq))
            except NotFound:
                problems.append(f"line {seq} was there and is gone")
                continue
            if kept is not None and kept != files[seq]:
                problems.append(f"line {seq} is not as it was: somebody changed it")
        state, genuine = self._checked(files, problems)
        if genuine.keys() - known.keys():
            self._remember({**genuine, **known})
        self._known = {**genuine, **known}
        return state

    def append(
        self, build: Build, *, now: datetime, state: LedgerState | None = None
    ) -> tuple[Entry | None, LedgerState]:
        """Append the line that ``build`` makes of what stands there, and return it with the ledger as it is then.

        When somebody else appends first, ``build`` is asked again with their line in view: so what it allows is true at
        the moment that the line is written. Raises what ``build`` raises, or a ``BackendError``.
        """
        state = state or self.read()
        for _ in range(_TRIES):
            made = build(state)
            if made is None:
                return None, state
            seq = self._free(state)
            event, data = made
            record = self._signed(seq, now, event, data, state.head)
            content = encode_record(record)
            with contextlib.suppress(FileExistsError):
                self.backend.save(self._name(seq), content, overwrite=False)
                # Where the store cannot refuse a second file of a name, the last one counts, for everybody alike.
                if self.backend.load(self._name(seq)) == content:
                    entry = _entry(seq, record, content)
                    self._known[seq] = content
                    self._remember(self._known)
                    return entry, LedgerState((*state.entries, entry), state.problems)
            state = self.read()
        raise BackendError(
            "the ledger could not be written: others wrote again and again", hint="Try again in a minute."
        )

    def _free(self, state: LedgerState) -> int:
        """Return the number after the last line that is ours; a file in its place that is not ours is passed over."""
        seq = state.head.seq + 1 if state.head is not None else 1
        taken = {seq for seq, _ in self._listed()} if state.problems else set()
        while seq in taken:
            seq += 1
        return seq

    def _signed(self, seq: int, now: datetime, event: str, data: Mapping[str, Any], head: Entry | None) -> Record:
        key = self.keys[0]
        own = {
            **data,
            "event": event,
            "previous": head.digest if head is not None else _first(self.site),
            "kid": key.id,
        }
        record = Record(LEDGER, secrets.token_hex(8), now.astimezone(UTC), own)
        mac = _mac(key, self.site, seq, record)
        return Record(record.kind, record.id, record.time, {**own, "mac": mac})

    def _checked(self, files: Mapping[int, bytes], problems: list[str]) -> tuple[LedgerState, dict[int, bytes]]:
        entries: list[Entry] = []
        genuine: dict[int, bytes] = {}
        expected = 1
        for seq in sorted(files):
            if seq != expected:
                missing = f"line {expected}" if seq == expected + 1 else f"lines {expected} to {seq - 1}"
                problems.append(f"{missing} of the ledger cannot be found")
            expected = seq + 1
            try:
                entry = self._genuine(seq, files[seq])
            except ValueError as error:
                problems.append(f"line {seq} of the ledger is not ours: {error}")
                continue
            before = entries[-1].digest if entries else _first(self.site)
            if entry.data.get("previous") != before:
                problems.append(f"line {seq} of the ledger does not follow the one before it")
            entries.append(entry)
            genuine[seq] = files[seq]
        return LedgerState(tuple(entries), tuple(dict.fromkeys(problems))), genuine

    def _genuine(self, seq: int, content: bytes) -> Entry:
        record = decode_record(content, kind=LEDGER)
        told = record.data.get("mac")
        unsigned = Record(record.kind, record.id, record.time, {k: v for k, v in record.data.items() if k != "mac"})
        if not isinstance(told, str) or not told.isascii():
            raise ValueError("it is not signed")
        if not any(hmac.compare_digest(told, _mac(key, self.site, seq, unsigned)) for key in self.keys):
            raise ValueError("somebody without the key wrote or changed it, or the key is another one")
        return _entry(seq, record, content)

    def _listed(self) -> Iterator[tuple[int, int]]:
        for info in self.backend.list(self._prefix):
            match = _NAME.fullmatch(info.name.removeprefix(self._prefix))
            if match:
                yield int(match[1]), info.size

    def _name(self, seq: int) -> str:
        return f"{self._prefix}{seq:012d}.json"

    def _remembered(self) -> dict[int, bytes]:
        """Return the lines that this computer has read, without those that are not ours after all."""
        if self._memory is None:
            return {}
        try:
            found = json.loads(self._memory.read_bytes())
            lines = {int(seq): str(text).encode() for seq, text in found.items()}
        except (OSError, ValueError, AttributeError):
            return {}
        return {seq: content for seq, content in lines.items() if not self.keys or self._is_genuine(seq, content)}

    def _is_genuine(self, seq: int, content: bytes) -> bool:
        try:
            self._genuine(seq, content)
        except ValueError:
            return False
        return True

    def _remember(self, lines: Mapping[int, bytes]) -> None:
        if self._memory is None:
            return
        # A computer that cannot remember reads them again.
        with contextlib.suppress(OSError):
            self._memory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = json.dumps({str(seq): content.decode() for seq, content in sorted(lines.items())})
            write_whole(self._memory, known.encode(), mode=0o600, durable=False)


def _entry(seq: int, record: Record, content: bytes) -> Entry:
    return Entry(seq, record.time, str(record.data.get("event")), record.data, hashlib.sha256(content).hexdigest())


def _first(site: str) -> str:
    return hashlib.sha256(f"firstbell ledger of {site}".encode()).hexdigest()


def _mac(key: CodeKey, site: str, seq: int, record: Record) -> str:
    signed = [site, seq, record.id, record.time.astimezone(UTC).isoformat(), record.data]
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hmac.new(key.ledger, text.encode(), hashlib.sha256).hexdigest()
