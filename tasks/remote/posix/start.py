"""Limits and reasons, and what all parts of the helper import."""

import base64
import errno
import gc
import grp
import hashlib
import json
import os
import pwd
import queue
import re
import signal
import stat
import sys
import threading
import time

VERSION = "1.0.0"
PROTOCOL_VERSION = 1
MAX_HEADER = 64 * 1024
MAX_PAYLOAD = 1024 * 1024
#: JSON payloads end here: the next row or result may be as large as MAX_XATTRS.
SOFT_PAYLOAD = 384 * 1024
#: Largest sum of one entry's extended attributes that is sent, in bytes before base64.
MAX_XATTRS = 256 * 1024
MAX_RANGE = 16 * 1024 * 1024
MAX_ZERO = 256 * 1024 * 1024
#: Zero bytes in a row that become a hole when written.
HOLE = 64 * 1024
#: Files larger than this are hashed on a second thread while they are sent.
THREADED = 8 * 1024 * 1024
#: Longest path handed to the system in one piece: PATH_MAX is 4096 on Linux, 1024 on macOS, a NUL included.
MAX_PATH = 1000 if sys.platform == "darwin" else 4000
#: Files up to this size are read back in one piece.
SMALL_READ = 128 * 1024
#: Seconds without a frame after which a request that still works says so.
TICK = 10.0
TAG_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"

MACOS = sys.platform == "darwin"
PLATFORM = "darwin" if MACOS else "linux"
SF_DATALESS = 0x40000000  # <sys/stat.h> of macOS: the content is in iCloud
O_PATH = getattr(os, "O_PATH", 0) or os.O_RDONLY
O_NOATIME = getattr(os, "O_NOATIME", 0)
O_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW
O_NOFOLLOW_ANY = 0x20000000 if MACOS else 0  # <sys/fcntl.h> of macOS; older systems ignore it
ZEROS = bytes(MAX_PAYLOAD)

encode_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode

TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
}

READ_REASONS = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.ELOOP: "vanished",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.ENXIO: "special",
    errno.ENAMETOOLONG: "name",
}
WRITE_REASONS = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
    errno.ENOSPC: "no-space",
    errno.EDQUOT: "no-space",
    errno.EFBIG: "no-space",
    errno.EEXIST: "conflict",
    errno.EISDIR: "conflict",
    errno.ENOTEMPTY: "conflict",
    errno.ELOOP: "outside",
    errno.EXDEV: "unsupported",
    errno.ENAMETOOLONG: "unsupported",
    errno.EINVAL: "unsupported",
    errno.EILSEQ: "unsupported",
    errno.EOPNOTSUPP: "unsupported",
    errno.ENOSYS: "unsupported",
    errno.EMLINK: "unsupported",
}


class Stop(BaseException):
    """A signal asks us to end."""


class ProtocolError(Exception):
    """The worker sent what the contract does not allow; the helper ends."""


class RequestError(Exception):
    """One request cannot be served; told by an ``error`` frame."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Skip(Exception):
    """An entry cannot be read, and why."""

    def __init__(self, reason, detail=""):
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Refused(Exception):
    """A path cannot be written, and why."""

    def __init__(self, reason, detail=""):
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def skip_of(error):
    return Skip(READ_REASONS.get(error.errno, "unreadable"), os.strerror(error.errno or 0))


def refusal_of(error):
    return Refused(WRITE_REASONS.get(error.errno, "unreadable"), os.strerror(error.errno or 0))
