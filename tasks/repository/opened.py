"""One open repository per run: locked, its index loaded, and given back whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.backends.base import Backend
from tasks.repository.repository import Repository


@contextmanager
def opened(backend: Backend, password: str, *, exclusive: bool = False) -> Iterator[Repository]:
    """Open the repository, lock it and load its index; at the end store what was saved, unlock, and close the backend.

    Raises ``NoRepository``, ``WrongPassword``, ``Locked``, ``Damaged`` or a ``BackendError``.
    """
    try:
        repository = Repository.open(backend, password)
        try:
            with repository.lock(exclusive=exclusive):
                repository.load_index()
                yield repository
        finally:
            repository.close()
    finally:
        backend.close()
