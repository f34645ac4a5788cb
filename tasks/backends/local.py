"""Files in a directory, in the layout of restic's local backend, so that both work in the same place.

Sources: restic's ``doc/design.rst`` ("Repository Layout") and ``internal/backend/local``: folders ``data keys locks
snapshots index``, packs in ``data/<first two hex digits>/``, owner-only and read-only files, a temporary file beside
the final name. Ours begin with a dot, restic's end in ``-tmp-<digits>``; neither is ever listed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkstemp
from typing import Final

from tasks.backends.base import Backend, Buffer, FileInfo, check_name
from tasks.backends.names import check_prefix, check_range, resolve_range
from tasks.errors import BackendError, Denied, NotFound, StoreUnavailable

#: What the stock client expects in a repository.
_LAYOUT: Final = ("data", "keys", "locks", "snapshots", "index")
_TEMPORARY: Final = ".firstbell-"
_RESTIC_TEMPORARY: Final = re.compile(r"(config|[0-9a-f]{64})-tmp-[0-9]+")
#: A temporary file older than this, in seconds, was left by a process that died: no upload of one pack takes a day.
_LEFTOVER_AGE: Final = 24 * 3600
_TRANSIENT: Final = frozenset(
    {errno.EAGAIN, errno.EBUSY, errno.EINTR, errno.ESTALE, errno.ETIMEDOUT, errno.ENETUNREACH, errno.EHOSTDOWN}
)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def open_location(rest: str, options: object, connections: int) -> LocalBackend:
    """Return the backend for a directory; ``~`` is the home of the user that runs us."""
    return LocalBackend(Path(rest).expanduser().absolute())


class LocalBackend(Backend):
    """A directory; also on a network mount, as long as its rename is atomic."""

    def __init__(self, folder: Path) -> None:
        self.location = str(folder)
        self._folder = folder
        self._lock = threading.Lock()
        self._ready: set[Path] = set()
        self._folder_mode = 0o700
        self._file_mode = 0o400
        self._modes_known = False
        self._closed = False

    def ensure_location(self) -> None:
        """Create the directory and those above it."""
        with self._errors("create the directory"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, name: str, data: Buffer, *, overwrite: bool = True) -> None:
        """Write a temporary file beside the final name, make it durable, rename it."""
        path = self._path(name)
        with self._errors(name):
            self._prepare(name, path.parent)
            if not overwrite and path.exists():
                raise FileExistsError(name)
            descriptor, temporary = mkstemp(prefix=_TEMPORARY, dir=path.parent)
            try:
                try:
                    _write(descriptor, data)
                    os.fchmod(descriptor, self._file_mode)
                    _make_durable(descriptor)
                finally:
                    os.close(descriptor)
                _publish(temporary, path, overwrite=overwrite)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)  # noqa: PTH108
                raise
            _make_folder_durable(path.parent)

    def load(self, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Read from the file; its size is taken after it was opened."""
        path = self._path(name)
        check_range(offset, length)
        with self._errors(name):
            # Without O_NONBLOCK, opening a foreign FIFO would wait for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise FileNotFoundError(errno.ENOENT, "not a file", name)
                start, count = resolve_range(name, found.st_size, offset, length)
                return _read(descriptor, name, start, count)
            finally:
                os.close(descriptor)

    def stat(self, name: str) -> FileInfo:
        """Return the size of a file."""
        path = self._path(name)
        with self._errors(name):
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise FileNotFoundError(errno.ENOENT, "not a file", name)
            return FileInfo(name, found.st_size)

    def list(self, prefix: str = "") -> Iterator[FileInfo]:
        """Yield the files, folder by folder in the order of their names."""
        check_prefix(prefix)
        self._check_open()
        return self._walk(self._folder / prefix, prefix)

    def remove(self, name: str) -> None:
        """Unlink a file."""
        path = self._path(name)
        with self._errors(name), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def close(self) -> None:
        """Refuse further calls."""
        self._closed = True

    def is_transient(self, error: BaseException) -> bool:
        """Only what a network mount gets over: an open file gone stale, a timeout."""
        return isinstance(error, StoreUnavailable)

    def _path(self, name: str) -> Path:
        check_name(name)
        self._check_open()
        if _RESTIC_TEMPORARY.fullmatch(name.rpartition("/")[2]):
            raise ValueError(f"a name of restic's temporary files: {name!r}")
        return self._folder / name

    def _check_open(self) -> None:
        if self._closed:
            raise BackendError(f"{self.location}: the backend is closed")

    def _walk(self, folder: Path, prefix: str) -> Iterator[FileInfo]:
        with self._errors(prefix or "list"):
            try:
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                return
        for entry in entries:
            name = prefix + entry.name
            if not _listed(name):
                continue
            with self._errors(name):
                try:
                    info = entry.stat()
                except FileNotFoundError:  # removed since the folder was read
                    continue
            if stat.S_ISDIR(info.st_mode):
                yield from self._walk(folder / entry.name, name + "/")
            elif stat.S_ISREG(info.st_mode):
                yield FileInfo(name, info.st_size)

    def _prepare(self, name: str, parent: Path) -> None:
        """Create the folders that a file needs, once, and sweep what a dead process left there."""
        with self._lock:
            if parent in self._ready:
                return
            if not self._modes_known:
                self._folder_mode, self._file_mode = _modes(self._folder / "config")
                self._modes_known = True
            self._make_folder(self._folder)
            if name == "config" or name.partition("/")[0] in _LAYOUT:
                for folder in _LAYOUT:
                    self._make_folder(self._folder / folder)
            self._make_folder(parent)
            _sweep(parent)
            self._ready.add(parent)

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        if folder != self._folder:
            self._make_folder(folder.parent)
            with contextlib.suppress(FileExistsError):
                folder.mkdir(self._folder_mode)
            _make_folder_durable(folder.parent)
        else:
            folder.mkdir(self._folder_mode, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Turn the system's errors into ours; the ``FileExistsError`` of the contract, which has no number, passes."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FileExistsError) and error.errno is None:
                raise
            raise _translate(error, f"{self.location}: {what}") from error


def _translate(error: OSError, where: str) -> BackendError:
    text = f"{where}: {error.strerror or error}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound(text)
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return Denied(text, hint="Check owner and permissions of the repository's directory.")
    if error.errno in _FULL:
        return BackendError(text, hint="Free some space, or run 'firstbell forget' to drop old snapshots.")
    if error.errno in _TRANSIENT:
        return StoreUnavailable(text)
    return BackendError(text)


def _listed(name: str) -> bool:
    try:
        check_name(name)
    except ValueError:
        return False
    return not _RESTIC_TEMPORARY.fullmatch(name.rpartition("/")[2])


def _modes(config: Path) -> tuple[int, int]:
    """Return the modes for folders and files: the group may read when it may read ``config``, as with restic."""
    try:
        group = config.stat().st_mode & stat.S_IRGRP
    except OSError:
        group = 0
    return (0o750, 0o440) if group else (0o700, 0o400)


def _write(descriptor: int, data: Buffer) -> None:
    view = memoryview(data)
    rest = view.cast("B") if view.c_contiguous else memoryview(bytes(view))
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _read(descriptor: int, name: str, start: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.pread(descriptor, count, start)
        if not part:
            raise BackendError(f"{name} was cut short while it was read")
        parts.append(part)
        start += len(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _publish(temporary: str, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, path)  # noqa: PTH105 - both names are at hand as they are
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise FileExistsError(path.name) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links (exFAT, some SMB mounts) leaves a gap between question and answer.
        if path.exists():
            raise FileExistsError(path.name) from None
        os.replace(temporary, path)  # noqa: PTH105
        return
    os.unlink(temporary)  # noqa: PTH108


def _durable_call() -> Callable[[int], object]:
    if sys.platform == "darwin":
        import fcntl

        # fsync(2) on macOS does not reach the disk; Go, and so restic, uses this as well.
        return lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    return os.fsync


def _make_durable(descriptor: int) -> None:
    try:
        _durable_call()(descriptor)
    except OSError as error:
        if error.errno not in {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}:
            raise
        # Some network mounts have no such call; restic tolerates them as well.


def _make_folder_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _make_durable(descriptor)
    finally:
        os.close(descriptor)


def _sweep(folder: Path) -> None:
    """Remove temporary files that a dead process left; whatever cannot be removed stays."""
    oldest = time.time() - _LEFTOVER_AGE
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY) and entry.stat().st_mtime < oldest:
                os.unlink(entry.path)  # noqa: PTH108
