"""From nodes to trees, bottom up."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from tasks.archiver.blob_pool import BlobPool
from tasks.archiver.parent_trees import ParentFolder
from tasks.archiver.tally import Tally
from tasks.repository.ids import ID, hash_of
from tasks.repository.tree import Node, Tree
from tasks.repository.tree_json import encode_tree

_BY_PIECES: Final = 128 * 1024
_PIECE: Final = 2047


@dataclass(slots=True, eq=False)
class Folder:
    """A folder between its listing and its tree."""

    path: bytes
    #: Its path with a slash at the end, and the beginning of its line in the manifest.
    prefix: bytes
    head: str
    #: Its node in the folder above; None for ``/``.
    node: Node | None
    above: Folder | None
    parent: ParentFolder
    #: In byte order of their names; files without content and folders without tree are left out in the end.
    nodes: list[Node] = field(default_factory=list)
    #: All names that the host listed in it, and the folders among them that the walk has still to tell.
    listed: set[bytes] = field(default_factory=set)
    awaited: dict[bytes, Node] = field(default_factory=dict)
    #: Files and symlinks that are saved in it and below.
    saved: int = 0


class TreeBuilder:
    """Encodes folders when all that is in them is known; one that is as in the parent snapshot is taken over."""

    def __init__(self, pool: BlobPool, tally: Tally, watched: Collection[bytes] = ()) -> None:
        self._pool = pool
        self._tally = tally
        self._watched = frozenset(watched)
        #: How many files and symlinks are saved in each of the watched folders, as far as they were listed.
        self.saved: dict[bytes, int] = {}
        self._jobs: deque[Future[None]] = deque()

    def close(self, folder: Folder) -> ID:
        """Return the ID of a folder's tree, and put it into the folder's node."""
        nodes: list[Node] = []
        for node in folder.nodes:
            if node.type == "file":
                if node.content is None:
                    continue
                folder.saved += 1
            elif node.type == "dir":
                if node.subtree is None:
                    continue
            else:
                folder.saved += 1
            nodes.append(node)
        folder.nodes = []
        if folder.path in self._watched:
            self.saved[folder.path] = folder.saved
        if folder.above is not None:
            folder.above.saved += folder.saved
        id_ = self.save(nodes, folder.parent)
        if folder.node is not None:
            folder.node.subtree = id_
        return id_

    def save(self, nodes: list[Node], parent: ParentFolder) -> ID:
        """Return the ID of the tree of these nodes; ``parent`` is what the parent snapshot has there."""
        if parent.id is not None:
            if nodes == parent.nodes:
                self._tally.dirs_unmodified += 1
                return parent.id
            self._tally.dirs_changed += 1
        else:
            self._tally.dirs_new += 1
        data = encode_tree(Tree(nodes))
        id_ = _id_of(data)
        self._jobs.append(self._pool.save_tree(data, id_))
        while self._jobs and self._jobs[0].done():
            self._jobs.popleft().result()
        return id_

    def wait(self) -> None:
        """Wait until the trees so far are saved, and raise what went wrong."""
        while self._jobs:
            self._jobs.popleft().result()


def _id_of(data: bytes) -> ID:
    """Return the ID of a tree.

    hashlib gives up the interpreter's lock for 2 KiB and more, and then waits for it behind the workers: hashing small
    trees took longer than all else in this thread [measured]. So they are hashed by pieces that are smaller.
    """
    if len(data) > _BY_PIECES:
        return hash_of(data)
    hasher = hashlib.sha256()
    for start in range(0, len(data), _PIECE):
        hasher.update(data[start : start + _PIECE])
    return hasher.digest()
