"""Content of a host's files over SFTP. Its generators yield the bytes that they have sent."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

from tasks.errors import TransportError
from tasks.remote.frames import MAX_PAYLOAD
from tasks.remote.sftp.paths import parts_of, split
from tasks.remote.sftp.replies import Reply, RequestError, Skip, skip_of
from tasks.remote.sftp.rows import kind_of, mtime_of, version_of
from tasks.transports.sftp_client import READ, Pending, SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes

_MAX_RANGE: Final = 16 * 1024 * 1024
#: A header with its frame is about so long, in bytes.
_OVERHEAD: Final = 256
#: How many files ahead are looked at, opened, read.
_LOOKED_AT: Final = 48
_OPENED: Final = 24
_READ: Final = 12
#: Files up to this size are read ahead, in bytes.
_SMALL: Final = 128 * 1024


class OpenFile:
    """A file on its way: looked at, then opened, then read. Only regular files are opened, which never waits."""

    def __init__(self, client: SftpClient, path: bytes, folders: dict[bytes, Pending[bytes]]) -> None:
        self._client = client
        self.path = path
        self._folder = b""
        self._folders = folders
        self._skip: Skip | None = None
        self._looked: Pending[Attributes] | None = None
        self._opened: Pending[bytes] | None = None
        self._before: Pending[Attributes] | None = None
        self._first: list[Pending[bytes]] = []
        self._after: Pending[Attributes] | None = None
        self._handle = b""
        try:
            parts_of(path)
            self._folder = split(path)[0]
            if self._folder not in folders:
                folders[self._folder] = client.realpath(self._folder)
            self._looked = client.lstat(path)
        except RequestError as error:
            self._skip = Skip("name", str(error))

    def open(self) -> None:
        """Ask to open it, once it is known to be a file."""
        if self._skip is not None or self._looked is None:
            return
        try:
            looked = self._looked.result()
            straight = self._folders[self._folder].result() == self._folder
        except SftpError as error:
            self._skip = skip_of(error, self.path)
            return
        kind = kind_of(looked)
        if not straight:
            self._skip = Skip("vanished", "a symlink is in the way")
        elif kind in ("dir", "symlink"):
            self._skip = Skip("vanished", f"it is a {kind} now")
        elif kind != "file":
            self._skip = Skip("special", f"it is a {kind}")
        else:
            self._opened = self._client.open(self.path, READ)

    def begin(self) -> None:
        """Take its handle, and ask for all of a small file; a large one is begun when it is its turn."""
        if self._skip is not None or self._looked is None or not self._take_handle():
            return
        size = self._looked.result().size or 0
        if size <= _SMALL:
            self._before = self._client.fstat(self._handle)
            step = self._client.max_read
            self._first = [
                self._client.read(self._handle, start, min(step, size - start)) for start in range(0, size, step)
            ]
            self._after = self._client.fstat(self._handle)

    def _take_handle(self) -> bool:
        """Wait until it is open; False when it could not be opened."""
        if self._opened is not None:
            try:
                self._handle = self._opened.result()
            except SftpError as error:
                self._skip = skip_of(error, self.path)
            self._opened = None
        return bool(self._handle)

    def before(self) -> Attributes:
        """Return what it was before it was read. Raises ``Skip``."""
        if self._skip is not None:
            raise self._skip
        try:
            before = (self._before or self._client.fstat(self._handle)).result()
        except SftpError as error:
            raise skip_of(error) from error
        if kind_of(before) != "file":
            raise Skip("vanished", "it was replaced while it was opened")
        return before

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield its content up to ``size`` bytes. Raises ``Skip`` when reading breaks off."""
        offset = 0
        try:
            for pending in self._first:
                data = self._client.data_of(pending)
                offset += len(data)
                yield data
                if len(data) < self._client.max_read:
                    break
            if offset < size:
                self._after = None
                yield from self._client.content(self._handle, offset, size)
        except SftpError as error:
            raise skip_of(error) from error

    def after(self) -> Attributes:
        """Return what it is after it was read. Raises ``Skip``."""
        try:
            return (self._after or self._client.fstat(self._handle)).result()
        except SftpError as error:
            raise skip_of(error) from error

    def close(self) -> None:
        """Give it up, whatever state it is in."""
        if self._opened is not None and not self._handle and self._skip is None:
            with contextlib.suppress(TransportError):
                self._take_handle()
        if self._handle:
            self._client.give_up(self._handle)
            self._handle = b""


