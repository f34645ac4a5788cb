"""A host's files for the archiver: ``archiver.source.Source`` over frames."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, cast, get_args

from tasks.entries import Directory, FileEnd, KnownRange, Piece, Rule, Skipped, Stat, WalkRequest
from tasks.errors import FirstbellError, ProtocolError
from tasks.events import SkipReason
from tasks.remote.frames import Frame, decode_path, encode_path
from tasks.remote.paging import Pages, array, batches, dump, encode_paths, send_parts
from tasks.remote.rows import NameTable
from tasks.remote.session import Answer, Session
from tasks.repository.tree import Node

#: Rows in one page of a walk: about 0.3 MiB on the wire.
_PAGE_ROWS: Final = 2000
#: Pages of a walk asked for ahead.
_PAGES_AHEAD: Final = 2
#: Content in one page, in bytes: two pages of each read under way are held at most, or what the link is deep.
_PAGE_BYTES: Final = 4 * 1024 * 1024
#: On a deep link, pages of each read that are asked for before there is a sign of them.
_EAGER: Final = 3

_REASONS: Final = frozenset(get_args(SkipReason))


class RemoteSource:
    """Reads a host's files. Its iterators are lazy and may be interleaved; one thread at a time may use one of them."""

    def __init__(self, session: Session, names: NameTable) -> None:
        self._session = session
        self._names = names
        #: Of a walk that asked for shadow copies, by drive letter: ``made``, or why there is none.
        self.shadow_copies: dict[str, str] = {}

    def entries(self, request: WalkRequest) -> Iterator[Directory | Skipped]:
        """Yield folders depth first, each before what is in it, names in byte order, starting at ``/``."""
        fields = {"max": _PAGE_ROWS, **({"shadow": True} if request.shadow else {})}
        answer = send_parts(self._session, "list", fields, _walk_documents(request))
        return self._entries(Pages(self._session, answer, _PAGE_ROWS, eager=_PAGES_AHEAD), shadow=request.shadow)

    def _entries(self, pages: Pages, *, shadow: bool) -> Iterator[Directory | Skipped]:
        children: list[Node] = []
        try:
            for frame in pages:
                if shadow and frame.type == "item":
                    self.shadow_copies = _shadow_copies(frame)
                elif frame.type == "skip":
                    yield _skipped(decode_path(frame.header.get("path")), frame)
                elif frame.type == "entry":
                    self._names.learn(frame.header)
                    path, rows, last = _entry(frame)
                    children.extend(map(self._names.node, rows))
                    if last:
                        yield Directory(path, children)
                        children = []
                else:
                    raise _unexpected(frame, "list")
        finally:
            _close(pages)

    def read(self, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        """Yield for each file its pieces and one ``FileEnd``, or a ``Skipped``; the request is sent at once."""
        asked: list[tuple[Pages, int]] = []
        for group in batches(encode_paths(paths)):
            answer = self._session.request("read", {"max": _PAGE_BYTES}, array(group))
            asked.append((self._pages(answer), len(group)))
        return self._read(asked, paths)

    def _read(self, asked: list[tuple[Pages, int]], paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
        start = 0
        try:
            for pages, count in asked:
                yield from _files(pages, paths[start : start + count])
                start += count
        finally:
            for pages, _ in asked:
                _close(pages)

    def ranges(self, path: bytes, known: Sequence[KnownRange]) -> Iterator[Piece | FileEnd | Skipped]:
        """Yield what differs from ``known`` and what lies behind it, then ``FileEnd``; the request is sent at once.

        Known ranges at or beyond the size in ``FileEnd`` are not there any more; one that reaches beyond it is yielded.
        """
        texts = (f'[{item.offset},{item.length},"{item.sha256.hex()}"]' for item in known)
        documents = [array(group) for group in batches(texts)] or [b"[]"]
        fields = {"path": encode_path(path), "max": _PAGE_BYTES}
        answer = send_parts(self._session, "ranges", fields, documents)
        return self._ranges(self._pages(answer), path)

    def _pages(self, first: Answer) -> Pages:
        """Return the pages of content, of which so many are asked for ahead that the link is never idle."""
        ahead = max(2, self._session.depth // _PAGE_BYTES)
        return Pages(self._session, first, _PAGE_BYTES, eager=_EAGER if ahead > _EAGER else 0, ahead=ahead)

    @staticmethod
    def _ranges(pages: Pages, path: bytes) -> Iterator[Piece | FileEnd | Skipped]:
        offset = 0
        try:
            for frame in pages:
                piece = _piece(frame, path)
                if piece is not None:
                    if piece.offset < offset:
                        raise ProtocolError(f"content at {piece.offset} came after content up to {offset}")
                    offset = piece.offset + (piece.zero or len(piece.data))
                    pages.ask_ahead()
                    yield piece
                if frame.type == "end":
                    yield _end(frame, path)
                elif frame.type == "skip":
                    yield _skipped(path, frame)
        finally:
            _close(pages)


def _files(pages: Pages, paths: Sequence[bytes]) -> Iterator[Piece | FileEnd | Skipped]:
    """Yield the files of one request, checking that each comes in its turn, without gaps."""
    index = offset = 0
    for frame in pages:
        if frame.header.get("file") != index or index >= len(paths):
            raise ProtocolError(f"file {frame.header.get('file')!r} came where {index} was due")
        path = paths[index]
        piece = _piece(frame, path)
        if piece is not None:
            if piece.offset != offset:
                raise ProtocolError(f"content at {piece.offset} came where {offset} was due")
            offset += piece.zero or len(piece.data)
            if frame.type == "data":
                pages.ask_ahead()
            yield piece
        if frame.type == "data":
            continue
        if frame.type == "end":
            end = _end(frame, path)
            if end.size != offset:
                raise ProtocolError(f"{offset} bytes came of a file of {end.size}")
            yield end
        else:
            yield _skipped(path, frame)
        index += 1
        offset = 0
    if index != len(paths):
        raise ProtocolError(f"the helper answered for {index} of {len(paths)} files")


def _walk_documents(request: WalkRequest) -> list[bytes]:
    """Return the walk's document, in several parts when ``only`` is long."""
    head = {
        "roots": [encode_path(path) for path in request.roots],
        "rules": [_rule(rule) for rule in request.rules],
        "only": None if request.only is None else [],
    }
    documents = [dump(head).encode("ascii")]
    for group in batches(encode_paths(request.only or ())):
        documents.append(b'{"only":' + array(group) + b"}")
    return documents


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "regex": rule.regex,
        "dirs_only": rule.dirs_only,
        "min_size": rule.min_size,
        "tag": rule.tag,
    }


def _shadow_copies(frame: Frame) -> dict[str, str]:
    try:
        told = json.loads(bytes(frame.payload))["shadow"]
        return {str(drive): str(outcome) for drive, outcome in told.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError("the helper did not tell of its shadow copies as the contract says") from error


def _entry(frame: Frame) -> tuple[bytes, list[Any], bool]:
    try:
        document = json.loads(bytes(frame.payload))
        return decode_path(document["path"]), document["rows"], document["last"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError("an entry frame is not as the contract says") from error


def _piece(frame: Frame, path: bytes) -> Piece | None:
    """Return the content in a frame, if it has some."""
    if frame.type not in ("data", "end", "skip"):
        raise _unexpected(frame, "read")
    zero = frame.header.get("zero", 0)
    if not zero and not len(frame.payload):
        return None
    offset = frame.header.get("offset")
    if not isinstance(offset, int) or not isinstance(zero, int) or zero < 0:
        raise ProtocolError("a piece of content has no offset")
    data = frame.payload if isinstance(frame.payload, bytes | memoryview) else bytes(frame.payload)
    return Piece(path, offset, data, zero)


def _end(frame: Frame, path: bytes) -> FileEnd:
    header = frame.header
    try:
        digest = header.get("sha256")
        return FileEnd(
            path,
            header["size"],
            bytes.fromhex(digest) if digest else None,
            Stat(*header["before"]),
            Stat(*header["after"]),
            live=header.get("live") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"not an end frame: {str(header)[:200]}") from error


def _skipped(path: bytes, frame: Frame) -> Skipped:
    header = frame.header
    reason = str(header.get("reason"))
    if reason not in _REASONS:
        raise ProtocolError(f"not a reason for a skip: {reason!r}")
    return Skipped(path, cast("SkipReason", reason), str(header.get("rule", "")), str(header.get("detail", "")))


def _unexpected(frame: Frame, request: str) -> ProtocolError:
    return ProtocolError(f"a {frame.type!r} frame does not answer {request!r}")


def _close(pages: Pages) -> None:
    """Give up pages; when the link is gone there is nothing to give up."""
    try:
        pages.close()
    except FirstbellError:
        return
