"""A place for objects that live for minutes: what a host hands to its worker, and back, without going through the link.

The host gets URLs that name one object and one method and soon expire; they are credentials, so nothing logs them. The
worker puts, takes and discards under its own account. What is stored is sealed (``remote/channels/segment.py``): the
spool is trusted with nothing but to keep it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, Protocol

from tasks.backends.base import Buffer
from tasks.errors import NotFound

#: No host run uses its objects longer, in seconds.
ABANDONED: Final = 24 * 3600.0


class SpoolStore(Protocol):
    """A spool. Names are those of ``backends.base.check_name``; no name is used twice. Threads may share it.

    Each method but the offers raises ``Denied``, ``StoreUnavailable`` or another ``BackendError``; it has tried again
    what may succeed later.
    """

    #: Where the objects are, for people: never with a credential in it.
    location: str

    def offer_put(self, name: str) -> str:
        """Return a URL that stores one object by PUT, for some minutes. Raises ``Denied`` without credentials."""
        ...

    def offer_get(self, name: str) -> str:
        """Return a URL that reads one object by GET, for some minutes. Raises ``Denied`` without credentials."""
        ...

    def put(self, name: str, data: Buffer) -> None:
        """Store an object."""
        ...

    def take(self, name: str) -> bytes:
        """Return an object; it can be taken again until it is discarded. Raises ``NotFound``."""
        ...

    def discard(self, name: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    def list(self, older_than: float) -> Iterator[str]:
        """Yield the names of the objects, of any host run, that were stored more than ``older_than`` seconds ago."""
        ...


def sweep(store: SpoolStore, older_than: float = ABANDONED) -> int:
    """Remove what runs that were cut off have left; return how many objects that were."""
    count = 0
    for name in store.list(older_than):
        with contextlib.suppress(NotFound):
            store.discard(name)
            count += 1
    return count
