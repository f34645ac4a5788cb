"""Is the host the one we know? Its key against known_hosts, and what to tell a person when it is not."""

from __future__ import annotations

import shlex
from pathlib import Path

import paramiko

from tasks.errors import IdentityRefused
from tasks.transports.base import AcceptIdentity, HostIdentity
from tasks.transports.known_hosts import KnownHosts, Verdict, default_files, fingerprint, host_name
from tasks.transports.ssh_settings import SshSettings


def lookup(host: str, settings: SshSettings) -> KnownHosts:
    """Return what known_hosts says of the host. Raises ``IdentityRefused`` when the file cannot be read."""
    files = _files(settings)
    try:
        return KnownHosts.lookup(files, settings.address, settings.port)
    except OSError as error:
        raise IdentityRefused(
            f"{error.filename} cannot be read: {error.strerror}",
            hint="Make the file readable for the account that runs firstbell.",
            host=host,
        ) from error


def check_identity(
    host: str, settings: SshSettings, key: paramiko.PKey, known: KnownHosts, accept_identity: AcceptIdentity
) -> tuple[HostIdentity, bool]:
    """Return the identity that ``key`` proves, and whether no password may be offered to it.

    Raises ``IdentityRefused`` when the key is revoked, or neither known nor accepted.
    """
    blob = key.asbytes()
    identity = HostIdentity("ssh-host-key", key.get_name(), fingerprint(blob))
    verdict = known.check(blob)
    if verdict == "known":
        return identity, False
    accepted = accept_identity(identity) if verdict != "revoked" else False
    if accepted:
        return identity, accepted == "without-password" or (accepted is True and verdict == "changed")
    raise _refused(host, settings, identity, known, verdict)


def _files(settings: SshSettings) -> tuple[Path, ...]:
    return (settings.known_hosts.expanduser(),) if settings.known_hosts is not None else default_files()


def _refused(
    host: str, settings: SshSettings, identity: HostIdentity, known: KnownHosts, verdict: Verdict
) -> IdentityRefused:
    name = host_name(settings.address, settings.port)
    file = _files(settings)[0]
    seen = f"{identity.algorithm} key {identity.fingerprint}"
    scan = f"ssh-keyscan -p {settings.port} {shlex.quote(settings.address)} >> {shlex.quote(str(file))}"
    if verdict == "revoked":
        message = f"{name} shows the {seen}, which is marked @revoked in known_hosts"
        hint = "Somebody else may hold this key. Give the host a new key before anything is sent to it."
    elif verdict == "changed":
        expected = ", ".join(
            f"{entry.algorithm} {entry.fingerprint} ({entry.file} line {entry.line})" for entry in known.trusted
        )
        message = f"{name} shows the {seen}, but known is {expected}"
        where = shlex.quote(str(known.trusted[0].file))
        hint = (
            "Either the computer was set up anew, or somebody stands between. Compare the fingerprint at the computer "
            f"(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub); if it is right: ssh-keygen -f {where} "
            f"-R {shlex.quote(name)} && {scan}"
        )
    else:
        message = f"{name} is not known: it shows the {seen}, and {file} has no entry for it"
        hint = f"Compare the fingerprint with the computer's; if it is right, add it: {scan}"
    if known.authorities and verdict != "revoked":
        message += "; @cert-authority lines of known_hosts are not supported, only the host's own keys"
    return IdentityRefused(message, hint=hint, host=host)
