"""The announcement: what happens to which of my computers, when, what is saved, and how to say yes, later or no."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from tasks.reports.maintenance_model import Announcement, Answer, Reader
from tasks.reports.templates import Page, Templates, code


def announcement_page(templates: Templates, announcement: Announcement, reader: Reader) -> Page:
    """Return the announcement for one person. It is as secret as the code in it."""
    return templates.render(
        "announcement",
        reader.language,
        reader.zone,
        {
            **head(templates, reader),
            "title": announcement.title,
            "kind": announcement.kind,
            "computers": announcement.computers,
            "start": announcement.start,
            "end": announcement.end,
            "notes": [line for line in announcement.notes.splitlines() if line.strip()],
            "on_behalf": announcement.on_behalf,
            "answer": _answer(announcement.answer),
        },
    )


def head(templates: Templates, reader: Reader) -> dict[str, Any]:
    """Return what every page knows of its reader."""
    contact = reader.contact or templates.word("contact", reader.language, reader.zone)
    return {"reader": {"name": reader.name, "school": reader.school}, "contact": contact}


def _answer(answer: Answer | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    return {
        "code": code(answer.code) if answer.code else "",
        "until": answer.until,
        "page": bool(answer.page),
        # The configuration takes no address with a bracket or a space in it.
        "page_link": Markup(answer.page),  # noqa: S704
        "page_text": answer.page,
    }
