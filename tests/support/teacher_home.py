"""A realistic teacher's home, and a fingerprint that tells whether it came back.

Everything is made from a seed: the same seed gives the same bytes, names, modes and times.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

WORDS = [
    "water",
    "cycle",
    "fraction",
    "photosynthesis",
    "empire",
    "verb",
    "volcano",
    "poem",
    "triangle",
    "magnet",
    "river",
    "harvest",
    "orchestra",
    "climate",
    "worksheet",
    "answers",
    "exam",
    "lesson",
    "plan",
    "group",
    "homework",
    "reading",
    "list",
    "field",
    "trip",
    "permission",
    "slide",
    "notes",
    "draft",
    "final",
]
SUBJECTS = ("Biology 7a", "Biology 8c", "History", "Maths & Physics", "Form tutor", "Staff meetings")


@dataclass(frozen=True, slots=True)
class Entry:
    """All that must come back of one path; ``links`` groups names of one file."""

    type: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    content: str
    xattrs: tuple[tuple[str, bytes], ...]
    links: tuple[bytes, ...] = ()


def make_home(home: Path, *, seed: int = 7, files: int = 400, large_mib: int = 24) -> None:
    """Make a teacher's home below ``home``: about ``files`` files and one video of ``large_mib`` MiB."""
    rnd = random.Random(seed)
    home.mkdir(parents=True, exist_ok=True)
    for folder in ("Desktop", "Documents", "Pictures", "Downloads", "Music", ".config/app", "Desktop/empty folder"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for index in range(files):
        subject = rnd.choice(SUBJECTS)
        place = rnd.choice(("Desktop", "Documents", "Documents", "Pictures"))
        folder = home / place / subject / f"{2024 + index % 3}" if index % 3 else home / place / subject
        folder.mkdir(parents=True, exist_ok=True)
        name = " ".join(rnd.choices(WORDS, k=rnd.randint(1, 4)))
        kind = rnd.choice((".docx", ".pptx", ".odt", ".txt", ".jpg", ".pdf"))
        _write(folder / f"{name} {index}{kind}", content_of(rnd, kind, int(rnd.lognormvariate(9.5, 1.4))), rnd)
    _write(home / "Pictures" / "class film.mp4", rnd.randbytes(large_mib << 20), rnd)
    _awkward(home, rnd)
    _age_folders(home, rnd)


def content_of(rnd: random.Random, kind: str, size: int) -> bytes:
    size = min(size, 3 << 20)
    if kind in {".txt", ".odt"}:
        text = " ".join(rnd.choices(WORDS, k=size // 7 + 1)).encode()
        return text[:size]
    if kind == ".docx":
        return zlib.compress(rnd.randbytes(size // 2) + b" " * (size // 2))
    return rnd.randbytes(size)


def _write(path: Path, data: bytes, rnd: random.Random) -> None:
    path.write_bytes(data)
    path.chmod(rnd.choice((0o644, 0o644, 0o600, 0o664)))
    age = rnd.randint(0, 3 * 365 * 86400) * 10**9 + rnd.randint(0, 999_999_999)
    os.utime(path, ns=(1_760_000_000 * 10**9 - age, 1_760_000_000 * 10**9 - age))


def _awkward(home: Path, rnd: random.Random) -> None:
    desktop = os.fsencode(home / "Desktop")
    for name in (
        "first lesson \N{BOOKS} Straße.odt".encode(),
        b"line\nbreak.txt",
        b"'quoted' \"name\" $HOME `id`.txt",
        b"trailing space ",
        b"latin-1 caf\xe9.txt",
        b"-rf",
        b"x" * 251 + b".txt",
        "cafe\u0301 (decomposed).txt".encode(),
    ):
        path = os.path.join(desktop, name)
        with open(path, "wb") as file:
            file.write(name * 10)
        os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    deep = home / "Documents" / "deep"
    for level in range(12):
        deep = deep / f"level {level} of a very deep folder"
    deep.mkdir(parents=True)
    _write(deep / "at the bottom.txt", b"still here", rnd)
    script = home / "Desktop" / "start lesson.sh"
    script.write_text("#!/bin/sh\necho lesson\n")
    script.chmod(0o755)
    read_only = home / "Documents" / "signed contract.pdf"
    _write(read_only, rnd.randbytes(5000), rnd)
    read_only.chmod(0o444)
    (home / "Desktop" / "empty.txt").touch()
    (home / "Desktop" / "Biology").symlink_to("../Documents/Biology 7a")
    (home / "Desktop" / "dangling").symlink_to("/nowhere/at all")
    loop = home / "Documents" / "loop"
    loop.mkdir()
    (loop / "again").symlink_to(loop)
    (home / "Documents" / "plan.odt").write_bytes(b"one file, two names")
    os.link(home / "Documents" / "plan.odt", home / "Desktop" / "plan.odt")
    with (home / "Documents" / "sparse.img").open("wb") as file:
        file.seek(3 << 20)
        file.write(b"middle")
        file.truncate(6 << 20)
    with contextlib.suppress(OSError):  # not every file system has them
        os.setxattr(home / "Desktop" / "start lesson.sh", "user.comment", b"for period 1\x00\xff")


def _age_folders(home: Path, rnd: random.Random) -> None:
    for folder, _, _ in os.walk(home, topdown=False):
        when = 1_750_000_000 * 10**9 + rnd.randint(0, 10**15)
        os.utime(folder, ns=(when, when))


def fingerprint(root: Path) -> dict[bytes, Entry]:
    """Return what every path below ``root`` is, its content by hash; ``root`` itself is ``b"."``."""
    top = os.fsencode(root)
    found: dict[bytes, Entry] = {}
    groups: dict[tuple[int, int], list[bytes]] = {}
    stack = [top]
    while stack:
        path = stack.pop()
        info = os.lstat(path)
        relative = os.path.relpath(path, top)
        kind, content, size = "other", "", 0
        if stat.S_ISDIR(info.st_mode):
            kind = "dir"
            stack.extend(os.path.join(path, name) for name in os.listdir(path))
        elif stat.S_ISLNK(info.st_mode):
            kind, content = "symlink", repr(os.readlink(path))
        elif stat.S_ISREG(info.st_mode):
            kind, size = "file", info.st_size
            with open(path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            if info.st_nlink > 1:
                groups.setdefault((info.st_dev, info.st_ino), []).append(relative)
        found[relative] = Entry(
            kind, info.st_mode, info.st_uid, info.st_gid, size, info.st_mtime_ns, content, _xattrs(path)
        )
    for names in groups.values():
        if len(names) > 1:
            for name in names:
                found[name] = _with_links(found[name], tuple(sorted(names)))
    return found


def differences(before: dict[bytes, Entry], after: dict[bytes, Entry]) -> list[str]:
    """Return one line for each path that is not as it was; nothing when all came back."""
    lines = [f"missing: {path!r}" for path in before.keys() - after.keys()]
    lines += [f"new: {path!r}" for path in after.keys() - before.keys()]
    for path in before.keys() & after.keys():
        for name in Entry.__slots__:
            old, new = getattr(before[path], name), getattr(after[path], name)
            if old != new:
                lines.append(f"{path!r}: {name} was {old!r}, is {new!r}")
    return sorted(lines)


def _with_links(entry: Entry, names: tuple[bytes, ...]) -> Entry:
    values = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**{**values, "links": names})


def _xattrs(path: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return ()
    return tuple(sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in names))
