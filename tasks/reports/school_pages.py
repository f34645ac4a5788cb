"""The pages of a school: are its rooms ready, who decided what, which computers need somebody, which were not saved."""

from __future__ import annotations

from tasks.reports.announcement import head
from tasks.reports.maintenance_model import (
    TROUBLES,
    Attention,
    Ledger,
    Overdue,
    OverduePage,
    Reader,
    ReadinessPage,
)
from tasks.reports.model import natural
from tasks.reports.templates import Page, Templates


def readiness_page(templates: Templates, page: ReadinessPage, reader: Reader) -> Page:
    """Return whether the rooms of a school are ready for its next class day, the worst room first."""
    rooms = [
        {
            "title": room.title,
            "computers": room.computers,
            "not_ready": sorted(room.not_ready, key=lambda one: (TROUBLES.index(one.trouble), natural(one.host))),
        }
        for room in page.worst_first
    ]
    values = {
        **head(templates, reader),
        "made": page.made,
        "next_class_day": page.next_class_day,
        "rooms": rooms,
        "ready": page.ready,
        "trouble": len(page.rooms) - page.ready,
        "overdue": page.overdue,
        "days": page.days,
    }
    return templates.render("readiness", reader.language, reader.zone, values)


def ledger_page(templates: Templates, ledger: Ledger, reader: Reader) -> Page:
    """Return who decided what, the newest first."""
    values = {
        **head(templates, reader),
        "title": ledger.title,
        "made": ledger.made,
        "problem": ledger.problem,
        "lines": ledger.lines,
    }
    return templates.render("ledger", reader.language, reader.zone, values)


def attention_page(templates: Templates, attention: Attention, reader: Reader) -> Page:
    """Return which computers need somebody in IT, and what to do."""
    values = {**head(templates, reader), "title": attention.title, "computers": attention.computers}
    return templates.render("attention", reader.language, reader.zone, values)


def overdue_page(templates: Templates, page: OverduePage, reader: Reader) -> Page:
    """Return which computers of a school were not saved for too long, for IT."""
    values = {
        **head(templates, reader),
        "days": page.days,
        "made": page.made,
        "looked_at": page.looked_at,
        "computers": page.computers,
    }
    return templates.render("overdue", reader.language, reader.zone, values)


def overdue_teacher_page(templates: Templates, computers: tuple[Overdue, ...], reader: Reader) -> Page:
    """Return the same for one teacher."""
    return templates.render(
        "overdue_teacher", reader.language, reader.zone, {**head(templates, reader), "computers": computers}
    )
