"""When a computer may be wiped, and how the permission for it is signed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from configs.base import Model
from configs.duration import Duration
from configs.values import DurationText, SecretReference

#: How a snapshot can be proven, the weakest first.
MethodName = Literal["read-back", "spot", "drill"]


class GateConfig(Model):
    """What must be true before a computer may be wiped. Whatever is not known counts as not true."""

    max_age: DurationText = Field(
        default=Duration(hours=12),
        description="How old the newest snapshot of a computer may be.",
        examples=["12h", "2d"],
    )
    min_method: MethodName = Field(
        default="spot",
        description=(
            "How the snapshot must have been proven since it was made: `read-back` from the repository, `spot` "
            "comparison with the computer as well, or a `drill`, a test restore. Each includes those before it."
        ),
        examples=["spot"],
    )
    approval: Literal["none", "required"] = Field(
        default="none",
        description=(
            "`required`: every teacher of the computer, or one of that teacher's delegates, must have agreed with a "
            "code of their own; silence means no. `none`: only what a maintenance plan asks for. A refusal and a hold "
            "keep the gate shut in both cases."
        ),
        examples=["none"],
    )
    max_hosts: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=50,
        description="How many computers of a site may have a clearance at the same time.",
        examples=[30],
    )
    ignore_profiles: tuple[str, ...] = Field(
        default=(),
        description=(
            "Accounts whose user profile on a computer holds nothing that anybody would miss, such as those of "
            "administrators; `*` and `?` may stand in them. Any other user profile that is not in the snapshot holds. "
            "The account that firstbell logs in with is always ignored."
        ),
        examples=[["Administrator", "admin-*"]],
    )
    deadline_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=30,
        description="How long to wait for the repository. What has not answered by then holds.",
        examples=[30],
    )


class ClearanceConfig(Model):
    """The signed permission to wipe one computer, for whatever does the wiping. Keys: `firstbell clearance keygen`."""

    signing_key: SecretReference | None = Field(
        default=None,
        description="Reference to the private key that signs, in PEM. Only where clearances are issued.",
        examples=["file:/etc/firstbell/clearance.key", "env:FIRSTBELL_CLEARANCE_KEY"],
    )
    public_keys: tuple[str, ...] = Field(
        default=(),
        description=(
            "Files with the public keys that are valid, in PEM, one or several in a file. While a key is replaced, the "
            "old one and the new one stand here."
        ),
        examples=[["/etc/firstbell/clearance.pub.pem"]],
    )
    valid_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        default=120,
        description="For how long a clearance is good, at most. It never reaches into a protected time.",
        examples=[120],
    )
