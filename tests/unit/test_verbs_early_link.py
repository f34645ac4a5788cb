"""A link that is opened in the background: who waits for it, who closes it, and what becomes of errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from inventory.model import Host
from tasks.errors import Unreachable
from tasks.verbs import early_link as module
from tasks.verbs.early_link import early_link

PC = Host(name="pc", site="north", address="10.3.0.7")
CONTEXT: Any = None


class Links:
    """Links in memory; one opens when it is let."""

    def __init__(self) -> None:
        self.may_open = threading.Event()
        self.closed = threading.Event()
        self.opened_in = ""

    @contextmanager
    def connect(self, context: object, host: Host, *, notes: list[str]) -> Iterator[str]:
        assert self.may_open.wait(10)
        self.opened_in = threading.current_thread().name
        if host.address == "off":
            raise Unreachable("nobody answers", host=host.name)
        notes.append("noted")
        try:
            yield host.name
        finally:
            self.closed.set()


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Links:
    links = Links()
    monkeypatch.setattr(module, "connect", links.connect)
    return links


def test_it_is_opened_in_the_background_and_closed_at_the_end(links: Links) -> None:
    notes: list[str] = []
    with early_link(CONTEXT, PC, notes) as link:
        links.may_open.set()
        assert str(link.to(PC)) == "pc"
        assert links.opened_in.startswith("firstbell-link")
        assert notes == ["noted"]
        assert not links.closed.is_set()
        with pytest.raises(ValueError, match="not the host"):
            link.to(Host(name="other", site="north", address="x"))
    assert links.closed.is_set()


def test_a_host_that_is_known_late_is_connected_to_then(links: Links) -> None:
    links.may_open.set()
    with early_link(CONTEXT, None, []) as link:
        assert not links.opened_in
        assert str(link.to(PC)) == "pc"
        assert links.opened_in == threading.current_thread().name
    assert links.closed.is_set()


def test_who_fails_meanwhile_does_not_wait_and_leaves_nothing_open(links: Links) -> None:
    with pytest.raises(KeyError), early_link(CONTEXT, PC, []):
        raise KeyError("no repository")
    assert not links.closed.is_set()
    links.may_open.set()
    assert links.closed.wait(10)


def test_its_error_is_told_when_it_is_asked_for(links: Links) -> None:
    links.may_open.set()
    off = Host(name="pc", site="north", address="off")
    with early_link(CONTEXT, off, []) as link, pytest.raises(Unreachable, match="nobody answers"):
        link.to(off)
