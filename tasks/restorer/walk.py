"""Walk the trees of a snapshot, opening only the folders that can hold what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tasks.errors import Damaged, NotFound
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node
from tasks.restorer import paths
from tasks.restorer.selection import Selection, State

#: Our own documents inside a snapshot; they are no files of the host.
INTERNAL: Final = b"/.firstbell"
#: Symlinks followed on one path (Linux's limit).
_MAX_LINKS: Final = 40


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of the snapshot. Not ``selected`` is a folder that just leads to something selected."""

    path: bytes
    node: Node
    selected: bool
    #: What is wrong with it in the repository, or nothing.
    problem: str = ""


@dataclass(slots=True)
class _Level:
    """A folder on the way down: what is left of it, and whether it was yielded already."""

    path: bytes
    node: Node | None
    nodes: Iterator[Node]
    include: State
    exclude: State
    taken: bool
    yielded: bool


def walk(
    repository: Repository,
    snapshot: Snapshot,
    roots: tuple[bytes, ...],
    include: Selection | None = None,
    exclude: Selection | None = None,
) -> Iterator[Found]:
    """Yield what is selected, and before it the folders that lead to it; folders before what is in them.

    Folders above the ``roots`` are never selected. A folder whose tree cannot be read is told as a ``problem`` and the
    walk goes on.
    """
    above = ancestors_of(roots)
    top = repository.load_tree(snapshot.tree)
    nothing: State = frozenset()
    levels = [
        _Level(
            b"/",
            None,
            iter(top.nodes),
            include.start() if include else nothing,
            exclude.start() if exclude else nothing,
            taken=include is None or include.accepts(include.start()),
            yielded=True,
        )
    ]
    while levels:
        level = levels[-1]
        node = next(level.nodes, None)
        if node is None:
            levels.pop()
            continue
        path = paths.join(level.path, node.name)
        if path == INTERNAL:
            continue
        excluded = exclude.step(level.exclude, node.name) if exclude else nothing
        if exclude and exclude.accepts(excluded):
            continue
        wanted = include.step(level.include, node.name) if include and not level.taken else nothing
        taken = level.taken or (include is not None and include.accepts(wanted))
        if not taken and not wanted:
            continue
        selected = taken and path not in above
        problem = _name_problem(node.name)
        nodes: list[Node] = []
        if node.type == "dir" and not problem:
            nodes, problem = _load(repository, node)
        if selected or problem:
            yield from _lead_in(levels)
            yield Found(path, node, selected, problem)
        if nodes:
            levels.append(_Level(path, node, iter(nodes), wanted, excluded, taken, selected))


def snapshot_roots(repository: Repository, snapshot: Snapshot) -> tuple[bytes, ...]:
    """Return the paths in the tree that the snapshot was made of.

    A root that lies behind a symlink is both the symlink and the real place. A snapshot that the stock client made of a
    relative path has trees that begin elsewhere than its paths say; there the roots are what is at the top.
    """
    named = [path.encode("utf-8", "surrogateescape") for path in snapshot.paths]
    named = [path for path in named if path != INTERNAL]
    if b"/" in named:
        return (b"/",)
    roots: set[bytes] = set()
    for path in named:
        if path.startswith(b"/"):
            real, links = resolve(repository, snapshot, paths.clean(path))
            roots.update(links)
            if real != INTERNAL and node_at(repository, snapshot, real) is not None:
                roots.add(real)
    if roots:
        return tuple(sorted(roots))
    top = repository.load_tree(snapshot.tree)
    return tuple(paths.join(b"/", node.name) for node in top.nodes if paths.join(b"/", node.name) != INTERNAL)


def resolve(repository: Repository, snapshot: Snapshot, path: bytes) -> tuple[bytes, list[bytes]]:
    """Return where ``path`` leads when symlinks of the snapshot are followed, and those symlinks."""
    links: list[bytes] = []
    todo = [name for name in reversed(path.split(b"/")) if name]
    real = b"/"
    while todo:
        name = todo.pop()
        if name == b"..":
            real = paths.parent(real)
            continue
        here = paths.join(real, name)
        node = node_at(repository, snapshot, here)
        if node is None or node.type != "symlink" or len(links) >= _MAX_LINKS:
            real = here
            continue
        links.append(here)
        if node.linktarget.startswith(b"/"):
            real = b"/"
        todo += [part for part in reversed(node.linktarget.split(b"/")) if part not in (b"", b".")]
    return real, links


def node_at(repository: Repository, snapshot: Snapshot, path: bytes) -> Node | None:
    """Return the node of an absolute path in the snapshot, or None; also None for ``/``, which has no node."""
    tree, found = snapshot.tree, None
    for name in path.split(b"/"):
        if not name:
            continue
        if found is not None:
            if found.subtree is None:
                return None
            tree = found.subtree
        found = next((node for node in repository.load_tree(tree).nodes if node.name == name), None)
        if found is None:
            return None
    return found


def ancestors_of(roots: tuple[bytes, ...]) -> set[bytes]:
    """Return every folder above one of ``roots`` that is not one itself, ``/`` left out."""
    above: set[bytes] = set()
    for root in roots:
        folder = paths.parent(root)
        while folder != b"/":
            above.add(folder)
            folder = paths.parent(folder)
    return above - set(roots)


def _lead_in(levels: list[_Level]) -> Iterator[Found]:
    for level in levels:
        if not level.yielded and level.node is not None:
            level.yielded = True
            yield Found(level.path, level.node, selected=False)


def _load(repository: Repository, node: Node) -> tuple[list[Node], str]:
    if node.subtree is None:
        return [], "the snapshot does not say what is in this folder"
    try:
        return repository.load_tree(node.subtree).nodes, ""
    except (Damaged, NotFound) as error:
        return [], f"what was in this folder cannot be read from the repository: {error}"


def _name_problem(name: bytes) -> str:
    """Refuse names that would lead elsewhere: a tree is data, and may come from anybody with the password."""
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        return "the name is not one that a file can have"
    return ""
