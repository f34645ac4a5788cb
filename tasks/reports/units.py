"""Sizes, durations and times for people.

Terminals and tables for IT staff use binary units (``3.1 GiB``), as restic and the disk tools do; pages for teachers
use decimal ones (``3.3 GB``), as the file managers of macOS and GNOME do.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


def size(count: int) -> str:
    """Return ``count`` bytes with a binary unit: ``0 B``, ``812 B``, ``41.2 GiB``."""
    return _scaled(count, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def plain_size(count: int) -> str:
    """Return ``count`` bytes with a decimal unit, for pages that teachers read: ``3.3 GB``."""
    return "1 byte" if count == 1 else _scaled(count, 1000, ("bytes", "kB", "MB", "GB", "TB", "PB"))


def _scaled(count: int, step: int, units: tuple[str, ...]) -> str:
    value = float(count)
    for unit in units[:-1]:
        # 1023.96 would be shown as 1024.0: go on to the next unit before rounding gets there.
        if value < step - 0.05 or (unit == units[0] and count < step):
            return f"{count} {unit}" if unit == units[0] else f"{value:.1f} {unit}"
        value /= step
    return f"{value:.1f} {units[-1]}"


def clock(seconds: float) -> str:
    """Return a duration as on a stop watch: ``0:02:11``."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def duration(seconds: float) -> str:
    """Return a duration in words, to two units: ``4 s``, ``2 min 11 s``, ``1 h 5 min``."""
    if seconds < 1:
        return "under 1 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    return _two(whole // 3600, "h", whole // 60 % 60, "min")


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big} {big_unit} {small} {small_unit}" if small else f"{big} {big_unit}"


def count_of(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 file``, ``1,204 files``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def local_day_time(when: datetime, zone: tzinfo) -> str:
    """Return an aware time as a person at the site says it: ``Tuesday 25 November 2026, 01:34``."""
    local = when.astimezone(zone)
    return (
        f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}, "
        f"{local.hour:02d}:{local.minute:02d}"
    )


def local_short(when: datetime, zone: tzinfo) -> str:
    """Return an aware time for a table: ``2026-11-25 01:34``."""
    return when.astimezone(zone).strftime("%Y-%m-%d %H:%M")
