"""A host's files for the restorer: ``restorer.sink.Sink`` over frames.

What makes and removes things is gathered and sent before the next content or commit, in the order it was called; only
hard links wait until the files they point to are in place. All results come with ``commit``.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, get_args

from tasks.entries import Expected, Hashed, WriteReason, WriteResult, Zeros
from tasks.errors import ProtocolError
from tasks.remote.frames import MAX_PAYLOAD, Buffer, Frame, decode_path, encode_path
from tasks.remote.paging import array, batches, dump, encode_paths
from tasks.remote.rows import NameTable, expect_of, meta_of
from tasks.remote.session import LARGE, Answer, Session
from tasks.repository.tree import Node

#: Paths in one ``stat`` or ``hash``.
_ASKED: Final = 1000
#: Things to make or remove that are sent at the latest together.
_GATHERED: Final = 500
#: A result is about so long, besides its path.
_RESULT: Final = 150
#: Largest metadata that goes into the header of ``put``, in characters; with a path of 4,096 bytes that fits.
_SMALL_META: Final = 16 * 1024
#: Names of user and group up to this length together are no reason to look closer.
_SHORT_NAMES: Final = 1000
_MAX_ZERO: Final = 256 * 1024 * 1024
_ZEROS: Final = bytes(MAX_PAYLOAD)

_REASONS: Final = frozenset(get_args(WriteReason))


class RemoteSink:
    """Writes a host's files; for one thread."""

    def __init__(self, session: Session, names: NameTable, *, proves: bool = False) -> None:
        self._session = session
        #: Whether the host reads each file back and compares its hash before it gives it its name.
        self.proves = proves
        self._names = names
        self._gathered: list[str] = []
        self._gathered_kind = ""
        #: (path, what it is another name of, the request) of hard links that wait for the commit.
        self._hardlinks: list[tuple[bytes, bytes, str]] = []
        self._answers: deque[Answer] = deque()
        self._files = 0
        self._paths: dict[int, bytes] = {}
        #: Numbers of the files since the last commit, and the answer of that commit while nobody has taken it.
        self._uncommitted: list[int] = []
        self._begun: Answer | None = None

    def stat(self, paths: Sequence[bytes]) -> list[Node | None]:
        """Return what stands at each path now, or None for nothing, or nothing that the account may see."""
        self._flush()
        asked = [self._session.request("stat", None, array(group)) for group in batches(encode_paths(paths), _ASKED)]
        found: list[Node | None] = []
        for answer in asked:
            for frame in answer:
                self._names.learn(frame.header)
                found.extend(None if row is None else self._names.node(row) for row in _array(frame))
        if len(found) != len(paths):
            raise ProtocolError(f"the helper answered for {len(found)} of {len(paths)} paths")
        return found

    def hash(self, paths: Sequence[bytes]) -> Iterator[Hashed]:
        """Yield the SHA-256 of each file as the host reads it now, in the order asked."""
        self._flush()
        waiting: deque[tuple[Answer, int]] = deque()
        groups = batches(encode_paths(paths), _ASKED)
        start = 0
        while True:
            # One request ahead, so that the host does not wait for us.
            while len(waiting) < 2 and (group := next(groups, None)) is not None:
                waiting.append((self._session.request("hash", None, array(group)), len(group)))
            if not waiting:
                return
            answer, count = waiting.popleft()
            yield from _hashes(answer, paths[start : start + count])
            start += count

    def allow(self, plan_digest: str, roots: Sequence[bytes]) -> None:
        """Permit writing below ``roots`` for the plan with this digest."""
        document = {"roots": [encode_path(root) for root in roots]}
        self._session.request("allow-write", {"plan": plan_digest}, dump(document).encode("ascii")).wait()

    def make(
        self, path: bytes, node: Node, *, hardlink_to: bytes | None = None, expected: Expected | None = None
    ) -> None:
        """Create a folder, symlink, FIFO or hard link; the result comes with the next ``commit``.

        What stands there already, alike, is left as it is. Something else is a conflict, unless it is as ``expected``:
        then it is replaced. Anything but the four is ``unsupported``.
        """
        item: dict[str, Any] = {"op": node.type, "path": encode_path(path), "meta": meta_of(node)}
        if expected is not None:
            item["expect"] = expect_of(expected)
        if hardlink_to is not None:
            item.update(op="hardlink", target=encode_path(hardlink_to), meta={})
            self._hardlinks.append((path, hardlink_to, dump(item)))
            return
        if node.type == "symlink":
            item["target"] = encode_path(node.linktarget)
        self._gather("make", item)

    def made(self) -> list[WriteResult]:
        """Return the results of what was made by now, hard links left out; durable it is after the next ``commit``."""
        self._flush()
        return self._take()

    def remove(self, path: bytes, expected: Expected) -> None:
        """Remove a file or an empty folder if it is still as ``expected``; the result comes with ``commit``."""
        self._gather("remove", {"path": encode_path(path), "expect": expect_of(expected)})

    def write_file(
        self,
        path: bytes,
        node: Node,
        expected: Expected | None,
        content: Iterable[bytes | memoryview | Zeros],
        *,
        sha256: Callable[[], bytes] | None = None,
    ) -> None:
        """Write a file's content under a temporary name beside ``path``; ``commit`` renames it.

        Pieces must not change after they are given. When ``content`` raises, the file is given up and there is no
        result for it. ``sha256`` tells the hash of the content once all of it was taken, so that it is not hashed
        here again; the host hashes what it wrote and compares.
        """
        self._flush()
        self._files += 1
        number = self._files
        self._paths[number] = path
        self._uncommitted.append(number)
        last: dict[str, Any] = {"meta": meta_of(node), "expect": expect_of(expected)}
        fields: dict[str, Any] = {"file": number, "path": encode_path(path)}
        digest = hashlib.sha256()
        begun = False
        try:
            pieces = iter(content)
            first = next(pieces, b"")
            second = next(pieces, None)
            if second is None and not isinstance(first, Zeros) and len(first) <= MAX_PAYLOAD:
                last["sha256"] = (sha256() if sha256 else hashlib.sha256(first).digest()).hex()
                self._put(fields, first, last)
                return
            for piece in _chain(first, second, pieces):
                for extra, payload in _frames(piece):
                    self._session.stream("write", {**fields, **extra}, payload)
                    if sha256 is None:
                        _update(digest, extra.get("zero", 0), payload)
                    if not begun:
                        begun = True
                        del fields["path"]
        except BaseException:
            del self._paths[number]
            self._uncommitted.remove(number)
            if begun:
                self._session.stream("finish", fields, b'{"abort":true}')
            raise
        last["sha256"] = (sha256() if sha256 else digest.digest()).hex()
        self._session.stream("finish", fields, dump(last).encode("ascii"))

    def _put(self, fields: dict[str, Any], content: Buffer, last: dict[str, Any]) -> None:
        # Nearly all metadata is small, and the header is encoded later: not twice for the sake of a few.
        if _is_plain(last["meta"]) or len(dump(last)) <= _SMALL_META:
            self._session.stream("put", {**fields, **last}, content)
            return
        document = dump(last)
        if len(content):
            self._session.stream("write", fields, content)
            del fields["path"]
        self._session.stream("finish", fields, document.encode("ascii"))

    def begin_commit(self) -> Callable[[], list[WriteResult]]:
        """Commit as ``commit`` does, without waiting; what is returned waits, and gives the results.

        Files may be written meanwhile, nothing else. An earlier commit is waited for first. Hard links and what else
        was gathered are committed at once.
        """
        if self._gathered or self._hardlinks or self._answers:
            results = self.commit()
            return lambda: results
        if self._begun is not None:
            raise RuntimeError("the results of the commit before were not taken")
        numbers, self._uncommitted = self._uncommitted, []
        # Without weight: the helper goes on taking content while it answers this.
        begun = self._begun = self._session.request("commit", weight=0)

        def take() -> list[WriteResult]:
            self._begun = None
            return self._files_of(begun, numbers)

        return take

    def commit(self) -> list[WriteResult]:
        """Make all since the last commit durable, rename it into place, and return one result per path."""
        if self._begun is not None:
            raise RuntimeError("the results of the commit before were not taken")
        self._flush()
        files = {self._paths[number] for number in self._uncommitted}
        numbers, self._uncommitted = self._uncommitted, []
        answer = self._session.request("commit")
        results = self._take() + self._files_of(answer, numbers)
        if self._hardlinks:
            results.extend(self._link({result.path for result in results if not result.ok and result.path in files}))
        return results

    def _link(self, failed: set[bytes]) -> list[WriteResult]:
        """Make the hard links, but none to what was not written: it would get other content than it should."""
        links, self._hardlinks = self._hardlinks, []
        results = [
            WriteResult(path, False, "conflict", "the file that it is another name of was not written")
            for path, first, _ in links
            if first in failed
        ]
        for group in batches((item for _, first, item in links if first not in failed), _GATHERED):
            self._request("make", group)
        self._answers.append(self._session.request("commit"))
        return results + self._take()

    def _files_of(self, answer: Answer, numbers: list[int]) -> list[WriteResult]:
        results = list(self._results(answer))
        missing = sum(1 for number in numbers if self._paths.pop(number, None) is not None)
        if missing:
            raise ProtocolError(f"the helper gave no result for {missing} files")
        return results

    def _take(self) -> list[WriteResult]:
        results: list[WriteResult] = []
        while self._answers:
            results.extend(self._results(self._answers.popleft()))
        return results

    def set_metadata(self, items: Sequence[tuple[bytes, Node]]) -> list[WriteResult]:
        """Set mode, owner, times and extended attributes, in the order given: folders after their children."""
        self._flush()
        texts = (dump({"path": encode_path(path), "meta": meta_of(node)}) for path, node in items)
        asked = [self._session.request("meta", None, array(group)) for group in batches(texts, _GATHERED)]
        return [result for answer in asked for result in self._results(answer)]

    def _gather(self, kind: str, item: dict[str, Any]) -> None:
        if kind != self._gathered_kind or len(self._gathered) >= _GATHERED:
            self._flush()
        self._gathered_kind = kind
        self._gathered.append(dump(item))

    def _flush(self) -> None:
        if not self._gathered:
            return
        gathered, self._gathered = self._gathered, []
        for group in batches(gathered):
            self._request(self._gathered_kind, group)

    def _request(self, kind: str, group: list[str]) -> None:
        weight = min(LARGE, sum(len(item) for item in group) + _RESULT * len(group))
        self._answers.append(self._session.request(kind, None, array(group), weight=weight))

    def _results(self, answer: Answer) -> Iterator[WriteResult]:
        for frame in answer:
            for result in _array(frame):
                yield self._result(result)

    def _result(self, result: dict[str, Any]) -> WriteResult:
        try:
            path = decode_path(result["path"]) if "path" in result else self._paths.pop(result["file"])
            reason = result.get("reason", "")
            if reason not in _REASONS:
                raise ProtocolError(f"not a reason of a result: {reason!r}")
            digest = result.get("sha256")
            return WriteResult(
                path,
                bool(result["ok"]),
                reason,
                result.get("detail", ""),
                bytes.fromhex(digest) if digest else None,
                bool(digest) and result.get("read_back") is True,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProtocolError(f"not a result: {str(result)[:200]}") from error


def _is_plain(meta: dict[str, Any]) -> bool:
    """Return whether metadata is numbers and short names only."""
    return (
        meta.keys() <= {"mode", "uid", "gid", "user", "group", "mtime", "atime"}
        and len(meta.get("user", "")) + len(meta.get("group", "")) <= _SHORT_NAMES
    )


def _array(frame: Frame) -> list[Any]:
    try:
        document = json.loads(bytes(frame.payload))
    except ValueError as error:
        raise ProtocolError("the payload of a frame is not JSON") from error
    if frame.type != "item" or not isinstance(document, list):
        raise ProtocolError(f"a {frame.type!r} frame does not hold a list")
    return document


def _hashes(answer: Answer, paths: Sequence[bytes]) -> Iterator[Hashed]:
    index = -1
    for index, frame in enumerate(answer):
        header = frame.header
        if header.get("file") != index or index >= len(paths):
            raise ProtocolError(f"file {header.get('file')!r} came where {index} was due")
        if frame.type == "item":
            yield Hashed(paths[index], header["size"], header["mtime"], bytes.fromhex(header["sha256"]))
        else:
            detail = str(header.get("detail") or header.get("reason", ""))
            yield Hashed(paths[index], 0, 0, None, detail)
    if index + 1 != len(paths):
        raise ProtocolError(f"the helper answered for {index + 1} of {len(paths)} files")


def _chain(
    first: bytes | memoryview | Zeros, second: bytes | memoryview | Zeros | None, rest: Iterator[Any]
) -> Iterator[bytes | memoryview | Zeros]:
    yield first
    if second is not None:
        yield second
        yield from rest


def _frames(piece: bytes | memoryview | Zeros) -> Iterator[tuple[dict[str, Any], Buffer]]:
    """Yield what a piece of content puts into the headers of its frames, and their payloads."""
    if isinstance(piece, Zeros):
        left = piece.length
        while left > 0:
            yield {"zero": min(left, _MAX_ZERO)}, b""
            left -= _MAX_ZERO
    elif len(piece) <= MAX_PAYLOAD:
        if len(piece):
            yield {}, piece
    else:
        view = memoryview(piece)
        for start in range(0, len(view), MAX_PAYLOAD):
            yield {}, view[start : start + MAX_PAYLOAD]


def _update(digest: Any, zeros: int, payload: Buffer) -> None:
    digest.update(payload)
    while zeros > 0:
        digest.update(memoryview(_ZEROS)[: min(zeros, MAX_PAYLOAD)])
        zeros -= MAX_PAYLOAD
