"""How long a maintenance takes: from what earlier snapshots took, worked through in lanes, the slowest first. Pure.

Bytes and seconds of a computer come from its own snapshots; of one that was never saved, from the others. Where nothing
was ever measured, a slow line is assumed, and it is said so.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tasks.policy.school_time import Stretch

#: Assumed where nothing was measured, in bytes a second: a full 100 Mbit/s line, and disks that are no faster.
ASSUMED_RATE: Final = 8 * 2**20
#: Assumed of a computer that nothing is known of, in bytes.
ASSUMED_BYTES: Final = 20 * 2**30
#: A run that read less says how long it takes to log in and to list files, not how fast data comes; in bytes.
_TELLING: Final = 32 * 2**20
#: Beginning, walking and ending take so long even where nothing changed, in seconds.
_LEAST: Final = 30.0
#: Logging in, reading a sample back and comparing it, in seconds.
PROOF: Final = 60.0
#: A restore writes what a snapshot read, and reads it once more to prove it.
_RESTORE_FACTOR: Final = 2.0
#: So many of the last runs count: a computer gets fuller, and a line faster or slower.
_RUNS: Final = 7


@dataclass(frozen=True, slots=True)
class Measured:
    """What one snapshot took: when, bytes that it covers, bytes of files that it read, and seconds."""

    at: datetime
    covered: int
    read: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Effort:
    """What one computer takes; bytes and seconds. ``measured`` is False where there is no snapshot of its own."""

    host: str
    bytes: int
    #: A snapshot of everything, and one of what changed since the last.
    full: float
    delta: float
    restore: float
    measured: bool
    last: datetime | None = None


def efforts(hosts: Iterable[str], runs: Iterable[tuple[str, Measured]]) -> list[Effort]:
    """Return what each host takes, by what the runs, each with the name of its host, have measured."""
    by_host: dict[str, list[Measured]] = {}
    for host, run in runs:
        if run.seconds > 0:
            by_host.setdefault(host, []).append(run)
    rates = {host: rate for host, found in by_host.items() if (rate := _rate(found)) is not None}
    # Of a computer that nobody has measured: as the others, and no better than what would be assumed.
    common = min(statistics.median(rates.values()), ASSUMED_RATE) if rates else ASSUMED_RATE
    unknown = max((max(found, key=lambda one: one.at).covered for found in by_host.values()), default=ASSUMED_BYTES)
    return [_effort(host, by_host.get(host, []), rates.get(host, common), unknown) for host in hosts]


def _rate(runs: Sequence[Measured]) -> float | None:
    """Return bytes a second: the middle one of the last runs that read enough to tell."""
    walk = min((run.seconds for run in runs if run.read < _TELLING), default=0.0)
    telling = sorted((run for run in runs if run.read >= _TELLING), key=lambda run: run.at)[-_RUNS:]
    if not telling:
        return None
    return statistics.median_low(run.read / max(run.seconds - walk, run.seconds / 10) for run in telling)


def _effort(host: str, runs: Sequence[Measured], rate: float, unknown: int) -> Effort:
    last = max(runs, key=lambda run: run.at) if runs else None
    size = last.covered if last is not None else unknown
    full = _LEAST + size / rate
    again = [run.seconds for run in sorted(runs, key=lambda run: run.at)[-_RUNS:] if run.read < run.covered / 2]
    return Effort(
        host,
        size,
        full=full,
        delta=min(max(_LEAST, *again), full) if again else full,
        restore=_LEAST + _RESTORE_FACTOR * size / rate,
        measured=last is not None,
        last=last.at if last is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Slot:
    """When one computer is worked on, from the last snapshot until it is back; None where there is no room for it."""

    host: str
    needs: timedelta
    time: Stretch | None


def schedule(needs: Iterable[tuple[str, timedelta]], open_: Sequence[Stretch], lanes: int) -> list[Slot]:
    """Return when each computer is worked on, ``lanes`` at a time, the slowest first.

    ``open_`` are the times in which computers may be wiped, in order and apart from each other. A computer is begun
    only where it is done before such a time ends: it must not lie open when the first teacher comes.
    """
    free = [list(open_) for _ in range(lanes)]
    slots = []
    for host, length in sorted(needs, key=lambda one: (-one[1], one[0])):
        # The earliest of all the places where it is done in time.
        room = ((one.start, lane, one) for lane in range(lanes) for one in free[lane] if one.length >= length)
        found = min(room, key=lambda one: one[:2], default=None)
        if found is None:
            slots.append(Slot(host, length, None))
            continue
        begin, lane, one = found
        rest = Stretch(begin + length, one.end)
        free[lane] = sorted((other for other in (*free[lane], rest) if other is not one), key=lambda other: other.start)
        slots.append(Slot(host, length, Stretch(begin, begin + length)))
    return slots
