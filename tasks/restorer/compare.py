"""What to do about one path: the snapshot's node against what stands on the host."""

from __future__ import annotations

from typing import Final, Literal

from tasks.repository.tree import Node
from tasks.restorer.foreign import attributes_differ, is_placeholder

Action = Literal[
    "create",  # nothing is there
    "overwrite",  # something older is there; it gets into the before-image
    "metadata",  # the content is there; mode, owner, times or attributes are not
    "same",  # nothing to do
    "keep-newer",  # changed on the host after the snapshot's version: left alone
    "conflict",  # something of another kind is there, or in between: left alone
    "skip",  # cannot be restored, for a reason that lies in the snapshot
    "remove",  # undo only: ours, and still as we wrote it
]

#: Attributes that the system keeps for itself and sets anew: they neither come back nor differ.
SYSTEM_XATTRS: Final = frozenset(
    {
        "com.apple.lastuseddate#PS",
        "com.apple.macl",
        "com.apple.provenance",
        "com.apple.rootless",
        "security.selinux",
    }
)

#: Why a file is left alone that is on the computer only by its name.
IN_CLOUD: Final = "it is there as a placeholder of the cloud (OneDrive), with the same size and time"

_SECOND: Final = 1_000_000_000
_MODE: Final = 0o7777


def same_time(a: int, b: int) -> bool:
    """Return whether two times in ns are one, as far as a file system or channel that keeps whole seconds can tell."""
    return a == b or (a // _SECOND == b // _SECOND and (a % _SECOND == 0 or b % _SECOND == 0))


def newer(there: Node, node: Node) -> bool:
    """Return whether what stands on the host was changed after the snapshot's version."""
    return there.mtime_ns > node.mtime_ns and not same_time(there.mtime_ns, node.mtime_ns)


def metadata_differs(node: Node, there: Node, *, owners: bool = True) -> bool:
    """Return whether setting the node's metadata would change anything on the host; ``owners`` if it can set those."""
    if node.type != "symlink" and (node.mode ^ there.mode) & _MODE:
        return True
    if owners and _owner_differs(node.user, node.uid, there.user, there.uid):
        return True
    if owners and _owner_differs(node.group, node.gid, there.group, there.gid):
        return True
    if node.type != "symlink" and not same_time(node.mtime_ns, there.mtime_ns):
        return True
    if node.generic_attributes and attributes_differ(node, there):
        return True
    wanted = [pair for pair in node.xattrs if pair[0] not in SYSTEM_XATTRS]
    return bool(wanted) and not set(wanted) <= set(there.xattrs)


def compare(
    node: Node, there: Node | None, *, equal: bool | None = None, owners: bool = True
) -> tuple[Action, str] | None:
    """Return the action for a node and its reason, or None when the contents must be compared first.

    ``equal`` tells the outcome of that comparison.
    """
    if node.type not in ("file", "dir", "symlink", "fifo"):
        return "skip", f"a {node.type} is made by the program that uses it and has no content to restore"
    if there is None:
        return "create", ""
    if node.type != there.type:
        return "conflict", f"a {there.type} is there now, where the snapshot has a {node.type}"
    if node.type == "file":
        return _compare_files(node, there, equal, owners)
    if node.type == "symlink" and node.linktarget != there.linktarget:
        if newer(there, node):
            return "keep-newer", "the link was changed after the snapshot"
        return "overwrite", "the link leads elsewhere"
    return ("metadata", "") if metadata_differs(node, there, owners=owners) else ("same", "")


def _compare_files(node: Node, there: Node, equal: bool | None, owners: bool) -> tuple[Action, str] | None:
    if is_placeholder(there):
        return _beside_cloud(node, there)
    if node.size == there.size:
        if equal is None:
            if not same_time(node.mtime_ns, there.mtime_ns):
                return None
            equal = True
        if equal:
            return ("metadata", "") if metadata_differs(node, there, owners=owners) else ("same", "")
    if newer(there, node):
        return "keep-newer", "it was changed after the snapshot"
    return "overwrite", "its content differs from the snapshot's"


def _beside_cloud(node: Node, there: Node) -> tuple[Action, str]:
    """Return the action for a file whose content on the host is in the cloud: it is neither read nor replaced."""
    if node.size == there.size and same_time(node.mtime_ns, there.mtime_ns):
        return "same", IN_CLOUD
    if newer(there, node):
        return "keep-newer", "its content is in the cloud (OneDrive), and it was changed after the snapshot"
    return "conflict", "another version of it is in the cloud (OneDrive), and only a placeholder here: left alone"


def _owner_differs(name: str, number: int, there_name: str, there_number: int) -> bool:
    return name != there_name if name and there_name else number != there_number
