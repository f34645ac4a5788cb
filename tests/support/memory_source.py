"""Sources without a wire: this machine's own files, and wrappers that make a host misbehave."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence

from tasks.entries import Directory, FileEnd, KnownRange, Piece, Rule, Skipped, Stat, WalkRequest
from tasks.events import SkipReason
from tasks.repository.tree import Node, NodeType

PIECE = 1024 * 1024
_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"
_TYPES: dict[int, NodeType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
}


class DirectorySource:
    """A Source over this machine's own file system, as the helper answers on a host.

    ``on_open`` is called with the path before a file is opened and may change the file, or raise an ``OSError`` in its
    place; ``on_piece`` after each piece.
    """

    def __init__(
        self,
        *,
        on_open: Callable[[bytes], None] | None = None,
        on_piece: Callable[[bytes, int], None] | None = None,
        on_list: Callable[[bytes], None] | None = None,
        hashing: bool = True,
    ) -> None:
        self._on_open = on_open or (lambda path: None)
        self._on_piece = on_piece or (lambda path, offset: None)
        self._on_list = on_list or (lambda path: None)
        self._hashing = hashing
        #: Paths read in full and by ranges, in order, and bytes of content handed over.
        self.read_paths: list[bytes] = []
        self.ranged_paths: list[bytes] = []
        self.sent = 0

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        wanted = request.roots if request.only is None else request.only
        rules = [] if request.only is not None else [(rule, re.compile(rule.regex)) for rule in request.rules]
        present: list[bytes] = []
        missing: list[Skipped] = []
        for path in sorted(wanted):
            try:
                os.lstat(path)
                present.append(path)
            except OSError as error:
                missing.append(Skipped(path, _reason(error), detail=str(error.strerror)))
        yield from missing
        if present:
            yield from self._walk(b"/", present, rules, whole=request.only is None)

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        paths = list(paths)
        self.read_paths += paths
        return (item for path in paths for item in self._read(path))

    def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        self.ranged_paths.append(path)
        return self._ranges(path, list(known))

    def _walk(
        self, path: bytes, wanted: list[bytes], rules: list[tuple[Rule, re.Pattern[str]]], *, whole: bool
    ) -> Iterator[Directory | Skipped]:
        """Walk ``path``; ``wanted`` are the roots at or below it, empty when it lies inside one."""
        prefix = path if path == b"/" else path + b"/"
        inside = (not wanted or path in wanted) and whole
        try:
            self._on_list(path)
            if inside:
                names = sorted(os.listdir(path))
            else:
                names = sorted({root[len(prefix) :].split(b"/")[0] for root in wanted if root.startswith(prefix)})
        except OSError as error:
            yield Skipped(path, _reason(error), detail=str(error.strerror))
            return
        nodes: list[Node] = []
        skips: list[Skipped] = []
        for name in names:
            child = prefix + name
            try:
                node = node_at(child)
            except OSError as error:
                skips.append(Skipped(child, _reason(error), detail=str(error.strerror)))
                continue
            rule = _excluding(rules, child, node) if inside and child not in wanted else None
            if rule is not None:
                skips.append(Skipped(child, "too-large" if rule.min_size else "excluded", rule.id))
            else:
                nodes.append(node)
        yield Directory(path, nodes)
        yield from skips
        for name in [node.name for node in nodes if node.type == "dir"]:
            child = prefix + name
            below = [root for root in wanted if root == child or root.startswith(child + b"/")]
            yield from self._walk(child, below, rules, whole=whole)

    def _read(self, path: bytes) -> Iterator[Piece | FileEnd | Skipped]:
        try:
            self._on_open(path)
            with open(path, "rb", buffering=0) as file:
                before = _stat(os.fstat(file.fileno()))
                digest = hashlib.sha256()
                offset = 0
                while offset < before.size:
                    data = file.read(min(PIECE, before.size - offset))
                    if not data:
                        break
                    digest.update(data)
                    if data.count(0) == len(data):
                        yield Piece(path, offset, zero=len(data))
                    else:
                        self.sent += len(data)
                        yield Piece(path, offset, data)
                    offset += len(data)
                    self._on_piece(path, offset)
                after = _stat(os.fstat(file.fileno()))
        except OSError as error:
            yield Skipped(path, _reason(error), detail=str(error.strerror))
            return
        yield FileEnd(path, offset, digest.digest() if self._hashing else None, before, after)

    def _ranges(self, path: bytes, known: list[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        try:
            self._on_open(path)
            with open(path, "rb", buffering=0) as file:
                before = _stat(os.fstat(file.fileno()))
                digest = hashlib.sha256()
                offset = 0
                for part in known:
                    data = file.read(min(part.length, max(before.size - offset, 0)))
                    digest.update(data)
                    if data and (len(data) < part.length or hashlib.sha256(data).digest() != part.sha256):
                        for start in range(0, len(data), PIECE):
                            self.sent += len(data[start : start + PIECE])
                            yield Piece(path, offset + start, data[start : start + PIECE])
                    offset += len(data)
                    self._on_piece(path, offset)
                while offset < before.size and (data := file.read(min(PIECE, before.size - offset))):
                    digest.update(data)
                    self.sent += len(data)
                    yield Piece(path, offset, data)
                    offset += len(data)
                    self._on_piece(path, offset)
                after = _stat(os.fstat(file.fileno()))
        except OSError as error:
            yield Skipped(path, _reason(error), detail=str(error.strerror))
            return
        yield FileEnd(path, offset, digest.digest() if self._hashing else None, before, after)


def node_at(path: bytes) -> Node:
    """Return what stands at ``path`` as a node without content."""
    found = os.lstat(path)
    kind = _TYPES[stat.S_IFMT(found.st_mode)]
    xattrs: tuple[tuple[str, bytes], ...] = ()
    if kind in ("file", "dir"):
        names = os.listxattr(path, follow_symlinks=False)
        xattrs = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names))
    return Node(
        name=os.path.basename(path),
        type=kind,
        mode=found.st_mode,
        mtime_ns=found.st_mtime_ns,
        atime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        uid=found.st_uid,
        gid=found.st_gid,
        inode=found.st_ino,
        device_id=found.st_dev,
        size=found.st_size if kind == "file" else 0,
        links=found.st_nlink,
        linktarget=os.readlink(path) if kind == "symlink" else b"",
        xattrs=xattrs,
    )


def _excluding(rules: list[tuple[Rule, re.Pattern[str]]], path: bytes, node: Node) -> Rule | None:
    text = path.decode("utf-8", "replace")
    for rule, pattern in rules:
        if rule.tag:
            if node.type == "dir" and _has_tag(os.path.join(path, rule.tag.encode())):
                return rule
            continue
        if rule.dirs_only and node.type != "dir":
            continue
        if rule.min_size and (node.type != "file" or node.size < rule.min_size):
            continue
        if pattern.fullmatch(text):
            return rule
    return None


def _has_tag(path: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_CACHE_TAG)) == _CACHE_TAG
    except OSError:
        return False


def _stat(found: os.stat_result) -> Stat:
    return Stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _reason(error: OSError) -> SkipReason:
    if isinstance(error, PermissionError):
        return "denied"
    if isinstance(error, FileNotFoundError) or error.errno == errno.ENOTDIR:
        return "vanished"
    return "unreadable"
