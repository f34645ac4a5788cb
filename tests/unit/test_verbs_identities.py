"""What the records say of a host while its link is being opened: also when they say nothing, or not in time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from configs.model import AppConfig
from inventory.load import Inventory
from inventory.model import Host
from tasks.errors import IdentityRefused, StoreUnavailable
from tasks.records.identities import AcceptedIdentity
from tasks.transports.base import HostIdentity
from tasks.verbs import identities
from tasks.verbs.context import Context
from tasks.verbs.identities import RecordedIdentities

OLD = HostIdentity("ssh-host-key", "ssh-ed25519", "SHA256:old")
NEW = HostIdentity("ssh-host-key", "ssh-ed25519", "SHA256:new")
NEWER = HostIdentity("ssh-host-key", "ssh-ed25519", "SHA256:newer")
RSA = HostIdentity("ssh-host-key", "ssh-rsa", "SHA256:rsa")
HOST = Host(name="lab3-07", site="north", address="127.0.0.1")
CONTEXT = Context(AppConfig(), Inventory({}))


def accepted(identity: HostIdentity, before: HostIdentity, *, day: int = 1, by: str = "") -> AcceptedIdentity:
    return AcceptedIdentity("lab3-07", identity, before, "PF2ABC7D", datetime(2026, 7, day, tzinfo=UTC), by=by)


def known(*found: AcceptedIdentity) -> RecordedIdentities:
    return RecordedIdentities(CONTEXT, HOST, read=lambda: found)


def test_only_the_identity_that_was_accepted_last_counts() -> None:
    records = (accepted(NEW, OLD), accepted(NEWER, NEW, day=2))
    assert known(*records).accept(NEWER) == "without-password"
    assert known(*records).accept(NEW) is False
    assert known(*records).accept(OLD) is False
    assert known().accept(NEW) is False
    assert known(accepted(NEW, OLD, by="it.meier")).accept(NEW) == "compared"


@pytest.mark.parametrize("shown", [OLD, NEW])
def test_every_identity_from_before_is_refused_though_the_worker_knows_it(shown: HostIdentity) -> None:
    with pytest.raises(IdentityRefused, match="before it was set up anew; since on 2026-07-02"):
        known(accepted(NEW, OLD), accepted(NEWER, NEW, day=2)).check(shown, "PF2ABC7D")


@pytest.mark.parametrize("shown", [NEWER, RSA, HostIdentity("mutual-login", "ntlm", "")])
def test_what_the_worker_knows_by_itself_and_nothing_speaks_against(shown: HostIdentity) -> None:
    known(accepted(NEW, OLD), accepted(NEWER, NEW, day=2)).check(shown, "")
    known().check(shown, "")


@pytest.mark.parametrize("serial", ["OTHER", ""])
def test_the_serial_number_must_be_that_of_the_record(serial: str) -> None:
    one = known(accepted(NEW, OLD))
    assert one.accept(NEW)
    with pytest.raises(IdentityRefused, match="serial number"):
        one.check(NEW, serial)
    one.check(NEW, "pf2abc7d")


def test_the_key_of_another_algorithm_is_asked_for() -> None:
    one = known(accepted(RSA, OLD))
    assert one.accept(NEW) is False
    assert one.other_algorithm == "ssh-rsa"
    assert known(accepted(RSA, OLD)).other_algorithm == ""
    same = known(accepted(NEW, OLD))
    assert same.accept(NEWER) is False
    assert same.other_algorithm == ""


def test_a_store_that_fails_accepts_nobody_and_forbids_nobody() -> None:
    def fail() -> tuple[AcceptedIdentity, ...]:
        raise StoreUnavailable("it is overloaded")

    one = RecordedIdentities(CONTEXT, HOST, read=fail)
    one.check(OLD, "")
    assert one.accept(NEW) is False
    told = one.explain(IdentityRefused("the key is another one", hint="Look.", host="lab3-07"))
    assert told.message == (
        "the key is another one; whether it was set up anew and accepted could not be looked up: it is overloaded"
    )
    assert told.hint == "Look."


def test_a_store_that_hangs_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "PATIENCE", 0.05)
    release = threading.Event()

    def hang() -> tuple[AcceptedIdentity, ...]:
        release.wait(30)
        return ()

    one = RecordedIdentities(CONTEXT, HOST, read=hang)
    try:
        one.check(OLD, "")
        assert one.accept(NEW) is False
        assert "does not answer" in one.explain(IdentityRefused("x")).message
    finally:
        release.set()
