"""The parent snapshot's folders, loaded as the walk comes to them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.archiver.tally import Tally
from tasks.errors import NotFound, RepositoryError
from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.tree import Node


@dataclass(slots=True)
class ParentFolder:
    """A folder of the parent snapshot; empty and without ID where it had none."""

    id: ID | None = None
    nodes: list[Node] = field(default_factory=list)
    by_name: dict[bytes, Node] = field(default_factory=dict)

    def child(self, name: bytes) -> ID | None:
        """Return the tree of the folder in it, or None."""
        node = self.by_name.get(name)
        return node.subtree if node is not None and node.type == "dir" else None


class ParentTrees:
    """Loads folders of the parent snapshot; one that is lost is treated as never saved, and told."""

    def __init__(self, repository: Repository, tally: Tally) -> None:
        self._repository = repository
        self._tally = tally

    def load(self, id_: ID | None) -> ParentFolder:
        """Return a folder by its tree's ID."""
        if id_ is None:
            return ParentFolder()
        try:
            nodes = self._repository.load_tree(id_).nodes
        except (NotFound, RepositoryError) as error:
            self._tally.warn(f"a folder of the parent snapshot cannot be read, its files are read again: {error}")
            return ParentFolder()
        return ParentFolder(id_, nodes, {node.name: node for node in nodes})
