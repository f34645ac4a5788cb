"""Look whether a computer that was wiped is back, and whether it is the one that was wiped.

One look; the waiting is the caller's. Nothing is written to the computer, and no password is sent before its serial
number was seen; from a stranger the link is taken away at once.

That it answers does not mean that it is back: for a while after the imaging server was called, the old system still
runs. ``Returned.fresh`` tells whether the identity is another one; where it is not (an upgrade, an image that keeps its
keys, a certificate of the school's own authority, a login that shows none), the caller asks whether the files of the
snapshot are gone.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from inventory.folders import check_fingerprint
from inventory.model import Host
from tasks.errors import AuthFailed, ConfigError, HelperFailed, IdentityRefused, Timeout, Unreachable
from tasks.policy.host_identity import IdentityVerdict, is_fresh, is_outdated, may_meet, settle
from tasks.records.identities import AcceptedIdentity
from tasks.records.maintenance import MaintenanceRecord, open_maintenance_records
from tasks.transports.base import Accepted, HostIdentity
from tasks.verbs.connection import OpenLink, open_link
from tasks.verbs.context import Context
from tasks.verbs.identities import accept_by_hand, read_identities, records_of, write_identity


@dataclass(frozen=True, slots=True)
class Away:
    """It does not answer, or not as a computer that is set up; ``why`` in words."""

    why: str


@dataclass(frozen=True, slots=True)
class Returned:
    """It answers, and is the computer that was wiped.

    ``fresh``: its identity is another one than before the wipe.
    """

    identity: HostIdentity
    serial: str
    fresh: bool


def look_for_return(
    context: Context, host: Host, record: MaintenanceRecord, *, now: datetime | None = None
) -> Away | Returned:
    """Return whether a host is back from its maintenance.

    Raises:
        IdentityRefused: who answers is not the host, or that cannot be told without a person.
        AuthFailed: a host that has not changed refused the login by password: not tried again, for it would lock the
            account.
    """
    stranger = _Stranger(context, host, record, now or datetime.now(UTC))
    try:
        with ExitStack() as held:
            link = _meet(context, host, stranger, held)
            verdict = stranger.settle(link)
            if not verdict.accepted:
                raise _refused(host, verdict, link.identity)
            return Returned(link.identity, link.remote.hello.serial, verdict.fresh)
    except (Unreachable, Timeout) as error:
        return Away(error.message)
    except HelperFailed as error:
        return Away(f"it answers, and is not set up yet: {error.message}")
    except AuthFailed as error:
        if stranger.verdict is None and _has_password(host):
            raise
        return Away(f"it answers, and does not let us in yet: {error.message}")
    except IdentityRefused as error:
        if stranger.verdict is not None and not stranger.verdict.accepted and stranger.shown is not None:
            raise _refused(host, stranger.verdict, stranger.shown) from error
        raise


def accept_returned(
    context: Context, host: Host, record: MaintenanceRecord, *, now: datetime | None = None
) -> Away | Returned:
    """Do what ``look_for_return`` does, and from then on know the host by the identity that it shows.

    Raises also ``IdentityRefused`` when the maintenance has accepted another one meanwhile.
    """
    now = now or datetime.now(UTC)
    found = look_for_return(context, host, record, now=now)
    if isinstance(found, Away) or not found.fresh or _is_known(context, host, found.identity):
        return found
    accepted = AcceptedIdentity(
        host=host.name,
        identity=found.identity,
        before=record.identity,
        serial=found.serial,
        at=now,
        plan=record.plan,
        clearance=record.clearance,
    )
    try:
        write_identity(context, host, accepted)
    except FileExistsError:
        if _is_known(context, host, found.identity):
            return found
        raise _refused(
            host, IdentityVerdict("another identity was accepted in this maintenance", by_hand=True), found.identity
        ) from None
    return found


def accept_identity(
    context: Context, host: Host, fingerprint: str, *, by: str, now: datetime | None = None
) -> AcceptedIdentity:
    """Know a host from now on by what it shows now: ``by`` has compared the fingerprint at the computer itself.

    Nobody logs in for that, unless the worker knows it anyway. Raises ``IdentityRefused`` when it shows another one,
    ``Unreachable`` when nothing, and ``ConfigError`` for what is no fingerprint.
    """
    try:
        fingerprint = check_fingerprint(fingerprint)
    except ValueError as error:
        raise ConfigError(f"'{fingerprint}': {error}", hint="Nothing was accepted.", host=host.name) from None
    shown = _look_at(context, host)
    if shown.fingerprint != fingerprint:
        raise IdentityRefused(
            f"it shows {shown.fingerprint or 'no key'} ({shown.algorithm or shown.kind}), not {fingerprint}",
            hint="Nothing was accepted. Compare once more, at the computer itself, the key of that algorithm.",
            host=host.name,
        )
    found = read_identities(context, host)
    before = found[-1].identity if found else _before_maintenance(context, host) or HostIdentity(shown.kind, "", "")
    accepted = AcceptedIdentity(host.name, shown, before, host.serial or "", now or datetime.now(UTC), by=by)
    write_identity(context, host, accepted)
    return accepted


class _Stranger:
    """Decides about whoever answers at a host's address; what was decided last stays in ``verdict``."""

    def __init__(self, context: Context, host: Host, record: MaintenanceRecord, now: datetime) -> None:
        self._context = context
        self._host = host
        self._record = record
        self._now = now
        self._found: tuple[AcceptedIdentity, ...] | None = None
        #: None while the transport knows the host by itself.
        self.verdict: IdentityVerdict | None = None
        self.shown: HostIdentity | None = None

    @property
    def expected(self) -> str:
        """The serial number that it must tell; empty when none is known."""
        return self._host.serial or self._record.serial

    @property
    def algorithm(self) -> str:
        """The algorithm of the SSH host key that it was known by; empty for another kind."""
        before = self._record.identity
        return before.algorithm if before.kind == "ssh-host-key" else ""

    @property
    def other_algorithm(self) -> str:
        """The algorithm of the key that was accepted since, when it has shown one of another; else empty."""
        accepted = self.accepted if self.shown is not None else None
        if accepted is None or self.shown is None or accepted.identity.kind != "ssh-host-key":
            return ""
        return accepted.identity.algorithm if accepted.identity.algorithm != self.shown.algorithm else ""

    def accept(self, shown: HostIdentity) -> bool | Accepted:
        """Accept for the time of this look; what ``Transport.open`` takes."""
        self.shown = shown
        accepted = self.accepted
        if accepted is not None and accepted.by and accepted.identity == shown:
            self.verdict = IdentityVerdict(fresh=is_fresh(shown, self._record.identity))
            return "compared"
        self.verdict = may_meet(
            shown,
            self._record,
            accepted=accepted.identity if accepted is not None else None,
            serial=self.expected,
            now=self._now,
        )
        return "without-password" if self.verdict.accepted else False

    @property
    def accepted(self) -> AcceptedIdentity | None:
        """The identity that was accepted last since this maintenance was opened, by it or by a person."""
        if self._found is None:
            self._found = read_identities(self._context, self._host)
        since = [one for one in self._found if one.at >= self._record.opened_at]
        return since[-1] if since else None

    def settle(self, link: OpenLink) -> IdentityVerdict:
        """Decide, now that it tells its serial number."""
        told, shown, before = link.remote.hello.serial, link.identity, self._record.identity
        fresh = is_fresh(shown, before, known=self.verdict is None)
        accepted = self.accepted if shown.fingerprint else None
        if accepted is not None and is_outdated(shown, before, accepted.identity):
            return IdentityVerdict("it shows the identity from before it was set up anew", by_hand=True)
        if accepted is not None and accepted.by and accepted.identity == shown:
            # A person has compared it; a new board may have another number, or none.
            return IdentityVerdict(fresh=fresh)
        # What the worker knows by itself needs no serial number, unless it is that of another computer.
        return settle(told, expected=self.expected, only_proof=self.verdict is not None, fresh=fresh)


