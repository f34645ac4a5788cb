"""Which codes a ledger knows: whose each is, and whether it is still good."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.answers import Answered, Asked, HoldLifted, HoldPlaced, Line, Overridden, Voided

#: What a code belongs to: purpose, plan, person. A plan that was changed asks anew.
Owner = tuple[str, str, str]


@dataclass(slots=True)
class Code:
    """One code: what it was given out for, by which line it was used, and whether another took its place."""

    asked: Asked
    nonce: str
    used: Line | None = None
    replaced: bool = False


class CodeBook:
    """All codes of a school by their nonces, and the one that is good now of each person and plan."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.codes: dict[str, Code] = {}
        self._live: dict[Owner, str] = {}
        for line in lines:
            match line:
                case Asked():
                    self._ask(line)
                case Answered() | HoldPlaced() | HoldLifted() | Voided():
                    self._use(line, line.nonce, line.following)
                case Overridden():
                    for nonce, following in zip(line.nonces, line.following, strict=False):
                        self._use(line, nonce, following)
                case _:
                    pass

    def live(self, purpose: str, plan: str, person: str) -> Code | None:
        """Return the code of a person that was not used yet; it may be over by its date."""
        nonce = self._live.get((purpose, plan, person))
        return self.codes[nonce] if nonce is not None else None

    def _ask(self, line: Asked) -> None:
        owner = (line.purpose, line.plan, line.person)
        known = self.codes.get(line.nonce)
        if known is not None and self._live.get(owner) == line.nonce and known.used is None:
            # The same code, for more computers.
            known.asked = line
            return
        if known is not None:
            return
        before = self._live.get(owner)
        if before is not None:
            self.codes[before].replaced = True
        self.codes[line.nonce] = Code(line, line.nonce)
        self._live[owner] = line.nonce

    def _use(self, line: Line, nonce: str, following: str) -> None:
        code = self.codes.get(nonce)
        if code is None or code.used is not None or following in self.codes:
            return
        code.used = line
        asked = code.asked
        self.codes[following] = Code(asked, following, replaced=code.replaced)
        if code.replaced:
            return
        self._live[(asked.purpose, asked.plan, asked.person)] = following
