"""What a host tells about itself through files that anybody may read."""

from __future__ import annotations

import plistlib
import re
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tasks.remote.frames import PROTOCOL_VERSION, encode_path
from tasks.remote.sftp.paths import join
from tasks.remote.sftp.rows import Accounts, kind_of, text_of
from tasks.transports.sftp_client import SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes

#: What boards say that have no serial number.
_NO_SERIAL: Final = (
    "", "0", "none", "default string", "to be filled by o.e.m.", "system serial number", "not specified",
)  # fmt: skip
#: xdg-user-dirs(5): the name of a folder in the settings, ours, and the folder in English.
_XDG: Final = {
    "DESKTOP": ("desktop", b"Desktop"),
    "DOCUMENTS": ("documents", b"Documents"),
    "DOWNLOAD": ("downloads", b"Downloads"),
    "PICTURES": ("pictures", b"Pictures"),
    "MUSIC": ("music", b"Music"),
    "VIDEOS": ("videos", b"Videos"),
    "PUBLICSHARE": ("public", b"Public"),
    "TEMPLATES": ("templates", b"Templates"),
}
_MAC: Final = {name: folder for name, folder in _XDG.values() if name != "templates"} | {"videos": b"Movies"}
_MAC_VERSION: Final = b"/System/Library/CoreServices/SystemVersion.plist"
_MAC_NAMES: Final = b"/Library/Preferences/SystemConfiguration/preferences.plist"


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    full_name: str
    home: bytes
    shell: str = ""


