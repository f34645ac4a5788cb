"""SFTP version 3 over a stream, with names as raw bytes and any number of requests under way.

paramiko's own client decodes names, so that what is not UTF-8 cannot be reached, and waits for each answer. The
protocol is draft-ietf-secsh-filexfer-02; the extensions are in OpenSSH's file PROTOCOL, section 4.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from tasks.errors import HelperFailed, ProtocolError, TransportError
from tasks.transports.base import Stream
from tasks.transports.sftp_packet import ATTRIBUTES, DATA, HANDLE, NAME, STATUS, Attributes, Packet, string

_T = TypeVar("_T")

_VERSION: Final = 3
_INIT: Final = 1
#: Answer types that are not among the requests.
_EXTENDED: Final = 200
_EXTENDED_REPLY: Final = 201
#: Largest packet that a server may send, in bytes; OpenSSH's are at most 256 KiB.
_LARGEST: Final = 1024 * 1024
#: What every server reads and writes at once, in bytes.
_COMMON: Final = 32 * 1024
#: What we read and write at once, in bytes, where the server says that it can: a third faster than 32 KiB [measured].
_MOST: Final = 255 * 1024
#: How much is asked of the stream at once, in bytes.
_READ: Final = 512 * 1024

# Status codes.
OK: Final = 0
EOF: Final = 1
NO_SUCH_FILE: Final = 2
PERMISSION_DENIED: Final = 3
FAILURE: Final = 4
BAD_MESSAGE: Final = 5
UNSUPPORTED: Final = 8

# Flags of open.
READ: Final = 0x01
WRITE: Final = 0x02
CREATE: Final = 0x08
EXCLUSIVE: Final = 0x20


class SftpError(Exception):
    """The server refused a request; ``code`` is one of the status codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Entry(NamedTuple):
    """One name in a folder, and what the server says about it without following a symlink."""

    name: bytes
    attributes: Attributes


class Space(NamedTuple):
    """A file system, sizes in bytes; ``id`` tells it from others of the same host."""

    free: int
    total: int
    id: int


class Pending(Generic[_T]):
    """An answer that is still to come."""

    __slots__ = ("_answer", "_client", "_parse")

    def __init__(self, client: SftpClient, parse: Callable[[int, Packet], _T]) -> None:
        self._client = client
        self._parse = parse
        self._answer: tuple[int, Packet] | None = None

    def arrived(self, kind: int, packet: Packet) -> None:
        """Take the answer off the wire; ``SftpClient`` calls it."""
        self._answer = kind, packet

    def result(self) -> _T:
        """Wait for the answer and return it. Raises ``SftpError``, and what the stream raises."""
        while self._answer is None:
            self._client.receive()
        kind, packet = self._answer
        if kind == STATUS:
            # The position must be as it was, for whoever asks for the result again.
            code, message = Packet(packet.rest()).status()
            if code != OK:
                raise SftpError(code, message)
        return self._parse(kind, Packet(packet.rest()))