class Reader:
    """Reads files for one host."""

    def __init__(self, client: SftpClient) -> None:
        self._client = client

    def _files(self, paths: Sequence[bytes]) -> Iterator[OpenFile]:
        """Yield files ready to be read, the next ones on their way."""
        files: list[OpenFile] = []
        folders: dict[bytes, Pending[bytes]] = {}
        opened = begun = 0
        try:
            for index in range(len(paths)):
                while len(files) < min(len(paths), index + _LOOKED_AT):
                    files.append(OpenFile(self._client, paths[len(files)], folders))
                while opened < min(len(paths), index + _OPENED):
                    files[opened].open()
                    opened += 1
                while begun < min(len(paths), index + _READ):
                    files[begun].begin()
                    begun += 1
                yield files[index]
                files[index].close()
        finally:
            for file in files:
                file.close()

    def read(self, reply: Reply, paths: Sequence[bytes]) -> Generator[int, None, None]:
        """Send the content of files, each with its ``end`` or ``skip``.

        The host cannot hash, so that ``end`` has no ``sha256``.
        """
        for index, file in enumerate(self._files(paths)):
            fields = {"file": index}
            try:
                before = file.before()
                waiting = bytearray()
                sent = 0
                for piece in file.pieces(before.size or 0):
                    if len(waiting) + len(piece) > MAX_PAYLOAD:
                        reply.send("data", {**fields, "offset": sent}, bytes(waiting))
                        yield len(waiting)
                        sent += len(waiting)
                        waiting.clear()
                    waiting += piece
                _end(reply, fields, before, file.after(), sent, bytes(waiting), "")
                yield len(waiting) + _OVERHEAD
            except Skip as skip:
                reply.skip(fields, skip)
                yield _OVERHEAD

    def ranges(self, reply: Reply, path: bytes, known: Sequence[Sequence[Any]]) -> Generator[int, None, None]:
        """Send what differs from the known ranges, and all behind them. All of it is read: the host cannot hash."""
        file = OpenFile(self._client, path, {})
        fields = {"file": 0}
        digest = hashlib.sha256()
        try:
            file.open()
            file.begin()
            before = file.before()
            content = _Content(file.pieces(before.size or 0))
            offset = 0
            for start, length, sha256 in known:
                if start != offset or not 0 < length <= _MAX_RANGE:
                    raise RequestError("bad-request", "ranges must be ascending, without gaps, and small")
                data = content.take(length)
                digest.update(data)
                if data and (len(data) < length or hashlib.sha256(data).hexdigest() != sha256):
                    yield from _data(reply, offset, data)
                else:
                    yield 0
                offset += len(data)
                if len(data) < length:
                    break
            while data := content.take(MAX_PAYLOAD):
                digest.update(data)
                yield from _data(reply, offset, data)
                offset += len(data)
            _end(reply, fields, before, file.after(), offset, b"", digest.hexdigest())
        except Skip as skip:
            reply.skip(fields, skip)
        finally:
            file.close()

    def hash(self, reply: Reply, paths: Sequence[bytes]) -> None:
        """Send the SHA-256 of files, which are read for it."""
        for index, file in enumerate(self._files(paths)):
            try:
                before = file.before()
                digest = hashlib.sha256()
                size = 0
                for piece in file.pieces(before.size or 0):
                    digest.update(piece)
                    size += len(piece)
            except Skip as skip:
                reply.skip({"file": index}, skip)
            else:
                fields = {"file": index, "sha256": digest.hexdigest(), "size": size, "mtime": mtime_of(before)}
                reply.send("item", fields)


class _Content:
    """A file's content, in pieces of the length that is asked for."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def take(self, length: int) -> bytes:
        """Return ``length`` bytes, fewer only at the end."""
        parts = [self._left]
        size = len(self._left)
        while size < length:
            piece = next(self._pieces, b"")
            if not piece:
                break
            parts.append(piece)
            size += len(piece)
        data = b"".join(parts)
        self._left = data[length:]
        return data[:length]


def _data(reply: Reply, offset: int, data: bytes) -> Iterator[int]:
    for start in range(0, len(data), MAX_PAYLOAD):
        piece = data[start : start + MAX_PAYLOAD]
        reply.send("data", {"file": 0, "offset": offset + start}, piece)
        yield len(piece)


def _end(
    reply: Reply, fields: dict[str, Any], before: Attributes, after: Attributes, sent: int, last: bytes, sha256: str
) -> None:
    fields = {**fields, "size": sent + len(last), "before": version_of(before), "after": version_of(after)}
    if sha256:
        fields["sha256"] = sha256
    if last:
        fields["offset"] = sent
    reply.send("end", fields, last)
