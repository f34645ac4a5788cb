"""Snapshots for tests, written straight through the repository: real files, no archiver."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tasks.backends.memory import MemoryBackend
from tasks.repository.blob import BlobType
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node, Tree
from tests.support.directory_sink import node_of

#: Blobs of this many bytes: files of a few KiB have several.
PIECE = 1 << 20


def save_snapshot(
    repository: Repository,
    roots: Sequence[Path | bytes],
    *,
    only: Sequence[bytes] | None = None,
    documents: Mapping[str, object] | None = None,
    tags: Sequence[str] = (),
    piece: int = PIECE,
    owners: Mapping[bytes, int] | None = None,
) -> Snapshot:
    """Save what is below ``roots``, or just the paths of ``only`` and the folders above them, as the archiver does.

    ``owners`` makes the snapshot say other user and group numbers than the files have.
    """
    starts = [os.fsencode(root) for root in roots]
    wanted = _above(starts if only is None else list(only))
    children = _tree(repository, b"/", wanted, None if only is None else frozenset(only), starts, piece, owners or {})
    if documents:
        nodes = []
        for name, value in sorted(documents.items()):
            data = json.dumps(value).encode()
            blob = repository.save_blob(BlobType.DATA, data)
            nodes.append(Node(name.encode(), "file", 0o100600, size=len(data), content=(blob.id,)))
        inner = repository.save_tree(Tree(nodes)).id
        children.append(Node(b".firstbell", "dir", 0o40700, subtree=inner))
    children.sort(key=lambda node: node.name)
    tree = repository.save_tree(Tree(children)).id
    repository.flush()
    return repository.save_snapshot(
        Snapshot(
            time=datetime.now(UTC),
            tree=tree,
            paths=tuple(os.fsdecode(start) for start in starts),
            hostname="lab3-07",
            tags=tuple(tags),
        )
    )


def _above(paths: list[bytes]) -> set[bytes]:
    found = set(paths)
    for path in paths:
        parts = path.split(b"/")
        found.update(b"/".join(parts[:end]) or b"/" for end in range(1, len(parts)))
    return found


def _tree(
    repository: Repository,
    folder: bytes,
    wanted: set[bytes],
    only: frozenset[bytes] | None,
    starts: list[bytes],
    piece: int,
    owners: Mapping[bytes, int],
) -> list[Node]:
    nodes: list[Node] = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        below_root = only is None and any(path == start or path.startswith(start + b"/") for start in starts)
        if path not in wanted and not below_root:
            continue
        node = node_of(path, os.lstat(path))
        if path in owners:
            node.uid = node.gid = owners[path]
        if node.type == "dir":
            node.subtree = repository.save_tree(Tree(_tree(repository, path, wanted, only, starts, piece, owners))).id
        elif node.type == "file":
            node.content = _content(repository, path, piece)
        nodes.append(node)
    return nodes


def _content(repository: Repository, path: bytes, piece: int) -> tuple[bytes, ...]:
    ids = []
    with open(path, "rb") as file:
        while data := file.read(piece):
            ids.append(repository.save_blob(BlobType.DATA, data).id)
    return tuple(ids)


def new_repository() -> Repository:
    """Return a new repository in memory, with a key that is quick to derive."""
    return Repository.init(MemoryBackend(), "first bell", scrypt_n=2**4)
