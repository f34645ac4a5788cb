"""The pages of one teacher: what is saved of their files before a maintenance, and what came back after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tasks.reports.announcement import head
from tasks.reports.maintenance_model import CameBack, Reader, TeacherAfter, TeacherBefore
from tasks.reports.model import SETTING_FATES, SkipGroup, TeacherPage
from tasks.reports.templates import Page, Templates, path_under

#: So many files of one kind are named: the page shall fit on one sheet.
NAMED: Final = 8
#: The worst first.
_STATES: Final = ("not", "waits", "partly", "back")


def before_page(templates: Templates, before: TeacherBefore, reader: Reader) -> Page:
    """Return what is saved of a teacher's files, on all of their computers that are to be changed."""
    pages = before.pages
    values = {
        **head(templates, reader),
        "kind": before.kind,
        "start": before.start,
        "pages": [_saved(page) for page in pages],
        "failed": sum(page.state == "failed" for page in pages),
        "partly": any(page.state == "partial" for page in pages),
        "open": sum(group.count for page in pages for group in page.open_skips),
        "do_first": any(one.do_first for page in pages for one in page.settings if one.fate == "cannot"),
    }
    return templates.render("teacher_before", reader.language, reader.zone, values)


def after_page(templates: Templates, after: TeacherAfter, reader: Reader) -> Page:
    """Return what came back of a teacher's files."""
    values = {
        **head(templates, reader),
        "kind": after.kind,
        "computers": [_came_back(one) for one in after.computers],
        "worst": min((one.state for one in after.computers), key=_STATES.index, default="back"),
    }
    return templates.render("teacher_after", reader.language, reader.zone, values)


def untouched_page(templates: Templates, host: str, title: str, reader: Reader) -> Page:
    """Return the page for a computer that a maintenance left as it is."""
    return templates.render(
        "teacher_untouched", reader.language, reader.zone, {**head(templates, reader), "host": host, "title": title}
    )


def _saved(page: TeacherPage) -> dict[str, Any]:
    left_out = [group for group in page.skips if group.acknowledged]
    return {
        "host": page.host,
        "state": page.state,
        "taken": page.taken,
        "files": page.files,
        "bytes": page.bytes,
        "problem": page.problem,
        "folders": [
            {"key": one.name.lower().replace(" ", "_"), "name": one.name, "files": one.files, "bytes": one.bytes}
            for one in page.folders
        ],
        "open": [_group(group, page.home) for group in page.open_skips],
        "left_out": [_group(group, page.home) for group in left_out],
        "left_out_by_reason": [_group(group, page.home) for group in _by_reason(left_out)],
        "settings": [
            {"fate": fate, "items": own}
            for fate in SETTING_FATES
            if (own := [one for one in page.settings if one.fate == fate])
        ],
    }


def _group(group: SkipGroup, home: bytes) -> dict[str, Any]:
    # Who is told to copy a film elsewhere has to know which; nobody needs to know which caches.
    named = group.examples[:NAMED] if not group.acknowledged or group.reason == "too-large" else ()
    return {
        "reason": group.reason,
        "why": group.why if group.reason == "excluded" else "",
        "count": group.count,
        "paths": [path_under(path, home) for path in named],
        "more": group.count - len(named) if named else 0,
    }


def _by_reason(groups: Sequence[SkipGroup]) -> list[SkipGroup]:
    """Return one group for each reason: what a rule says of itself is in English only."""
    found: dict[str, SkipGroup] = {}
    for group in groups:
        known = found.get(group.reason)
        count, examples = (known.count, known.examples) if known else (0, ())
        found[group.reason] = SkipGroup(
            group.reason, count + group.count, acknowledged=True, examples=(*examples, *group.examples)
        )
    return list(found.values())


def _came_back(one: CameBack) -> dict[str, Any]:
    return {
        "host": one.host,
        "state": one.state if one.saved or one.state in ("waits", "not") else "not",
        "saved": one.saved,
        "files": one.restored + one.unchanged,
        "size": one.size,
        "folder": path_under(one.folder, one.home) if one.folder else "",
        "missing": [
            {
                "kind": group.kind,
                "count": group.count,
                "paths": [path_under(path, one.home) for path in group.examples[:NAMED]],
                "more": max(group.count - min(len(group.examples), NAMED), 0) if group.examples else 0,
            }
            for group in one.missing
        ],
        "settings": [{"state": each.state, "names": each.names} for each in one.settings],
    }
