"""Who is accepted after a reimage: the rules by themselves, over all that may come together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.policy.host_identity import is_fresh, is_outdated, may_meet, settle
from tasks.transports.base import HostIdentity

NOW = datetime(2026, 7, 6, 18, 0, tzinfo=UTC)
OLD = HostIdentity("ssh-host-key", "ssh-ed25519", "SHA256:old")
NEW = HostIdentity("ssh-host-key", "ssh-ed25519", "SHA256:new")
THIRD = HostIdentity("ssh-host-key", "ssh-ed25519", "SHA256:third")
RSA = HostIdentity("ssh-host-key", "ssh-rsa", "SHA256:rsa")
TLS = HostIdentity("tls-certificate", "rsa-2048", "SHA256:tls")
NONE = HostIdentity("mutual-login", "ntlm", "")
ALL = (OLD, NEW, THIRD, RSA, TLS, NONE, HostIdentity("local", "", ""))


@dataclass(frozen=True)
class Maintenance:
    host: str = "lab3-07"
    serial: str = "PF2ABC7D"
    identity: HostIdentity = OLD
    until: datetime = NOW + timedelta(hours=1)
    open: bool = True


maintenances = st.builds(
    Maintenance,
    serial=st.sampled_from(["", "PF2ABC7D"]),
    identity=st.sampled_from(ALL),
    until=st.sampled_from([NOW - timedelta(hours=1), NOW, NOW + timedelta(seconds=1)]),
    open=st.booleans(),
)


@given(
    st.sampled_from(ALL),
    maintenances,
    st.sampled_from([None, *ALL]),
    st.sampled_from(["", "PF2ABC7D"]),
    st.sampled_from(["", "PF2ABC7D", "pf2abc7d ", "OTHER"]),
)
def test_a_new_identity_is_accepted_by_all_of_the_rules_or_not_at_all(
    shown: HostIdentity, maintenance: Maintenance, accepted: HostIdentity | None, expected: str, told: str
) -> None:
    met = may_meet(shown, maintenance, accepted=accepted, serial=expected, now=NOW)
    settled = settle(told, expected=expected, only_proof=True)
    if not (met.accepted and settled.accepted):
        assert met.why or settled.why
        return
    # The hardware has told the number that was to be expected.
    assert expected == "PF2ABC7D"
    assert told.strip().upper() == expected
    if accepted is not None:
        assert shown == accepted
    elif shown != maintenance.identity:
        assert maintenance.open
        assert maintenance.until > NOW
        assert shown.kind == maintenance.identity.kind
        assert shown.fingerprint
        assert met.fresh


@pytest.mark.parametrize(
    ("shown", "accepted", "why"),
    [
        (THIRD, NEW, "a second time"),
        (OLD, NEW, "from before it was set up anew"),
        (TLS, None, "in another way"),
        (NONE, None, "in another way"),
    ],
)
def test_what_is_refused_says_why(shown: HostIdentity, accepted: HostIdentity | None, why: str) -> None:
    verdict = may_meet(shown, Maintenance(), accepted=accepted, serial="PF2ABC7D", now=NOW)
    assert not verdict.accepted
    assert verdict.by_hand
    assert why in verdict.why


def test_no_login_where_nothing_could_prove_it() -> None:
    assert "serial number is not known" in may_meet(NEW, Maintenance(), accepted=None, serial="", now=NOW).why


def test_the_serial_number_of_a_computer_that_the_worker_knows() -> None:
    assert settle("", expected="PF2ABC7D", only_proof=False).accepted
    assert settle("PF2ABC7D", expected="", only_proof=False).accepted
    assert not settle("OTHER", expected="PF2ABC7D", only_proof=False).accepted
    assert "tells no serial number" in settle("", expected="PF2ABC7D", only_proof=True).why
    assert "nobody knows" in settle("PF2ABC7D", expected="", only_proof=True).why


def test_what_counts_as_another_identity() -> None:
    assert is_fresh(NEW, OLD)
    assert not is_fresh(OLD, OLD)
    # An authority renews a certificate; a key of SSH does not change by itself.
    renewed = HostIdentity("tls-certificate", "rsa-2048", "SHA256:renewed")
    assert is_fresh(renewed, TLS)
    assert not is_fresh(renewed, TLS, known=True)
    assert is_fresh(NEW, OLD, known=True)
    # Other ways of showing who one is cannot be compared, and some show nothing.
    assert not is_fresh(TLS, OLD)
    assert not is_fresh(NONE, NONE)
    assert not is_fresh(NEW, HostIdentity("ssh-host-key", "", ""))
    assert is_outdated(OLD, OLD, NEW)
    assert not is_outdated(OLD, OLD, None)
    assert not is_outdated(OLD, OLD, OLD)
    assert not is_outdated(NEW, OLD, NEW)
