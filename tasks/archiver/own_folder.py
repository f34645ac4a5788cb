"""``/.firstbell/``: what firstbell adds to a snapshot, encrypted like the rest, and restorable by the stock client."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import datetime

from tasks.archiver.blob_pool import BlobPool
from tasks.archiver.content import ContentWriter
from tasks.archiver.manifest import FOLDER, MANIFEST, ManifestWriter
from tasks.archiver.parent_trees import ParentFolder, ParentTrees
from tasks.archiver.tree_builder import TreeBuilder
from tasks.repository.repository import Repository
from tasks.repository.tree import Node


class OwnFolder:
    """Writes the folder, and takes over from the parent snapshot what is the same, times included.

    So a snapshot of a host on which nothing changed has the very tree of its parent.
    """

    def __init__(self, repository: Repository, pool: BlobPool, trees: TreeBuilder, parents: ParentTrees) -> None:
        self._repository = repository
        self._pool = pool
        self._trees = trees
        self._parents = parents

    def save(
        self, parent_root: ParentFolder, documents: Mapping[str, bytes], manifest: ManifestWriter, now: datetime
    ) -> Node:
        """Store the documents and the manifest, and return the folder's node. Raises ``ValueError`` for odd names."""
        parent = self._parents.load(parent_root.child(FOLDER))
        time_ns = int(now.timestamp() * 1_000_000) * 1000
        written: dict[bytes, tuple[ContentWriter, int]] = {}
        for title, data in documents.items():
            name = title.encode()
            if not name or b"/" in name or name in (b".", b"..", MANIFEST):
                raise ValueError(f"no name for a document in a snapshot: {title!r}")
            writer = ContentWriter(self._repository, self._pool, hashing=False)
            writer.feed(data)
            writer.finish()
            written[name] = (writer, len(data))
        written[MANIFEST] = (manifest.finish(), manifest.size)
        nodes: list[Node] = []
        for name, (writer, size) in sorted(written.items()):
            for job in writer.jobs:
                job.result()
            node = Node(name, "file", stat.S_IFREG | 0o600, time_ns, time_ns, time_ns, links=1, size=size)
            node.content = tuple(writer.content)
            old = parent.by_name.get(name)
            nodes.append(old if old is not None and old.size == size and old.content == node.content else node)
        subtree = self._trees.save(nodes, parent)
        old = parent_root.by_name.get(FOLDER)
        if old is not None and subtree == parent.id:
            return old
        return Node(FOLDER, "dir", stat.S_IFDIR | 0o700, time_ns, time_ns, time_ns, subtree=subtree)
