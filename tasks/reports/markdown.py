"""Pages for the Prefect UI, as markdown: a site's result, and a page per teacher.

Which names appear where is a decision (docs/design.md, section 14): the site page names computers and no files. The
teacher page names the folders that every home has, and of the files only those that were *not* saved and that somebody
may have to do something about, because without their names nobody could. Every name goes through ``display.py``: a file
called ``![](http://...)`` stays text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo

from tasks.reports.display import md, md_code, shorten, show_path
from tasks.reports.model import STATE_WORDS, HostReport, SiteReport, SkipGroup, TeacherPage
from tasks.reports.reasons import wording
from tasks.reports.units import count_of, duration, local_day_time, plain_size, size


def site_page(report: SiteReport, zone: tzinfo) -> str:
    """Return the result of a site run: a line that sums it up, what needs somebody and the cure, then everything.

    The texts stand in a list, because the cells of a table do not wrap in the UI, and the cure would be out of sight.
    """
    lines = [
        f"## {md(report.site)}",
        "",
        f"**{report.headline}**",
        "",
        f"{local_day_time(report.started, zone)}, {duration(report.seconds)}. "
        f"{count_of(sum(host.files for host in report.hosts), 'file')}, "
        f"{size(sum(host.bytes_added for host in report.hosts))} of new data.",
        "",
    ]
    if attention := [host for host in report.worst_first if host.needs_attention]:
        lines += ["### Needs somebody", "", *map(_problem, attention), ""]
    header = ("Computer", "State", "Files", "Size", "New data", "Time")
    lines += table(header, map(_site_row, report.worst_first), right=(2, 3, 4, 5))
    return "\n".join(lines) + "\n"


def _problem(host: HostReport) -> str:
    text = f"- **{md(host.host)}**: {md(host.what_happened) or 'not everything was saved'}"
    cure = host.what_to_do
    return f"{text}. **{md(cure[0].upper() + cure[1:])}**" if cure else text


def _site_row(host: HostReport) -> tuple[str, ...]:
    state = STATE_WORDS[host.state]
    if host.state == "failed":
        return (md(host.host), f"**{state}**", "", "", "", "")
    return (
        md(host.host),
        f"**{state}**" if host.needs_attention else state,
        f"{host.files:,}",
        size(host.bytes),
        size(host.bytes_added),
        duration(host.seconds),
    )


def teacher_page(page: TeacherPage, zone: tzinfo) -> str:
    """Return the page for one teacher, in plain language: saved, not saved and why, what to do."""
    lines = [f"# {md(page.title)}", ""]
    when = f", {local_day_time(page.taken, zone)}" if page.taken else ""
    lines += [f"Computer **{md(page.host)}**{when}", "", f"**{_lead(page)}**", ""]
    if page.state == "failed":
        if page.problem:
            lines += [f"The reason: {md(page.problem)}.", ""]
        lines += ["Please tell the IT desk before anybody works on this computer.", ""]
        return "\n".join(lines).rstrip() + "\n"
    lines += ["## What was saved", "", f"{count_of(page.files, 'file')}, {plain_size(page.bytes)}.", ""]
    if page.folders:
        rows = [(md(folder.name), f"{folder.files:,}", plain_size(folder.bytes)) for folder in page.folders]
        lines += [*table(("Folder", "Files", "Size"), rows, right=(1, 2)), ""]
    if page.open_skips:
        lines += ["## What needs your attention", ""]
        for group in page.open_skips:
            lines += [*_open_group(group, page.home), ""]
    if left_out := [group for group in page.skips if group.acknowledged]:
        lines += ["## What was left out on purpose", ""]
        for group in left_out:
            lines += _left_out(group, page.home)
        lines.append("")
    lines += [
        "## What this copy does not hold",
        "",
        "Programs that are installed on the computer, and files that are kept outside your own folder, unless the "
        "school has added that place.",
    ]
    return "\n".join(lines) + "\n"


def _lead(page: TeacherPage) -> str:
    if page.state == "failed":
        return "Your files were not saved this time."
    number = sum(group.count for group in page.open_skips)
    if number:
        return f"Your files were saved, except for {count_of(number, 'item')}: see below."
    if page.state == "partial":
        return "Only a part of your files was saved. Please tell the IT desk."
    return "Your files were saved. There is nothing to do."


def _open_group(group: SkipGroup, home: bytes) -> Sequence[str]:
    words = wording(group.reason)
    lines = [f"**{words.heading} ({count_of(group.count, 'item')}).** {words.sentence} {words.cure}", ""]
    return [*lines, *_names(group, home)]


def _names(group: SkipGroup, home: bytes) -> list[str]:
    lines = [f"- {md_code(shorten(show_path(path, home), 200))}" for path in group.examples]
    if group.count > len(group.examples):
        lines.append(f"- and {group.count - len(group.examples):,} more")
    return lines


def _left_out(group: SkipGroup, home: bytes) -> list[str]:
    words = wording(group.reason)
    heading = group.why if group.reason == "excluded" and group.why else words.heading
    more = "" if group.reason == "excluded" else f" {words.sentence} {words.cure}"
    lines = [f"- **{md(heading)}** ({count_of(group.count, 'item')}).{more}"]
    # Who is told to copy a film elsewhere has to know which.
    return [*lines, *(f"  {line}" for line in _names(group, home))] if group.reason == "too-large" else lines


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return the lines of a markdown table; the cells are markdown already. ``right`` are columns of numbers."""
    rule = ["---:" if column in right else "---" for column in range(len(header))]
    return [_row(header), _row(rule), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
