"""One letter, and how it is written down (RFC 5322): no text in it can become a header or another recipient."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from tasks.errors import RecipientRefused

#: RFC 5321, 4.5.3.1: the longest address.
_LONGEST: Final = 254
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_DOMAIN: Final = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*", re.ASCII
)
_SPACE: Final = re.compile(r"\s+")
#: A subject is one line, and so is a name; this is more than anybody reads.
_LINE: Final = 200


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to one person. ``thing`` names what it is about: the same thing has the same Message-ID."""

    name: str
    address: str
    subject: str
    text: str
    html: str
    thing: str
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom letters come from, and where answers go when that is another address."""

    address: str
    name: str = ""
    reply_to: str = ""


def message_of(letter: Letter, sender: Sender, now: datetime) -> EmailMessage:
    """Return the message as it is sent: plain text, and HTML for programs that show it.

    Raises:
        RecipientRefused: the address is none that a letter could go to.
    """
    to = checked_address(letter.address)
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = _address(sender.name, sender.address)
        message["To"] = _address(letter.name, to)
        if sender.reply_to:
            message["Reply-To"] = _address("", sender.reply_to)
        message["Subject"] = _line(letter.subject)
    except (ValueError, MessageError, IndexError):
        # The library would rather not write such a header, and what it says may repeat the text.
        raise RecipientRefused("a letter cannot be addressed like this", hint=_CURE) from None
    message["Date"] = format_datetime(now)
    # The same letter twice, because a run ended at the wrong moment, can so be taken for one.
    message["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9.-]', '-', letter.thing)}@{sender.address.rpartition('@')[2]}>"
    # RFC 3834: nobody's holiday notice answers it.
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = re.sub(r"[^A-Za-z-]", "", letter.language) or "en"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


_CURE: Final = "Correct the address in people.yaml."


def checked_address(text: str) -> str:
    """Return an address as mail servers take it, the domain in its ASCII spelling.

    Raises:
        RecipientRefused: it is no address, or its part before the ``@`` is not ASCII, which few servers take.
    """
    local, at, domain = text.strip().rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    found = f"{local}@{domain}"
    if not (at and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)) or len(found) > _LONGEST:
        raise RecipientRefused("this is no mail address that a letter could go to", hint=_CURE)
    return found


def _address(name: str, address: str) -> Address:
    return Address(display_name=_line(name), addr_spec=address)


def _line(text: str) -> str:
    """Return one line without characters that have no place in a header."""
    visible = "".join(one if one.isprintable() else " " for one in text)
    return _SPACE.sub(" ", visible).strip()[:_LINE]
