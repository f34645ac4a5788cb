"""Build the plan of a restore: walk the snapshot, ask the host in batches what stands where, decide. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Final

from tasks.entries import Expected
from tasks.repository.blob import BlobType
from tasks.repository.ids import ID
from tasks.repository.repository import Repository
from tasks.repository.tree import Node
from tasks.restorer import paths
from tasks.restorer.compare import IN_CLOUD, Action, compare
from tasks.restorer.foreign import Crossing, is_placeholder
from tasks.restorer.hard_links import HardLinks
from tasks.restorer.hashes import KnownHashes, cheap_hash, stored_hash
from tasks.restorer.host_paths import HostPaths
from tasks.restorer.items import WRITING, PlanItem, RestorePlan, finish_plan
from tasks.restorer.mapping import Place, Placement, absolute, in_place, mapped, staged
from tasks.restorer.owners import Owners
from tasks.restorer.request import RestoreRequest
from tasks.restorer.roots import allowed_roots
from tasks.restorer.selection import Selection, relative_bases
from tasks.restorer.sink import Sink
from tasks.restorer.walk import Found, node_at, resolve, snapshot_roots, walk

__all__ = ["WRITING", "Action", "PlanItem", "RestorePlan", "RestoreRequest", "build_plan"]

#: Paths in one question to the host.
_BATCH: Final = 1000
_NEW_FOLDER_MODE: Final = 0o40755
_WINDOWS_FOLDER_MODE: Final = 0o40777


def build_plan(
    repository: Repository,
    sink: Sink,
    request: RestoreRequest,
    *,
    now: datetime,
    known_hashes: KnownHashes | None = None,
) -> RestorePlan:
    """Return what restoring ``request`` would do to the host as it is now.

    ``now`` is the local time of the school: a dated folder is named by its date. ``known_hashes`` (such as the
    snapshot's manifest) spare reading large files from the repository for comparison.

    Raises:
        RestoreRefused: the request is not clear, or there is no place for it on the host.
        Damaged: the root tree cannot be read; what is damaged further down is told in the plan.
    """
    return _Builder(repository, sink, request, now, known_hashes).build()


class _Builder:
    """Collects the items of one plan."""

    def __init__(
        self, repository: Repository, sink: Sink, request: RestoreRequest, now: datetime, known: KnownHashes | None
    ) -> None:
        self._repository = repository
        self._sink = sink
        self._request = request
        self._known = known
        self._crossing = Crossing(request.of, request.onto)
        #: What two paths share that the host takes for one; paths in the sets below are kept by it.
        self._key = self._crossing.key
        self._now_ns = int(now.timestamp()) * 1_000_000_000
        self._host = HostPaths(lambda path: self._crossing.link(sink.stat([path])[0]))
        self._roots = snapshot_roots(repository, request.snapshot)
        self._placement = self._place(now)
        self._newer_too = {
            self._key(real) for path in request.overwrite_newer for real in (path, self._host.real_path(path))
        }
        self._owners = Owners(repository, sink, request.snapshot)
        self._items: list[PlanItem] = []
        self._used: set[Place] = set()
        #: Folders that are not on the host, or are in the way: nothing below them need be asked for.
        self._missing: set[bytes] = set()
        #: Why nothing can stand below a folder.
        self._blocked: dict[bytes, str] = {}
        self._taken: set[bytes] = set()
        #: Folders that are made only if something comes to lie in them, by their place on the host.
        self._waiting: dict[bytes, PlanItem] = {}
        self._in_cloud = 0
        #: The first name of the snapshot for each key, where the host takes several for one.
        self._names: dict[bytes, bytes] = {}
        self._links = HardLinks()
        self._blobs: set[ID] = set()

    def build(self) -> RestorePlan:
        """Return the plan."""
        request = self._request
        bases = relative_bases(self._roots, self._real(request.homes))
        aliases = self._aliases()
        windows = self._crossing.of_windows
        include = Selection(request.include, bases, aliases, windows=windows) if request.include else None
        exclude = Selection(request.exclude, bases, aliases, windows=windows) if request.exclude else None
        found = walk(self._repository, request.snapshot, self._roots, include, exclude)
        while batch := list(islice(found, _BATCH)):
            self._take(batch)
        return finish_plan(
            request.snapshot,
            request.mode,
            self._items,
            allowed_roots(self._items, self._candidates()),
            folders=self._dated_folders(),
            unmatched=include.unmatched() if include else (),
            notes=tuple(self._notes()),
            blobs=self._fetches(),
        )

    def _place(self, now: datetime) -> Placement:
        request = self._request
        target = dict(zip(self._real(request.target), request.target.values(), strict=True))
        if request.mode == "stage":
            stage_in = dict(zip(self._real(request.stage_in), request.stage_in.values(), strict=True))
            homes = self._real(request.homes)
            begun = request.stage_begun
            return staged(self._roots, homes, target, stage_in, request.stage_folder, self._host, now, begun=begun)
        if target:
            return mapped(target, self._host)
        folders = [root for root in self._roots if self._is_folder(root)]
        return in_place(folders, self._host)

    def _is_folder(self, root: bytes) -> bool:
        node = node_at(self._repository, self._request.snapshot, root)
        return node is not None and node.type == "dir"

    def _real(self, old: Iterable[bytes]) -> list[bytes]:
        """Return paths of the snapshot as its trees have them, with symlinks followed."""
        return [resolve(self._repository, self._request.snapshot, absolute(path))[0] for path in old]

    def _aliases(self) -> list[tuple[bytes, bytes]]:
        """Return roots and homes by the names that people use, and where these lead."""
        named = [path.encode("utf-8", "surrogateescape") for path in self._request.snapshot.paths]
        named = [path for path in (*named, *self._request.homes) if path.startswith(b"/")]
        return [(old, real) for old, real in zip(named, self._real(named), strict=True) if old != real]

    def _take(self, batch: list[Found]) -> None:
        wanted = [(found, place, place.of(found.path)) for found, place in self._placed(batch)]
        there: dict[bytes, Node | None] = {}
        if self._missing:
            # Where a folder is missing, others may be, too, and what belongs in them need not be asked for.
            folders = [one for one in wanted if one[0].node.type == "dir"]
            self._ask(there, self._askable(folders, there))
        self._ask(there, self._askable(wanted, there))
        equal = self._compare_contents(
            [(found, there[target], target) for found, _, target in wanted if there.get(target) is not None]
        )
        for found, place, target in wanted:
            self._decide(found, place, target, there.get(target), equal.get(target))

    def _ask(self, there: dict[bytes, Node | None], asked: Iterable[bytes]) -> None:
        places = list(asked)
        if places:
            there.update(zip(places, self._sink.stat(places), strict=True))

    def _askable(self, wanted: list[tuple[Found, Place, bytes]], there: Mapping[bytes, Node | None]) -> Iterator[bytes]:
        """Yield the places at which something may stand: not below a folder that is missing or cannot be.

        What is in ``there`` is known already.
        """
        impossible: set[bytes] = set()
        for found, _, target in wanted:
            above = self._key(paths.parent(target))
            if above in impossible or above in self._missing or self._crossing.problem(found.node):
                impossible.add(self._key(target))
            elif target not in there:
                yield target
            elif there[target] is None:
                impossible.add(self._key(target))

    def _placed(self, batch: list[Found]) -> Iterator[tuple[Found, Place]]:
        """Yield what has a place on the host, and make sure that the place itself will be there."""
        for found in batch:
            place = self._placement.place_of(found.path)
            if place is None:
                if found.selected and not self._placement.leads_in(found.path):
                    self._add(found, found.path, "skip", "the request says no place on the computer for it")
                continue
            if place not in self._used:
                self._used.add(place)
                self._prepare(place)
            if place.fresh and found.path == place.old and found.node.type == "dir":
                if found.problem:
                    self._add(found, place.new, "skip", found.problem)
                continue
            yield found, place

    def _prepare(self, place: Place) -> None:
        """Plan the folders above a new root, and the dated folder, as far as they are not there."""
        # '/' has no node in the snapshot that could bring its new root along.
        path = place.new if place.fresh or place.old == b"/" else paths.parent(place.new)
        absent: list[bytes] = []
        while path != b"/" and (there := self._host.look(path)) is None:
            absent.append(path)
            path = paths.parent(path)
        if path != b"/" and there is not None and there.type not in ("dir", "symlink"):
            self._shut(path, f"something else stands at {paths.display(path)}")
        model = self._owners.of_base(place) if absent else None
        for folder in reversed(absent):
            node = Node(folder.rpartition(b"/")[2], "dir", _NEW_FOLDER_MODE, self._now_ns, self._now_ns)
            if model is not None:
                node.mode, node.uid, node.gid = model.mode, model.uid, model.gid
                node.user, node.group = model.user, model.group
            self._missing.add(self._key(folder))
            if (reason := self._blocked.get(self._key(paths.parent(folder)))) is not None:
                self._shut(folder, reason)
                continue
            if self._crossing.onto_windows:
                node.mode = _WINDOWS_FOLDER_MODE
            self._append(PlanItem(folder, node, "create", source=folder))

    def _compare_contents(self, asked: list[tuple[Found, Node | None, bytes]]) -> dict[bytes, bool]:
        """Return for files that look alike, but for their time, whether their content is."""
        pairs: dict[bytes, Found] = {}
        for found, there, target in asked:
            if found.node.type != "file" or there is None or there.type != "file" or there.size != found.node.size:
                continue
            if is_placeholder(there):
                continue
            node = self._crossing.node(found.node)
            if node.content is not None and (self._request.check_content or compare(node, there) is None):
                pairs[target] = found
        equal: dict[bytes, bool] = {}
        for hashed in self._sink.hash(list(pairs)):
            found = pairs[hashed.path]
            equal[hashed.path] = hashed.sha256 is not None and hashed.sha256 == self._hash_of(found)
        return equal

    def _hash_of(self, found: Found) -> bytes | None:
        known = cheap_hash(found.node, found.path, self._known)
        if known is not None or not self._has_all(found.node):
            return known
        return stored_hash(self._repository, found.node)

    def _hindered(self, found: Found, target: bytes) -> bool:
        """Return whether something cannot come to stand there, whatever stands there now, and tell it."""
        if (reason := self._blocked.get(self._key(paths.parent(target)))) is not None:
            self._block(found, target, reason, below=reason)
        elif found.problem:
            self._add(found, target, "skip", found.problem)
        elif problem := self._crossing.problem(found.node):
            if found.node.type == "dir":
                self._shut(target, f"the folder {paths.display(target)} cannot be made here")
            if found.selected:
                self._add(found, target, "skip", problem)
        else:
            return False
        return True

    def _decide(self, found: Found, place: Place, target: bytes, there: Node | None, equal: bool | None) -> None:
        if self._hindered(found, target):
            return
        if not found.selected:
            self._lead_in(found, place, target, there)
            return
        if self._is_twin(found, target):
            return
        node = self._crossing.node(self._owners.translate(found.node, place))
        decided = compare(node, there, equal=equal, owners=self._request.set_owners)
        action, reason = decided if decided is not None else ("overwrite", "its content differs from the snapshot's")
        if action == "keep-newer" and self._key(target) in self._newer_too and not is_placeholder(there):
            action, reason = "overwrite", "newer, but the request says to overwrite it"
        if self._request.mode == "stage" and action in ("overwrite", "keep-newer"):
            action, reason = "conflict", "something else is in the dated folder already"
        if node.type == "file" and action in ("create", "overwrite") and not self._has_all(node):
            action, reason = "skip", "its content is missing from the repository"
        if reason == IN_CLOUD:
            self._in_cloud += 1
        if self._request.target and len(self._placement.places) > 1:
            if self._key(target) in self._taken and node.type != "dir":
                action, reason = "conflict", "two things of the snapshot have the same place on the computer"
            self._taken.add(self._key(target))
        if node.type == "dir" and there is None:
            self._missing.add(self._key(target))
        if node.type == "dir" and action == "conflict":
            self._block(found, target, reason)
            return
        self._append(
            PlanItem(
                path=target,
                node=node,
                action=action,
                expected=_expected(there),
                source=found.path,
                reason=reason,
                link_to=self._links.link_to(target, node, action),
                sha256=cheap_hash(node, found.path, self._known) if node.type == "file" else None,
            )
        )

    def _lead_in(self, found: Found, place: Place, target: bytes, there: Node | None) -> None:
        """Make sure of a folder that was not asked for, but is on the way: it is made when missing, else let be."""
        if there is None:
            self._missing.add(self._key(target))
            node = self._crossing.node(self._owners.translate(found.node, place))
            self._waiting[self._key(target)] = PlanItem(target, node, "create", source=found.path)
        elif there.type != "dir" and not (there.type == "symlink" and self._above_roots(target)):
            # A symlink above what was saved is how the host is set up; one below would lead the restore astray.
            self._block(found, target, f"a {there.type} is there now, where the snapshot has a folder")

    def _above_roots(self, target: bytes) -> bool:
        return any(target != root and paths.inside(root, target) for root in self._candidates())

    def _shut(self, folder: bytes, reason: str) -> None:
        """Note that nothing can come to stand below a folder, and need not be asked for."""
        self._blocked[self._key(folder)] = reason
        self._missing.add(self._key(folder))

    def _block(self, found: Found, target: bytes, reason: str, *, below: str = "") -> None:
        if found.node.type == "dir":
            self._shut(target, below or f"something else stands at {paths.display(target)} or above it")
        if found.selected:
            self._add(found, target, "conflict", reason)

    def _is_twin(self, found: Found, target: bytes) -> bool:
        """Return whether another name in the same folder of the snapshot is the same name on Windows, and tell it."""
        if not self._crossing.onto_windows:
            return False
        key = self._key(found.path)
        first = self._names.setdefault(key, found.path)
        if first == found.path:
            return False
        shown = paths.display(first.rpartition(b"/")[2])
        reason = f"its name differs from {shown} only in capitals: Windows takes them for one"
        self._block(found, target, reason, below=f"the folder above it: {reason}")
        return True

    def _add(self, found: Found, target: bytes, action: Action, reason: str) -> None:
        self._append(PlanItem(target, found.node, action, source=found.path, reason=reason))

    def _append(self, item: PlanItem) -> None:
        if self._waiting:
            self._items += self._folders_above(item.path)
        self._items.append(item)
        if item.writes_content:
            self._blobs.update(item.node.content or ())

    def _folders_above(self, path: bytes) -> list[PlanItem]:
        """Return the folders that are made because ``path`` comes to lie in them, outer ones first."""
        found: list[PlanItem] = []
        while (item := self._waiting.pop(self._key(path := paths.parent(path)), None)) is not None:
            found.insert(0, item)
        return found

    def _has_all(self, node: Node) -> bool:
        if node.content is None:
            return False
        return all(self._repository.has_blob(BlobType.DATA, id_) for id_ in node.content)

    def _candidates(self) -> tuple[bytes, ...]:
        places = tuple(place.new for place in self._placement.places)
        if self._request.mode != "stage" and not self._request.target:
            return (*self._roots, *(new for new in places if new != b"/"))
        return places

    def _dated_folders(self) -> tuple[bytes, ...]:
        used = [place for place in self._placement.places if place.fresh and place in self._used]
        return tuple(sorted(place.new for place in used))

    def _notes(self) -> Iterator[str]:
        if self._in_cloud:
            files = "1 file is" if self._in_cloud == 1 else f"{self._in_cloud:,} files are"
            yield (
                f"{files} there already as placeholders of the cloud (OneDrive), with the same size and time: left as "
                "they are, and their content was not compared"
            )
        if self._crossing.abroad:
            what = (
                "owners, permissions and extended attributes"
                if self._crossing.onto_windows
                else ("attributes, access lists and alternate streams of Windows")
            )
            yield f"{what} have no place on this computer and do not come back"
        if self._request.mode == "stage" or not self._request.target:
            return
        for place in self._placement.places:
            if place not in self._used:
                yield f"the snapshot has nothing of what was asked for below {paths.display(place.old)}"

    def _fetches(self) -> tuple[int, int, int]:
        packs: set[ID] = set()
        total = 0
        for id_ in self._blobs:
            found = self._repository.blob_place(id_)
            if found is not None:
                packs.add(found.pack)
                total += found.blob.plain_length
            else:
                total += self._repository.blob_length(id_) or 0
        return len(self._blobs), total, len(packs)


def _expected(there: Node | None) -> Expected | None:
    return None if there is None else Expected(there.type, there.size, there.mtime_ns)
