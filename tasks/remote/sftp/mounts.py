"""Where other file systems begin. SFTP tells no device numbers, but Linux has a file about its mounts."""

from __future__ import annotations

import re
from typing import Final

from tasks.remote.sftp.paths import split
from tasks.transports.sftp_client import SftpClient, SftpError

_VIRTUAL: Final = frozenset((
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devfs", "devpts", "devtmpfs",
    "efivarfs", "fdescfs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nsfs",
    "proc", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
))  # fmt: skip
#: Where virtual file systems are on hosts that do not tell their mounts.
_USUAL: Final = (b"/dev", b"/proc", b"/sys", b"/Volumes", b"/Network", b"/System/Volumes")
#: proc(5): the mount table escapes blanks and the like.
_ESCAPE: Final = re.compile(rb"\\([0-7]{3})")


class Mounts:
    """The file systems of a host: where they are mounted, and whether they are virtual."""

    def __init__(self, client: SftpClient) -> None:
        self._types: dict[bytes, bytes] = dict.fromkeys(_USUAL, b"proc")
        try:
            table = client.small_file(b"/proc/self/mountinfo", 4 * 1024 * 1024)
            self._types = dict(map(_mount, table.splitlines())) or self._types
        except (SftpError, ValueError, IndexError):
            return  # macOS, or a server that shows only a part of the host

    def rule_for(self, path: bytes) -> str:
        """Return the rule that leaves a folder out because a file system is mounted there, or ""."""
        kind = self._types.get(path)
        if kind is None:
            return ""
        return "virtual-filesystem" if kind.decode("ascii", "replace") in _VIRTUAL else "other-filesystem"

    def virtual_around(self, path: bytes) -> bool:
        """Tell whether a path lies in a virtual file system."""
        while path not in self._types and path != b"/":
            path = split(path)[0]
        return self.rule_for(path) == "virtual-filesystem"


def _mount(line: bytes) -> tuple[bytes, bytes]:
    """proc(5): field 5 is the mount point, with octal escapes; the type comes after a lone hyphen."""
    fields = line.split()
    point = _ESCAPE.sub(lambda match: bytes([int(match.group(1), 8)]), fields[4])
    return point, fields[fields.index(b"-", 6) + 1]
