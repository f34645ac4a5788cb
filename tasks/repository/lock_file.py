"""Lock files: who uses the repository, and whether alone.

Source: restic's ``doc/design.rst``, "Locks", and its ``internal/restic/lock.go``.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import Final

from tasks.backends.base import Buffer
from tasks.repository import gojson
from tasks.repository.ids import ID, short
from tasks.repository.owner import host_name, is_running, user_name

#: Follows our computer's name in a lock. restic asks whether the process of a lock still lives by sending it SIGHUP,
#: which would end us (its own processes ignore it), but only when the lock's computer is its own by name.
_MARK: Final = " (firstbell)"
#: A lock this old, in seconds, was not refreshed for long enough that its owner must be gone (restic's limit).
STALE_AGE: Final = 30 * 60


@dataclass(frozen=True, slots=True)
class LockFile:
    """The content of a lock file; ``time_ns`` is when it was written or last refreshed."""

    time_ns: int
    exclusive: bool
    hostname: str
    username: str
    pid: int
    uid: int = 0
    gid: int = 0
    id: ID = b""

    @classmethod
    def mine(cls, *, exclusive: bool, now_ns: int) -> LockFile:
        """Return a lock of this process."""
        uid = os.getuid() if hasattr(os, "getuid") else 0
        gid = os.getgid() if hasattr(os, "getgid") else 0
        return cls(now_ns, exclusive, host_name() + _MARK, user_name(), os.getpid(), uid, gid)

    def encode(self) -> bytes:
        """Return the JSON form, with restic's keys."""
        text = (
            f'{{"time":"{gojson.time(self.time_ns)}","exclusive":{"true" if self.exclusive else "false"}'
            f',"hostname":{gojson.string(self.hostname)},"username":{gojson.string(self.username)},"pid":{self.pid}'
        )
        if self.uid:
            text += f',"uid":{self.uid}'
        if self.gid:
            text += f',"gid":{self.gid}'
        return f"{text}}}".encode()

    def is_stale(self, now_ns: int) -> bool:
        """Return whether the owner is gone: not refreshed for 30 minutes, or a process of this computer that ended."""
        if now_ns - self.time_ns > STALE_AGE * 1_000_000_000:
            return True
        return self.hostname.removesuffix(_MARK) == host_name() and not is_running(self.pid)

    def describe(self, now_ns: int) -> str:
        """Return who holds it since when, for people."""
        age = max(0, (now_ns - self.time_ns) // 1_000_000_000)
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.time_ns // 1_000_000_000))
        return (
            f"{self.username or 'somebody'} on {self.hostname or 'an unknown computer'}, process {self.pid},"
            f" since {since} ({age} s ago), lock {short(self.id)}"
        )


def decode_lock(data: Buffer, id_: ID) -> LockFile:
    """Return the lock in a file. Raises ``ValueError`` when it is none."""
    try:
        found = json.loads(bytes(data))
        return LockFile(
            gojson.parse_time(found["time"]),
            bool(found["exclusive"]),
            str(found.get("hostname", "")),
            str(found.get("username", "")),
            int(found["pid"]),
            int(found.get("uid", 0)),
            int(found.get("gid", 0)),
            id_,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a lock: {error!r}") from error
