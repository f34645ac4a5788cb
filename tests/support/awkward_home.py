"""A home full of what computers really hold and programs rarely expect: names, kinds, depths, owners, times.

What needs root, or a file system that has it, is made where it can be; ``deep_fingerprint`` tells what came of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: Names that a shell, a JSON text, a glob or a terminal would trip over; bytes, for not all are UTF-8.
NAMES: Sequence[bytes] = (
    b"line\nbreak",
    b"tab\tand\rreturn",
    b"'single' \"double\" `back`",
    b"trailing space ",
    b" leading space",
    b"emoji \xf0\x9f\x90\xa6\xf0\x9f\x8f\xbd",
    b"latin caf\xe9",
    b"\xff\xfe\x80",
    b"\xed\xa0\x80 surrogate",
    b"n" * 255,
    ("\u00fc" * 127).encode(),
    b"back\\slash\\n",
    b"-rf",
    b"--help",
    b"$(id) %s %d {home} ~",
    b"glob [a-z] * ? !",
    b"...",
    b"\x01\x1b[31mred\x7f",
    "re\u0301sume\u0301 decomposed".encode(),
    "r\u00e9sum\u00e9 composed".encode(),
    b"CON",
    b"colon: semi; amp&",
    b"#comment",
    b".firstbell-not-ours.tmp.txt",
)
#: 1960, before the epoch; just before it; the epoch; 2100, beyond 32 bits: nanoseconds.
TIMES: Sequence[int] = (
    -315_619_200 * 10**9 + 123_456_789,
    -1,
    0,
    4_102_444_800 * 10**9 + 999_999_999,
    1_700_000_000_000_000_001,
)
#: How long the longest path is, relative to the home; below a home that has a long path itself it is beyond PATH_MAX
#: (4,096), where the stock client gives up.
DEEP = 4_000


def make_awkward_home(home: Path, *, deep: int = DEEP) -> None:
    """Make the tree below ``home``, whose ``Desktop`` is in it too, with a path of ``deep`` bytes."""
    for folder in ("Desktop/names", "Desktop/empty/empty too", "Documents/kinds", "Documents/times"):
        (home / folder).mkdir(parents=True)
    raw = os.fsencode(home)
    _names(raw + b"/Desktop/names")
    _kinds(home / "Documents" / "kinds")
    _times(raw + b"/Documents/times")
    _links(home)
    _modes(home / "Documents" / "modes")
    _attributes(home / "Documents" / "attributes")
    make_deep(home / "Documents", deep)


def make_deep(folder: Path, length: int = DEEP) -> bytes:
    """Make folders in folders until the path below ``folder`` is about ``length`` bytes long, and return it.

    No system call takes such a path, so it is made step by step from where one stands.
    """
    steps: list[bytes] = []
    here = os.open(folder, os.O_RDONLY)
    try:
        while sum(map(len, steps)) + len(steps) < length:
            step = b"deep-%03d-" % len(steps) + b"d" * 190
            step = step[: max(8, length - sum(map(len, steps)) - len(steps))]
            steps.append(step)
            os.mkdir(step, dir_fd=here)
            below = os.open(step, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        file = os.open(b"bottom.txt", os.O_WRONLY | os.O_CREAT, 0o640, dir_fd=here)
        os.write(file, b"at the very bottom")
        os.close(file)
    finally:
        os.close(here)
    return b"/".join(steps)


def remove(tree: Path) -> None:
    """Remove a tree, however deep, and whatever its modes are."""
    subprocess.run(["chmod", "-R", "u+rwX", str(tree)], check=False, capture_output=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tree, ignore_errors=True)
    subprocess.run(["rm", "-rf", "--", str(tree)], check=True)


def _names(folder: bytes) -> None:
    for name in NAMES:
        _write(folder + b"/" + name, name)
        if len(name) < 250:
            os.mkdir(folder + b"/" + name + b".d")
            _write(folder + b"/" + name + b".d/inside", name)


def _kinds(folder: Path) -> None:
    os.mkfifo(folder / "fifo", 0o622)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path may be 107 bytes long
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    with contextlib.suppress(OSError):
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(folder / "loop", stat.S_IFBLK | 0o660, os.makedev(7, 200))
    (folder / "empty").touch()
    (folder / "one byte").write_bytes(b"\0")
    with (folder / "sparse").open("wb") as file:
        file.seek(9 << 20)
        file.write(b"between two holes" * 1000)
        file.truncate(40 << 20)
    with (folder / "only a hole").open("wb") as file:
        file.truncate(3 << 20)
    (folder / "zeros, stored").write_bytes(bytes(1 << 20))


def _times(folder: bytes) -> None:
    for index, when in enumerate(TIMES):
        path = folder + b"/%d" % index
        _write(path, b"%d" % when)
        os.mkdir(path + b".d")
        os.symlink("nowhere", path + b".link")
        for one in (path, path + b".d", path + b".link"):
            os.utime(one, ns=(when, when), follow_symlinks=False)


def _links(home: Path) -> None:
    folder = home / "Documents" / "links"
    folder.mkdir()
    (folder / "self").symlink_to("self")
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    (folder / "up").symlink_to("..")
    (folder / "dangling").symlink_to("/nowhere/at all")
    (folder / "long").symlink_to("x" * 4_000)
    os.symlink(b"caf\xe9\n", os.fsencode(folder / "raw target"))
    (folder / "one").write_bytes(b"three names" * 5_000)
    os.link(folder / "one", home / "Desktop" / "two")
    os.link(folder / "one", home / "Desktop" / "empty" / "three")
    (folder / "empty one").touch()
    os.link(folder / "empty one", home / "Desktop" / "empty two")
    os.link(folder / "dangling", home / "Desktop" / "dangling too", follow_symlinks=False)
    os.link(home / "Documents" / "kinds" / "fifo", home / "Desktop" / "fifo too")


def _modes(folder: Path) -> None:
    folder.mkdir()
    for mode in (0o4755, 0o2755, 0o1644, 0o7777, 0o000, 0o400, 0o222):
        path = folder / f"file {mode:04o}"
        path.write_bytes(b"%o" % mode)
        path.chmod(mode)
    for mode in (0o1777, 0o2775, 0o555, 0o700):
        below = folder / f"folder {mode:04o}"
        below.mkdir()
        (below / "inside").write_bytes(b"in it")
        below.chmod(mode)
    if os.geteuid() == 0:
        for uid, gid in ((1234, 4321), (65534, 65534), (4_000_000_000, 4_000_000_001)):
            path = folder / f"owner {uid}"
            path.write_bytes(b"theirs")
            os.chown(path, uid, gid)
        os.symlink("theirs", folder / "owner of a link")
        os.chown(folder / "owner of a link", 1234, 4321, follow_symlinks=False)
        os.chown(folder / "file 4755", 1234, 4321)
        (folder / "file 4755").chmod(0o4755)


def _attributes(folder: Path) -> None:
    folder.mkdir()
    (folder / "file").write_bytes(b"has attributes")
    (folder / "inherits").mkdir()
    with contextlib.suppress(OSError):
        os.setxattr(folder / "file", "user.empty", b"")
        os.setxattr(folder / "file", "user.binary \u00fc", bytes(range(256)))
        os.setxattr(folder / "file", "user.large", b"x" * 3_000)
        os.setxattr(folder / "inherits", "user.of a folder", b"yes")
        os.setxattr(folder / "file", "trusted.ours", b"root only")
    if shutil.which("setfacl"):
        for arguments in (["-m", "u:1234:rw,g:4321:r"], ["-d", "-m", "u:1234:rwx"]):
            target = "inherits" if "-d" in arguments else "file"
            subprocess.run(["setfacl", *arguments, str(folder / target)], check=False, capture_output=True)
    (folder / "inherits" / "made below").write_bytes(b"with an access list of its own")


def _write(path: bytes, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
