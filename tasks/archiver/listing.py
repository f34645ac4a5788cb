"""Takes the host's walk folder by folder, and decides for each entry: take over, read, or leave out."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from tasks.archiver.excludes import with_standing_rule
from tasks.archiver.fetcher import Fetcher
from tasks.archiver.manifest import FOLDER, PART, ParentManifest, child_head, path_head, saved_line, skipped_line
from tasks.archiver.parent_trees import ParentTrees
from tasks.archiver.pending import PendingFile
from tasks.archiver.source import Directory, Skipped
from tasks.archiver.tally import Tally
from tasks.archiver.tree_builder import Folder
from tasks.errors import ProtocolError
from tasks.repository.blob import BlobType
from tasks.repository.ids import ID, hash_of
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.repository.tree import Node

#: What happens in the order of the walk: a line for the manifest, a file that is being read, something left out with
#: its line, or a folder of which everything has been told.
Event = str | PendingFile | tuple[Skipped, str] | Folder

#: Where the host tells no ctime, a file changed so shortly before the parent snapshot, or after it by its clock, may
#: have changed once more within the same tick of its mtime (a second over SFTP); clocks may differ by as much.
RACY: Final = timedelta(minutes=1)
_EMPTY: Final = hash_of(b"")
_SLICE: Final = 512
_OWN: Final = b"/" + FOLDER
_SLASH: Final = ord("/")


class Listing:
    """Turns folders as the host lists them into events, in order."""

    def __init__(self, repository: Repository, fetcher: Fetcher, tally: Tally, parent: Snapshot | None) -> None:
        self.events: deque[Event] = deque()
        self._repository = repository
        self._fetcher = fetcher
        self._tally = tally
        self.trees = ParentTrees(repository, tally)
        self._manifest = ParentManifest(repository, parent)
        self._parent_root = parent.tree if parent is not None else None
        self._trusted_before_ns = _nanoseconds(parent.time - RACY) if parent is not None else 0
        self._open: list[Folder] = []
        #: Entries of the innermost folder that are still to be looked at, the last first.
        self._children: list[Node] = []
        self._held: list[Skipped] = []
        #: The first name seen of each inode that has several, and how many are still to come.
        self._twins: dict[tuple[int, int], tuple[PendingFile, int]] = {}
        self.root: Folder | None = None

    def take(self, listed: Directory | Skipped) -> None:
        """Take what the walk yields next. Raises ``ProtocolError`` when it cannot follow what came before."""
        if listed.path.startswith(_OWN) and (len(listed.path) == len(_OWN) or listed.path[len(_OWN)] == _SLASH):
            return  # told with the root folder
        if isinstance(listed, Skipped):
            self._take_skip(listed)
        else:
            self._take_folder(listed)

    @property
    def busy(self) -> bool:
        """Return whether entries of the folder taken last are still to be looked at, by ``go_on``."""
        return bool(self._children)

    def go_on(self) -> None:
        """Look at the next entries of the folder taken last: not all at once, for there may be 100,000."""
        folder = self._open[-1]
        for _ in range(min(len(self._children), _SLICE)):
            node = self._children.pop()
            self._take_node(folder, node, child_head(folder.head, folder.prefix, node.name))
        self._tally.progress()

    def finish(self) -> Folder:
        """The walk is over: close what is open, and return the root folder, which is left for the caller to close."""
        self._tell_held()
        self._unwind(b"/")
        if self.root is None:
            # Not one root is there; the snapshot says so, and holds what firstbell adds.
            self.root = Folder(b"/", b"/", '{"path":""', None, None, self.trees.load(self._parent_root))
        self._give_up_awaited(self.root)
        return self.root

    def _take_skip(self, skip: Skipped) -> None:
        above, _, name = skip.path.rpartition(b"/")
        above = above or b"/"
        if any(folder.path == above for folder in self._open):
            self._tell_held()
            self._unwind(above)
            folder = self._open[-1]
            # A folder that was listed and cannot be read does not follow any more.
            if folder.awaited.pop(name, None) is not None:
                self._tell(skip, "dir")
            else:
                self._tell(skip, PART if name in folder.listed else "")
        else:
            # The host tells what it leaves out of a folder before it tells the folder.
            self._held.append(skip)

    def _tell_held(self, folder: Folder | None = None) -> None:
        """Tell the skips that were told before their folder, which is this one, if it came at all."""
        for skip in self._held:
            above, _, name = skip.path.rpartition(b"/")
            listed = folder is not None and folder.path == (above or b"/") and name in folder.listed
            self._tell(skip, PART if listed else "")
        self._held = []

    def _tell(self, skip: Skipped, type_: str) -> None:
        """Tell a skip; of a part when the rest is saved: an extended attribute is lost, or all but a root in it."""
        skip = with_standing_rule(skip)
        self.events.append((skip, skipped_line(path_head(skip.path), type_, 0, skip)))

    def _take_folder(self, listed: Directory) -> None:
        folder = self._enter(listed.path)
        self._open.append(folder)
        children = listed.children
        names = [node.name for node in children]
        folder.listed = set(names)
        self._tell_held(folder)
        if names != sorted(folder.listed):
            children = self._put_in_order(folder, children)
        self._children = children[::-1]
        self.go_on()

    def _enter(self, path: bytes) -> Folder:
        """Return the new folder at ``path``, having closed those that it does not lie in."""
        if path == b"/":
            if self.root is not None:
                raise ProtocolError("the host listed / twice", host=self._tally.host)
            self.root = Folder(path, b"/", '{"path":""', None, None, self.trees.load(self._parent_root))
            return self.root
        parent_path, _, name = path.rpartition(b"/")
        self._unwind(parent_path or b"/")
        above = self._open[-1] if self._open else None
        node = above.awaited.pop(name, None) if above is not None else None
        if above is None or node is None:
            raise ProtocolError(f"the host listed {path!r} without having told of it before", host=self._tally.host)
        head = child_head(above.head, above.prefix, name)
        self.events.append(saved_line(head, "dir", 0, None))
        return Folder(path, path + b"/", head, node, above, self.trees.load(above.parent.child(name)))

    def _unwind(self, path: bytes) -> None:
        """Close open folders until the innermost is ``path``."""
        while self._open and self._open[-1].path != path:
            folder = self._open.pop()
            self._give_up_awaited(folder)
            self.events.append(folder)

    def _give_up_awaited(self, folder: Folder) -> None:
        for name in folder.awaited:
            skip = Skipped(folder.prefix + name, "unreadable", detail="the host did not tell what is in this folder")
            self.events.append((skip, skipped_line(path_head(skip.path), "dir", 0, skip)))

    def _put_in_order(self, folder: Folder, children: list[Node]) -> list[Node]:
        kept: dict[bytes, Node] = {}
        for node in children:
            if node.name in kept:
                self._leave_out(node, Skipped(folder.prefix + node.name, "name", detail="listed twice"))
            else:
                kept[node.name] = node
        return [kept[name] for name in sorted(kept)]

    def _take_node(self, folder: Folder, node: Node, head: str) -> None:
        name = node.name
        kind = node.type
        # As the stock client since 0.17: the number of a device may change when a computer starts, and would change
        # every tree; it is only there to find hard links. Of folders the number of links says nothing.
        if kind == "dir":
            node.links = 0
        if node.links <= 1:
            node.device_id = 0
        if b"/" in name or b"\0" in name or name in (b"", b".", b".."):
            self._leave_out(node, Skipped(folder.prefix + name, "name", detail="no name that a file can have"))
        elif folder.above is None and name == FOLDER:
            self._leave_out(node, Skipped(folder.prefix + name, "name", detail="firstbell keeps its own here"))
        elif kind == "file":
            self._take_file(folder, node, head)
        elif kind == "dir":
            folder.nodes.append(node)
            folder.awaited[name] = node
        elif kind == "symlink":
            folder.nodes.append(node)
            self.events.append(saved_line(head, "symlink", 0, None))
        else:
            self._leave_out(node, Skipped(folder.prefix + name, "special", detail=f"it is a {kind}"))

    def _leave_out(self, node: Node, skip: Skipped) -> None:
        kind = node.type if node.type in ("file", "dir", "symlink") else ""
        skip = with_standing_rule(skip)
        self.events.append((skip, skipped_line(path_head(skip.path), kind, node.size, skip)))

    def _take_file(self, folder: Folder, node: Node, head: str) -> None:
        self._tally.files_listed += 1
        self._tally.bytes_listed += node.size
        previous = folder.parent.by_name.get(node.name)
        if previous is not None and self._unchanged(previous, node):
            content = previous.content or ()
            node.content = content
            # The parent's where they are equal: one of two is kept in memory, and comparing the folder costs nothing.
            folder.nodes.append(previous if node == previous else node)
            if len(content) == 1:
                sha256: ID | None = content[0]
            elif content:
                sha256 = self._manifest.sha256(head)
            else:
                sha256 = _EMPTY
            self.events.append(saved_line(head, "file", node.size, sha256))
            self._tally.saved(folder.prefix + node.name, node.size, unchanged=True)
            return
        folder.nodes.append(node)
        node.content = None
        file = PendingFile(
            folder.prefix + node.name,
            node,
            head,
            previous if previous is not None and previous.type == "file" else None,
        )
        self.events.append(file)
        if node.links > 1 and node.inode:
            file.twin = self._twin_of(file)
        if file.twin is None:
            self._fetcher.add(file)

    def _twin_of(self, file: PendingFile) -> PendingFile | None:
        """Return the file that was seen first under another name, or None when this is the first name."""
        inode = (file.node.device_id, file.node.inode)
        twin, missing = self._twins.get(inode, (file, file.node.links))
        if missing > 1:
            self._twins[inode] = (twin, missing - 1)
        else:
            self._twins.pop(inode, None)
        return twin if twin is not file else None

    def _unchanged(self, old: Node, new: Node) -> bool:
        """Return whether a file is as the parent snapshot has it, by restic's rule, and its content is still stored.

        What one of both does not tell (0) is not compared.
        """
        if old.type != "file" or old.size != new.size or old.mtime_ns != new.mtime_ns or old.content is None:
            return False
        if old.inode != new.inode and old.inode and new.inode:
            return False
        if old.ctime_ns != new.ctime_ns and old.ctime_ns and new.ctime_ns:
            return False
        if not (old.ctime_ns and new.ctime_ns) and new.mtime_ns >= self._trusted_before_ns:
            return False
        has_blob = self._repository.has_blob
        for id_ in old.content:  # noqa: SIM110 - most have one blob, for which setting up all() costs more
            if not has_blob(BlobType.DATA, id_):
                return False
        return True


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000_000
