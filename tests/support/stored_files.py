"""Read a snapshot back without the restorer: for tests of the archiver."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node


def stored_nodes(repository: Repository, snapshot: Snapshot) -> dict[bytes, Node]:
    """Return every node of a snapshot by its path."""

    def walk(tree: ID, prefix: bytes) -> Iterator[tuple[bytes, Node]]:
        for node in repository.load_tree(tree).nodes:
            yield prefix + node.name, node
            if node.type == "dir":
                assert node.subtree is not None
                yield from walk(node.subtree, prefix + node.name + b"/")

    return dict(walk(snapshot.tree, b"/"))


def stored_content(repository: Repository, node: Node) -> bytes:
    """Return the content of a file."""
    assert node.content is not None
    return b"".join(repository.iter_blobs(node.content))
