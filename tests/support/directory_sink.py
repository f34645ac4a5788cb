"""A Sink over this machine's own file system: real files, no wire."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.entries import Expected, Hashed, WriteReason, WriteResult, Zeros
from tasks.repository.tree import Node, NodeType

_TYPES: dict[int, NodeType] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
}


@dataclass(slots=True)
class _Pending:
    """A written temporary file that waits for ``commit``."""

    path: bytes
    temporary: bytes
    expected: Expected | None
    sha256: bytes
    detail: str


class Refused(Exception):
    """What the sink answers for one path."""

    def __init__(self, reason: WriteReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason: WriteReason = reason
        self.detail = detail


class DirectorySink:
    """Writes below the roots that ``allow`` names, by temporary name and rename, as the helper does on a host."""

    #: It compares what it wrote with the hash announced, and refuses what differs.
    proves = True

    def __init__(self) -> None:
        self._roots: tuple[bytes, ...] = ()
        self._pending: list[_Pending] = []
        self._results: list[WriteResult] = []
        self._links: list[tuple[bytes, bytes, Expected | None]] = []
        self._serial = 0
        self.digest = ""
        #: Bytes of content taken from the caller, zeros not counted.
        self.received = 0

    def stat(self, paths: Sequence[bytes]) -> list[Node | None]:
        return [node_at(path) for path in paths]

    def hash(self, paths: Sequence[bytes]) -> Iterator[Hashed]:
        for path in paths:
            try:
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
                    info = os.fstat(file.fileno())
                yield Hashed(path, info.st_size, info.st_mtime_ns, digest)
            except OSError as error:
                yield Hashed(path, 0, 0, None, error.strerror or "unreadable")

    def allow(self, plan_digest: str, roots: Sequence[bytes]) -> None:
        assert len(plan_digest) == 64
        self.digest = plan_digest
        # A root may be a symlink itself: then what is behind it is meant, too.
        own = [os.path.join(os.path.realpath(os.path.dirname(root)), os.path.basename(root)) for root in roots]
        self._roots = (*own, *(os.path.realpath(root) for root in roots))

    def make(
        self, path: bytes, node: Node, *, hardlink_to: bytes | None = None, expected: Expected | None = None
    ) -> None:
        if hardlink_to is not None:
            # What it points to may wait for the commit.
            self._links.append((path, hardlink_to, expected))
        else:
            self._try(path, lambda: self._make(path, node, expected))

    def made(self) -> list[WriteResult]:
        results, self._results = self._results, []
        return results

    def write_file(
        self,
        path: bytes,
        node: Node,
        expected: Expected | None,
        content: Iterable[bytes | memoryview | Zeros],
        *,
        sha256: Callable[[], bytes] | None = None,
    ) -> None:
        try:
            self._check(path, expected)
        except (Refused, OSError) as error:
            self._results.append(_result(path, error))
            return
        self._serial += 1
        temporary = os.path.join(os.path.dirname(path), b".firstbell-%d-%d" % (os.getpid(), self._serial))
        digest = hashlib.sha256()
        try:
            with open(temporary, "xb") as file:
                size = 0
                for piece in content:
                    if isinstance(piece, Zeros):
                        digest.update(bytes(piece.length))
                        file.seek(piece.length, os.SEEK_CUR)
                        size += piece.length
                    else:
                        digest.update(piece)
                        file.write(piece)
                        size += len(piece)
                        self.received += len(piece)
                file.truncate(size)
            if sha256 is not None and sha256() != digest.digest():
                raise OSError(errno.EIO, "the content that arrived is not the one announced")
            detail = set_metadata(temporary, node)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            self._results.append(_result(path, error))
            return
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        self._pending.append(_Pending(path, temporary, expected, digest.digest(), detail))

    def commit(self) -> list[WriteResult]:
        for item in self._pending:
            self._try(item.path, lambda item=item: self._rename(item))  # type: ignore[misc]
        self._pending = []
        for path, target, expected in self._links:
            self._try(path, lambda path=path, target=target, expected=expected: self._link(path, target, expected))  # type: ignore[misc]
        self._links = []
        results, self._results = self._results, []
        return results

    def begin_commit(self) -> Callable[[], list[WriteResult]]:
        results = self.commit()
        return lambda: results

    def set_metadata(self, items: Sequence[tuple[bytes, Node]]) -> list[WriteResult]:
        results: list[WriteResult] = []
        for path, node in items:
            try:
                self._check_inside(path)
                results.append(WriteResult(path, True, detail=set_metadata(path, node)))
            except (Refused, OSError) as error:
                results.append(_result(path, error))
        return results

    def remove(self, path: bytes, expected: Expected) -> None:
        self._try(path, lambda: self._remove(path, expected))

    def close(self) -> None:
        """Remove temporary files, as the helper does when its input ends."""
        for item in self._pending:
            with contextlib.suppress(OSError):
                os.unlink(item.temporary)
        self._pending = []

    def _try(self, path: bytes, action: Callable[[], WriteResult | None]) -> None:
        try:
            self._results.append(action() or WriteResult(path, True))
        except (Refused, OSError) as error:
            self._results.append(_result(path, error))

    def _make(self, path: bytes, node: Node, expected: Expected | None) -> WriteResult | None:
        there = self._check_inside(path)
        if there is not None and there.type == node.type and there.linktarget == node.linktarget:
            return None
        if there is not None:
            self._check(path, expected)
            os.unlink(path)
        if node.type == "dir":
            os.mkdir(path)
            return WriteResult(path, True, detail=set_metadata(path, replace(node, mode=node.mode | 0o700)))
        if node.type == "symlink":
            os.symlink(node.linktarget, path)
        elif node.type == "fifo":
            os.mkfifo(path)
        else:
            raise Refused("unsupported", node.type)
        return WriteResult(path, True, detail=set_metadata(path, node))

    def _link(self, path: bytes, target: bytes, expected: Expected | None) -> WriteResult | None:
        there = self._check_inside(path)
        if there is not None:
            if os.path.samestat(os.lstat(path), os.lstat(target)):
                return None
            self._check(path, expected)
            os.unlink(path)
        os.link(target, path, follow_symlinks=False)
        return None

    def _rename(self, item: _Pending) -> WriteResult:
        try:
            self._check(item.path, item.expected)
            os.rename(item.temporary, item.path)
        except (Refused, OSError):
            with contextlib.suppress(OSError):
                os.unlink(item.temporary)
            raise
        return WriteResult(item.path, True, detail=item.detail, sha256=item.sha256)

    def _remove(self, path: bytes, expected: Expected) -> None:
        there = self._check_inside(path)
        if there is None:
            return
        if there.type == "dir" and expected.type == "dir":
            try:
                os.rmdir(path)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise Refused("conflict", "not empty") from None
                raise
            return
        self._check(path, expected)
        os.unlink(path)

    def _check(self, path: bytes, expected: Expected | None) -> None:
        there = self._check_inside(path)
        seen = None if there is None else Expected(there.type, there.size, there.mtime_ns)
        if seen != expected:
            raise Refused("conflict", "changed since the plan")

    def _check_inside(self, path: bytes) -> Node | None:
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if not any(real == root or real.startswith(root.rstrip(b"/") + b"/") for root in self._roots):
            raise Refused("outside")
        return node_at(path)


def node_at(path: bytes) -> Node | None:
    """Return what stands at ``path``; links are not followed."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return node_of(path, info)


