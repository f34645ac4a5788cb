"""Files with several names: which of them comes first, so that the others become links to it."""

from __future__ import annotations

from tasks.repository.ids import ID
from tasks.repository.tree import Node
from tasks.restorer.compare import Action

#: After these, the name stands on the host with the content that the snapshot has.
_STANDING = frozenset({"create", "overwrite", "metadata", "same"})


class HardLinks:
    """Groups the names of a plan by the file they were names of, that is by device and inode."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], tuple[bytes, tuple[ID, ...] | None]] = {}

    def link_to(self, path: bytes, node: Node, action: Action) -> bytes | None:
        """Return the earlier name that ``path`` shall be a link to, or None; and remember ``path`` if it is the first.

        Names whose content differs in the snapshot (the file changed while it was saved) are not linked.
        """
        if node.type != "file" or node.links < 2 or not node.inode or action not in _STANDING:
            return None
        first = self._first.setdefault((node.device_id, node.inode), (path, node.content))
        if first[0] == path or first[1] != node.content or action not in ("create", "overwrite"):
            return None
        return first[0]
