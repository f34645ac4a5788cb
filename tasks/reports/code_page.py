"""The letter that brings somebody a code, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from tasks.reports.announcement import head
from tasks.reports.maintenance_model import Reader
from tasks.reports.templates import Page, Templates, code


@dataclass(frozen=True, slots=True)
class CodeLetter:
    """A code, what it is for (no computers: a code of one's own), until when it is good, and where to type it in."""

    code: str
    until: datetime
    agree_by: datetime
    computers: tuple[str, ...] = ()
    plan: str = ""
    page: str = ""


def code_page(templates: Templates, letter: CodeLetter, reader: Reader) -> Page:
    """Return the page for one person. It is as secret as the code in it."""
    values = {
        **head(templates, reader),
        "code": code(letter.code),
        "until": letter.until,
        "agree_by": letter.agree_by,
        "computers": letter.computers,
        "plan": letter.plan,
        "page": bool(letter.page),
        # The configuration takes no address with a bracket or a space in it.
        "page_link": Markup(letter.page),  # noqa: S704
        "page_text": letter.page,
    }
    return templates.render("code", reader.language, reader.zone, values)
