"""The field check on PowerShell under Wine: what can hold there holds, what cannot fails clearly, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tasks.remote.filesystem import RemoteHost
from tasks.transports.base import Transport
from tests.field.bench import Bench
from tests.field.outcome import Document, Scrubber
from tests.field.pc import Pc
from tests.field.run import chosen, run
from tests.support.windows_helper import windows_host
from tests.support.wine import WinePrefix, WineTransport

HOLDS = {"FC-01", "FC-99"}
#: No Windows PowerShell 5.1, no shadow copies, no OneDrive there; and no person.
DOES_NOT = {"FC-20": "failed", "FC-60": "failed", "FC-70": "not applicable", "FC-83": "needs a person"}


@pytest.fixture(scope="module")
def document(windows: WinePrefix) -> Document:
    def new_link() -> Transport:
        link = WineTransport("pc", windows, idle_timeout=60.0)
        link.open()
        return link

    @contextmanager
    def connect() -> Iterator[RemoteHost]:
        with windows_host(windows) as remote:
            yield remote

    return run(Bench(Pc("wine", new_link, connect), Scrubber()), chosen([*HOLDS, *DOES_NOT]))


def test_what_can_hold_holds_and_what_cannot_fails_clearly(document: Document) -> None:
    told = {line.number: line.outcome for line in document.lines}
    assert {number: outcome for number, outcome in told.items() if number in HOLDS and outcome.status != "passed"} == {}
    assert {number: told[number].status for number in DOES_NOT} == DOES_NOT
    assert "PowerShell 7" in told["FC-20"].evidence
    assert "Get-CimInstance" in told["FC-60"].evidence


def test_nothing_stays_behind(document: Document, windows: WinePrefix) -> None:
    assert document.cleaned_up == "nothing"
    assert [path for path in windows.local("C:\\").iterdir() if path.name.startswith("firstbell")] == []
