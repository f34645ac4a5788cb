"""Open the link to a host and start the helper there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inventory.model import Host, JumpHost, SshAccess
from tasks.remote.filesystem import RemoteHost
from tasks.remote.launcher import launch
from tasks.transports.registry import make_transport
from tasks.transports.ssh_settings import SshSettings
from tasks.verbs.context import Context


@contextmanager
def connect(context: Context, host: Host) -> Iterator[RemoteHost]:
    """Connect to a host, start the helper, and close both at the end, whatever happened.

    Raises a ``TransportError`` that names the host, the cause and the cure.
    """
    settings = ssh_settings(context, host) if host.transport == "ssh" else None
    transport = make_transport(host.transport, host.name, settings)
    with context.links.holding(transport):
        transport.open()
        channel, hello = launch(transport, become=host.become)
        remote = RemoteHost(channel, hello)
        try:
            yield remote
        finally:
            remote.close()


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
        "known_hosts": Path(access.known_hosts).expanduser() if access.known_hosts else None,
    }
