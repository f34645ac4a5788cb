"""Starts the real helper on this computer, under any interpreter and as any user, for tests of the wire."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks.entries import Directory, FileEnd, Piece, Skipped, WalkRequest
from tasks.remote.filesystem import RemoteHost, RemoteSource
from tasks.remote.launcher import launch
from tasks.transports.local import LocalStream, LocalTransport

#: Nobody's number on Linux and macOS.
NOBODY = 65534


class LocalAs(LocalTransport):
    """Runs programs under an interpreter of choice, and as another user when we are root."""

    def __init__(self, interpreter: Path | None = None, *, uid: int | None = None, shell_noise: str = "") -> None:
        path = os.environ.get("PATH", os.defpath)
        if interpreter is not None:
            path = f"{interpreter.parent}{os.pathsep}{path}"
        super().__init__("here", idle_timeout=30.0, environment={"PATH": path, "HOME": "/", "LANG": "C"})
        self._uid = uid
        self._noise = shell_noise

    def start(self, argv: Sequence[str]) -> LocalStream:
        if self._noise:
            argv = ["/bin/sh", "-c", f'{self._noise}; exec "$@"', "sh", *argv]
        if self._uid is not None and os.geteuid() == 0:
            argv = ["setpriv", f"--reuid={self._uid}", f"--regid={self._uid}", "--clear-groups", *argv]
        return super().start(argv)


def interpreters() -> list[Path]:
    """Return this interpreter, and the oldest and newest others that pyenv has, from Python 3.6 on."""
    found = {}
    for path in Path.home().joinpath(".pyenv/versions").glob("3.*/bin/python3"):
        version = tuple(int(part) for part in path.parent.parent.name.split(".") if part.isdigit())
        if version >= (3, 6):
            found[version] = path
    chosen = [found[version] for version in sorted(found)]
    return [Path(sys.executable), *dict.fromkeys([*chosen[:1], *chosen[-1:]])]


def can_be_nobody() -> bool:
    """Return whether the helper can run as somebody who may not read everything."""
    return os.geteuid() != 0 or (shutil.which("setpriv") is not None and Path("/usr/bin/python3").exists())


@contextmanager
def helper_host(interpreter: Path | None = None, *, uid: int | None = None) -> Iterator[RemoteHost]:
    """Start the helper and give the host behind it."""
    transport = LocalAs(interpreter, uid=uid)
    transport.open()
    try:
        channel, hello = launch(transport)
        host = RemoteHost(channel, hello)
        try:
            yield host
        finally:
            host.close()
    finally:
        transport.close()


def walk(source: RemoteSource, request: WalkRequest) -> tuple[dict[bytes, Directory], list[Skipped]]:
    """Return the folders of a walk by path, and its skips; a path that comes twice is an error."""
    folders: dict[bytes, Directory] = {}
    skips: list[Skipped] = []
    for item in source.entries(request):
        if isinstance(item, Directory):
            assert item.path not in folders, item.path
            folders[item.path] = item
        else:
            skips.append(item)
    return folders, skips


def contents(
    items: Iterator[Piece | FileEnd | Skipped],
) -> tuple[dict[bytes, bytes], dict[bytes, FileEnd], list[Skipped]]:
    """Return what was read: content by path (ranges that did not come are zeros), ends by path, skips."""
    data: dict[bytes, bytearray] = {}
    ends: dict[bytes, FileEnd] = {}
    skips: list[Skipped] = []
    for item in items:
        if isinstance(item, Piece):
            content = data.setdefault(item.path, bytearray())
            content.extend(bytes(item.offset - len(content)))
            content.extend(item.data if len(item.data) else bytes(item.zero))
        elif isinstance(item, FileEnd):
            ends[item.path] = item
            data.setdefault(item.path, bytearray())
        else:
            skips.append(item)
    return {path: bytes(content) for path, content in data.items()}, ends, skips


def make_deep(root: bytes, levels: int, name: bytes = b"d" * 200) -> bytes:
    """Make a file and a link at the end of a path longer than the system takes at once; return the file's path."""
    fd = os.open(root, os.O_RDONLY)
    path = root
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
        path += b"/" + name
    file = os.open(b"file", os.O_WRONLY | os.O_CREAT, dir_fd=fd)
    os.write(file, b"deep down")
    if hasattr(os, "setxattr"):
        os.setxattr(file, "user.deep", b"1")
    os.close(file)
    os.symlink(b"file", b"link", dir_fd=fd)
    os.close(fd)
    return path + b"/file"


def remove_deep(root: bytes) -> None:
    """Remove a tree too deep for pytest's own clean-up."""
    fd = os.open(root, os.O_RDONLY)
    for name in os.listdir(fd):
        if stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=fd)
    os.close(fd)
