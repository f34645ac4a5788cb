"""The real helper for Windows in PowerShell under Wine, for tests of the wire."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.remote.filesystem import RemoteHost
from tasks.remote.launcher import launch
from tests.support.wine import WinePrefix, WineTransport


@contextmanager
def windows_host(prefix: WinePrefix) -> Iterator[RemoteHost]:
    """Start the helper in this Windows and give the host behind it."""
    transport = WineTransport("pc", prefix)
    transport.open()
    try:
        host = RemoteHost(*launch(transport))
        try:
            yield host
        finally:
            host.close()
    finally:
        transport.close()
