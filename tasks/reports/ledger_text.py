"""A line of the ledger in words, by the school's clock."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final

from tasks.answers import (
    Answered,
    Asked,
    Decision,
    Guessed,
    HandedOut,
    HoldLifted,
    HoldPlaced,
    Line,
    Overridden,
    Voided,
)
from tasks.reports.units import count_of, local_short

_SCOPES: Final = {"host": "", "group": "the room ", "site": "the whole school "}
_SAID: Final = {Decision.APPROVE: "agreed", Decision.DEFER: "put it off", Decision.REFUSE: "refused"}
_NAMED: Final = 5


def ledger_row(line: Line, zone: tzinfo) -> tuple[str, str, str, str]:
    """Return number, time, who, and what they did, as plain text."""
    who, what = _told(line, zone)
    return str(line.seq), local_short(line.at, zone), who, what


def _told(line: Line, zone: tzinfo) -> tuple[str, str]:
    match line:
        case Asked() if line.purpose == "own":
            return line.name, f"has a code of their own, good until {local_short(line.until, zone)}"
        case Asked():
            return (
                line.name,
                f"was asked{_plan(line.plan)}: {_hosts(line.hosts)}, until {local_short(line.until, zone)}",
            )
        case Answered():
            until = f" until {local_short(line.until, zone)}" if line.decision is Decision.DEFER else ""
            return (
                line.name,
                f"{_SAID[line.decision]}{until}{_plan(line.plan)}: {_hosts(line.hosts)}{_why(line.reason)}",
            )
        case HoldPlaced():
            target = f"{_SCOPES[line.scope]}{line.target}"
            return line.name, f"holds {target} until {local_short(line.until, zone)}{_why(line.reason)}"
        case HoldLifted():
            return line.name, f"took hold {line.hold} back{_why(line.reason)}"
        case Overridden():
            past = ", ".join(str(seq) for seq in line.past)
            over = [f"line{'s' if len(line.past) > 1 else ''} {past}"] if past else []
            over += [f"the silence of {', '.join(line.silent)}"] if line.silent else []
            what = (
                f"{' and '.join(over)}{_plan(line.plan)}: {_hosts(line.hosts)}, until {local_short(line.until, zone)}"
            )
            return " and ".join(line.names), f"OVERRIDE, went past {what}{_why(line.reason)}"
        case HandedOut():
            return line.by, f"the code of {line.person} was {line.how}"
        case Voided():
            return line.name, "has another code; the one before is worth nothing any more"
        case Guessed():
            return "unknown", f"{count_of(line.count, 'wrong code')} within an hour: somebody may be guessing"


def _plan(plan: str) -> str:
    return f" in the plan {plan}" if plan else ""


def _why(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _hosts(hosts: tuple[str, ...]) -> str:
    shown = ", ".join(hosts[:_NAMED])
    return f"{shown} and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else shown
