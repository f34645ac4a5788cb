"""Connects to a host while the repository is being opened: each waits for another computer most of the time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from inventory.model import Host
from tasks.remote.filesystem import RemoteHost
from tasks.verbs.connection import connect
from tasks.verbs.context import Context


class EarlyLink:
    """A link to a host, opened in the background if it was known early which host that is."""

    def __init__(self, context: Context, host: Host | None, notes: list[str]) -> None:
        """Begin to connect to ``host``, if that is given. ``notes`` is what ``connect`` takes."""
        self._context = context
        self._host = host
        self._notes = notes
        self._held = ExitStack()
        self._opening: Future[RemoteHost] | None = None
        if host is not None:
            pool = ThreadPoolExecutor(1, "firstbell-link")
            self._opening = pool.submit(self._open, host)
            # Its thread ends once the link is open.
            pool.shutdown(wait=False)

    def to(self, host: Host) -> RemoteHost:
        """Return the host; waits until the link to it is open. Raises what ``connect`` raises."""
        if self._opening is None:
            return self._open(host)
        if host is not self._host:
            raise ValueError(f"{host.name} is not the host that was connected to")
        return self._opening.result()

    def again(self, host: Host) -> RemoteHost:
        """Close the link, which was cut, and return the host over a new one. Raises what ``connect`` raises."""
        self._opening = None
        self._held.close()
        return self._open(host)

    def close(self) -> None:
        """Close the link, or one that is not open yet as soon as it is."""
        if self._opening is None:
            self._held.close()
        else:
            self._opening.add_done_callback(lambda _: self._held.close())

    def _open(self, host: Host) -> RemoteHost:
        return self._held.enter_context(connect(self._context, host, notes=self._notes))


@contextmanager
def early_link(context: Context, host: Host | None, notes: list[str]) -> Iterator[EarlyLink]:
    """Give an ``EarlyLink``, and close it at the end."""
    link = EarlyLink(context, host, notes)
    try:
        yield link
    finally:
        link.close()
