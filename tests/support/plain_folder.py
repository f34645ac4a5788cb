"""A folder with awkward names and kinds of entries, taken into a repository the simplest way, and compared.

The simplest way stands in for the archiver where only the repository is under test.
"""

from __future__ import annotations

import os
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

from tasks.repository.blob import BlobType
from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node, NodeType, Tree

NAMES = [
    b"plain.txt", b"new\nline", b'quote"d', b"it's", b"back\\slash", b"trailing ", b" leading", b"tab\t", b"-dash",
    b"\xff\xfe", b"cut\xe2\x82", b"\xed\xa0\x80", "emoji 😀".encode(), "nbsp\u00a0".encode(), "line\u2028".encode(),
    "joiner\u200d".encode(), b"a<b>&c", b"x" * 255, b"\x7f", b"\x01\x1b\x08\x0c\x0b\x07", "\ufffd".encode(),
    "é composed".encode(), "e\u0301 apart".encode(), "\U000e0001".encode(), b"...", b"~", b"*", b"%s", b"$HOME",
]  # fmt: skip
_SECOND = 1_700_000_000_000_000_000
_KINDS: dict[int, NodeType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def make_folder(folder: Path, *, target_utf8_only: bool = False) -> None:
    """Fill ``folder``; the client 0.14 cannot keep a link target that is not UTF-8."""
    root = os.fsencode(folder)
    folder.mkdir(parents=True)
    for n, name in enumerate(NAMES):
        path = root + b"/" + name
        with open(path, "wb") as file:
            file.write(name * n)
        os.utime(path, ns=(_SECOND + n, _SECOND + n * 1_000_000_001))
    (folder / "large").write_bytes(os.urandom(3 * 2**20) + bytes(9 * 2**20) + b"the end")
    (folder / "empty").touch()
    (folder / "empty").chmod(0o4640)
    (folder / "deep" / "er" / "still").mkdir(parents=True)
    os.link(folder / "plain.txt", folder / "deep" / "hard link")
    os.symlink(b'nowhere/<&>\n"' if target_utf8_only else b'\xff<&>\n"', root + b"/broken link")
    os.symlink("deep", folder / "good link")
    os.mkfifo(folder / "fifo", 0o640)
    os.setxattr(folder / "plain.txt", "user.note", b"\0<binary>\xff")
    (folder / "deep").chmod(0o2751)
    (folder / "no entry").mkdir()
    (folder / "no entry").chmod(0)
    os.utime(folder / "no entry", ns=(0, -1_500_000_000))


def make_socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))


def take(repository: Repository, folder: Path, *, hostname: str = "lab3-07") -> Snapshot:
    """Save a folder and write a snapshot of it, like the stock client with the tree of ``/`` at its root."""
    tree = _take_folder(repository, os.fsencode(folder))
    for part in reversed(folder.parts[1:]):
        path = Path(*folder.parts[: folder.parts.index(part) + 1])
        node = _node(os.fsencode(path), os.fsencode(part))
        node.subtree = tree
        tree = repository.save_tree(Tree([node])).id
    return repository.save_snapshot(
        Snapshot(
            datetime.now(UTC), tree, (str(folder),), hostname, "anna", tags=("test",), program_version="firstbell 0"
        )
    )


def _take_folder(repository: Repository, path: bytes) -> ID:
    nodes = []
    for name in sorted(os.listdir(path)):
        child = path + b"/" + name
        node = _node(child, name)
        if node.type == "dir":
            node.subtree = _take_folder(repository, child)
        elif node.type == "file":
            node.content = _take_file(repository, child)
        nodes.append(node)
    return repository.save_tree(Tree(nodes)).id


def _take_file(repository: Repository, path: bytes) -> tuple[ID, ...]:
    chunker = repository.chunker()
    ids = []
    with open(path, "rb") as file:
        while data := file.read(2**20):
            ids += [repository.save_blob(BlobType.DATA, chunk).id for chunk in chunker.feed(data)]
    ids += [repository.save_blob(BlobType.DATA, chunk).id for chunk in chunker.finish()]
    return tuple(ids)


def _node(path: bytes, name: bytes) -> Node:
    found = os.lstat(path)
    node = Node(
        name,
        _KINDS[stat.S_IFMT(found.st_mode)],
        found.st_mode,
        found.st_mtime_ns,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_uid,
        found.st_gid,
        inode=found.st_ino,
        links=found.st_nlink if not stat.S_ISDIR(found.st_mode) else 0,
        size=found.st_size if stat.S_ISREG(found.st_mode) else 0,
        linktarget=os.readlink(path) if stat.S_ISLNK(found.st_mode) else b"",
    )
    if node.links > 1:
        node.device_id = found.st_dev
    if not stat.S_ISLNK(found.st_mode):
        node.xattrs = tuple((key, os.getxattr(path, key)) for key in sorted(os.listxattr(path)))
    return node


def describe(folder: Path) -> dict[bytes, tuple[object, ...]]:
    """Return everything that a restore should bring back, by path."""
    root = os.fsencode(folder)
    found: dict[bytes, tuple[object, ...]] = {}
    inodes: dict[int, bytes] = {}
    for parent, folders, files in os.walk(root):
        for name in sorted((*folders, *files)):
            path = os.path.join(parent, name)
            about = os.lstat(path)
            kind = stat.S_IFMT(about.st_mode)
            if kind == stat.S_IFSOCK:
                continue
            content: object = None
            if kind == stat.S_IFREG:
                with open(path, "rb") as file:
                    content = file.read()
                first = inodes.setdefault(about.st_ino, path) if about.st_nlink > 1 else b""
                content = (content, os.path.relpath(first, root) if first else b"")
            elif kind == stat.S_IFLNK:
                content = os.readlink(path)
            xattrs = {} if kind == stat.S_IFLNK else {key: os.getxattr(path, key) for key in os.listxattr(path)}
            found[os.path.relpath(path, root)] = (about.st_mode, about.st_mtime_ns, content, xattrs)
    return found