class SftpClient:
    """One SFTP session, for one thread. ``stream`` is the server's; closing it is the caller's business."""

    def __init__(self, stream: Stream, host: str) -> None:
        self._stream = stream
        self._host = host
        self._buffer = bytearray()
        self._number = 0
        self._pending: dict[int, Pending[object]] = {}
        self.extensions: dict[bytes, bytes] = {}
        #: Most that is read and written by one request, in bytes.
        self.max_read = self.max_write = _COMMON
        self._greet()

    def _greet(self) -> None:
        self._stream.write(struct.pack(">IBI", 5, _INIT, _VERSION))
        kind, packet = self._packet()
        if kind != 2:
            raise ProtocolError("what answers is no SFTP server", host=self._host)
        packet.u32()
        while packet.rest():
            name = packet.string()
            self.extensions[name] = packet.string()
        if self.has(b"limits@openssh.com"):
            _, most_read, most_write = self._extended(b"limits@openssh.com", b"", _limits).result()
            self.max_read = min(most_read or _COMMON, _MOST)
            self.max_write = min(most_write or _COMMON, _MOST)

    def has(self, extension: bytes) -> bool:
        """Tell whether the server offers an extension."""
        return extension in self.extensions

    # ---- the wire

    def _send(self, kind: int, body: bytes, parse: Callable[[int, Packet], _T]) -> Pending[_T]:
        self._number = self._number + 1 & 0xFFFFFFFF
        pending = Pending(self, parse)
        self._pending[self._number] = pending  # type: ignore[assignment]
        self._stream.write(struct.pack(">IBI", len(body) + 5, kind, self._number) + body)
        return pending

    def _extended(self, name: bytes, body: bytes, parse: Callable[[int, Packet], _T]) -> Pending[_T]:
        return self._send(_EXTENDED, string(name) + body, parse)

    def receive(self) -> None:
        """Take one answer off the wire and hand it to who waits for it."""
        kind, packet = self._packet()
        pending = self._pending.pop(packet.u32(), None)
        if pending is None:
            raise ProtocolError("the SFTP server answered what nobody asked", host=self._host)
        pending.arrived(kind, packet)

    def _packet(self) -> tuple[int, Packet]:
        head = self._take(4)
        length = int.from_bytes(head, "big")
        if not 1 <= length <= _LARGEST:
            raise ProtocolError(f"an SFTP packet of {length} bytes arrived", host=self._host)
        body = self._take(length)
        return body[0], Packet(body[1:])

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            piece = self._stream.read(_READ)
            if not piece:
                raise HelperFailed(
                    "the SFTP server ended",
                    hint="Check 'Subsystem sftp' in the host's sshd_config, and its log.",
                    host=self._host,
                )
            self._buffer += piece
        taken = bytes(memoryview(self._buffer)[:length])
        # A bytearray drops its beginning without moving the rest.
        del self._buffer[:length]
        return taken

    # ---- requests

    def open(self, path: bytes, flags: int, mode: int | None = None) -> Pending[bytes]:
        """Open a file; the answer is its handle."""
        return self._send(3, string(path) + struct.pack(">I", flags) + Attributes(mode=mode).pack(), _handle)

    def close(self, handle: bytes) -> Pending[None]:
        """Close a file or folder."""
        return self._send(4, string(handle), _nothing)

    def give_up(self, handle: bytes) -> None:
        """Close a file or folder that nobody wants any more; never raises, for a connection that is gone has none."""
        with contextlib.suppress(TransportError):
            self.close(handle)

    def read(self, handle: bytes, offset: int, length: int) -> Pending[bytes]:
        """Read; the answer may be shorter, and is empty at the end (see ``content``)."""
        return self._send(5, string(handle) + struct.pack(">QI", offset, length), _data)

    def write(self, handle: bytes, offset: int, data: bytes | memoryview) -> Pending[None]:
        """Write all of ``data``, at most ``max_write`` bytes."""
        body = b"".join((string(handle), struct.pack(">QI", offset, len(data)), data))
        return self._send(6, body, _nothing)

    def lstat(self, path: bytes) -> Pending[Attributes]:
        """Ask about a path, not following a symlink."""
        return self._send(7, string(path), _attributes)

    def fstat(self, handle: bytes) -> Pending[Attributes]:
        """Ask about an open file."""
        return self._send(8, string(handle), _attributes)

    def setstat(self, path: bytes, attributes: Attributes) -> Pending[None]:
        """Set what ``attributes`` has; follows a symlink."""
        return self._send(9, string(path) + attributes.pack(), _nothing)

    def fsetstat(self, handle: bytes, attributes: Attributes) -> Pending[None]:
        """Set what ``attributes`` has, of an open file."""
        return self._send(10, string(handle) + attributes.pack(), _nothing)

    def lsetstat(self, path: bytes, attributes: Attributes) -> Pending[None]:
        """Set what ``attributes`` has, not following a symlink. An extension."""
        return self._extended(b"lsetstat@openssh.com", string(path) + attributes.pack(), _nothing)

    def opendir(self, path: bytes) -> Pending[bytes]:
        """Open a folder; the answer is its handle."""
        return self._send(11, string(path), _handle)

    def readdir(self, handle: bytes) -> Pending[list[Entry]]:
        """Read some more entries; the answer is ``SftpError`` with ``EOF`` after the last ones."""
        return self._send(12, string(handle), _entries)

    def remove(self, path: bytes) -> Pending[None]:
        """Remove what is no folder."""
        return self._send(13, string(path), _nothing)

    def mkdir(self, path: bytes, mode: int) -> Pending[None]:
        """Make a folder."""
        return self._send(14, string(path) + Attributes(mode=mode).pack(), _nothing)

    def rmdir(self, path: bytes) -> Pending[None]:
        """Remove an empty folder."""
        return self._send(15, string(path), _nothing)

    def realpath(self, path: bytes) -> Pending[bytes]:
        """Resolve symlinks. OpenSSH bears that the last name is not there."""
        return self._send(16, string(path), _name)

    def rename(self, old: bytes, new: bytes) -> Pending[None]:
        """Rename; fails when there is something at ``new``."""
        return self._send(18, string(old) + string(new), _nothing)

    def posix_rename(self, old: bytes, new: bytes) -> Pending[None]:
        """Rename over what is at ``new``. An extension."""
        return self._extended(b"posix-rename@openssh.com", string(old) + string(new), _nothing)

    def readlink(self, path: bytes) -> Pending[bytes]:
        """Read a symlink."""
        return self._send(19, string(path), _name)

    def symlink(self, target: bytes, path: bytes) -> Pending[None]:
        """Make a symlink; OpenSSH takes the arguments in this order, against the draft, and others follow it."""
        return self._send(20, string(target) + string(path), _nothing)

    def hardlink(self, old: bytes, new: bytes) -> Pending[None]:
        """Give a file another name. An extension."""
        return self._extended(b"hardlink@openssh.com", string(old) + string(new), _nothing)

    def fsync(self, handle: bytes) -> Pending[None]:
        """Make what was written durable. An extension."""
        return self._extended(b"fsync@openssh.com", string(handle), _nothing)

    def space(self, path: bytes) -> Pending[Space]:
        """Ask for the space of the file system that a path is on. An extension."""
        return self._extended(b"statvfs@openssh.com", string(path), _space)

    def names(self, users: list[int], groups: list[int]) -> Pending[tuple[list[bytes], list[bytes]]]:
        """Ask for the names of users and groups, empty where there is none. An extension."""
        numbers = b"".join(string(struct.pack(f">{len(ids)}I", *ids)) for ids in (users, groups))
        return self._extended(b"users-groups-by-id@openssh.com", numbers, _names)

    # ---- what takes several requests

    def listing(self, handle: bytes) -> Iterator[Entry]:
        """Yield what is in an open folder, without ``.`` and ``..``, in the server's order, and close it."""
        ahead = [self.readdir(handle)]
        try:
            while True:
                ahead.append(self.readdir(handle))
                for entry in ahead.pop(0).result():
                    if entry.name not in (b".", b".."):
                        yield entry
        except SftpError as error:
            if error.code != EOF:
                raise
        finally:
            self.give_up(handle)

    def content(self, handle: bytes, start: int, end: int, ahead: int = 2 * 1024 * 1024) -> Iterator[bytes]:
        """Yield an open file's bytes from ``start`` up to ``end`` or its end, with ``ahead`` bytes asked for ahead."""
        waiting: list[tuple[int, int, Pending[bytes]]] = []
        asked = start
        while True:
            while asked < end and asked - (waiting[0][0] if waiting else asked) < ahead:
                length = min(self.max_read, end - asked)
                waiting.append((asked, length, self.read(handle, asked, length)))
                asked += length
            if not waiting:
                return
            offset, length, pending = waiting.pop(0)
            while length:
                data = self.data_of(pending)
                if not data:
                    return
                yield data
                offset, length = offset + len(data), length - len(data)
                if length:
                    pending = self.read(handle, offset, length)

    @staticmethod
    def data_of(pending: Pending[bytes]) -> bytes:
        """Return what a read brought, empty at the end of the file."""
        try:
            return pending.result()
        except SftpError as error:
            if error.code == EOF:
                return b""
            raise

    def small_file(self, path: bytes, most: int = 256 * 1024) -> bytes:
        """Return a regular file's content up to ``most`` bytes; also of those in /proc, whose size is 0."""
        handle = self.open(path, READ).result()
        try:
            return b"".join(self.content(handle, 0, most, ahead=1))
        finally:
            self.give_up(handle)