def node_of(path: bytes, info: os.stat_result) -> Node:
    """Return the node of one entry, without its content."""
    kind: NodeType = _TYPES.get(stat.S_IFMT(info.st_mode), "irregular")
    names: list[str] = []
    with contextlib.suppress(OSError):
        names = sorted(os.listxattr(path, follow_symlinks=False))
    return Node(
        name=os.path.basename(path),
        type=kind,
        mode=info.st_mode,
        mtime_ns=info.st_mtime_ns,
        atime_ns=info.st_atime_ns,
        ctime_ns=info.st_ctime_ns,
        uid=info.st_uid,
        gid=info.st_gid,
        inode=info.st_ino,
        device_id=info.st_dev,
        size=info.st_size if kind == "file" else 0,
        links=info.st_nlink,
        linktarget=os.readlink(path) if kind == "symlink" else b"",
        xattrs=tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names),
    )


def set_metadata(path: bytes, node: Node) -> str:
    """Set mode, owner, attributes and times; return what could not be set."""
    missing: list[str] = []
    try:
        os.chown(path, node.uid, node.gid, follow_symlinks=False)
    except PermissionError:
        missing.append("owner")
    for name, value in node.xattrs:
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        except OSError:
            missing.append(name)
    if node.type != "symlink":
        os.chmod(path, stat.S_IMODE(node.mode))
    os.utime(path, ns=(node.atime_ns, node.mtime_ns), follow_symlinks=False)
    return ", ".join(missing)


def _result(path: bytes, error: Refused | OSError) -> WriteResult:
    if isinstance(error, Refused):
        return WriteResult(path, False, error.reason, error.detail)
    reasons: dict[int | None, WriteReason] = {
        errno.EACCES: "denied",
        errno.EPERM: "denied",
        errno.EROFS: "denied",
        errno.ENOSPC: "no-space",
        errno.ENOENT: "vanished",
        errno.ENOTDIR: "conflict",
        errno.EEXIST: "conflict",
    }
    return WriteResult(path, False, reasons.get(error.errno, "unreadable"), error.strerror or str(error))
