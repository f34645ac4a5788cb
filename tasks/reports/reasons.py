"""Why something was not saved, said to the people who can do something about it.

Two readers: the teacher, who knows what a program and a folder are, and the school's IT person, who has one line in a
table. ``docs/errors.md`` explains each reason at length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tasks.events import SkipReason


@dataclass(frozen=True, slots=True)
class Wording:
    """One reason in words."""

    #: After a number and a noun: "3 items *may not be read*".
    short: str
    #: The same as a heading.
    heading: str
    #: A full sentence for the teacher; says what happened.
    sentence: str
    #: What the teacher can do; a full sentence.
    cure: str
    #: What the IT person can do; an imperative without a full stop.
    it_cure: str
    #: How urgent it is among the reasons of one computer: 0 is the first to be named.
    rank: int


WORDINGS: Final[dict[SkipReason, Wording]] = {
    "unreadable": Wording(
        short="damaged on the disk",
        heading="Damaged on the disk",
        sentence="The disk reported an error when these were read.",
        cure="Please tell the IT desk today: the disk may be failing.",
        it_cure="check the disk, it may be failing",
        rank=0,
    ),
    "denied": Wording(
        short="may not be read",
        heading="May not be read",
        sentence="The computer did not allow these to be read.",
        cure="Please ask the IT desk: they belong to another account, or are locked.",
        it_cure="let the snapshot account read them, or acknowledge the loss",
        rank=1,
    ),
    "changed": Wording(
        short="changed while being read",
        heading="Changed while being read",
        sentence="A program was writing to these while they were saved, so the saved copy may be of no use.",
        cure="Please close the program overnight; they are saved again in the next run.",
        it_cure="run again with the program closed",
        rank=2,
    ),
    "too-large": Wording(
        short="over the size limit",
        heading="Over the size limit",
        sentence="These are larger than what the school saves of one file.",
        cure="Please copy them to another drive, or ask the IT desk to save them.",
        it_cure="raise the limit for this computer, or have them copied elsewhere",
        rank=3,
    ),
    "cloud-only": Wording(
        short="only in the cloud",
        heading="Only in the cloud",
        sentence="These are kept by a cloud service, and only their names are on the computer.",
        cure="Nothing to do: sign in to the cloud service again, and they are back.",
        it_cure="nothing, if the cloud service has them",
        rank=4,
    ),
    "name": Wording(
        short="with a name that cannot be saved",
        heading="With a name that cannot be saved",
        sentence="These have a name that cannot be saved.",
        cure="Please give them a shorter, simpler name.",
        it_cure="have them renamed",
        rank=5,
    ),
    "vanished": Wording(
        short="gone before they were read",
        heading="Gone before they were read",
        sentence="These were there when the folder was listed, and gone a moment later.",
        cure="Nothing to do, if you or a program moved or deleted them.",
        it_cure="run again, to be sure",
        rank=6,
    ),
    "loop": Wording(
        short="in a folder that contains itself",
        heading="Folders that contain themselves",
        sentence="These folders contain themselves; what is in them was saved once, where it really is.",
        cure="Nothing to do.",
        it_cure="nothing",
        rank=7,
    ),
    "special": Wording(
        short="used by programs only",
        heading="Used by programs only",
        sentence="These are not documents. Programs use them to talk to one another, and make them anew.",
        cure="Nothing to do.",
        it_cure="nothing",
        rank=8,
    ),
    "excluded": Wording(
        short="left out by a rule",
        heading="Left out by a rule",
        sentence="A rule of the school leaves these out.",
        cure="Please tell the IT desk if you need one of them.",
        it_cure="nothing; change the rule if one of them matters",
        rank=9,
    ),
}


def wording(reason: SkipReason) -> Wording:
    """Return the words for ``reason``."""
    return WORDINGS[reason]
