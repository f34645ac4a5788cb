"""``doctor``: everything a run on a host needs, tried one by one, each line with its cure."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from inventory.model import Host
from tasks.errors import FirstbellError
from tasks.events import SkipReason
from tasks.remote.filesystem import Facts, RemoteHost
from tasks.verbs.check import CLOCK_TOLERANCE, LITTLE_SPACE, Check
from tasks.verbs.connection import connect
from tasks.verbs.context import Context
from tasks.verbs.doctor_spool import SpoolTrial
from tasks.verbs.people import capture_roots, covered_people, people_asked
from tasks.verbs.site_repository import open_repository

#: A host without a complete snapshot for longer than this is told.
STALE = timedelta(days=3)
_SERVICE = {
    "ssh": "Is the computer on and in this network, and is its SSH service running? On Linux: systemctl status ssh. "
    "On macOS: System Settings, General, Sharing, Remote Login. On Windows: Get-Service sshd.",
    "winrm": "Is the computer on and in this network, and was it prepared? docs/windows/prepare-pc.ps1 sets WinRM up; "
    "its firewall rule lets only the named workers through, in private and domain networks.",
}
_ALLOW = {
    "posix": "Let the account read it (root or 'become: sudo'). On macOS give sshd Full Disk Access: "
    "System Settings, Privacy & Security, Full Disk Access.",
    "windows": "Put the account into Administrators, with its full rights: see the lines 'admin' and 'privileges'.",
}


__all__ = ["Check", "examine"]


def examine(context: Context, host_name: str) -> Iterator[Check]:
    """Yield one check after the other as it is done; stops where the next ones cannot be tried."""
    host = context.host(host_name)
    yield Check("inventory", "ok", f"site {host.site}, {host.transport}, {host.address}:{host.port}")
    yield from _reach(host)
    spool = SpoolTrial()
    try:
        with connect(context, host, notes=spool.notes, watch=spool.watch) as remote:
            yield from _look_around(context, host, remote)
            spool.run(remote)
        if host.transport == "winrm":
            yield spool.check()
    except FirstbellError as error:
        yield Check("connection", "fail", error.message, error.hint)
    yield from _repository(context, host)


def _reach(host: Host) -> Iterator[Check]:
    if host.transport == "local" or (host.transport == "ssh" and (host.ssh.jump or host.ssh.use_ssh_config)):
        return
    started = time.monotonic()
    try:
        with socket.create_connection((host.address, host.port), timeout=10):
            yield Check("network", "ok", f"port {host.port} answers in {(time.monotonic() - started) * 1000:.0f} ms")
    except OSError as error:
        yield Check(
            "network",
            "fail",
            f"{host.address}:{host.port}: {error.strerror or error}",
            _SERVICE["winrm" if host.transport == "winrm" else "ssh"],
        )
        return
    if host.transport == "winrm":
        from tasks.verbs.doctor_tls import certificate_checks

        yield from certificate_checks(host)


def _look_around(context: Context, host: Host, remote: RemoteHost) -> Iterator[Check]:
    hello = remote.hello
    yield Check("login", "ok", f"signed in as {hello.user}, helper {hello.helper}")
    for limit in hello.limits:
        yield Check("helper", "warn", limit, "Nothing to do if that is acceptable; docs/operator-guide.md, section 4.")
    facts = remote.facts(people_asked(host, hello.platform))
    windows = facts.platform == "windows"
    if windows:
        from tasks.verbs.doctor_windows import people_checks, windows_checks

        yield Check("system", "ok", facts.system)
        yield from windows_checks(host, facts)
    else:
        yield Check("system", "ok", f"{facts.system}, interpreter {facts.python or 'none: files go over SFTP'}")
        yield _privilege(host, facts)
        yield _clock(facts)
    people, notes = covered_people(host, facts)
    for note in notes:
        yield Check("people", "warn", note, "Nothing to do if that is right; else mend 'teachers' in the inventory.")
    if people:
        yield Check("people", "ok", "covers " + ", ".join(person.title for person in people))
    elif not notes:
        yield Check(
            "people", "warn", "nobody has a user profile on this computer", "Name the teachers in the inventory."
        )
    if windows:
        yield from people_checks(facts, people)
    roots = capture_roots(host.folders(context.config.snapshot_for(host.site).include), people)
    found = remote.sink().stat(roots)
    for root, node in zip(roots, found, strict=True):
        shown = root.decode("utf-8", "backslashreplace")
        if node is None:
            yield Check("folder", "fail", f"{shown} is not there", "Mend 'include' or 'teachers' in the inventory.")
        else:
            yield _readable(remote, root, shown, _ALLOW["windows" if windows else "posix"])
    yield from _space(facts)


def _privilege(host: Host, facts: Facts) -> Check:
    if facts.uid == 0:
        return Check("privilege", "ok", "reads everybody's files")
    return Check(
        "privilege",
        "warn",
        "not an administrator: other people's private files will be missing from the snapshot",
        "Set 'become: sudo' for this computer and allow the account to run sudo without a password."
        if host.become is None
        else "sudo did not give root; see 'sudo -l' on that computer.",
    )


def _clock(facts: Facts) -> Check:
    offset = facts.time_ns / 1e9 - time.time()
    if abs(offset) <= CLOCK_TOLERANCE:
        return Check("clock", "ok", f"within {max(1, round(abs(offset)))} s of ours")
    return Check(
        "clock",
        "warn",
        f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} ours: a restore may misjudge what is newer",
        "Turn on time synchronization on that computer (timedatectl set-ntp true).",
    )


def _readable(remote: RemoteHost, root: bytes, shown: str, cure: str) -> Check:
    """Look at the top of a folder only: a doctor must not take as long as a snapshot."""
    from tasks.archiver.source import Directory, Skipped, WalkRequest

    denied: tuple[SkipReason, ...] = ("denied", "unreadable")
    for entry in remote.source().entries(WalkRequest(roots=(root,))):
        if isinstance(entry, Skipped) and entry.path == root and entry.reason in denied:
            return Check("folder", "fail", f"{shown} may not be read", cure)
        if isinstance(entry, Directory) and entry.path == root:
            return Check("folder", "ok", f"{shown}, {len(entry.children)} entries")
    return Check("folder", "ok", shown)


def _space(facts: Facts) -> Iterator[Check]:
    for disk in facts.disk:
        shown = f"{disk.free / 2**30:.1f} GiB free on {disk.path.decode('utf-8', 'backslashreplace')}"
        if disk.free < LITTLE_SPACE:
            yield Check("disk", "warn", shown, "A restore needs room for what it brings back: free some space first.")
        else:
            yield Check("disk", "ok", shown)


def _repository(context: Context, host: Host) -> Iterator[Check]:
    try:
        with open_repository(context, host.site, host=host.name, lock=False) as opened:
            yield Check("repository", "ok", f"{opened.place.location} opens")
            own = [snapshot for snapshot in opened.snapshots() if snapshot.hostname == host.name]
            good = [snapshot for snapshot in own if "state:partial" not in snapshot.tags]
            if not own:
                yield Check("snapshots", "warn", "none yet", f"Make the first one: firstbell snapshot {host.name}")
            elif not good or datetime.now(UTC) - good[-1].time > STALE:
                last = f"the last complete one is of {good[-1].time:%Y-%m-%d}" if good else "none of them is complete"
                yield Check("snapshots", "warn", f"{len(own)}; {last}", "See why: firstbell snapshot " + host.name)
            else:
                yield Check("snapshots", "ok", f"{len(own)}, the newest of {own[-1].time:%Y-%m-%d %H:%M} UTC")
    except FirstbellError as error:
        yield Check("repository", "fail", error.message, error.hint)
