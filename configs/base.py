"""What every typed file of ours has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Model(BaseModel):
    """A frozen value read from a file; a key it does not know is a mistake in the file.

    Errors never repeat the input: it may be a secret that stands where a reference belongs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, data: Any) -> Any:
        """Take a section whose keys are all commented out for an empty one."""
        return {} if data is None else data
