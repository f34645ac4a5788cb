"""The words and choices of the forms in the Prefect UI.

Prefect makes the form from a flow's signature. A field's title is lost on the way unless it stands in
``json_schema_extra`` (Prefect 3.8.8 sets the parameter's name over every other title), so ``asked`` puts it there.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

#: A text field that may stay empty. Without the schema the form asks whether the value is of type "str" or "None". Its
#: default must be a text: the server refuses null for a field whose schema has a default and does not name null.
OptionalText = Annotated[str | None, WithJsonSchema({"type": "string"})]
#: A list of texts that may stay empty; its default must be a list.
OptionalTexts = Annotated[list[str] | None, WithJsonSchema({"type": "array", "items": {"type": "string"}})]
#: A day that may stay empty. The form asks for its type first: there is no text that means no day.
OptionalDate = date | None


def asked(title: str, description: str, default: Any = ...) -> Any:
    """Return the default value of a flow parameter that people fill in; without ``default`` it is required."""
    return Field(default=default, description=description, json_schema_extra={"title": title})


class SnapshotReason(StrEnum):
    """Why a computer is saved now; it stands in the run's name and with the snapshot."""

    BEFORE_REIMAGE = "before reimage"
    BEFORE_UPGRADE = "before upgrade"
    TEACHER_ASKED = "teacher asked"
    TEST = "test"


class SiteReason(StrEnum):
    """Why the computers of a school are saved now."""

    NIGHTLY = "nightly"
    BEFORE_REIMAGE = "before reimage"
    BEFORE_UPGRADE = "before upgrade"
    TEST = "test"


class RestoreWhat(StrEnum):
    """Which of the saved files shall come back."""

    DESKTOP = "the whole desktop"
    EVERYTHING = "everything that was saved"
    FOLDER = "one folder"
    PATTERN = "files that match a pattern"


class RestoreWhere(StrEnum):
    """Where restored files go."""

    STAGE = "into a dated folder on the desktop"
    IN_PLACE = "back to where they were"


class RestoreStep(StrEnum):
    """How far a restore goes."""

    RESTORE = "restore now"
    PLAN = "only show what would happen"


SITE = asked("School", "The short name of the school, as in the inventory. Example: `north`")
SITE_HOSTS = asked(
    "Only these computers", "Leave this empty to save every computer of the school. Example: `lab3-07`", default=[]
)
SITE_REASON = asked(
    "Reason", "Why now; it stands in the name of the run and with each snapshot.", default=SiteReason.NIGHTLY
)
HOST = asked("Computer", "The name of the computer, as in the inventory. Example: `lab3-07`")
REASON = asked(
    "Reason",
    "Why now; it stands in the name of the run and with the snapshot.",
    default=SnapshotReason.BEFORE_REIMAGE,
)

RESTORE_COMPUTER = asked(
    "Computer the files were on",
    "The name of the computer whose files shall come back. When this is empty, the newest snapshot of any of the "
    "teacher's computers counts. "
    "Example: `lab3-07`",
    default="",
)
RESTORE_TEACHER = asked(
    "Teacher",
    "The account name of the teacher whose files shall come back. Leave it empty for everybody on that computer. "
    "Example: `a.ito`",
    default="",
)
RESTORE_WHAT = asked("What shall come back", "The desktop is what teachers miss most.", default=RestoreWhat.DESKTOP)
RESTORE_NAME = asked(
    "Folder or pattern",
    "Only for one folder or a pattern. A folder is named from the teacher's home on: `Documents/Class 4b`. A pattern: "
    "`*.docx` finds Word documents in all folders, `Desktop/Exams/*.pdf` those in one.",
    default="",
)
RESTORE_AS_OF = asked(
    "As of which day",
    "The files come back as they were saved at the end of this day. Leave it empty for the newest snapshot.",
    default=None,
)
RESTORE_WHERE = asked(
    "Where to",
    "A dated folder on the desktop touches nothing that is there. Back to where they were: files that have been "
    "changed since are kept as they are.",
    default=RestoreWhere.STAGE,
)
RESTORE_TO = asked(
    "On another computer",
    "The name of the computer that shall get the files, when it is not the one they were on. Example: `lab3-08`",
    default="",
)
RESTORE_STEP = asked("What to do", "The plan is shown in both cases, before anything is written.", RestoreStep.RESTORE)
RESTORE_TICKET = asked(
    "Ticket",
    "A number or a note of your own, or nothing. The same request is carried out once; with another ticket it is new.",
    default="",
)
RESTORE_REPLACE = asked(
    "Newer files to replace",
    "Only when files go back to where they were: files that may be replaced by the saved version although they have "
    "been changed since, each named from the teacher's home on. Everything else that is newer is kept.",
    default=[],
)
UNDO_HOST = asked("Computer", "The name of the computer on which files were restored. Example: `lab3-07`")
UNDO_ID = asked(
    "Undo number",
    "The number that the page of the restore names under 'To undo this'. Files that somebody has changed since the "
    "restore are kept.",
)
CHECK_DATA = asked(
    "Read all data",
    "Read every stored byte again, instead of only looking at what is listed. Takes long, and costs traffic.",
    default=False,
)
FORGET_DRY_RUN = asked(
    "Only show what would go", "List the snapshots that would go, and let none of them go.", default=False
)
