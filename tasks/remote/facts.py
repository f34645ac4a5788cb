"""What a host says about itself and its people, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.errors import ProtocolError
from tasks.remote.frames import Frame, decode_path


@dataclass(frozen=True, slots=True)
class Hello:
    """How a helper introduced itself. ``uid`` is -1 where the host has none; ``time_ns`` is the host's clock.

    ``limits`` are sentences about what it cannot do on this host.
    """

    platform: str
    hostname: str
    serial: str
    user: str
    uid: int
    time_ns: int
    helper: str
    pid: int
    limits: tuple[str, ...] = ()
    #: Whether it compares what it reads back of a file with the hash it was told before the file gets its name.
    proves: bool = False


@dataclass(frozen=True, slots=True)
class UserProfile:
    """A person's account. ``home`` and ``folders`` are real paths; ``folders`` by names such as ``documents``.

    ``domain`` is whose account it is on Windows: of a domain, or of the computer itself.
    """

    name: str
    uid: int
    gid: int
    home: bytes
    full_name: str
    exists: bool
    folders: Mapping[str, bytes] = field(default_factory=dict)
    domain: str = ""

    @property
    def full_account(self) -> str:
        """Return the name with its domain, where that is told."""
        return f"{self.domain}\\{self.name}" if self.domain else self.name


@dataclass(frozen=True, slots=True)
class Disk:
    """Space of the file system that ``path`` is on, in bytes; ``free`` is what an ordinary user may still take."""

    path: bytes
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class OneDriveFolder:
    """A folder that OneDrive keeps for somebody, and the account there, as far as it is told."""

    folder: bytes
    account: str = ""


@dataclass(frozen=True, slots=True)
class WindowsFacts:
    """What only a Windows host tells of itself and of the account that firstbell works as."""

    #: Version of the PowerShell that runs the helper, and its language mode.
    powershell: str = ""
    language_mode: str = ""
    #: Whether the token is an administrator's in full; None where that is not known.
    admin: bool | None = None
    privileges: tuple[str, ...] = ()
    #: ``allowed``, or a sentence that says why no shadow copy can be made.
    shadow_copies: str = ""
    #: What WinRM grants a shell, by the names that Windows has for it.
    quotas: Mapping[str, Any] = field(default_factory=dict)
    #: Account -> its folders in OneDrive.
    onedrive: Mapping[str, tuple[OneDriveFolder, ...]] = field(default_factory=dict)
    #: Accounts whose profile is in use right now.
    loaded: tuple[str, ...] = ()
    #: Keys of the facts that were told at all: nobody in OneDrive is not the same as not known.
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """A host and its people. ``python`` is empty where files go over SFTP; ``time_ns`` is the host's clock."""

    platform: str
    system: str
    hostname: str
    serial: str
    machine_id: str
    python: str
    uid: int
    time_ns: int
    users: tuple[UserProfile, ...]
    disk: tuple[Disk, ...]
    windows: WindowsFacts | None = None


def hello_of(frame: Frame, host: str = "") -> Hello:
    """Return what a ``hello`` frame says. Raises ``ProtocolError`` when it is none."""
    header = frame.header
    if frame.type != "hello":
        raise ProtocolError(f"the helper answered {frame.type!r} instead of hello", host=host)
    return Hello(
        platform=str(header.get("platform", "")),
        hostname=str(header.get("hostname", "")),
        serial=str(header.get("serial") or ""),
        user=str(header.get("user", "")),
        uid=_number(header.get("uid"), -1),
        time_ns=_number(header.get("time"), 0),
        helper=str(header.get("helper", "")),
        pid=_number(header.get("pid"), 0),
        limits=tuple(str(limit) for limit in header.get("limits") or ()),
        proves=header.get("proves") is True,
    )


def facts_of(document: Mapping[str, Any]) -> Facts:
    """Return the facts that a helper told. Raises ``ProtocolError`` when they are not as the contract says."""
    try:
        return Facts(
            platform=document["platform"],
            system=document["system"],
            hostname=document["hostname"],
            serial=document.get("serial") or "",
            machine_id=document.get("machine_id") or "",
            python=document.get("python") or "",
            uid=_number(document.get("uid"), -1),
            time_ns=document["time"],
            users=tuple(_profile(user) for user in document["users"]),
            disk=tuple(Disk(decode_path(disk["path"]), disk["free"], disk["total"]) for disk in document["disk"]),
            windows=_windows(document.get("windows")),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"the helper's facts are not complete: {error}") from error


def _windows(told: Mapping[str, Any] | None) -> WindowsFacts | None:
    if told is None:
        return None
    admin = told.get("admin")
    return WindowsFacts(
        powershell=str(told.get("powershell") or ""),
        language_mode=str(told.get("language_mode") or ""),
        admin=admin if isinstance(admin, bool) else None,
        privileges=tuple(str(one) for one in told.get("privileges") or ()),
        shadow_copies=str(told.get("shadow_copies") or ""),
        quotas=dict(told.get("quotas") or {}),
        onedrive={
            str(user): tuple(
                OneDriveFolder(decode_path(one["folder"]), str(one.get("account") or ""))
                for one in folders
                if one.get("folder")
            )
            for user, folders in (told.get("onedrive") or {}).items()
        },
        loaded=tuple(str(one) for one in told.get("loaded") or ()),
        known=frozenset(key for key, value in told.items() if value is not None),
    )


def _profile(user: Mapping[str, Any]) -> UserProfile:
    return UserProfile(
        name=user["name"],
        uid=_number(user["uid"], -1),
        gid=_number(user["gid"], -1),
        home=decode_path(user["home"]),
        full_name=user.get("full_name") or "",
        exists=bool(user["exists"]),
        folders={name: decode_path(path) for name, path in user["folders"].items()},
        domain=str(user.get("domain") or ""),
    )


def _number(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
