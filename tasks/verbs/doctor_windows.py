"""What ``doctor`` looks at on Windows besides what it does on every host: from the facts that the helper told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from inventory.model import Host
from tasks.remote.filesystem import Disk, Facts, WindowsFacts
from tasks.verbs.accounts import same_account
from tasks.verbs.check import CLOCK_TOLERANCE, Check, not_known
from tasks.verbs.people import Person

_GUIDE: Final = "docs/windows.md"
_AGAIN: Final = "Try again; if it stays so, make windows-field-check tells more, and its result file is worth a report."
_EXPECTED: Final = "5.1"
#: What the helper turns on to read and to write every teacher's files.
_PRIVILEGES: Final = ("SeBackupPrivilege", "SeRestorePrivilege")
#: Room that a shadow copy may take while files change, in bytes. Windows wants 320 MB at least.
_SHADOW_ROOM: Final = 2 * 2**30
#: Quota -> what firstbell needs at least. IdleTimeout in milliseconds: longer than a link's own silence.
_QUOTAS: Final[Mapping[str, int]] = {
    "MaxMemoryPerShellMB": 1024,
    "MaxProcessesPerShell": 5,
    "MaxShellsPerUser": 5,
    "IdleTimeout": 180_000,
}


def windows_checks(host: Host, facts: Facts) -> Iterator[Check]:
    """Yield what the account may do on a Windows host, and what its Windows allows."""
    told = facts.windows or WindowsFacts()
    yield _admin(host, told)
    yield _privileges(told)
    yield _powershell(told)
    yield _language(told)
    if host.transport == "winrm":
        yield from _quotas(told.quotas)
    yield windows_clock(facts)
    yield _shadow_copy(host, told, facts.disk)


def people_checks(facts: Facts, people: Iterable[Person]) -> Iterator[Check]:
    """Yield what is to be known of the covered people's profiles."""
    told = facts.windows or WindowsFacts()
    covered = list(people)
    yield _profiles(told, covered)
    yield _onedrive(told, covered)


def windows_clock(facts: Facts, now: float | None = None) -> Check:
    """Return how far the host's clock is from ours."""
    offset = facts.time_ns / 1e9 - (time.time() if now is None else now)
    if abs(offset) <= CLOCK_TOLERANCE:
        return Check("clock", "ok", f"within {max(1, round(abs(offset)))} s of ours")
    return Check(
        "clock",
        "warn",
        f"{abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} ours: a restore may misjudge what is newer, and "
        "TLS may fail",
        "Let that computer set its clock: w32tm /resync (as an administrator).",
    )


def _admin(host: Host, told: WindowsFacts) -> Check:
    if told.admin is None:
        return not_known("admin", _AGAIN)
    if told.admin:
        return Check("admin", "ok", "the account has an administrator's full rights")
    return Check(
        "admin",
        "warn",
        "the account has not an administrator's full rights: other people's files will be missing, and no shadow copy "
        "can be made",
        f"Put {host.user or 'the account'} into Administrators. A local account also needs "
        f"LocalAccountTokenFilterPolicy = 1: {_GUIDE}, section 3.",
    )


def _privileges(told: WindowsFacts) -> Check:
    if not told.privileges:
        return not_known("privileges", _AGAIN)
    missing = [name for name in _PRIVILEGES if name not in told.privileges]
    if not missing:
        return Check("privileges", "ok", "may read and write everybody's files")
    what = "read" if "SeBackupPrivilege" in missing else "write"
    return Check(
        "privileges",
        "warn",
        f"without {' and '.join(missing)}: may not {what} everybody's files",
        "Give the account 'Back up files and directories' and 'Restore files and directories': secpol.msc or a group "
        "policy, User Rights Assignment.",
    )


def _powershell(told: WindowsFacts) -> Check:
    version = told.powershell
    if not version:
        return not_known("powershell", _AGAIN)
    if version.startswith(_EXPECTED):
        return Check("powershell", "ok", version)
    if version.partition(".")[0] in ("2", "3", "4"):
        return Check("powershell", "fail", version, "Install Windows Management Framework 5.1, or a newer Windows.")
    return Check("powershell", "warn", f"{version}, where {_EXPECTED} is expected", "Please report how it goes.")


