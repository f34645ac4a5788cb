"""Writing a host's files over SFTP: content under a temporary name, then a rename into place."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tasks.errors import ProtocolError
from tasks.remote.frames import MAX_PAYLOAD, Buffer
from tasks.remote.sftp import metadata
from tasks.remote.sftp.maker import Maker, beside
from tasks.remote.sftp.paths import split
from tasks.remote.sftp.places import Places
from tasks.remote.sftp.replies import Refused, refusal_of, result
from tasks.remote.sftp.rows import Accounts
from tasks.transports.sftp_client import CREATE, EXCLUSIVE, WRITE, Pending, SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes

#: Content of one file that is under way, in bytes.
_AHEAD: Final = 2 * 1024 * 1024
#: With less free than this, in bytes, a failure means that the disk is full.
_FULL: Final = 1024 * 1024
_ZEROS: Final = bytes(MAX_PAYLOAD)


class NewFile:
    """A file under its temporary name, until it is renamed."""

    def __init__(self, number: int, path: object) -> None:
        self.number = number
        self.path = path
        self.place = b""
        self.temp = b""
        self.handle = b""
        self.size = 0
        #: How much of ``size`` was written or is under way: a hole at the end is not.
        self.written = 0
        self.digest = hashlib.sha256()
        self.sha256 = ""
        self.refusal: Refused | None = None
        self.expect: Any = None
        self.setting: metadata.Setting | None = None
        self.under_way: deque[tuple[int, Pending[None]]] = deque()

    def settle(self, most: int = 0) -> None:
        """Wait until at most so many bytes are under way. Raises ``SftpError`` when one could not be written."""
        while self.under_way and self.size - self.under_way[0][0] >= most:
            self.under_way.popleft()[1].result()


class Writer:
    """Writes what ``allow-write`` permits; nothing before it."""

    def __init__(self, client: SftpClient, accounts: Accounts) -> None:
        self._client = client
        self._accounts = accounts
        self.places = Places(client)
        self._maker = Maker(client, accounts, self.places)
        self._files: dict[int, NewFile] = {}
        self._finished: list[NewFile] = []

    # ---- files

    def write(self, header: Mapping[str, Any], payload: Buffer) -> None:
        """Take a piece of a file's content."""
        file = self._files.get(header["file"]) or self._begin(header)
        self._try(file, lambda: self._append(file, payload, int(header.get("zero", 0))))

    def _try(self, file: NewFile, call: Callable[[], None]) -> None:
        """Do something for a file, which is given up when that fails."""
        if file.refusal is not None:
            return
        try:
            call()
        except Refused as refused:
            self._refuse(file, refused)
        except SftpError as error:
            self._refuse(file, self._no_space(file) or refusal_of(error, file.temp))

    def _no_space(self, file: NewFile) -> Refused | None:
        """Return that the disk is full, when it is: SFTP has no word of its own for that."""
        if not file.place or not self._client.has(b"statvfs@openssh.com"):
            return None
        try:
            space = self._client.space(split(file.place)[0]).result()
        except SftpError:
            return None
        return Refused("no-space", "the disk is full") if space.free < _FULL else None

    def _begin(self, header: Mapping[str, Any]) -> NewFile:
        if "path" not in header:
            raise ProtocolError("the first frame of a file has no path")
        file = self._files[header["file"]] = NewFile(header["file"], header["path"])
        self._try(file, lambda: self._open(file))
        return file

    def _open(self, file: NewFile) -> None:
        file.place = self.places.find(file.path)
        temp = beside(file.place)
        file.handle = self._client.open(temp, WRITE | CREATE | EXCLUSIVE, 0o600).result()
        file.temp = temp

    def _append(self, file: NewFile, data: Buffer, zeros: int) -> None:
        file.size += zeros
        while zeros > 0:
            file.digest.update(memoryview(_ZEROS)[: min(zeros, MAX_PAYLOAD)])
            zeros -= MAX_PAYLOAD
        file.digest.update(data)
        view = memoryview(data)
        for start in range(0, len(view), self._client.max_write):
            piece = view[start : start + self._client.max_write]
            # A first look at one byte: all of it is compared only where it may be zeros. Those become a hole.
            if piece[0] or piece != _ZEROS[: len(piece)]:
                file.under_way.append((file.size, self._client.write(file.handle, file.size, piece)))
                file.written = file.size + len(piece)
            file.size += len(piece)
            file.settle(_AHEAD)

    def finish(self, header: Mapping[str, Any], payload: Buffer) -> None:
        """Complete a file under its temporary name: content checked, metadata set. ``put`` brings its content along."""
        is_put = header["t"] == "put"
        document = header if is_put else json.loads(bytes(payload))
        file = self._files.get(header["file"]) or self._begin(header)
        if document.get("abort"):
            self._discard(file)
            del self._files[file.number]
            return
        self._finished.append(file)
        file.expect = document.get("expect")
        self._try(file, lambda: self._complete(file, document, payload if is_put else b""))

    def _complete(self, file: NewFile, document: Mapping[str, Any], content: Buffer) -> None:
        self._append(file, content, 0)
        client, handle = self._client, file.handle
        if file.size > file.written:
            client.fsetstat(handle, Attributes(size=file.size)).result()
        file.sha256 = file.digest.hexdigest()
        if document.get("sha256") and document["sha256"] != file.sha256:
            raise Refused("unreadable", "the content that arrived is not the one announced: its SHA-256 differs")
        standing = client.fstat(handle).result()
        if client.has(b"fsync@openssh.com"):
            file.under_way.append((file.size, client.fsync(handle)))
        meta = document.get("meta") or {}
        file.setting = metadata.begin(lambda wanted: client.fsetstat(handle, wanted), self._accounts, standing, meta)
        file.under_way.append((file.size, client.close(handle)))
        file.handle = b""

    def _refuse(self, file: NewFile, refusal: Refused) -> None:
        file.refusal = refusal
        self._discard(file)

    def _discard(self, file: NewFile) -> None:
        """Remove the temporary file."""
        if file.handle:
            self._client.close(file.handle)
            file.handle = b""
        if file.temp:
            with contextlib.suppress(SftpError):  # then it is not there
                self._client.remove(file.temp).result()
            file.temp = b""

    def commit(self) -> list[dict[str, Any]]:
        """Wait until finished files are durable, rename them, and return their results."""
        self.places.require()
        self.places.forget()
        files, self._finished = self._finished, []
        for file in files:
            self._try(file, file.settle)
        for file in files:
            self._try(file, lambda file=file: self._move(file))  # type: ignore[misc]
            del self._files[file.number]
        return [
            result({"file": file.number}, file.refusal, file.setting.finish() if file.setting else "", file.sha256)
            for file in files
        ]

    def _move(self, file: NewFile) -> None:
        if self.places.find(file.path) != file.place:
            raise Refused("conflict", "the folder leads elsewhere now")
        if file.setting is not None:
            file.setting.settle()
        self._maker.move(file.temp, file.place, file.expect)
        file.temp = b""

    # ---- what has no content

    def each(self, items: Sequence[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
        """Return the results of ``make``, ``meta`` or ``remove``."""
        self.places.require()
        call = {"make": self._maker.make, "meta": self._maker.meta, "remove": self._maker.remove}[kind]
        if kind != "meta":
            self.places.forget()
        results = []
        for item in items:
            refusal = None
            detail = ""
            place = b""
            try:
                place = self.places.find(item["path"])
                detail = call(item, place)
            except Refused as refused:
                refusal = refused
            except SftpError as error:
                refusal = refusal_of(error, place)
            results.append(result({"path": item["path"]}, refusal, detail))
        return results

    def cleanup(self) -> None:
        """Remove every temporary file."""
        for file in self._files.values():
            self._discard(file)
        self._files = {}
        self._finished = []
