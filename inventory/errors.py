"""The error of this package, under the name that the layout promises."""

from __future__ import annotations

from configs.errors import InventoryError

__all__ = ["InventoryError"]
