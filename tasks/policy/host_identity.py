"""Whether a computer that came back is still the one that was wiped. Pure: no clock, no network.

A computer that was set up anew has another SSH key or TLS certificate. That is accepted without a person only

* while a maintenance of this computer is open,
* once in it,
* when its hardware tells the same serial number as before, and
* over a login that shows no password, nor proves one, because the serial number is no secret: whoever knows it could
  answer in the computer's place, and would learn a password.

In two steps, since a computer tells its serial number only after the login: ``may_meet``, then ``settle``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from tasks.transports.base import HostIdentity

#: Ways in which no computer shows a key of its own.
_UNNAMED: Final = frozenset({"mutual-login", "local"})


class OpenMaintenance(Protocol):
    """What was known of a computer before it was wiped, and until when it may come back as another."""

    @property
    def host(self) -> str:
        """Its name."""

    @property
    def serial(self) -> str:
        """The hardware's serial number; empty where it told none."""

    @property
    def identity(self) -> HostIdentity:
        """How it showed who it is."""

    @property
    def until(self) -> datetime:
        """The end, aware."""

    @property
    def open(self) -> bool:
        """Whether it is not over yet."""


@dataclass(frozen=True, slots=True)
class IdentityVerdict:
    """``why`` is empty when it is accepted; ``by_hand`` when a person who has compared it may accept it all the same.

    ``fresh``: it is another identity than before, as a computer has that was set up anew.
    """

    why: str = ""
    by_hand: bool = False
    fresh: bool = False

    @property
    def accepted(self) -> bool:
        """Whether it is the computer."""
        return not self.why


def is_fresh(shown: HostIdentity, before: HostIdentity, *, known: bool = False) -> bool:
    """Return whether a computer shows for sure that it was set up anew: by another identity than before.

    An SSH host has a key of each algorithm: ask it for one of the same as before, or another one proves nothing.
    ``known`` when the worker knows it by itself: a certificate that an authority vouches for is renewed now and then.
    """
    if shown.kind in _UNNAMED or shown.kind != before.kind or not before.fingerprint:
        return False
    if known and shown.kind == "tls-certificate":
        return False
    return shown.fingerprint != before.fingerprint


def may_meet(
    shown: HostIdentity,
    maintenance: OpenMaintenance,
    *,
    accepted: HostIdentity | None,
    serial: str,
    now: datetime,
) -> IdentityVerdict:
    """Decide whether to log in, without a password, to a computer whose identity is not known.

    ``accepted`` is the new identity that this maintenance has accepted already; ``serial`` the number to expect.
    """
    before = maintenance.identity
    if accepted is not None:
        if shown == accepted:
            return IdentityVerdict(fresh=True)
        if shown == before:
            return IdentityVerdict("it shows the identity from before it was set up anew", by_hand=True)
        return IdentityVerdict("it has changed its identity a second time in the same maintenance", by_hand=True)
    if shown == before:
        return IdentityVerdict()
    if not maintenance.open:
        return IdentityVerdict("it shows another identity than before, and no maintenance of it is open", by_hand=True)
    if now >= maintenance.until:
        return IdentityVerdict(
            "it came back as another after the time in which its maintenance allows it", by_hand=True
        )
    if shown.kind in _UNNAMED or shown.kind != before.kind:
        return IdentityVerdict("it shows who it is in another way than before it was wiped", by_hand=True)
    if not serial:
        return IdentityVerdict(
            "it shows another identity than before, and its serial number is not known to tell it by", by_hand=True
        )
    return IdentityVerdict(fresh=True)


def settle(told: str, *, expected: str, only_proof: bool, fresh: bool = False) -> IdentityVerdict:
    """Decide by the serial number that a computer tells.

    ``only_proof`` when nothing else says which computer it is, since the worker does not know its identity.
    """
    told, expected = _plain(told), _plain(expected)
    if told and expected and told != expected:
        why = "its serial number is another one: this is not the computer that was wiped"
    elif only_proof and not told:
        why = "its identity is not the known one, and it tells no serial number to know it by"
    elif only_proof and not expected:
        why = "its identity is not the known one, and nobody knows which serial number it should have"
    else:
        return IdentityVerdict(fresh=fresh)
    return IdentityVerdict(why, by_hand=True, fresh=fresh)


def is_outdated(shown: HostIdentity, before: HostIdentity, accepted: HostIdentity | None) -> bool:
    """Return whether a computer that was accepted by another identity shows the one from before again."""
    return accepted is not None and shown == before and is_fresh(accepted, before)


def _plain(serial: str) -> str:
    return "".join(serial.split()).casefold()