class Facts:
    """What there is to know about the host behind an SFTP server; ``address`` stands in for a name it does not tell."""

    def __init__(self, client: SftpClient, accounts: Accounts, user: str, address: str) -> None:
        self._client = client
        self._accounts = accounts
        self._user = user
        self._address = address
        self._mac = self._exists(_MAC_VERSION)

    def limits(self) -> list[str]:
        """Return what SFTP cannot do on this host, for a person."""
        found = [
            "times are whole seconds",
            "extended attributes, access lists and hard links are not seen, sparse files are read in full",
            "the time of the last status change and the inode are not known: a file counts as unchanged by its size "
            "and time alone",
            "files are hashed by reading them over the network",
        ]
        for extension, loss in (
            (b"fsync@openssh.com", "what is written is durable only when the host says so by itself"),
            (b"posix-rename@openssh.com", "a file is replaced in two steps"),
            (b"hardlink@openssh.com", "hard links cannot be made"),
            (b"lsetstat@openssh.com", "owner and time of a symlink cannot be set"),
            (b"statvfs@openssh.com", "the free space is not known"),
        ):
            if not self._client.has(extension):
                found.append(loss)
        return [*found, "FIFOs cannot be made"]

    def hello(self) -> dict[str, Any]:
        """Return the fields of ``hello``."""
        listed = {account.name: account.uid for account in self._listed()}
        return {
            "v": PROTOCOL_VERSION,
            "helper": "sftp",
            "platform": "darwin" if self._mac else "linux",
            "hostname": self._hostname(),
            "serial": self._serial(),
            "user": self._user,
            "uid": listed.get(self._user),
            # The host does not tell its clock: the worker's stands in.
            "time": time.time_ns(),
            "pid": 0,
            "limits": self.limits(),
        }

    def document(self, names: Sequence[str] | None) -> dict[str, Any]:
        """Return the facts, about these users or, with None, about all people's accounts."""
        accounts = {account.name: account for account in self._listed()}
        for account in self._owners():
            accounts.setdefault(account.name, account)
        if names is None:
            chosen = [account for account in accounts.values() if self._is_person(account)]
        else:
            chosen = [accounts[name] for name in names if name in accounts]
        profiles = [self._profile(account) for account in sorted(chosen, key=lambda item: (item.uid, item.name))]
        hello = self.hello()
        return {
            "platform": hello["platform"],
            "system": self._system(),
            "hostname": hello["hostname"],
            "serial": hello["serial"],
            "machine_id": self._text(b"/etc/machine-id", b"/var/lib/dbus/machine-id"),
            "python": "",
            "uid": hello["uid"],
            "time": hello["time"],
            "users": profiles,
            "disk": self._disk([b"/", *(account.home for account in chosen)]),
        }

    # ---- the host

    def _exists(self, path: bytes) -> bool:
        try:
            self._client.lstat(path).result()
        except SftpError:
            return False
        return True

    def _text(self, *paths: bytes) -> str:
        """Return the first of these files that says something, without blanks around it."""
        return next((text for path in paths if (text := text_of(self._client, path).strip("\0 \n\t"))), "")

    def _hostname(self) -> str:
        if not self._mac:
            return self._text(b"/proc/sys/kernel/hostname", b"/etc/hostname") or self._address
        names = self._plist(_MAC_NAMES).get("System", {}).get("Network", {}).get("HostNames", {})
        return str(names.get("LocalHostName") or self._address)

    def _plist(self, path: bytes) -> dict[str, Any]:
        try:
            document = plistlib.loads(self._client.small_file(path))
        except (SftpError, plistlib.InvalidFileException, ValueError):
            return {}
        return document if isinstance(document, dict) else {}

    def _serial(self) -> str:
        for name in (b"product_serial", b"board_serial", b"chassis_serial"):
            serial = self._text(b"/sys/class/dmi/id/" + name)
            if serial.lower() not in _NO_SERIAL:
                return serial
        return self._text(b"/sys/firmware/devicetree/base/serial-number")

    def _system(self) -> str:
        if self._mac:
            version = self._plist(_MAC_VERSION)
            return f"{version.get('ProductName', 'macOS')} {version.get('ProductVersion', '')}".strip()
        # /etc/os-release is mostly a symlink, which is not followed here.
        text = self._text(b"/usr/lib/os-release", b"/etc/os-release")
        found = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
        return found.group(1) if found else "Linux"

    def _disk(self, paths: Sequence[bytes]) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        if not self._client.has(b"statvfs@openssh.com"):
            return []
        for path in paths:
            try:
                space = self._client.space(path).result()
            except SftpError:
                continue
            found.setdefault(space.id, {"path": encode_path(path), "free": space.free, "total": space.total})
        return list(found.values())

    # ---- people

    def _listed(self) -> Iterator[_Account]:
        """Yield what /etc/passwd lists; on macOS that is system accounts only."""
        for line in text_of(self._client, b"/etc/passwd").splitlines():
            fields = line.split(":")
            if len(fields) == 7 and fields[2].isdigit() and fields[3].isdigit():
                name, _, uid, gid, full_name, home, shell = fields
                full_name = full_name.split(",")[0].strip()
                home_path = home.encode("utf-8", "surrogateescape")
                yield _Account(name, int(uid), int(gid), full_name, home_path, shell)

    def _owners(self) -> Iterator[_Account]:
        """Yield who owns a folder among the homes: accounts of a directory server, and all of macOS."""
        homes = b"/Users" if self._mac else b"/home"
        for name, attributes in self._folders_in(homes):
            if attributes.uid is None or attributes.gid is None or attributes.uid < self._least():
                continue
            home = join(homes, name)
            yield _Account(name.decode("utf-8", "replace"), attributes.uid, attributes.gid, "", home)

    def _folders_in(self, path: bytes) -> list[tuple[bytes, Attributes]]:
        try:
            entries = list(self._client.listing(self._client.opendir(path).result()))
        except SftpError:
            return []
        return [(name, attributes) for name, attributes in entries if kind_of(attributes) == "dir"]

    def _least(self) -> int:
        """Return the lowest number of a person's account."""
        if self._mac:
            return 501
        found = re.search(r"^\s*UID_MIN\s+(\d+)", self._text(b"/etc/login.defs"), re.MULTILINE)
        return int(found.group(1)) if found else 1000

    def _is_person(self, account: _Account) -> bool:
        # 61184-65519: systemd's DynamicUser; 65534, 65535 and the last two of 32 bits: nobody.
        if account.uid < self._least() or 61184 <= account.uid <= 65535 or account.uid >= 4294967294:
            return False
        if account.name.startswith("_") or account.home in (b"", b"/", b"/nonexistent", b"/dev/null", b"/var/empty"):
            return False
        return not account.shell.endswith(("/nologin", "/false")) or self._is_folder(account.home)[0]

    def _is_folder(self, path: bytes) -> tuple[bool, bytes]:
        """Return whether a path leads to a folder, or to where we may not look, and its real path."""
        try:
            real = self._client.realpath(path).result()
            return stat.S_ISDIR(self._client.lstat(real).result().mode or 0), real
        except SftpError as error:
            return error.code == 3, path

    def _profile(self, account: _Account) -> dict[str, Any]:
        exists, home = self._is_folder(account.home)
        return {
            "name": account.name,
            "uid": account.uid,
            "gid": account.gid,
            "home": encode_path(home),
            "full_name": account.full_name,
            "exists": exists,
            "folders": {key: encode_path(path) for key, path in self._folders(home)} if exists else {},
        }

    def _folders(self, home: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield what is at the user's Desktop, Documents and so on, by the names that the desktop gives them."""
        wanted = {key: join(home, name) for key, name in (_MAC.items() if self._mac else _XDG.values())}
        text = "" if self._mac else text_of(self._client, join(home, b".config/user-dirs.dirs"))
        # Lines such as XDG_DESKTOP_DIR="$HOME/Schreibtisch", or with an absolute path.
        for key, value in re.findall(r'^\s*XDG_([A-Z]+)_DIR="((?:[^"\\]|\\.)*)"', text, re.MULTILINE):
            path = re.sub(r"\\(.)", r"\1", value).encode("utf-8", "surrogatepass")
            if key in _XDG and path.startswith((b"/", b"$HOME/")):
                wanted[_XDG[key][0]] = join(home, path[6:]) if path.startswith(b"$HOME/") else path
        for key, path in wanted.items():
            there, real = self._is_folder(path.rstrip(b"/") or b"/")
            if there and real != home:
                yield key, real
