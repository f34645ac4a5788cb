"""Whose a restored file shall be.

In place, files get their owner back, by name where the host knows the name. In another home, what belonged to the old
home's owner belongs to the new one's: a file of somebody else's in one's own home could not even be opened.
"""

from __future__ import annotations

from dataclasses import replace

from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tasks.restorer.mapping import Place
from tasks.restorer.sink import Sink
from tasks.restorer.walk import node_at


class Owners:
    """Translates owners from each old root to its new root."""

    def __init__(self, repository: Repository, sink: Sink, snapshot: Snapshot) -> None:
        self._repository = repository
        self._sink = sink
        self._snapshot = snapshot
        #: Per place: the node of the old root, and what stands on the host at its base.
        self._known: dict[Place, tuple[Node | None, Node | None]] = {}

    def of_base(self, place: Place) -> Node | None:
        """Return what stands at the base of a place, if it is a folder."""
        base = self._pair(place)[1]
        return base if base is not None and base.type == "dir" else None

    def translate(self, node: Node, place: Place) -> Node:
        """Return the node with the owner that it shall have on the host."""
        if place.old == place.new:
            return node
        old, new = self._pair(place)
        if old is None or new is None:
            return node
        if (node.uid, node.user) == (old.uid, old.user) and (node.uid, node.user) != (new.uid, new.user):
            node = replace(node, uid=new.uid, user=new.user)
        if (node.gid, node.group) == (old.gid, old.group) and (node.gid, node.group) != (new.gid, new.group):
            node = replace(node, gid=new.gid, group=new.group)
        return node

    def _pair(self, place: Place) -> tuple[Node | None, Node | None]:
        if place not in self._known:
            old = node_at(self._repository, self._snapshot, place.old)
            self._known[place] = old, self._sink.stat([place.base])[0]
        return self._known[place]
