"""``/.firstbell/manifest.jsonl``: one line for each path of a snapshot, in the order of the walk.

A line is a JSON object: ``path`` (text, or ``{"b64": ...}`` of its bytes where it is not UTF-8), ``type`` (``file``,
``dir``, ``symlink``, empty where the host did not say, or ``part``: something of that path is missing, such as an
extended attribute, and the rest has a line of its own), ``size`` in bytes, ``sha256`` of a file's content in hex or
null, ``status`` (``saved``, ``skipped``, or ``changed``: saved as it was at the last of several reads, each of which
saw it change), and for the latter two ``reason``, ``rule`` and ``detail``. A file of a Windows computer that this run
read in use, and not from a shadow copy, has ``live`` true: what a program had not written by then is not in it. Apart
from that, nothing in it depends on when or how a run went, so an unchanged host gives the same bytes again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Final, Literal

from tasks.archiver.blob_pool import BlobPool
from tasks.archiver.content import ContentWriter
from tasks.archiver.source import Skipped
from tasks.errors import Damaged, NotFound, RepositoryError
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node

#: The folder at the top of every snapshot that holds what firstbell adds, and the manifest in it.
FOLDER: Final = b".firstbell"
MANIFEST: Final = b"manifest.jsonl"

#: The ``type`` of a line about a part of what its path has.
PART: Final = "part"

Status = Literal["saved", "skipped", "changed"]

_WRITE_SIZE: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """What a snapshot says about one path; ``sha256`` is of a file's content, where known."""

    path: bytes
    size: int
    sha256: bytes | None
    status: Status
    reason: str = ""
    rule: str = ""
    type: str = ""
    detail: str = ""
    live: bool = False


def path_head(path: bytes) -> str:
    """Return the beginning of the line of ``path``."""
    try:
        return f'{{"path":{encode_basestring(path.decode())}'
    except UnicodeDecodeError:
        return f'{{"path":{{"b64":"{base64.b64encode(path).decode("ascii")}"}}'


def child_head(folder_head: str, prefix: bytes, name: bytes) -> str:
    """Return ``path_head(prefix + name)``, at less cost for each of a folder's many children.

    ``prefix`` is the folder's path with a ``/`` at its end, ``folder_head`` the head of that path without it.
    """
    if folder_head[-1] == '"':
        try:
            escaped = encode_basestring(name.decode())
        except UnicodeDecodeError:
            pass
        else:
            return f"{folder_head[:-1]}/{escaped[1:]}"
    return path_head(prefix + name)


def saved_line(head: str, type_: str, size: int, sha256: bytes | None, *, live: bool = False) -> str:
    """Return the line of something saved."""
    if live:
        hashed = "null" if sha256 is None else f'"{sha256.hex()}"'
        return f'{head},"type":"{type_}","size":{size},"sha256":{hashed},"status":"saved","live":true}}\n'
    if sha256 is None:
        return f'{head},"type":"{type_}","size":{size},"sha256":null,"status":"saved"}}\n'
    return f'{head},"type":"{type_}","size":{size},"sha256":"{sha256.hex()}","status":"saved"}}\n'


def skipped_line(
    head: str, type_: str, size: int, skip: Skipped, *, status: Status = "skipped", sha256: bytes | None = None
) -> str:
    """Return the line of something left out, or saved as it changed."""
    rest = {
        "type": type_,
        "size": size,
        "sha256": sha256.hex() if sha256 is not None else None,
        "status": status,
        "reason": skip.reason,
        **({"rule": skip.rule} if skip.rule else {}),
        **({"detail": skip.detail} if skip.detail else {}),
    }
    return f"{head},{json.dumps(rest, separators=(',', ':'))[1:]}\n"


class ManifestWriter:
    """Writes the lines as they come; only a few hundred KiB wait in memory."""

    def __init__(self, repository: Repository, pool: BlobPool) -> None:
        self._writer = ContentWriter(repository, pool, hashing=False)
        self._lines: list[str] = []
        self._waiting = 0
        self.size = 0

    def write(self, line: str) -> None:
        """Take the next line."""
        self._lines.append(line)
        self._waiting += len(line)
        if self._waiting >= _WRITE_SIZE:
            self._hand_over()

    def finish(self) -> ContentWriter:
        """Hand over the rest; what is returned has the content list when its jobs are done."""
        self._hand_over()
        self._writer.finish()
        return self._writer

    def _hand_over(self) -> None:
        if self._lines:
            data = "".join(self._lines).encode()
            self._lines = []
            self._waiting = 0
            self.size += len(data)
            self._writer.feed(data)