def _meet(context: Context, host: Host, stranger: _Stranger, held: ExitStack) -> OpenLink:
    # A key of the algorithm that it was known by; where it has none, it is another one indeed.
    algorithm = stranger.algorithm
    try:
        return held.enter_context(open_link(context, host, accept_identity=stranger.accept, algorithm=algorithm))
    except IdentityRefused:
        again = stranger.other_algorithm
        if not again:
            raise
    return held.enter_context(open_link(context, host, accept_identity=stranger.accept, algorithm=again))


def _look_at(context: Context, host: Host) -> HostIdentity:
    """Return how a host shows who it is, without logging in where that can be."""
    shown: list[HostIdentity] = []

    def refuse(identity: HostIdentity) -> bool:
        shown.append(identity)
        return False

    try:
        with open_link(context, host, accept_identity=refuse) as link:
            return link.identity
    except IdentityRefused:
        if shown:
            return shown[-1]
        raise


def _before_maintenance(context: Context, host: Host) -> HostIdentity | None:
    """Return the identity that a host had when it was cleared to be wiped, None when it is in no maintenance."""
    with records_of(context, host) as store:
        found = open_maintenance_records(store, host.name)
    return found[-1].identity if found else None


def _is_known(context: Context, host: Host, identity: HostIdentity) -> bool:
    found = read_identities(context, host)
    return bool(found) and found[-1].identity == identity


def _has_password(host: Host) -> bool:
    if host.transport == "ssh":
        return host.ssh.password is not None
    return host.transport == "winrm" and host.winrm.auth in ("ntlm", "basic")


def _refused(host: Host, verdict: IdentityVerdict, shown: HostIdentity) -> IdentityRefused:
    hint = "Somebody must look at the computer."
    if verdict.by_hand and shown.fingerprint:
        hint = accept_by_hand(host.name, shown.fingerprint)
    return IdentityRefused(verdict.why, hint=hint, host=host.name)
