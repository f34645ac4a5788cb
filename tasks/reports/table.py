"""The final report of a run in plain text: one row per computer, worst first, each problem with its cure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tasks.reports.display import show_path, show_text
from tasks.reports.model import STATE_WORDS, HostReport, SiteReport, SkipGroup
from tasks.reports.reasons import wording
from tasks.reports.units import clock, count_of, size

_RIGHT: Final = frozenset({2, 3, 4, 5})


def site_table(report: SiteReport) -> str:
    """Return the result of a site run, ending in a line that sums it up."""
    rows: list[Sequence[str]] = [("COMPUTER", "STATE", "FILES", "SIZE", "NEW", "TIME", "")]
    rows += [_row(host) for host in report.worst_first]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    lines = [_line(rows[0], widths)]
    indent = " " * (widths[0] + 2)
    for host, row in zip(report.worst_first, rows[1:], strict=True):
        if host.state == "failed":
            # A failed computer has no figures: its reason takes their place.
            lines.append(f"{host.host:<{widths[0]}}  {row[1]:<{widths[1]}}  {show_text(host.message)}")
        else:
            lines.append(_line(row, widths))
        if host.what_to_do:
            lines.append(f"{indent}{' ' * widths[1]}  -> {show_text(host.what_to_do)}")
    lines.append(f"{report.headline}, in {clock(report.seconds)}")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def host_block(report: HostReport) -> str:
    """Return the result of one computer with the paths that need somebody, for ``firstbell snapshot HOST``."""
    if report.state == "failed":
        lines = [f"{report.host}  FAILED  {show_text(report.message)}"]
        if report.hint:
            lines.append(f"    -> {show_text(report.hint)}")
        return "\n".join(lines) + "\n"
    new = report.files - report.files_unchanged
    lines = [
        f"{report.host}  {STATE_WORDS[report.state]}  {report.files:,} files, {size(report.bytes)}; "
        f"{new:,} new or changed, {size(report.bytes_added)} added  [{clock(report.seconds)}]"
    ]
    if report.snapshot:
        lines.append(f"    snapshot {report.snapshot}")
    lines += [f"    note: {show_text(note)}" for note in report.notes]
    lines += skip_lines(report.skips)
    return "\n".join(lines) + "\n"


def skip_lines(groups: Sequence[SkipGroup]) -> list[str]:
    """Return lines that name what was left out: by path where somebody has to look, else by number."""
    lines: list[str] = []
    for group in groups:
        words = wording(group.reason)
        if group.acknowledged:
            lines.append(
                f"    {count_of(group.count, 'item')} {words.short}{f': {show_text(group.why)}' if group.why else ''}"
            )
            continue
        lines.append(f"    {count_of(group.count, 'item')} {words.short} -> {words.it_cure}")
        lines += [f"        {show_path(path)}" for path in group.examples]
        if group.count > len(group.examples):
            lines.append(f"        and {group.count - len(group.examples):,} more")
    return lines


def _row(host: HostReport) -> tuple[str, ...]:
    if host.state == "failed":
        return (host.host, STATE_WORDS[host.state], "", "", "", "", "")
    return (
        host.host,
        STATE_WORDS[host.state],
        f"{host.files:,}",
        size(host.bytes),
        size(host.bytes_added),
        clock(host.seconds),
        show_text(host.what_happened),
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        f"{cell:>{width}}" if column in _RIGHT else f"{cell:<{width}}"
        for column, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join([*cells, *row[len(widths) :]])
