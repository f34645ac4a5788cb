"""Apply a restore plan: folders, contents, links, then metadata, then proof by hash.

Nothing newer is overwritten: the host compares each path with what the plan saw there, at the moment of writing. Files
are written under temporary names and renamed, so a cut leaves whole files or none; the same request simply goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeVar

from tasks.entries import Expected, WriteResult
from tasks.errors import RestoreRefused
from tasks.events import Reporter, silent
from tasks.repository.repository import Repository
from tasks.restorer import paths
from tasks.restorer.compare import metadata_differs
from tasks.restorer.file_writer import FileWriter, ReadAhead
from tasks.restorer.items import PlanItem, RestorePlan
from tasks.restorer.result import RestoreResult
from tasks.restorer.sink import Sink
from tasks.restorer.tally import Tally

#: ``written``: the hash that the host tells of a file when it has written it is enough. ``read-back``: it must come
#: from reading the file again: before it gets its name, when the host tells so, else afterwards.
Verification = Literal["written", "read-back"]

_BATCH: Final = 1000
_Thing = TypeVar("_Thing")


class Restorer:
    """Restores from one repository to one host."""

    def __init__(self, repository: Repository, sink: Sink, report: Reporter = silent, *, host: str = "") -> None:
        self._repository = repository
        self._sink = sink
        self._report = report
        self._host = host
        self._ahead: tuple[RestorePlan, ReadAhead] | None = None

    def begin(self, plan: RestorePlan) -> None:
        """Begin to read what the plan will write, before it is time for ``apply``; nothing is written.

        Tens of MB are held in memory from then on, so not while something else needs much.
        """
        self.close()
        self._ahead = plan, ReadAhead(self._repository, self._sink, plan.items)
        self._ahead[1].contents.begin()

    def close(self) -> None:
        """Give up what was read ahead."""
        if self._ahead is not None:
            self._ahead[1].close()
            self._ahead = None

    def apply(self, plan: RestorePlan, *, verify: Verification = "read-back") -> RestoreResult:
        """Do what the plan says and return what became of it; one path that fails does not stop the others.

        Raises:
            RestoreRefused: the plan was made only to be shown.
            TransportError: the link to the host broke; applying the same request again goes on.
            BackendError: the store of the repository's files is gone.
        """
        if plan.mode == "plan":
            raise RestoreRefused(
                "this plan was made to be looked at",
                hint="Make one with the mode 'apply' (in place) or 'stage' (into a dated folder).",
            )
        tally = Tally(plan, self._report, self._host)
        if plan.roots:
            self._sink.allow(plan.digest, plan.roots)
        ahead = self._ahead[1] if self._ahead is not None and self._ahead[0] is plan else None
        run = _Run(self._repository, self._sink, plan, tally, ahead)
        run.leave_alone()
        run.make_folders()
        run.write_files()
        run.make_links()
        run.set_file_metadata()
        run.remove()
        run.finish_folders()
        tally.progress()
        return tally.result(verified=run.verify(verify))


class _Run:
    """The steps of one ``apply``, in their order."""

    def __init__(
        self, repository: Repository, sink: Sink, plan: RestorePlan, tally: Tally, ahead: ReadAhead | None
    ) -> None:
        self._sink = sink
        self._items = plan.items
        self._tally = tally
        self._writer = FileWriter(repository, sink, tally)
        self._ahead = ahead
        self._made: set[bytes] = set()

    def leave_alone(self) -> None:
        """Count what the plan does not touch."""
        for item in self._items:
            if item.action == "same":
                self._tally.unchanged += 1
            elif item.action == "keep-newer":
                self._tally.lost(item, "kept-newer", "newer", item.reason)
            elif item.action == "conflict":
                self._tally.lost(item, "conflict", "conflict", item.reason)
            elif item.action == "skip":
                self._tally.lost(item, "skipped", "skipped", item.reason)

    def make_folders(self) -> None:
        """Make the missing folders, outer ones first. They become durable with the first files."""
        wanted = [item for item in self._items if item.node.type == "dir" and item.action == "create"]
        for batch in _batches(wanted):
            ready = [item for item in batch if not self._hindered(item)]
            for item in ready:
                self._sink.make(item.path, item.node)
            for item, result in _matched(ready, self._sink.made() if ready else []):
                if not result.ok:
                    self._tally.refused(item, result)
                    continue
                self._tally.done(item)
                self._made.add(item.path)
                self._tally.touched.add(paths.parent(item.path))

    def write_files(self) -> None:
        """Write the contents of all files that have one of their own."""
        ready = [item for item in self._items if item.writes_content and not self._hindered(item)]
        self._writer.write(ready, self._ahead)

    def make_links(self) -> None:
        """Make symlinks, FIFOs and the further names of files; a name that cannot be linked gets its own copy."""
        wanted = [
            item
            for item in self._items
            if item.action in ("create", "overwrite") and item.node.type != "dir" and not item.writes_content
        ]
        copies: list[PlanItem] = []
        for batch in _batches([item for item in wanted if not self._hindered(item)]):
            linkable = [item for item in batch if item.link_to is None or item.link_to not in self._tally.bad]
            copies += [item for item in batch if item.link_to is not None and item.link_to in self._tally.bad]
            copies += self._make(linkable)
        self._writer.write([replace(item, link_to=None) for item in copies])
        for item in copies:
            if item.path not in self._tally.bad:
                self._tally.note(item.path, "metadata", "copy", "it is a file of its own now, not another name of one")

    def set_file_metadata(self) -> None:
        """Set the metadata of files whose content is right already, unless they changed since the plan."""
        wanted = [item for item in self._items if item.action == "metadata" and item.node.type != "dir"]
        for batch in _batches(wanted):
            there = self._sink.stat([item.path for item in batch])
            ready: list[PlanItem] = []
            for item, node in zip(batch, there, strict=True):
                if node is not None and _seen(item.expected, Expected(node.type, node.size, node.mtime_ns)):
                    ready.append(item)
                elif (
                    node is not None
                    and node.type == item.node.type
                    and not metadata_differs(item.node, node, owners=False)
                ):
                    self._tally.unchanged += 1
                else:
                    self._tally.refused(item, WriteResult(item.path, False, "conflict"))
            self._set_metadata(ready)

    def remove(self) -> None:
        """Remove what the plan (of an undo) says, files before the folders they are in."""
        wanted = [item for item in self._items if item.action == "remove"]
        wanted.sort(key=lambda item: (item.node.type == "dir", -item.path.count(b"/")))
        for batch in _batches(wanted):
            for item in batch:
                self._sink.remove(item.path, item.expected or Expected(item.node.type, 0, 0))
            for item, result in self._results(batch):
                if result.ok:
                    self._tally.removed += 1
                    self._tally.touched.add(paths.parent(item.path))
                elif result.reason == "vanished":
                    self._tally.unchanged += 1
                else:
                    self._tally.refused(item, result)

    def finish_folders(self) -> None:
        """Set the metadata of folders, inner ones first: making something in a folder changes the folder's time."""
        if self._made and not self._writer.committed:
            self._sink.commit()
        folders: list[PlanItem] = []
        for item in self._items:
            if item.node.type != "dir" or item.path in self._tally.bad:
                continue
            if item.path in self._made or (
                item.action in ("metadata", "same") and (item.action == "metadata" or item.path in self._tally.touched)
            ):
                folders.append(item)
        folders.sort(key=lambda item: item.path.count(b"/"), reverse=True)
        for batch in _batches(folders):
            self._set_metadata(batch)

    def verify(self, how: Verification) -> bool:
        """Return whether every file that was written has the right content, by the host's own hash."""
        expected = self._writer.expected
        proven = self._writer.read_back if how == "read-back" else expected.keys() - self._writer.unproven
        again = [path for path in expected if path not in proven]
        good = not (self._writer.unproven - expected.keys())
        by_path = {item.path: item for item in self._items if item.path in expected}
        for batch in _batches(again):
            for hashed in self._sink.hash(batch):
                item = by_path[hashed.path]
                if hashed.sha256 == expected[hashed.path]:
                    self._tally.hashed += hashed.path in self._writer.unproven
                    continue
                good = False
                self._tally.restored -= 1
                why = hashed.detail or "read again, it has another content than the snapshot"
                self._tally.lost(item, "failed", "content", why)
        return good and not any(one.reason in ("content", "damaged") for one in self._tally.problems)

    def _hindered(self, item: PlanItem) -> bool:
        """Return whether the folder of an item is missing, and tell so."""
        if paths.parent(item.path) not in self._tally.bad:
            return False
        self._tally.lost(item, "failed", "folder", "the folder it belongs in could not be made")
        return True

    def _make(self, items: Sequence[PlanItem]) -> list[PlanItem]:
        """Make what is no folder; return the names of files that could not be linked."""
        for item in items:
            self._sink.make(item.path, item.node, hardlink_to=item.link_to, expected=item.expected)
        refused: list[tuple[PlanItem, WriteResult, bytes | None]] = []
        copies: list[PlanItem] = []
        for item, result in self._results(items):
            if result.ok:
                self._tally.done(item, result)
                self._tally.touched.add(paths.parent(item.path))
            elif result.reason == "conflict":
                refused.append((item, result, None))
            elif item.link_to is not None and result.reason in ("unsupported", "vanished", "denied"):
                copies.append(item)
            else:
                self._tally.refused(item, result)
        self._writer.settle(refused)
        return copies

    def _set_metadata(self, items: Sequence[PlanItem]) -> None:
        if not items:
            return
        results = {
            result.path: result for result in self._sink.set_metadata([(item.path, item.node) for item in items])
        }
        for item in items:
            result = results.get(item.path) or WriteResult(item.path, False)
            if not result.ok:
                self._tally.refused(item, result)
            elif item.action == "metadata" and item.node.type != "dir":
                self._tally.done(item, result)
            else:
                self._tally.incomplete(result)

    def _results(self, items: Sequence[PlanItem]) -> list[tuple[PlanItem, WriteResult]]:
        """Commit, and return what the host says about each item."""
        return _matched(items, self._sink.commit()) if items else []


def _matched(items: Sequence[PlanItem], found: Sequence[WriteResult]) -> list[tuple[PlanItem, WriteResult]]:
    results = {result.path: result for result in found}
    silence = "the computer did not mention it"
    return [(item, results.get(item.path) or WriteResult(item.path, False, "", silence)) for item in items]


def _seen(expected: Expected | None, now: Expected) -> bool:
    return expected is not None and expected.type == now.type and (now.type != "file" or expected == now)


def _batches(things: Sequence[_Thing]) -> Iterator[Sequence[_Thing]]:
    for start in range(0, len(things), _BATCH):
        yield things[start : start + _BATCH]
