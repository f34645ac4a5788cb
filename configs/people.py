"""The people of a school who are asked, told, and may decide: ``people.yaml`` beside the configuration.

An account name alone is not enough to write somebody a letter. Who stands here is asked under their own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from configs.base import Model
from configs.values import Name

#: ``teacher``: decides for the computers that list the account. ``educator``: may place a hold that IT cannot lift.
#: ``override``: two of these together may go past a refusal or a hold. ``it``: is told of what needs somebody.
Role = Literal["teacher", "educator", "override", "it"]


class Person(Model):
    """One person."""

    name: str = Field(min_length=1, description="As it stands in a letter.", examples=["Aiko Ito"])
    email: str = Field(
        default="",
        pattern=r"^$|^[^@\s,;<>]+@[^@\s,;<>]+$",
        description="Where mail goes.",
        examples=["a.ito@north.example"],
    )
    language: str = Field(
        default="en", pattern=r"^[a-z]{2}(-[A-Z]{2})?$", description="Language of what they read.", examples=["de"]
    )
    accounts: tuple[str, ...] = Field(
        default=(),
        description="Their accounts on computers. Left out: the key of this entry.",
        examples=[["a.ito", "NORTH\\a.ito"]],
    )
    delegates: tuple[Name, ...] = Field(
        default=(), description="Who may decide in their place, by key.", examples=[["m.okafor"]]
    )
    roles: tuple[Role, ...] = Field(
        default=("teacher",),
        description=(
            "`teacher` decides for computers that list one of the accounts; `educator` may also place holds for a "
            "school or a room, which IT cannot lift; `override` may, together with a second one, go past a refusal; "
            "`it` is told of what needs somebody."
        ),
        examples=[["teacher", "educator"]],
    )
    sites: tuple[Name, ...] = Field(
        default=(), description="The schools they belong to. Left out: all.", examples=[["north"]]
    )


class PeopleFile(Model):
    """Everybody, by a short key, usually the account name."""

    people: Mapping[Name, Person] = Field(default={}, description="Everybody, by key.")
