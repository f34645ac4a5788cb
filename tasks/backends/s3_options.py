"""How to reach and enter an S3 server. What is None is found where AWS users expect it: environment, ``~/.aws``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

AddressingStyle = Literal["path", "virtual", "auto"]


class Secret(Protocol):
    """A value that hides itself from ``repr`` and ``str``, such as pydantic's ``SecretStr``."""

    def get_secret_value(self) -> str:
        """Return the value in clear."""
        ...


@dataclass(frozen=True, slots=True)
class S3Options:
    """Explicit settings, each of which overrides the environment and the profile.

    ``ca_bundle`` is a path to PEM certificates; ``addressing_style`` ``auto`` or None means ``path`` for a server of
    one's own and what AWS wants otherwise; ``storage_class`` is for packs alone, as the small files are read often.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    access_key_id: str | Secret | None = field(default=None, repr=False)
    secret_access_key: str | Secret | None = field(default=None, repr=False)
    session_token: str | Secret | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    addressing_style: AddressingStyle | None = None
    storage_class: str | None = None


def reveal(value: str | Secret | None) -> str | None:
    """Return a value in clear, None when there is none."""
    return value if isinstance(value, str) or value is None else value.get_secret_value()
