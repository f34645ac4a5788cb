"""What a maintenance plan would do, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, tzinfo

from tasks.reports.display import show_text


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return a table of texts, each column as wide as its widest cell; ``right`` are columns of numbers."""
    shown = [tuple(header), *(tuple(show_text(cell) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(header))]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in shown
    ]


def days_text(days: Sequence[date]) -> str:
    """Return days in a few words, those that follow each other as a span: ``Mon 3 - Thu 6 August``."""
    spans: list[tuple[date, date]] = []
    for day in days:
        if spans and (day - spans[-1][1]).days == 1:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return ", ".join(
        f"{first:%a} {first}" if first == last else f"{first:%a} {first} - {last:%a} {last}" for first, last in spans
    )


def moment(when: datetime, zone: tzinfo) -> str:
    """Return a moment for a table by the school's clock: ``Mon 2026-08-03 17:00``."""
    return f"{when.astimezone(zone):%a %Y-%m-%d %H:%M}"
