"""One of each page that people read of a maintenance, with names that try to be more than names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from tasks.reports.announcement import announcement_page
from tasks.reports.maintenance_model import (
    AnnouncedComputer,
    Announcement,
    Answer,
    Attention,
    CameBack,
    Ledger,
    LedgerLine,
    Missing,
    NeedsSomebody,
    NotReady,
    Overdue,
    OverduePage,
    Reader,
    ReadinessPage,
    Room,
    SettingsBack,
    TeacherAfter,
    TeacherBefore,
)
from tasks.reports.model import FolderSaved, SettingTold, SkipGroup, TeacherPage
from tasks.reports.school_pages import attention_page, ledger_page, overdue_page, overdue_teacher_page, readiness_page
from tasks.reports.teacher_page import after_page, before_page, untouched_page
from tasks.reports.templates import Page, Templates

BERLIN = ZoneInfo("Europe/Berlin")
HOME = b"/home/a.ito"


def at(day: int, hour: int, minute: int = 0, month: int = 7) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def reader(language: str) -> Reader:
    return Reader("Akiko Ito", language, "Northfield Primary School", BERLIN)


ANNOUNCED = Announcement(
    title="New Windows in lab 3",
    kind="reimage",
    computers=(AnnouncedComputer("lab3-07", "Lab 3", at(1, 23, 34)), AnnouncedComputer("lab3-08", "Lab 3")),
    start=at(6, 15),
    end=at(10, 4),
    answer=Answer("7K3QH-9XWV2-M0A4T-ZPQ8B", at(3, 10), "https://firstbell.north.example/answer"),
    notes="Bring nothing.\nThe projector stays where it is.",
)
SAVED = TeacherPage(
    host="lab3-07",
    name="a.ito",
    full_name="Akiko Ito",
    home=HOME,
    state="partial",
    taken=at(1, 23, 34),
    files=1204,
    bytes=3_300_000_000,
    folders=(FolderSaved("Desktop", 12, 33_000), FolderSaved("Documents", 1192, 3_299_967_000)),
    skips=(
        SkipGroup(
            "denied",
            3,
            examples=(
                HOME + b"/Documents/Class 4b/marks.xlsx",
                HOME + b"/Documents/a|b `c` <script>alert(1)</script>.docx",
                HOME + b"/Desktop/![x](http://tracker.example/p.png)",
            ),
        ),
        SkipGroup("changed", 1, examples=(HOME + b"/mail.sqlite",)),
        SkipGroup("excluded", 214, acknowledged=True, why="caches of programs: they fill again by themselves"),
        SkipGroup("too-large", 1, acknowledged=True, examples=(HOME + b"/Videos/school play.mkv",)),
    ),
)
WELL = replace(SAVED, state="complete-with-acknowledged-skips", skips=SAVED.skips[2:])
WITH_SETTINGS = replace(
    WELL,
    settings=(
        SettingTold("Desktop wallpaper", "by-itself"),
        SettingTold("Signatures in Outlook", "by-itself", limits="Outlook asks once."),
        SettingTold("Taskbar", "first-sign-in"),
        SettingTold("Printers of the computer", "needs-it", because="Only an administrator may add them."),
        SettingTold(
            "Passwords in <b>Chrome</b>",
            "cannot",
            because="Windows locks them to this installation.",
            do_first="Turn on sync in Chrome (the round picture at the top right).",
        ),
    ),
)
BACK = CameBack("lab3-07", "back", at(6, 15, 12), restored=1204, size=3_300_000_000, home=HOME)
PARTLY_BACK = replace(
    BACK,
    state="partly",
    restored=1198,
    missing=(
        Missing("failed", 2, (HOME + b"/Documents/Class 4b/marks.xlsx", HOME + b"/Desktop/[x](javascript:alert(1))")),
        Missing("kept-newer", 4, (HOME + b"/Desktop/plan.odt",)),
    ),
)
SETTINGS_BACK = replace(
    BACK,
    settings=(
        SettingsBack("back", ("Desktop wallpaper", "Signatures in Outlook")),
        SettingsBack("kept", ("Mouse",)),
        SettingsBack("first-sign-in", ("Taskbar",)),
        SettingsBack("waits", ("SMART Notebook",)),
        SettingsBack("needs-it", ("Printers of the computer",)),
        SettingsBack("cannot", ("Passwords in <b>Chrome</b>",)),
    ),
)
WAITS = CameBack("lab3-08", "waits", None)
OVERDUE = (
    Overdue("office-02", "Office", at(19, 1, month=6), 13, ("m.okafor",)),
    Overdue("lab1-03", "Lab 1", None, None, ("j.doe", "a.ito"), at(1, 2)),
)
READY = ReadinessPage(
    made=at(10, 6),
    next_class_day=date(2026, 7, 13),
    rooms=(
        *(Room(f"Room {number}", 2) for number in range(101, 143)),
        Room("Lab 1", 12, (NotReady("lab1-03", "files", at(10, 3), "Look at the page of its restore."),)),
        Room(
            "Lab 3",
            4,
            (
                NotReady("lab3-10", "away", at(10, 5, 40)),
                NotReady("lab3-07", "lost", at(9, 21, 5), "Go and see whether it is switched on."),
            ),
        ),
        Room("Library", 3, (NotReady("lib-1", "attention", at(9, 20), "Somebody else's disk is in it."),)),
    ),
    overdue=OVERDUE[:1],
    days=3,
)
LEDGER = Ledger(
    title="",
    made=at(10, 6),
    lines=(
        LedgerLine(at(3, 8, 12), "Akiko Ito", "approve", ("lab3-07", "lab3-08")),
        LedgerLine(
            at(2, 9), "Mary Okafor", "hold", ("Lab 3",), date(2026, 9, 3), "exam prep | see [me](http://x.example)"
        ),
        LedgerLine(at(1, 9, 30), "Jo Doe", "refuse", ("lab3-09",), None, "my thesis"),
    ),
)
ATTENTION = Attention(
    "New Windows in lab 3",
    (
        NeedsSomebody("lab3-07", "Lab 3", at(9, 21, 5), "It did not come back.", "Go and look."),
        NeedsSomebody("lib-1", "", at(9, 20), "Another computer answers under its name.", "Compare the serial number."),
    ),
)


def sample_pages(language: str, templates: Templates | None = None) -> dict[str, Page]:
    """Return one of each page, in a language, by a name for a file."""
    templates = templates or Templates()
    who = reader(language)
    nobody_asked = replace(ANNOUNCED, kind="upgrade", computers=ANNOUNCED.computers[:1], answer=None, end=at(6, 20))
    return {
        "announcement": announcement_page(templates, ANNOUNCED, who),
        "announcement_without_answer": announcement_page(templates, nobody_asked, who),
        "before": before_page(templates, TeacherBefore("reimage", (SAVED,), at(6, 15)), who),
        "before_all_well": before_page(templates, TeacherBefore("reimage", (WELL,), at(6, 15)), who),
        "before_settings": before_page(templates, TeacherBefore("reimage", (WITH_SETTINGS,), at(6, 15)), who),
        "after_settings": after_page(templates, TeacherAfter("reimage", (SETTINGS_BACK,)), who),
        "after": after_page(templates, TeacherAfter("reimage", (BACK,)), who),
        "after_partly": after_page(
            templates, TeacherAfter("reimage", (PARTLY_BACK, CameBack("lab3-08", "waits", None))), who
        ),
        "untouched": untouched_page(templates, "lab3-07", ANNOUNCED.title, who),
        "readiness": readiness_page(templates, READY, who),
        "ledger": ledger_page(templates, LEDGER, who),
        "attention": attention_page(templates, ATTENTION, who),
        "overdue": overdue_page(templates, OverduePage(3, at(2, 6), OVERDUE, 45), who),
        "overdue_teacher": overdue_teacher_page(templates, OVERDUE[:1], who),
    }
