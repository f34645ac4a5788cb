"""By what a host is known since it was set up anew: accepted once, and known to every worker from then on.

``known_hosts`` and ``winrm.fingerprint`` of a worker come first. Only a host whose identity they do not know, or know
another of, is looked for in the records beside the repository. The other way round, an identity that the records know
to be from before a reimage is refused, although a worker's ``known_hosts`` still has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from configs.errors import FirstbellError
from inventory.model import Host
from tasks.backends.base import Backend
from tasks.errors import IdentityRefused
from tasks.policy.host_identity import settle
from tasks.records.identities import AcceptedIdentity, add_identity, has_identities, identities
from tasks.records.store import RecordStore
from tasks.repository.repository import Repository
from tasks.transports.base import Accepted, HostIdentity
from tasks.verbs.context import Context
from tasks.verbs.site_repository import repository_backend, repository_place

#: How long a link waits for the records, in seconds, before it goes on without them.
PATIENCE: Final = 20.0


def accept_by_hand(host: str, fingerprint: str) -> str:
    """Return the hint for a person who can compare the identity of a computer at the computer itself."""
    return (
        "Nothing was sent to it. Compare the fingerprint at the computer; only if it is right: "
        f"firstbell maintenance accept-identity {host} --by YOUR-NAME --fingerprint {fingerprint}"
    )


def read_identities(context: Context, host: Host) -> tuple[AcceptedIdentity, ...]:
    """Return what was accepted for a host, the oldest first; raises what the repository raises."""
    with _backend(context, host) as backend:
        if not has_identities(RecordStore(backend), host.name):
            return ()
        # Opening it takes a moment, for which there is rarely a reason.
        with _opened(context, host, backend) as repository:
            return identities(RecordStore(backend), repository, host.name)


def write_identity(context: Context, host: Host, accepted: AcceptedIdentity) -> None:
    """Write down by what a host is known from now on. Raises ``FileExistsError`` as ``add_identity`` does."""
    with _backend(context, host) as backend, _opened(context, host, backend) as repository:
        add_identity(RecordStore(backend), repository, accepted)


@contextmanager
def records_of(context: Context, host: Host) -> Iterator[RecordStore]:
    """Give the records beside the repository of a host, without opening that."""
    with _backend(context, host) as backend:
        yield RecordStore(backend)


def _backend(context: Context, host: Host) -> AbstractContextManager[Backend]:
    return closing(repository_backend(context, repository_place(context, host.site, host=host.name).location))


def _opened(context: Context, host: Host, backend: Backend) -> AbstractContextManager[Repository]:
    password = context.secret(repository_place(context, host.site, host=host.name).password)
    return closing(Repository.open(backend, password.get_secret_value()))


@dataclass(frozen=True, slots=True)
class _Read:
    found: tuple[AcceptedIdentity, ...] = ()
    problem: str = ""


class RecordedIdentities:
    """What the records say of one host, read while the link is being opened."""

    def __init__(self, context: Context, host: Host, *, read: Callable[[], tuple[AcceptedIdentity, ...]] | None = None):
        """Begin to read, on a thread that nobody waits for when the store hangs."""
        self._host = host.name
        self._shown: HostIdentity | None = None
        self._used: AcceptedIdentity | None = None
        self._reading: Future[_Read] = Future()
        take = read or (lambda: read_identities(context, host))
        threading.Thread(target=self._read, args=(take,), name="firstbell-identities", daemon=True).start()

    def _read(self, take: Callable[[], tuple[AcceptedIdentity, ...]]) -> None:
        try:
            self._reading.set_result(_Read(take()))
        except FirstbellError as error:
            self._reading.set_result(_Read(problem=error.message))
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result
            self._reading.set_exception(error)

    def _result(self) -> _Read:
        try:
            return self._reading.result(PATIENCE)
        except Late:
            return _Read(problem="the repository does not answer")

    @property
    def newest(self) -> AcceptedIdentity | None:
        """The identity by which the host is known now, None when it was never set up anew."""
        found = self._result().found
        return found[-1] if found else None

    def accept(self, shown: HostIdentity) -> bool | Accepted:
        """Accept the identity that was accepted last, and no other; what ``Transport.open`` takes."""
        self._shown = shown
        newest = self.newest
        if newest is None or newest.identity != shown:
            return False
        self._used = newest
        # A person has compared it, as for an entry in known_hosts.
        return "compared" if newest.by else "without-password"

    @property
    def other_algorithm(self) -> str:
        """The algorithm of the key to ask an SSH host for, when it was known by one and has shown another one."""
        newest = self.newest if self._shown is not None else None
        if newest is None or self._shown is None or newest.identity.kind != "ssh-host-key":
            return ""
        return newest.identity.algorithm if newest.identity.algorithm != self._shown.algorithm else ""

    def explain(self, error: IdentityRefused) -> IdentityRefused:
        """Return the refusal with what the records add to it."""
        result = self._result()
        message, hint = error.message, error.hint
        if result.problem:
            message += f"; whether it was set up anew and accepted could not be looked up: {result.problem}"
        elif result.found and self._shown is not None:
            message += f"; accepted last, {_day(result.found[-1].at)}, was {result.found[-1].identity.fingerprint}"
            hint = accept_by_hand(self._host, self._shown.fingerprint)
        return IdentityRefused(message, hint=hint, host=self._host)

    def check(self, shown: HostIdentity, serial: str) -> None:
        """Check a host that let us in. Raises ``IdentityRefused``.

        Where it is known by the records, by its serial number; where by the worker's own files, that this is no
        identity from before it was set up anew. Records that cannot be read, or not in time, forbid nothing here.
        """
        if not shown.fingerprint:
            return
        if self._used is not None:
            verdict = settle(serial, expected=self._used.serial, only_proof=bool(self._used.serial))
            if not verdict.accepted:
                hint = accept_by_hand(self._host, shown.fingerprint)
                raise IdentityRefused(verdict.why, hint=hint, host=self._host)
            return
        found = self._result().found
        if not found or found[-1].identity == shown:
            return
        if any(shown in (one.before, one.identity) for one in found):
            raise IdentityRefused(
                f"it shows {shown.fingerprint}, which was its identity before it was set up anew; since "
                f"{_day(found[-1].at)} it is known by {found[-1].identity.fingerprint}",
                hint=(
                    "Somebody may use the key of the old disk. Take the old entry out of known_hosts, or of "
                    f"'winrm.fingerprint'. {accept_by_hand(self._host, shown.fingerprint)}"
                ),
                host=self._host,
            )


def _day(moment: datetime) -> str:
    return f"on {moment.astimezone(UTC):%Y-%m-%d}"
