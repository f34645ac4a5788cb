"""What every action gets and gives.

An action is told about one computer that was cleared, and gets its clearance; nothing else of firstbell. It is started
at most once for each clearance: nothing here tries again by itself, because nobody can know what a second start does
to a computer that is being set up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from tasks.errors import ActionFailed

#: What may stand in an argument, an address or a variable of a playbook. A serial number is what the computer itself
#: says: it must not read as an option, a path or a template.
_HARMLESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:@+-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class ActionOrder:
    """One cleared computer; what is not known of it is empty. ``expiry`` is that of the clearance, aware."""

    plan: str
    site: str
    host: str
    address: str
    mac: str
    serial: str
    #: The clearance itself, the signed token.
    clearance: str = field(repr=False)
    expiry: datetime

    def values(self) -> dict[str, str]:
        """Return the values of the placeholders ``{host}``, ``{address}``, ... that may be read by everybody."""
        return {
            "host": self.host,
            "address": self.address,
            "mac": self.mac,
            "serial": self.serial,
            "site": self.site,
            "plan": self.plan,
        }

    def check(self, *, now: datetime | None = None) -> None:
        """Raise ``ActionFailed`` when there is no clearance, or it has expired."""
        if not self.clearance:
            raise ActionFailed("there is no clearance for it", hint="Nothing was started.", host=self.host)
        if (now or datetime.now(UTC)) >= self.expiry:
            raise ActionFailed(
                "its clearance has expired", hint="Nothing was started; it must be cleared anew.", host=self.host
            )

    def value(self, name: str) -> str:
        """Return the value of one placeholder. Raises ``ActionFailed`` when it is not known, or cannot be passed on."""
        value = self.values()[name]
        if not value:
            raise ActionFailed(
                f"the action needs '{{{name}}}', which is not known of this computer",
                hint=f"Nothing was started. Set '{name}' for this computer in the inventory.",
                host=self.host,
            )
        if _HARMLESS.fullmatch(value) is None or ".." in value:
            raise ActionFailed(
                f"the action needs '{{{name}}}', which has characters that are not passed on: {value!a}",
                hint=f"Nothing was started. Leave '{{{name}}}' out of the action.",
                host=self.host,
            )
        return value


@dataclass(frozen=True, slots=True)
class ActionResult:
    """``done``: the computer is set up. Otherwise it has begun elsewhere; ``text`` says what was said of it."""

    done: bool
    text: str


class Action(Protocol):
    """One way to have a computer set up anew."""

    def start(self, order: ActionOrder) -> ActionResult:
        """Start it for one computer, and wait as long as the action itself takes.

        Raises:
            ActionFailed: nothing was started, for sure.
            ActionUnknown: it was started, or may have been, and nobody knows how it ends.
        """
        ...
