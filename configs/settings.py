"""Which profile settings are saved with the files, and what happens to newer ones when they come back."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configs.base import Model
from configs.values import SecretReference


class SettingsConfig(Model):
    """The settings of teachers' profiles, by the catalog (docs/settings.md)."""

    capture: bool = Field(
        default=True,
        description="Save settings with the files: wallpaper, printers, keyboard and so on.",
        examples=[True],
    )
    newer: Literal["keep", "ask", "replace"] = Field(
        default="keep",
        description=(
            "What happens to a setting that was changed after the snapshot: it is kept (`keep`), shown so that a "
            "person can name it (`ask`), or replaced (`replace`)."
        ),
        examples=["keep"],
    )
    on_request: tuple[str, ...] = Field(
        default=(),
        description=(
            "Ids of items that are saved only where the school asks for it. For those with secrets, such as saved "
            "passwords of Firefox, `sealed_key` must be set as well."
        ),
        examples=[["windows-wifi-networks"]],
    )
    catalog: str | None = Field(
        default=None,
        description="File with the school's own items; when it is no full path, it is sought beside this file.",
        examples=["catalog.yaml"],
    )
    sealed_key: SecretReference | None = Field(
        default=None,
        description="Reference to a passphrase of its own that settings with secrets are sealed with.",
        examples=["file:/etc/firstbell/settings.key"],
    )
