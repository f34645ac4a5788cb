"""What a tree is, for trees deeper than any system call takes a path: each step goes from an open folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.teacher_home import Entry


def deep_fingerprint(root: Path) -> dict[bytes, Entry]:
    """Return what every path below ``root`` is, as ``fingerprint`` does; ``root`` itself is ``b"."``.

    Names of one inode are told of every type, and the number of a device is its content. Without root a file that may
    not be read has the content ``denied``. Sockets are left out: no program restores them.
    """
    found: dict[bytes, Entry] = {}
    groups: dict[tuple[int, int], list[bytes]] = {}
    with _opened(os.fsencode(root)) as here:
        found[b"."] = _entry(here, b".", os.fstat(here))
        _walk(here, b"", found, groups)
    for names in groups.values():
        for name in names:
            one = {each: getattr(found[name], each) for each in Entry.__slots__}
            found[name] = Entry(**{**one, "links": tuple(sorted(names)) if len(names) > 1 else ()})
    return found


def blocks(path: Path) -> int:
    """Return how many bytes of the disk a file takes."""
    return path.stat().st_blocks * 512


@contextmanager
def _opened(path: bytes, *, within: int | None = None) -> Iterator[int]:
    here = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
    try:
        yield here
    finally:
        os.close(here)


def _walk(here: int, prefix: bytes, found: dict[bytes, Entry], groups: dict[tuple[int, int], list[bytes]]) -> None:
    for name in sorted(os.fsencode(each) for each in os.listdir(here)):
        info = os.stat(name, dir_fd=here, follow_symlinks=False)
        if stat.S_ISSOCK(info.st_mode):
            continue
        path = prefix + name
        found[path] = _entry(here, name, info)
        if stat.S_ISDIR(info.st_mode):
            with _opened(name, within=here) as below:
                _walk(below, path + b"/", found, groups)
        elif info.st_nlink > 1:
            groups.setdefault((info.st_dev, info.st_ino), []).append(path)


def _entry(here: int, name: bytes, info: os.stat_result) -> Entry:
    kind, content, size = "other", "", 0
    if stat.S_ISDIR(info.st_mode):
        kind = "dir"
    elif stat.S_ISLNK(info.st_mode):
        kind, content = "symlink", repr(os.readlink(name, dir_fd=here))
    elif stat.S_ISREG(info.st_mode):
        kind, size, content = "file", info.st_size, _hash(here, name)
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        kind, content = "device", f"{stat.S_IFMT(info.st_mode)} {info.st_rdev}"
    elif stat.S_ISFIFO(info.st_mode):
        kind = "fifo"
    times = info.st_mtime_ns
    return Entry(kind, info.st_mode, info.st_uid, info.st_gid, size, times, content, _attributes(here, name))


def _hash(here: int, name: bytes) -> str:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=here)
    except PermissionError:
        return "denied"
    with os.fdopen(handle, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _attributes(here: int, name: bytes) -> tuple[tuple[str, bytes], ...]:
    path = b"/proc/self/fd/%d/" % here + name
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return ()
    return tuple(sorted((one, os.getxattr(path, one, follow_symlinks=False)) for one in names))
