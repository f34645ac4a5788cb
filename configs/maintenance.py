"""A maintenance plan: which computers of one school are reimaged, upgraded or changed, when, by what, and who is asked.

A plan is a file of its own, ``<name>.yaml`` in the folder ``maintenance`` beside the configuration, or a form in the
Prefect UI. Its times are those of the clock on the school's wall.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from configs.base import Model
from configs.values import Name, SecretReference

_LOCAL_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[ T]([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


def _local_time(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    if isinstance(value, str) and (match := _LOCAL_TIME.fullmatch(value.strip())):
        try:
            return datetime.fromisoformat(f"{match[1]} {match[2]}:{match[3]}")
        except ValueError:
            msg = f"'{value}' is no day of the calendar"
            raise ValueError(msg) from None
    msg = "a moment is written 2026-07-06 17:00, by the clock of the school, without a time zone"
    raise ValueError(msg)


def _argument(value: str) -> str:
    if "\0" in value:
        msg = "an argument cannot hold a NUL character"
        raise ValueError(msg)
    return value


def _address(value: str) -> str:
    if re.fullmatch(r"https?://[^\s@]+", value) is None:
        msg = "an address begins with https:// (or http://), and has no blanks and no password in it"
        raise ValueError(msg)
    return value


def _header(value: str) -> str:
    if any(not one.isprintable() for one in value):
        msg = "a header is one line of text"
        raise ValueError(msg)
    return value


def _header_name(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", value) is None:
        msg = "a header's name has letters, digits and '-'"
        raise ValueError(msg)
    return value


#: A moment by the clock of the school, without a time zone; ``tasks.policy.school_time`` makes it aware.
LocalTime = Annotated[
    datetime,
    BeforeValidator(_local_time),
    PlainSerializer(lambda value: f"{value:%Y-%m-%d %H:%M}"),
    WithJsonSchema({"type": "string", "title": "Local time"}),
]
Argument = Annotated[str, AfterValidator(_argument)]
Address = Annotated[str, AfterValidator(_address)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Header = Annotated[str, AfterValidator(_header)]
Minutes = Annotated[int, Field(ge=1, le=7 * 24 * 60)]


#: In days. No maintenance lasts longer, and to look at each hour of thousands of years would take as long.
_LONGEST_WINDOW = 400


class HostChoice(Model):
    """Which computers, all of one school. A name that matches nothing is a mistake."""

    groups: tuple[str, ...] = Field(
        default=(), description="Groups of the inventory, such as rooms; `*` may stand in them.", examples=[["lab-3"]]
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="Names of computers; `*` may stand in them.", examples=[["lab3-0*", "office-02"]]
    )
    leave_out: tuple[str, ...] = Field(
        default=(), description="Names of computers that are not touched after all.", examples=[["lab3-09"]]
    )


class Window(Model):
    """The time in which computers may be wiped. What has not begun when it ends stays as it is."""

    start: LocalTime = Field(description="Not before this moment.", examples=["2026-07-06 17:00"])
    end: LocalTime = Field(description="Not after this one.", examples=["2026-07-10 06:00"])

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.end <= self.start:
            msg = "the window ends before it begins"
            raise ValueError(msg)
        if (self.end - self.start).days > _LONGEST_WINDOW:
            msg = f"the window is longer than {_LONGEST_WINDOW} days; is a year mistyped?"
            raise ValueError(msg)
        return self


class Approvals(Model):
    """Who must agree before a computer is wiped. Silence means no."""

    by: Literal["teachers", "people", "none"] = Field(
        default="teachers",
        description=(
            "`teachers`: every teacher of the computer, or one of that teacher's delegates; `people`: those named "
            "below; `none`: nobody is asked, and only holds keep it from being wiped."
        ),
        examples=["teachers"],
    )
    people: tuple[Name, ...] = Field(
        default=(),
        description=(
            "With `people`: those who must all agree, by their key in `people.yaml`. With `teachers`: who is asked for "
            "computers that no teacher is named for; without, such a computer is not wiped."
        ),
        examples=[["head-of-science"]],
    )

    @model_validator(mode="after")
    def _somebody(self) -> Approvals:
        if self.by == "people" and not self.people:
            msg = "'by: people' needs 'people': who must agree?"
            raise ValueError(msg)
        return self


class CommandAction(Model):
    """A program on the worker, without a shell, once for each cleared computer."""

    kind: Literal["command"]
    argv: tuple[Argument, ...] = Field(
        min_length=1,
        description=(
            "The program and its arguments. `{host}`, `{address}`, `{mac}`, `{serial}`, `{site}`, `{plan}` and "
            "`{clearance_file}` are filled in. The clearance itself is in that file, never among the arguments."
        ),
        examples=[["/usr/local/bin/reimage", "{host}", "--clearance", "{clearance_file}"]],
    )
    timeout_minutes: Minutes = Field(default=60, description="Then it is ended, and somebody must look.", examples=[60])
    environment: dict[str, SecretReference] = Field(
        default={},
        description="Variables for the program only, as references to secrets.",
        examples=[{"IMAGER_PASSWORD": "env:IMAGER_PASSWORD"}],
    )


class HttpAction(Model):
    """A call to an imaging server, such as FOG, AWX, a ConfigMgr or MDT web service, or Jamf."""

    kind: Literal["http"]
    url: Address = Field(
        description="Address of the call; placeholders as with `command`.",
        examples=["https://fog.school.example/fog/host/{mac}/task"],
    )
    method: Literal["POST", "PUT", "PATCH"] = Field(default="POST", description="HTTP method.", examples=["POST"])
    headers: dict[HeaderName, Header] = Field(
        default={}, description="Headers that are no secret.", examples=[{"Content-Type": "application/json"}]
    )
    secret_headers: dict[HeaderName, SecretReference] = Field(
        default={},
        description="Headers whose values are secrets, as references.",
        examples=[{"Authorization": "file:/etc/firstbell/awx.authorization"}],
    )
    body: str = Field(
        default="",
        description="What is sent; placeholders as with `command`, also `{clearance}`, each as JSON text has it.",
        examples=['{"host": "{host}", "clearance": "{clearance}"}'],
    )
    expect: tuple[Annotated[int, Field(ge=200, le=299)], ...] = Field(
        default=(200, 201, 202, 204), description="Answers that mean: it has begun.", examples=[[201]]
    )
    ca_file: str | None = Field(
        default=None, description="File with the certificates to trust.", examples=["/etc/firstbell/school-ca.pem"]
    )
    timeout_minutes: Minutes = Field(default=2, description="For one call.", examples=[2])


class AnsibleAction(Model):
    """An Ansible playbook, run for one cleared computer at a time (``--limit``)."""

    kind: Literal["ansible"]
    playbook: str = Field(description="Path of the playbook on the worker.", examples=["/srv/ansible/reimage.yml"])
    inventory: str | None = Field(default=None, description="Ansible's inventory.", examples=["/srv/ansible/hosts.yml"])
    ansible_playbook: str = Field(
        default="ansible-playbook", description="The program.", examples=["/opt/ansible/bin/ansible-playbook"]
    )
    timeout_minutes: Minutes = Field(
        default=120, description="Then it is ended, and somebody must look.", examples=[120]
    )


class ManualAction(Model):
    """A person does it, and says so in the Prefect UI or with ``firstbell maintenance confirm``."""

    kind: Literal["manual"]
    instructions: str = Field(
        default="",
        description="What IT has to do; shown where it is confirmed.",
        examples=["Boot from the network and choose 'Windows 11 classroom'."],
    )


Action = Annotated[CommandAction | HttpAction | AnsibleAction | ManualAction, Field(discriminator="kind")]


class MaintenancePlan(Model):
    """What one maintenance does. Nothing is wiped that the gate does not clear."""

    name: Name = Field(description="Its name; the name of its file.", examples=["lab3-summer"])
    title: str = Field(default="", description="As people say it.", examples=["New Windows in lab 3"])
    kind: Literal["reimage", "upgrade", "change"] = Field(
        description=(
            "`reimage`: the disk is wiped, and the computer comes back as another; `upgrade` and `change`: it stays "
            "itself. All are treated with the same care."
        ),
        examples=["reimage"],
    )
    site: Name = Field(description="The school.", examples=["north"])
    hosts: HostChoice = Field(description="Which of its computers.")
    window: Window = Field(description="When they may be wiped.")
    deadline: LocalTime | None = Field(
        default=None,
        description="Until when people can agree. Left out: until the window begins.",
        examples=["2026-07-03 12:00"],
    )
    action: Action = Field(description="What does it.")
    approvals: Approvals = Field(default=Approvals(), description="Who must agree.")
    max_hosts: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=10,
        description="A plan that would touch more computers than this is refused: so far does a slip of the pen reach.",
        examples=[30],
    )
    at_once: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="How many computers are worked on at the same time.", examples=[4]
    )
    action_minutes: Minutes = Field(
        default=60,
        description="How long wiping and setting up one computer takes, as far as known; for the estimate.",
        examples=[45],
    )
    return_minutes: Minutes = Field(
        default=240,
        description="How long to wait for a computer to come back before it counts as lost and somebody must look.",
        examples=[240],
    )
    notes: str = Field(default="", description="Told to the teachers in the announcement.", examples=["Bring nothing."])

    @model_validator(mode="after")
    def _consistent(self) -> MaintenancePlan:
        if not (self.hosts.groups or self.hosts.hosts):
            msg = "'hosts' names no computers: set 'groups' or 'hosts'"
            raise ValueError(msg)
        if self.deadline is not None and self.deadline > self.window.end:
            msg = "people could still agree ('deadline') when the window has ended"
            raise ValueError(msg)
        return self

    @property
    def agreed_by(self) -> datetime:
        """Return until when people can agree, by the clock of the school."""
        return self.deadline or self.window.start
