"""Open the link to a host and start the helper there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from inventory.model import Host, JumpHost, SshAccess
from tasks.errors import IdentityRefused
from tasks.remote.filesystem import RemoteHost
from tasks.remote.launcher import launch
from tasks.transports.base import AcceptIdentity, HostIdentity, refuse_unknown
from tasks.transports.known_hosts import signatures_of
from tasks.transports.registry import make_transport
from tasks.transports.ssh_settings import SshSettings
from tasks.transports.winrm_settings import WinRmSettings
from tasks.verbs.context import Context
from tasks.verbs.identities import RecordedIdentities
from tasks.verbs.site_repository import s3_options

if TYPE_CHECKING:
    from tasks.backends.spool import SpoolStore
    from tasks.remote.windows_launcher import Spooling

#: What passes through WinRM itself, without a spool, in bytes per second: half of what was measured on a quick network.
ENVELOPE_RATE: Final = 5_000_000


@contextmanager
def connect(
    context: Context,
    host: Host,
    *,
    notes: list[str] | None = None,
    watch: Callable[[SpoolStore], SpoolStore] | None = None,
    seen: Callable[[HostIdentity], None] | None = None,
) -> Iterator[RemoteHost]:
    """Connect to a host, start the helper, and close both at the end, whatever happened.

    A host that was set up anew is known by the identity that was accepted then: ``verbs.identities``. ``notes`` gets a
    sentence, at any time, when a Windows host cannot hand over its files directly. ``watch`` may wrap the spool, to see
    what passes. ``seen`` is told how the host proved who it is. Raises a ``TransportError`` that names the host, the
    cause and the cure.
    """
    if host.transport == "local":
        with open_link(context, host, notes=notes, watch=watch) as link:
            if seen is not None:
                seen(link.identity)
            yield link.remote
        return
    known = RecordedIdentities(context, host)
    with ExitStack() as held:
        try:
            link = held.enter_context(open_link(context, host, accept_identity=known.accept, notes=notes, watch=watch))
        except IdentityRefused as error:
            algorithm = known.other_algorithm
            if not algorithm:
                raise known.explain(error) from error
            # It has keys of several kinds, and was accepted by another one of them.
            again = open_link(
                context, host, accept_identity=known.accept, algorithm=algorithm, notes=notes, watch=watch
            )
            link = held.enter_context(again)
        known.check(link.identity, link.remote.hello.serial)
        if seen is not None:
            seen(link.identity)
        yield link.remote


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A host whose helper runs, and how it showed who it is."""

    remote: RemoteHost
    identity: HostIdentity


@contextmanager
def open_link(
    context: Context,
    host: Host,
    *,
    accept_identity: AcceptIdentity = refuse_unknown,
    algorithm: str = "",
    notes: list[str] | None = None,
    watch: Callable[[SpoolStore], SpoolStore] | None = None,
) -> Iterator[OpenLink]:
    """Do what ``connect`` does, for a host that ``accept_identity`` accepts when the worker does not know it.

    ``algorithm`` is that of the SSH host key to ask for first.
    """
    transport = make_transport(host.transport, host.name, _settings(context, host, algorithm))
    with ExitStack() as held:
        spooling = held.enter_context(_spooling(context, host, [] if notes is None else notes))
        if spooling is not None and watch is not None:
            spooling = replace(spooling, store=watch(spooling.store))
        held.enter_context(context.links.holding(transport))
        transport.open(accept_identity)
        channel, hello = launch(transport, become=host.become, platform=host.platform, spooling=spooling)
        remote = RemoteHost(channel, hello)
        held.callback(remote.close)
        yield OpenLink(remote, transport.identity())


def without_spool(context: Context, host: Host) -> bool:
    """Return whether everything goes through WinRM itself, for want of a spool."""
    return host.transport == "winrm" and context.config.spool_for(host.site) is None


def envelope_note(size: int | None = None) -> str:
    """Return what a person should know where there is no spool; ``size`` is what is to be moved, in bytes."""
    text = "there is no spool, so everything goes through WinRM itself, which is slow"
    if size is None:
        return f"{text}: about {_minutes(10**9)} for each GB"
    return f"{text}: about {_minutes(size)} for this"


def _minutes(size: int) -> str:
    minutes = math.ceil(size / ENVELOPE_RATE / 60)
    if minutes < 120:
        return "1 minute" if minutes <= 1 else f"{minutes} minutes"
    return f"{math.ceil(minutes / 60)} hours"


@contextmanager
def _spooling(context: Context, host: Host, notes: list[str]) -> Iterator[Spooling | None]:
    """Give the spool of a host over WinRM, for the time of its run."""
    location = context.config.spool_for(host.site)
    if host.transport != "winrm" or location is None:
        yield None
        return
    from tasks.backends.s3_location import parse_s3_location
    from tasks.backends.s3_spool import S3Spool
    from tasks.remote.windows_launcher import Spooling

    spool = context.config.spool
    place = parse_s3_location(location.removeprefix("s3:"))
    store = S3Spool(place, s3_options(context), minutes=spool.url_minutes, reach=spool.public_endpoint)
    with closing(store):
        yield Spooling(store, spool.proxy, notes.append)


def _settings(context: Context, host: Host, algorithm: str = "") -> SshSettings | WinRmSettings | None:
    if host.transport == "ssh":
        settings = ssh_settings(context, host)
        return replace(settings, host_key_algorithms=signatures_of(algorithm)) if algorithm else settings
    return winrm_settings(context, host) if host.transport == "winrm" else None


def winrm_settings(context: Context, host: Host) -> WinRmSettings:
    """Return how to reach a host over WinRM, its secrets resolved."""
    access = host.winrm
    return WinRmSettings(
        address=host.address,
        port=host.port,
        scheme=access.scheme,
        auth=access.auth,
        user=host.user,
        # Not even resolved where it is not used: a reference that is broken would stop a host that needs none.
        password=context.secret(access.password) if access.password and access.auth in ("ntlm", "basic") else None,
        ca_file=_path(access.ca_file),
        fingerprint=access.fingerprint,
        certificate_file=_path(access.certificate_file),
        key_file=_path(access.key_file),
    )


def _path(name: str | None) -> Path | None:
    return Path(name).expanduser() if name else None


def ssh_settings(context: Context, host: Host) -> SshSettings:
    """Return how to reach a host over SSH, its secrets resolved."""
    jump = host.ssh.jump
    return SshSettings(
        address=host.address,
        port=host.port,
        user=host.user,
        jump=SshSettings(address=jump.address, port=jump.port, user=jump.user, **_access(context, jump))
        if jump
        else None,
        **_access(context, host.ssh),
    )


def _access(context: Context, access: SshAccess | JumpHost) -> dict[str, Any]:
    return {
        "key_files": tuple(Path(name).expanduser() for name in access.key_files),
        "key_passphrase": context.secret(access.key_passphrase) if access.key_passphrase else None,
        "password": context.secret(access.password) if access.password else None,
        "use_agent": access.use_agent,
        "use_ssh_config": access.use_ssh_config,
        "known_hosts": _path(access.known_hosts),
    }