def _language(told: WindowsFacts) -> Check:
    mode = told.language_mode
    if not mode:
        return not_known("language", _AGAIN)
    if mode == "FullLanguage":
        return Check("language", "ok", mode)
    return Check(
        "language",
        "fail",
        f"{mode}: AppLocker or App Control for Business does not let the helper work",
        f"Allow it as {_GUIDE}, section 8, says.",
    )


def _quotas(quotas: Mapping[str, Any] | None) -> Iterator[Check]:
    if not quotas:
        yield not_known("quotas", "On that computer: winrm get winrm/config/winrs")
        return
    numbers = {name: _number(quotas.get(name)) for name in _QUOTAS}
    low = [name for name, least in _QUOTAS.items() if (number := numbers[name]) is not None and number < least]
    for name in low:
        yield Check(
            "quotas",
            "warn",
            f"{name} is {numbers[name]}, and {_QUOTAS[name]} is needed",
            f"On that computer: Set-Item WSMan:\\localhost\\Shell\\{name} {_QUOTAS[name]} (or by group policy)",
        )
    missing = [name for name, number in numbers.items() if number is None]
    if missing:
        yield Check(
            "quotas", "warn", f"not known: {', '.join(missing)}", "On that computer: winrm get winrm/config/winrs"
        )
    elif not low:
        yield Check("quotas", "ok", ", ".join(f"{name} {number}" for name, number in numbers.items()))


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else None


def _shadow_copy(host: Host, told: WindowsFacts, disks: Iterable[Disk]) -> Check:
    if host.shadow_copy == "never":
        return Check("shadow", "ok", "no shadow copy, as the inventory says: open files are read as they are")
    if not told.shadow_copies:
        return not_known("shadow", _AGAIN)
    if told.shadow_copies != "allowed":
        return Check(
            "shadow",
            "warn",
            f"{told.shadow_copies.rstrip('.')}: files are read as they are, and open ones may be missing",
            f"{_GUIDE}, section 5, has the usual reasons; 'shadow_copy: never' silences this line.",
        )
    little = [disk for disk in disks if disk.free < _SHADOW_ROOM]
    if little:
        shown = ", ".join(f"{_shown(disk.path)} {disk.free / 2**30:.1f} GiB" for disk in little)
        return Check(
            "shadow",
            "warn",
            f"allowed, but there is little room: {shown}",
            f"Free {_SHADOW_ROOM // 2**30} GiB, or Windows may drop the shadow copy in the middle of a snapshot.",
        )
    return Check("shadow", "ok", "a shadow copy is allowed, and there is room for it")


def _profiles(told: WindowsFacts, people: Iterable[Person]) -> Check:
    if "loaded" not in told.known:
        return not_known("profiles", "Let the teachers sign out before a restore; a snapshot does not mind.")
    busy = [person.title for person in people if any(same_account(person.name, name) for name in told.loaded)]
    if busy:
        return Check(
            "profiles",
            "warn",
            "signed in now: " + ", ".join(busy),
            "Let them sign out before a restore: open programs hold files. A snapshot does not mind.",
        )
    return Check("profiles", "ok", "nobody of them is signed in")


def _onedrive(told: WindowsFacts, people: Iterable[Person]) -> Check:
    if "onedrive" not in told.known:
        return not_known("onedrive", _AGAIN)
    used = [
        f"{person.title}: {_shown(one.folder)}{f' ({one.account})' if one.account else ''}"
        for person in people
        for name, folders in told.onedrive.items()
        if same_account(person.name, name)
        for one in folders
    ]
    if not used:
        return Check("onedrive", "ok", "no folder of OneDrive is told for the people covered")
    return Check(
        "onedrive",
        "ok",
        f"{'; '.join(used)}; what is only in the cloud is listed, not saved",
    )


def expiry_check(name: str, until: datetime, shown: str, now: datetime | None = None) -> Check:
    """Return the line for a certificate that ends at ``until``."""
    days = (until - (now or datetime.now(UTC))).days
    renew = (
        "Run docs/windows/prepare-pc.ps1 on that computer once more: it makes a new one. Then set 'winrm.fingerprint' "
        "to what it prints."
    )
    if days < 0:
        return Check(name, "warn", f"{shown}, ended on {until:%Y-%m-%d}", renew)
    if days < 30:
        return Check(name, "warn", f"{shown}, ends on {until:%Y-%m-%d}", renew)
    return Check(name, "ok", f"{shown}, until {until:%Y-%m-%d}")


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
