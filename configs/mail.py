"""How people are written to: the mail server, the words, and after how long somebody is told."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from configs.base import Model
from configs.values import SecretReference

#: Ports of mail submission: RFC 6409 (STARTTLS), RFC 8314 (TLS from the start), and a relay on this computer.
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def is_this_computer(server: str) -> bool:
    """Return whether a name or address is that of the computer itself."""
    if server.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(server.strip("[]")).is_loopback
    except ValueError:
        return False


def _server(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", value, re.ASCII) is None:
        msg = f"'{value}' is no name of a server; write it without 'smtp://' and without a port"
        raise ValueError(msg)
    return value


def _address(value: str) -> str:
    if value and re.fullmatch(r"[!-?A-~]+@[A-Za-z0-9.-]+", value, re.ASCII) is None:
        msg = f"'{value}' is no mail address"
        raise ValueError(msg)
    return value


def _link(value: str) -> str:
    # It stands in a letter as a link: nothing that a browser would carry out, and no account in it.
    if value and (not value.startswith(("https://", "http://")) or any(one in value for one in " <>\"'()@\\`\n\r\t")):
        msg = "the address of a page begins with 'https://' and has no spaces, quotes, brackets or '@' in it"
        raise ValueError(msg)
    return value


def _language(value: str) -> str:
    if re.fullmatch(r"[a-z]{2}(-[A-Z]{2})?", value, re.ASCII) is None:
        msg = f"'{value}' is no language; write 'en', 'de' or 'de-AT'"
        raise ValueError(msg)
    return value


def _one_line(value: str) -> str:
    if value.splitlines() != [value] * bool(value):
        msg = "this must be one line"
        raise ValueError(msg)
    return value


ServerName = Annotated[str, AfterValidator(_server)]
SenderAddress = Annotated[str, AfterValidator(_address)]
Link = Annotated[str, AfterValidator(_link)]
Language = Annotated[str, AfterValidator(_language)]
Line = Annotated[str, AfterValidator(_one_line)]


class MailConfig(Model):
    """The mail server that takes letters to teachers and IT. Its certificate is always checked."""

    server: ServerName | None = Field(
        default=None,
        description="Name of the mail server. `null`: no mail is sent, and IT has to pass the pages on.",
        examples=["mail.school.example"],
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None,
        description="Its port. Left out: 587 with `starttls`, 465 with `tls`, 25 with `none`.",
        examples=[587],
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description=(
            "`starttls`, `tls` from the first byte, or `none`, which is possible only for a mail server on this very "
            "computer: the letters hold the codes that people agree with."
        ),
        examples=["tls"],
    )
    user: Line | None = Field(default=None, description="The account to log in with.", examples=["firstbell"])
    password: SecretReference | None = Field(
        default=None, description="Reference to its password.", examples=["file:/etc/firstbell/mail.password"]
    )
    sender: SenderAddress = Field(
        default="",
        description="The address that letters come from. Required with `server`.",
        examples=["firstbell@school.example"],
    )
    sender_name: Line = Field(
        default="firstbell", description="The name beside it.", examples=["Computer care, Northfield"]
    )
    reply_to: SenderAddress = Field(
        default="",
        description="Where answers go. Left out: to `sender`.",
        examples=["it-desk@school.example"],
    )
    ca_file: str | None = Field(
        default=None,
        description="File with the certificates to trust, where the server's is signed by an authority of your own.",
        examples=["/etc/firstbell/school-ca.pem"],
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] = Field(
        default=30, description="How long to wait for each answer of the server.", examples=[30]
    )

    @property
    def port_used(self) -> int:
        """Return the port, the usual one when none is named."""
        return self.port or _PORTS[self.security]

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield what these keys say together and cannot: a key, and the problem in words."""
        if self.server is not None and not self.sender:
            yield "sender", "letters need the address that they come from; set it, or leave 'server' out"
        if self.server is not None and self.security == "none" and not is_this_computer(self.server):
            yield "security", "'none' would send letters readable over the network; use 'starttls' or 'tls'"
        if self.user is not None and self.password is None:
            yield "password", "'user' needs a reference to its password"
        if self.password is not None and self.user is None:
            yield "user", "'password' needs the account it belongs to"


class LettersConfig(Model):
    """What stands in the pages and letters that people read."""

    templates: str | None = Field(
        default=None,
        description=(
            "Folder with a school's own texts: `<language>/announcement.md.j2` and so on, `<language>/words.yaml`. "
            "When it is no full path, it is sought beside this file. What is not there is taken from firstbell's own."
        ),
        examples=["templates", "/etc/firstbell/templates"],
    )
    language: Language = Field(
        default="en",
        description="Language of pages that are for nobody in particular, such as whether rooms are ready.",
        examples=["de"],
    )
    contact: Line = Field(
        default="",
        description="Whom to ask, as it stands in a letter. Left out: the IT desk.",
        examples=["the IT desk, room 12, extension 200"],
    )
    answer_page: Link = Field(
        default="",
        description="Address of the page on which people answer with their code, such as the form in the Prefect UI.",
        examples=["https://firstbell.school.example/answer"],
    )


class AlertsConfig(Model):
    """When IT and the teacher are told that a computer was not saved."""

    days: Annotated[int, Field(ge=1, le=365)] = Field(
        default=3,
        description="Days without a good snapshot after which a computer is overdue.",
        examples=[3],
    )
    again_days: Annotated[int, Field(ge=1, le=365)] = Field(
        default=7, description="Days after which the same people are told of the same again.", examples=[7]
    )
    teachers: bool = Field(
        default=True, description="Whether the teachers of the computer are told, besides IT.", examples=[False]
    )
