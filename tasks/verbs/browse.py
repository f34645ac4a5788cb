"""Look into a repository: snapshots, the files in one, where a file is, and what two of them differ in."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tasks.restorer.foreign import folded

_ON_A_DRIVE: Final = re.compile(rb"/[A-Z](?:/|\Z)")
#: The folder inside a snapshot for our own documents.
OWN_FOLDER = b".firstbell"


@dataclass(frozen=True, slots=True)
class Found:
    """One path in one snapshot."""

    snapshot: Snapshot
    path: bytes
    node: Node


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that two snapshots do not have alike."""

    change: Literal["added", "removed", "changed", "metadata", "type"]
    path: bytes
    before: Node | None
    after: Node | None


def walk(repository: Repository, tree: ID, path: bytes = b"", *, own: bool = False) -> Iterator[tuple[bytes, Node]]:
    """Yield every path below a tree, folders before what is in them; our own documents only with ``own``."""
    for node in repository.load_tree(tree).nodes:
        if not own and not path and node.name == OWN_FOLDER:
            continue
        child = path + b"/" + node.name
        yield child, node
        if node.subtree is not None:
            yield from walk(repository, node.subtree, child, own=own)


def list_folder(repository: Repository, snapshot: Snapshot, path: bytes, *, recursive: bool) -> Iterator[Found]:
    """Yield what is in a folder of a snapshot; the file itself when ``path`` is one.

    Without a path: the folders the snapshot was taken of. Raises ``FirstbellError`` when the path is not in it.
    """
    parts = [part for part in path.split(b"/") if part]
    # Below a drive of Windows, case does not count.
    key = folded if _ON_A_DRIVE.match(path) else bytes
    tree, node = snapshot.tree, None
    for index, part in enumerate(parts):
        node = next((entry for entry in repository.load_tree(tree).nodes if key(entry.name) == key(part)), None)
        if node is not None:
            parts[index] = node.name
        if node is None or (node.subtree is None and index < len(parts) - 1):
            raise not_in_snapshot(path, snapshot)
        if node.subtree is None:
            yield Found(snapshot, b"/" + b"/".join(parts), node)
            return
        tree = node.subtree
    base = b"".join(b"/" + part for part in parts)
    if recursive:
        for child, entry in walk(repository, tree, base):
            yield Found(snapshot, child, entry)
        return
    for entry in repository.load_tree(tree).nodes:
        if base or entry.name != OWN_FOLDER:
            yield Found(snapshot, base + b"/" + entry.name, entry)


def not_in_snapshot(path: bytes, snapshot: Snapshot) -> Exception:
    """Return the error for a path that a snapshot does not have."""
    from tasks.errors import FirstbellError
    from tasks.repository.ids import short

    name = short(snapshot.id) if snapshot.id else "?"
    return FirstbellError(
        f"snapshot {name} has no {path.decode('utf-8', 'backslashreplace')}",
        hint=f"See what it has: firstbell ls {name}",
    )


def find_files(repository: Repository, snapshots: list[Snapshot], pattern: str) -> Iterator[Found]:
    """Yield, newest snapshot first, each version of a path that matches; the same version comes only once.

    A pattern with a ``/`` is matched against the whole path, else against the name, upper and lower case alike.
    """
    seen: set[tuple[str, bytes, int, int]] = set()
    wanted = pattern.casefold()
    for snapshot in reversed(snapshots):
        for path, node in walk(repository, snapshot.tree):
            text = (path if "/" in pattern else node.name).decode("utf-8", "replace").casefold()
            if not (fnmatch.fnmatchcase(text, wanted) or ("/" in pattern and fnmatch.fnmatchcase(text, f"*/{wanted}"))):
                continue
            key = (snapshot.hostname, path, node.size, node.mtime_ns)
            if key not in seen:
                seen.add(key)
                yield Found(snapshot, path, node)


def diff_snapshots(repository: Repository, before: Snapshot, after: Snapshot) -> Iterator[Difference]:
    """Yield what differs between two snapshots, in path order; folders that are alike are not opened."""
    yield from _diff(repository, before.tree, after.tree, b"")


def _diff(repository: Repository, old: ID | None, new: ID | None, path: bytes) -> Iterator[Difference]:
    if old == new:
        return
    olds = {node.name: node for node in repository.load_tree(old).nodes} if old is not None else {}
    news = {node.name: node for node in repository.load_tree(new).nodes} if new is not None else {}
    for name in sorted(olds.keys() | news.keys()):
        if not path and name == OWN_FOLDER:
            continue
        before, after = olds.get(name), news.get(name)
        child = path + b"/" + name
        change = _change(before, after)
        if change is not None:
            yield Difference(change, child, before, after)
        old_tree = before.subtree if before is not None else None
        new_tree = after.subtree if after is not None else None
        if old_tree is not None or new_tree is not None:
            yield from _diff(repository, old_tree, new_tree, child)


def _change(
    before: Node | None, after: Node | None
) -> Literal["added", "removed", "changed", "metadata", "type"] | None:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if before.type != after.type:
        return "type"
    if before.content != after.content or before.linktarget != after.linktarget:
        return "changed"
    facts = ("mode", "uid", "gid", "user", "group", "xattrs")
    if any(getattr(before, name) != getattr(after, name) for name in facts):
        return "metadata"
    if before.type != "dir" and before.mtime_ns != after.mtime_ns:
        return "metadata"
    return None


def snapshots_of(
    snapshots: list[Snapshot], *, host: str | None = None, until: datetime | None = None, tag: str | None = None
) -> list[Snapshot]:
    """Return the snapshots that match, oldest first."""
    return [
        snapshot
        for snapshot in snapshots
        if (host is None or snapshot.hostname == host)
        and (until is None or snapshot.time <= until)
        and (tag is None or tag in snapshot.tags)
    ]