def _expect(kind: int, wanted: int) -> None:
    if kind != wanted:
        raise ProtocolError(f"the SFTP server answered with type {kind} where {wanted} was due")


def _nothing(kind: int, packet: Packet) -> None:
    _expect(kind, STATUS)


def _handle(kind: int, packet: Packet) -> bytes:
    _expect(kind, HANDLE)
    return packet.string()


def _data(kind: int, packet: Packet) -> bytes:
    _expect(kind, DATA)
    return packet.string()


def _attributes(kind: int, packet: Packet) -> Attributes:
    _expect(kind, ATTRIBUTES)
    return packet.attributes()


def _entries(kind: int, packet: Packet) -> list[Entry]:
    _expect(kind, NAME)
    entries = []
    for _ in range(packet.u32()):
        name = packet.string()
        packet.string()  # as ls -l would show it
        entries.append(Entry(name, packet.attributes()))
    return entries


def _name(kind: int, packet: Packet) -> bytes:
    entries = _entries(kind, packet)
    if len(entries) != 1:
        raise ProtocolError("the SFTP server answered with several names where one was due")
    return entries[0].name


def _limits(kind: int, packet: Packet) -> tuple[int, int, int]:
    _expect(kind, _EXTENDED_REPLY)
    return packet.u64(), packet.u64(), packet.u64()


def _space(kind: int, packet: Packet) -> Space:
    """f_bsize f_frsize f_blocks f_bfree f_bavail f_files f_ffree f_favail f_fsid f_flag f_namemax."""
    _expect(kind, _EXTENDED_REPLY)
    packet.u64()
    size, blocks, _, available = packet.u64(), packet.u64(), packet.u64(), packet.u64()
    for _ in range(3):
        packet.u64()
    return Space(available * size, blocks * size, packet.u64())


def _names(kind: int, packet: Packet) -> tuple[list[bytes], list[bytes]]:
    _expect(kind, _EXTENDED_REPLY)
    found = []
    for packed in (Packet(packet.string()), Packet(packet.string())):
        names = []
        while packed.rest():
            names.append(packed.string())
        found.append(names)
    return found[0], found[1]
