"""Serves the requests of the frame contract, in the order they arrive, over one SFTP session."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from tasks.remote.frames import PROTOCOL_VERSION, Buffer, Frame
from tasks.remote.sftp.facts import Facts
from tasks.remote.sftp.paths import decode_path, parts_of, split
from tasks.remote.sftp.reader import Reader
from tasks.remote.sftp.replies import Reply, RequestError, dump, skip_of
from tasks.remote.sftp.rows import Accounts, kind_of, row
from tasks.remote.sftp.walker import Walk
from tasks.remote.sftp.writer import Writer
from tasks.transports.sftp_client import Pending, SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes

#: Paths of one ``stat`` that are asked for at once.
_STATS = 200


class _Rest(NamedTuple):
    """An answer that has further pages."""

    reply: Reply
    pages: Generator[int, None, None]


class Server:
    """The helper's part. ``put`` takes its frames; ``serve`` returns False after ``bye``."""

    def __init__(self, client: SftpClient, put: Callable[[Frame], None], user: str, address: str) -> None:
        self._client = client
        self._put = put
        self._accounts = Accounts(client)
        self._facts = Facts(client, self._accounts, user, address)
        self._reader = Reader(client)
        self._writer = Writer(client, self._accounts)
        self._rests: dict[int, _Rest] = {}
        self._parts: dict[int, Any] = {}
        self._calls: dict[str, Callable[[dict[str, Any], Buffer], None]] = {
            "hello": self._hello,
            "facts": self._tell_facts,
            "list": self._list,
            "read": self._read,
            "ranges": self._ranges,
            "more": self._more,
            "stat": self._stat,
            "hash": self._hash,
            "allow-write": self._allow_write,
            "write": self._writer.write,
            "finish": self._writer.finish,
            "put": self._writer.finish,
            "commit": self._commit,
            "make": self._each,
            "meta": self._each,
            "remove": self._each,
        }

    def serve(self, frame: Frame) -> bool:
        """Serve one request; False when it was the last. Raises what the connection raises."""
        header, payload = frame
        call = self._calls.get(frame.type)
        if frame.type == "bye":
            self._reply(header).finish()
            return False
        if frame.type == "hello" and header.get("v") != PROTOCOL_VERSION:
            self._error(header, "version", f"this worker speaks version {PROTOCOL_VERSION}")
            return False
        try:
            if call is not None:
                call(header, payload)
            else:
                self._error(header, "unknown", f"no request {frame.type!r}")
        except RequestError as error:
            self._error(header, error.code, str(error))
        except SftpError as error:
            self._error(header, "internal", str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # A document that is not as the contract says shows in many ways; it ends its request only.
            self._error(header, "bad-request", f"{type(error).__name__}: {error}")
        return True

    def cleanup(self) -> None:
        """Remove temporary files; for when no more requests come."""
        for rest in self._rests.values():
            rest.pages.close()
        self._rests = {}
        self._writer.cleanup()

    def _reply(self, header: dict[str, Any]) -> Reply:
        return Reply(self._put, header["id"])

    def _error(self, header: dict[str, Any], code: str, message: str) -> None:
        # Its number follows none: an error may come after any frame of its answer.
        fields = {"t": "error", "id": header.get("id"), "seq": -1, "code": code, "message": message[:2000]}
        self._put(Frame(fields))

    def _page(self, number: int, reply: Reply, pages: Generator[int, None, None], most: int) -> None:
        """Send the next page of an answer: about ``most`` rows or bytes, all of it with 0."""
        left = most
        for cost in pages:
            left -= cost
            if most and left <= 0:
                self._rests[number] = _Rest(reply, pages)
                reply.finish(more=True)
                return
        reply.finish()

    def _document(self, header: dict[str, Any], payload: Buffer) -> Any:
        """Return the document of a request, joined from its parts; None while more are to come."""
        document = json.loads(bytes(payload))
        number = header["id"]
        if number in self._parts:
            begun = self._parts.pop(number)
            if isinstance(begun, list):
                document = begun + document
            else:
                for key, value in document.items():
                    begun[key] = (begun.get(key) or []) + value if value else begun.get(key)
                document = begun
        if header.get("part"):
            self._parts[number] = document
            return None
        return document

    # ---- one method for each request

    def _hello(self, header: dict[str, Any], _: Buffer) -> None:
        self._reply(header).send("hello", self._facts.hello())

    def _tell_facts(self, header: dict[str, Any], payload: Buffer) -> None:
        reply = self._reply(header)
        document = self._facts.document(json.loads(bytes(payload)).get("users"))
        reply.send("item", None, dump(document).encode("ascii"))
        reply.finish()

    def _list(self, header: dict[str, Any], payload: Buffer) -> None:
        document = self._document(header, payload)
        if document is not None:
            reply = self._reply(header)
            walk = Walk(reply, self._client, self._accounts, document)
            self._page(header["id"], reply, walk.run(), int(header.get("max", 0)))

    def _read(self, header: dict[str, Any], payload: Buffer) -> None:
        reply = self._reply(header)
        pages = self._reader.read(reply, _paths(payload))
        self._page(header["id"], reply, pages, int(header.get("max", 0)))

    def _ranges(self, header: dict[str, Any], payload: Buffer) -> None:
        known = self._document(header, payload)
        if known is not None:
            reply = self._reply(header)
            pages = self._reader.ranges(reply, decode_path(header["path"]), known)
            self._page(header["id"], reply, pages, int(header.get("max", 0)))

    def _more(self, header: dict[str, Any], _: Buffer) -> None:
        rest = self._rests.pop(header.get("of", -1), None)
        if rest is None:
            self._reply(header).finish()
        elif not header.get("max"):
            rest.pages.close()
            self._reply(header).finish()
        else:
            rest.reply.renumber(header["id"])
            self._page(header["of"], rest.reply, rest.pages, int(header["max"]))

    def _stat(self, header: dict[str, Any], payload: Buffer) -> None:
        reply = self._reply(header)
        paths = _paths(payload)
        for path in paths:
            parts_of(path)
        for start in range(0, len(paths), _STATS):
            looked = [(path, self._client.lstat(path)) for path in paths[start : start + _STATS]]
            found = [(path, self._standing(path, pending)) for path, pending in looked]
            self._accounts.learn(attributes for _, attributes in found if attributes is not None)
            reply.items([self._row(path, attributes) for path, attributes in found], self._accounts.header)
        reply.finish()

    def _standing(self, path: bytes, pending: Pending[Attributes]) -> Attributes | None:
        try:
            return pending.result()
        except SftpError as error:
            # Nothing, or nothing that the account may see: what is written there will tell.
            if skip_of(error, path).reason in ("vanished", "name", "denied"):
                return None
            raise RequestError("unreadable", f"{path!r}: {error}") from error

    def _row(self, path: bytes, attributes: Attributes | None) -> str:
        if attributes is None:
            return "null"
        target = self._client.readlink(path).result() if kind_of(attributes) == "symlink" else None
        return row(split(path)[1], attributes, target)

    def _hash(self, header: dict[str, Any], payload: Buffer) -> None:
        reply = self._reply(header)
        self._reader.hash(reply, _paths(payload))
        reply.finish()

    def _allow_write(self, header: dict[str, Any], payload: Buffer) -> None:
        self._writer.places.allow(json.loads(bytes(payload))["roots"])
        self._reply(header).finish()

    def _commit(self, header: dict[str, Any], _: Buffer) -> None:
        reply = self._reply(header)
        reply.items(map(dump, self._writer.commit()))
        reply.finish()

    def _each(self, header: dict[str, Any], payload: Buffer) -> None:
        reply = self._reply(header)
        reply.items(map(dump, self._writer.each(json.loads(bytes(payload)), header["t"])))
        reply.finish()


def _paths(payload: Buffer) -> list[bytes]:
    """Return the paths of a request. Raises ``RequestError`` when its document is no list of paths."""
    document = json.loads(bytes(payload))
    if not isinstance(document, list):
        raise RequestError("bad-request", "the payload is no list of paths")
    return [decode_path(value) for value in document]
