"""Kinds of repository files, and the one place that maps a kind and an ID to a name in the backend.

Source: restic's ``doc/design.rst``, "Repository Layout".
"""

from __future__ import annotations

from enum import Enum

from tasks.repository.ids import ID, ID_SIZE


class FileType(Enum):
    """A kind of file; the value is the folder that holds it, or its only name."""

    PACK = "data"
    KEY = "keys"
    LOCK = "locks"
    SNAPSHOT = "snapshots"
    INDEX = "index"
    CONFIG = "config"

    @property
    def prefix(self) -> str:
        """The folder that a backend lists for every file of this kind."""
        return f"{self.value}/"

    def name_of(self, id_: ID) -> str:
        """Return the name of a file in the backend; the config is always just ``config``."""
        if self is FileType.CONFIG:
            return "config"
        text = id_.hex()
        return f"data/{text[:2]}/{text}" if self is FileType.PACK else f"{self.value}/{text}"

    def id_of(self, name: str) -> ID | None:
        """Return the ID in a name from the backend, or None when it is no file of this kind (a leftover, say)."""
        text = name.rpartition("/")[2]
        if self is FileType.CONFIG or len(text) != 2 * ID_SIZE or text != text.lower():
            return None
        try:
            id_ = bytes.fromhex(text)
        except ValueError:
            return None
        return id_ if name == self.name_of(id_) else None
