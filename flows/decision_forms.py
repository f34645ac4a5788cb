"""The words and choices of the forms by which people decide."""

from __future__ import annotations

from enum import StrEnum

from flows.forms import asked


class YourAnswer(StrEnum):
    """What somebody says to their computers being wiped; the first one is what is chosen already."""

    NO = "no: leave them as they are"
    LATER = "later: not before the day below"
    YES = "yes: go ahead"


class HoldWhat(StrEnum):
    """What a hold keeps as it is."""

    COMPUTER = "one computer"
    ROOM = "every computer of a room"
    SCHOOL = "every computer of the school"


_CODE = (
    "The code out of your letter, such as `7K3QH-9XWV2-M4T8R-C5ZPB`. It is used up by this answer, so whoever sees it "
    "in the list of runs afterwards can do nothing with it. Wait until the run has ended before you leave."
)
CODE = asked("Your code", _CODE)
OWN_CODE = asked(
    "Your own code",
    "The code that is yours and not for certain computers; ask IT for it. It is used up by this, so whoever sees it in "
    "the list of runs afterwards can do nothing with it.",
)
ANSWER = asked("Your answer", "Without an answer nothing is wiped: that is a no, too.", default=YourAnswer.NO)
LATER = asked(
    "Not before",
    "Only for 'later': the day from which on it may be again; you are asked again then. Example: `2026-09-03`",
    default="",
)
WHY = asked("Reason", "In a few words; IT reads it. It need not be filled in.", default="")
ONLY = asked(
    "Only these computers",
    "Leave this empty to answer for every computer in your letter. Example: `lab3-07`",
    default=[],
)
HOLD_WHAT = asked("What is held", "How many computers stay as they are.", default=HoldWhat.ROOM)
HOLD_NAME = asked(
    "Which one",
    "The name of the computer or of the room, as IT calls it. Leave it empty for the whole school. Example: `lab-3`",
    default="",
)
HOLD_UNTIL = asked("Until", "The day from which on they may be wiped again. Example: `2026-09-03`")
HOLD_WHY = asked("Reason", "Why; IT reads it. Example: `exam prep`")
HOLD_NUMBER = asked("Number of the hold", "As the run that placed it said, and `firstbell hold list`.")
FIRST_CODE = asked("Code of the first person", "Their own code. It is used up by this.")
SECOND_CODE = asked("Code of the second person", "Their own code; typed in by themselves. It is used up by this.")
COMPUTERS = asked("Computers", "Their names, as in the inventory. Example: `lab3-07`")
OVERRIDE_PLAN = asked(
    "Plan", "In which maintenance plan; leave it empty for the next seven days without one.", default=""
)
OVERRIDE_WHY = asked("Reason", "Why you go past it. It stands in the ledger for good. Example: `water damage`")
