"""One line of a doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

#: A clock that is off by more than this many seconds makes newer work look older; a restore would keep the wrong one.
CLOCK_TOLERANCE: Final = 60.0
#: Free space below which a restore may fail, in bytes.
LITTLE_SPACE: Final = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried. ``cure`` is a full sentence, empty when all is well."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str
    cure: str = ""


def not_known(name: str, cure: str) -> Check:
    """Return the line for what the host did not tell: what is not known is never well."""
    return Check(name, "warn", "not known: the computer did not tell", cure)
