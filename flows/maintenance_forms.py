"""The words and choices of the forms of maintenance in the Prefect UI."""

from __future__ import annotations

from enum import StrEnum

from flows.forms import asked


class PlanKind(StrEnum):
    """What becomes of the computers."""

    REIMAGE = "reimage: the disk is wiped"
    UPGRADE = "upgrade: the computer stays itself"
    CHANGE = "change: the computer stays itself"


class PlanAction(StrEnum):
    """What does it."""

    MANUAL = "a person"
    COMMAND = "a program on the worker"
    HTTP = "a call to an imaging server"
    ANSIBLE = "an Ansible playbook"


class WhoAgrees(StrEnum):
    """Who must agree."""

    TEACHERS = "the teachers of each computer"
    PEOPLE = "the people named below"
    NONE = "nobody is asked"


PLAN = asked("Plan", "The name of the maintenance plan, as in the folder of the plans. Example: `lab3-summer`")
PLAN_HOST = asked("Computer", "The name of the computer, as in the inventory. Example: `lab3-07`")
BY = asked("Your name", "Who says so. It is written down. Example: `Jonas Weber`")
CANCEL_REASON = asked(
    "Reason", "Why it is stopped; teachers who were told may read it. Example: `The image is not ready.`"
)

DRAFT_NAME = asked("Name", "A short name for the plan, of letters, digits and hyphens. Example: `lab3-summer`")
DRAFT_TITLE = asked("Title", "As people say it. Example: `New Windows in lab 3`", default="")
DRAFT_KIND = asked("What happens", "All are treated with the same care.", default=PlanKind.REIMAGE)
DRAFT_SITE = asked("School", "The short name of the school, as in the inventory. Example: `north`")
DRAFT_GROUPS = asked("Rooms", "Groups of the inventory; `*` may stand in them. Example: `lab-3`", default=[])
DRAFT_HOSTS = asked("Computers", "Single computers, besides the rooms. Example: `office-02`", default=[])
DRAFT_LEAVE_OUT = asked("Not these", "Computers that are not touched after all. Example: `lab3-09`", default=[])
DRAFT_START = asked("Not before", "By the clock of the school. Example: `2026-07-06 17:00`")
DRAFT_END = asked("Not after", "What has not begun by then stays as it is. Example: `2026-07-10 06:00`")
DRAFT_DEADLINE = asked(
    "People can agree until", "Empty: until computers may be wiped. Example: `2026-07-03 12:00`", default=""
)
DRAFT_ACTION = asked("What does it", "Who or what wipes and sets up the computers.", default=PlanAction.MANUAL)
DRAFT_DETAIL = asked(
    "How exactly",
    "For a person: what to do. For a program: its path and arguments, each on a line of its own; `{host}` and "
    "`{clearance_file}` are filled in. For a call: the address. For Ansible: the path of the playbook.",
    default="",
)
DRAFT_AGREE = asked("Who must agree", "Silence means no.", default=WhoAgrees.TEACHERS)
DRAFT_PEOPLE = asked(
    "People to ask",
    "By their key in `people.yaml`: who must agree, or who is asked for computers that no teacher is named for.",
    default=[],
)
DRAFT_MAX = asked("At most so many computers", "A plan that would touch more is refused.", default=10)
DRAFT_AT_ONCE = asked("So many at a time", "How many computers are worked on at the same time.", default=4)
DRAFT_MINUTES = asked("Minutes for one computer", "How long wiping and setting up one computer takes.", default=60)
