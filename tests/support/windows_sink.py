"""A Sink that behaves as a Windows disk does, in memory: no case, no odd names, and placeholders that are traps."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.entries import Expected, Hashed, WriteResult, Zeros
from tasks.repository.tree import Node

_FORBIDDEN = re.compile(rb'[<>:"|?*\\\x00-\x1f]')
#: dwFileAttributes as OneDrive sets them for a file that is in the cloud.
CLOUD = 0x400020
NORMAL = 0x20
FOLDER = 0x10


@dataclass
class Standing:
    """What stands at one path."""

    node: Node
    content: bytes = b""


class WindowsSink:
    """Files by their path without case. Reading a placeholder is an error of the test: it would bring it down."""

    proves = False

    def __init__(self, files: Mapping[str, bytes | None] | None = None, *, mtime_ns: int = 0) -> None:
        """Begin with these files, and folders where the content is None; folders above them are made."""
        self.there: dict[str, Standing] = {}
        self.hashed: list[bytes] = []
        self._roots: tuple[bytes, ...] = ()
        self._results: list[WriteResult] = []
        for path, content in (files or {}).items():
            self.put(path, content, mtime_ns=mtime_ns)

    def put(
        self, path: str, content: bytes | None, *, mtime_ns: int = 0, attributes: int = NORMAL, size: int = -1
    ) -> None:
        """Let a file (or a folder) stand there, the folders above it too."""
        parts = path.strip("/").split("/")
        for end in range(1, len(parts)):
            self.there.setdefault("/".join(parts[:end]).upper(), Standing(_folder(parts[end - 1])))
        if content is None:
            self.there[path.strip("/").upper()] = Standing(_folder(parts[-1]))
            return
        node = Node(parts[-1].encode(), "file", 0o100666, mtime_ns, mtime_ns, mtime_ns)
        node.size = len(content) if size < 0 else size
        node.generic_attributes = {"windows.file_attributes": attributes}
        self.there[path.strip("/").upper()] = Standing(node, content)

    def files(self) -> dict[str, bytes]:
        """Return every file's content by its path in capitals."""
        return {"/" + path: one.content for path, one in self.there.items() if one.node.type == "file"}

    def _at(self, path: bytes) -> Standing | None:
        assert b"\\" not in path, path
        assert b":" not in path, path
        return self.there.get(_key(path))

    def stat(self, paths: Sequence[bytes]) -> list[Node | None]:
        return [None if (found := self._at(path)) is None else found.node for path in paths]

    def hash(self, paths: Sequence[bytes]) -> Iterator[Hashed]:
        for path in paths:
            found = self._at(path)
            self.hashed.append(path)
            if found is None or found.node.type != "file":
                yield Hashed(path, 0, 0, None, "not there")
                continue
            attributes = found.node.generic_attributes["windows.file_attributes"]
            assert not attributes & 0x441000, f"{path!r} would have been brought down from the cloud"
            yield Hashed(path, found.node.size, found.node.mtime_ns, hashlib.sha256(found.content).digest())

    def allow(self, plan_digest: str, roots: Sequence[bytes]) -> None:
        assert len(plan_digest) == 64
        self._roots = tuple(roots)

    def _refusal(self, path: bytes, expected: Expected | None) -> WriteResult | None:
        if not any(_key(path + b"/").startswith(_key(root)) for root in self._roots):
            return WriteResult(path, False, "outside")
        name = path.rpartition(b"/")[2]
        if _FORBIDDEN.search(name):
            return WriteResult(path, False, "unsupported", "no name on Windows")
        above = self._at(path.rpartition(b"/")[0])
        if above is None or above.node.type != "dir":
            return WriteResult(path, False, "vanished")
        found = self._at(path)
        now = None if found is None else Expected(found.node.type, found.node.size, found.node.mtime_ns)
        return WriteResult(path, False, "conflict") if now != expected else None

    def make(
        self, path: bytes, node: Node, *, hardlink_to: bytes | None = None, expected: Expected | None = None
    ) -> None:
        found = self._at(path)
        if found is not None and found.node.type == node.type == "dir":
            self._results.append(WriteResult(path, True))
            return
        refused = self._refusal(path, expected)
        if refused is None and node.type != "dir":
            refused = WriteResult(path, False, "unsupported")
        if refused is None:
            self.there[_key(path)] = Standing(replace(node, name=path.rpartition(b"/")[2]))
        self._results.append(refused or WriteResult(path, True))

    def write_file(
        self,
        path: bytes,
        node: Node,
        expected: Expected | None,
        content: Iterable[bytes | memoryview | Zeros],
        *,
        sha256: Callable[[], bytes] | None = None,
    ) -> None:
        data = b"".join(bytes(piece.length) if isinstance(piece, Zeros) else bytes(piece) for piece in content)
        refused = self._refusal(path, expected)
        if refused is not None:
            self._results.append(refused)
            return
        attributes = node.generic_attributes.get("windows.file_attributes", NORMAL)
        self.put(path.decode(), data, mtime_ns=node.mtime_ns, attributes=attributes)
        self.there[_key(path)].node.mode = node.mode
        self._results.append(WriteResult(path, True, sha256=hashlib.sha256(data).digest(), read_back=True))

    def made(self) -> list[WriteResult]:
        results, self._results = self._results, []
        return results

    def commit(self) -> list[WriteResult]:
        return self.made()

    def begin_commit(self) -> Callable[[], list[WriteResult]]:
        results = self.commit()
        return lambda: results

    def set_metadata(self, items: Sequence[tuple[bytes, Node]]) -> list[WriteResult]:
        for path, node in items:
            found = self._at(path)
            assert found is not None
            found.node.mtime_ns, found.node.mode = node.mtime_ns, node.mode
        return [WriteResult(path, True) for path, _ in items]

    def remove(self, path: bytes, expected: Expected) -> None:
        refused = self._refusal(path, expected)
        if refused is None:
            self.there.pop(_key(path), None)
        self._results.append(refused or WriteResult(path, True))


def _key(path: bytes) -> str:
    return path.decode("utf-8", "surrogatepass").strip("/").upper()


def _folder(name: str) -> Node:
    node = Node(name.encode(), "dir", 0o40777)
    node.generic_attributes = {"windows.file_attributes": FOLDER}
    return node
