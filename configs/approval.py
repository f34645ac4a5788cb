"""How people prove who they are when they decide, and where what they decided is written down."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from configs.base import Model
from configs.values import SecretReference


class ApprovalConfig(Model):
    """Codes by which teachers and educators decide. Key: `firstbell codes keygen`."""

    code_key: SecretReference | None = Field(
        default=None,
        description=(
            "Reference to the key that codes and decisions are signed with. Every worker that asks people, or that "
            "clears computers, needs the same one. `{site}` is filled in. Without it nobody can decide, and whatever "
            "needs a decision is not wiped."
        ),
        examples=["file:/etc/firstbell/{site}.code-key", "env:FIRSTBELL_CODE_KEY"],
    )
    old_code_keys: tuple[SecretReference, ...] = Field(
        default=(),
        description=(
            "Keys that were valid before: what they signed is still believed, and nothing new is signed by them."
        ),
        examples=[["file:/etc/firstbell/{site}.code-key.2025"]],
    )
    valid_days: Annotated[int, Field(ge=1, le=366)] = Field(
        default=30,
        description=(
            "For how many days a code is good that belongs to no maintenance plan, and an approval given by it. The "
            "code of a plan is good until its window ends."
        ),
        examples=[30],
    )
    ledger: str | None = Field(
        default=None,
        description=(
            "Where the ledger of a school lies: every question, answer, hold and override, appended, never changed. "
            "Left out: beside the school's repository. Needed when the repository's location has `{group}` or "
            "`{host}` in it. A store that lets this account add and read, and not delete, is best."
        ),
        examples=["s3://district-ledger/{site}", "/srv/firstbell-ledger/{site}"],
    )