def read_manifest(repository: Repository, snapshot: Snapshot) -> Iterator[ManifestEntry]:
    """Yield the manifest of a snapshot, line by line.

    Raises ``NotFound`` when the snapshot has none (the stock client made it), ``Damaged`` when it is not readable.
    """
    node = manifest_node(repository, snapshot)
    if node is None:
        raise NotFound(
            f"snapshot {snapshot.id.hex()[:8] if snapshot.id else ''} has no manifest",
            hint="Only snapshots made by firstbell have one.",
        )
    rest = b""
    for blob in repository.iter_blobs(node.content or ()):
        lines = (rest + blob).split(b"\n")
        rest = lines.pop()
        for line in lines:
            yield _parse(line)
    if rest:
        raise Damaged("the manifest of the snapshot breaks off")


def manifest_node(repository: Repository, snapshot: Snapshot) -> Node | None:
    """Return the node of a snapshot's manifest, or None when it has none."""
    folder = _find(repository, snapshot.tree, FOLDER)
    if folder is None or folder.subtree is None:
        return None
    return _find(repository, folder.subtree, MANIFEST)


def _find(repository: Repository, tree: bytes, name: bytes) -> Node | None:
    return next((node for node in repository.load_tree(tree).nodes if node.name == name), None)


def _parse(line: bytes) -> ManifestEntry:
    try:
        data = json.loads(line)
        path = data["path"]
        return ManifestEntry(
            path=path.encode() if isinstance(path, str) else base64.b64decode(path["b64"]),
            size=data["size"],
            sha256=bytes.fromhex(data["sha256"]) if data["sha256"] else None,
            status=data["status"],
            reason=data.get("reason", ""),
            rule=data.get("rule", ""),
            type=data.get("type", ""),
            detail=data.get("detail", ""),
            live=data.get("live") is True,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"not a line of a manifest: {line[:200]!r}") from error


class ParentManifest:
    """Looks up hashes in the parent snapshot's manifest.

    Both runs walk in the same order, so the manifest is read once, from the front, as far as needed; only a miss makes
    it start over, and only a few times.
    """

    _RESTARTS: Final = 4

    def __init__(self, repository: Repository, parent: Snapshot | None) -> None:
        self._repository = repository
        self._content: tuple[bytes, ...] = ()
        if parent is not None:
            try:
                node = manifest_node(repository, parent)
            except (NotFound, RepositoryError):
                node = None  # its hashes are a convenience: the files themselves do not depend on it
            self._content = (node.content or ()) if node is not None else ()
        self._restarts = 0
        self._rewind()

    def sha256(self, head: str) -> bytes | None:
        """Return the hash of the file whose line begins with ``head``, or None when the manifest does not tell."""
        if not self._content:
            return None
        needle = b"\n" + head.encode() + b',"type":"file",'
        line = self._search(needle)
        if line is None and self._restarts < self._RESTARTS:
            self._restarts += 1
            self._rewind()
            line = self._search(needle)
        try:
            return _parse(line).sha256 if line is not None else None
        except Damaged:
            return None

    def _rewind(self) -> None:
        self._blobs = self._repository.iter_blobs(self._content) if self._content else iter(())
        # A newline in front of the first line too, so that one needle fits all.
        self._buffer = b"\n"
        self._position = 0

    def _search(self, needle: bytes) -> bytes | None:
        while True:
            found = self._buffer.find(needle, self._position)
            if found >= 0:
                end = self._buffer.find(b"\n", found + 1)
                if end >= 0:
                    self._position = end
                    return self._buffer[found + 1 : end]
            try:
                blob = next(self._blobs, None)
            except (NotFound, RepositoryError):
                self._content = ()
                return None
            if blob is None:
                self._position = len(self._buffer)
                return None
            # Keep from the last newline on: a line, and the newline before it, may lie across two blobs.
            keep = found if found >= 0 else self._buffer.rfind(b"\n")
            self._buffer = self._buffer[keep:] + blob
            self._position = 0
