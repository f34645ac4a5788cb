"""What a store of repository files must guarantee.

A backend keeps named, immutable files below one location. Names are relative, with ``/`` between parts, such as
``data/4f/4f09...`` or ``config``; ``check_name`` says which are legal. The same class serves the repository and, at
another location, the records beside it.

A backend must give, from every thread:

* **read-after-write**: after ``save`` returns, ``load``, ``stat`` and ``list`` show the file;
* **atomic save**: nobody ever sees a partial file, also when the process dies within ``save``; when ``save``
  returns, the bytes are durable;
* **exact reads**: ``load`` returns just the bytes asked for; a short read is an error, never a short result;
* **checked names**: an illegal name raises ``ValueError`` on the way in, and a foreign one is left out of ``list``;
* **no kept reference** to a passed buffer once ``save`` returned;
* **own error classes**: ``NotFound``, ``Denied`` or ``BackendError``, and ``is_transient`` that tells whether the same
  call may succeed later. It never retries by itself: ``backends.retry`` wraps it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

Buffer = bytes | bytearray | memoryview

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,254})*")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """Name and size in bytes of one stored file."""

    name: str
    size: int


def check_name(name: str) -> str:
    """Return ``name`` unchanged, or raise ``ValueError`` when it could leave the location or be misread."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a legal name in a backend: {name!r}")
    return name


class Backend(ABC):
    """A store of named files; the module text lists its guarantees."""

    #: Where the files are, for people: never with a credential in it.
    location: str

    def ensure_location(self) -> None:  # noqa: B027 - most stores have nothing to create
        """Create the place that the files live in (a bucket, a directory) where there is none; only ``init`` asks."""

    @abstractmethod
    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        """Store ``data`` under ``name`` atomically and durably.

        With ``overwrite=False`` an existing file of that name is left alone and ``FileExistsError`` is raised where
        the store can decide that atomically (local: link; S3: ``If-None-Match``).
        """

    @abstractmethod
    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes from ``offset``, or to the end of the file when ``length`` is None.

        A negative ``offset`` counts from the end of the file.

        Raises:
            NotFound: no such file.
            BackendError: the file is shorter than asked for.
        """

    @abstractmethod
    def stat(self, name: str) -> FileInfo:
        """Return the size of a file. Raises ``NotFound``."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        """Yield every file whose name starts with ``prefix`` (a whole folder such as ``data/``, or empty for all)."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

    @abstractmethod
    def close(self) -> None:
        """Give up connections. Further calls are errors."""

    @abstractmethod
    def is_transient(self, error: BaseException) -> bool:
        """Return whether the same call may succeed when tried again."""
