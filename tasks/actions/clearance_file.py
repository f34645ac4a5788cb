"""A file that only the account of the worker can read, for as long as a program needs it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import ActionFailed


@contextmanager
def private_file(name: str, text: str, *, host: str) -> Iterator[Path]:
    """Give the path of a file with ``text``, mode 0600 in a folder of mode 0700, and remove both at the end.

    Raises ``ActionFailed`` when it cannot be written. A worker that is killed leaves it behind: what is in it must
    expire by itself.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="firstbell-", ignore_cleanup_errors=True)
    except OSError as error:
        raise _failed(error, host) from error
    with folder:
        path = Path(folder.name) / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise _failed(error, host) from error
        yield path


def _failed(error: OSError, host: str) -> ActionFailed:
    return ActionFailed(
        f"the file with the clearance cannot be written: {error.strerror or error}",
        hint="Nothing was started. Look at the worker's folder for temporary files (TMPDIR).",
        host=host,
    )
