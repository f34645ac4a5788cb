"""Where on a computer the files of each person go: to whom, into which folders, and who has no profile there yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from configs.folders import FOLDER_PLACEHOLDERS
from inventory.model import Host
from tasks.errors import RestoreRefused
from tasks.remote.filesystem import RemoteHost
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.foreign import WINDOWS, folded
from tasks.restorer.selection import as_on_windows
from tasks.verbs.orders import RestoreOrder, SavedHost
from tasks.verbs.people import Person, covered_people, people_asked

#: Somebody of the snapshot, and the same person (or whom the order names) on the computer.
Pair = tuple[Person, Person]


@dataclass(frozen=True, slots=True)
class Absent:
    """Somebody of the snapshot who has no profile on the computer yet, and by which name it would be there."""

    person: Person
    name: str


def find_people(
    order: RestoreOrder, target: Host, remote: RemoteHost, chosen: Sequence[Person], saved: SavedHost
) -> tuple[list[Pair], list[Absent]]:
    """Return who of ``chosen`` is on the computer, and who is not yet.

    On Windows they may wait. Elsewhere somebody who is not there raises ``RestoreRefused``, unless the files can go
    back to where they were.
    """
    if not chosen:
        return [], []
    names = [order.to_teacher or person.name for person in chosen]
    there = _known(target, remote, names)
    absent: list[Absent] = []
    pairs: list[Pair] = []
    for person, name in zip(chosen, names, strict=True):
        if name in there:
            pairs.append((person, there[name]))
        elif remote.hello.platform == WINDOWS:
            absent.append(Absent(person, name))
        elif order.to_host is None and order.to_teacher is None and not saved.windows:
            # An account database that does not tell: the files go back to where they were.
            pairs.append((person, person))
        else:
            raise RestoreRefused(
                f"{name} has no home on {target.name}",
                hint="Let them sign in there once, or name another account with --to-teacher.",
            )
    return pairs, absent


def _known(target: Host, remote: RemoteHost, names: Sequence[str]) -> dict[str, Person]:
    asked = target.model_copy(update={"teachers": tuple(dict.fromkeys(names))})
    facts = remote.facts(people_asked(asked, remote.hello.platform))
    return {person.name: person for person in covered_people(asked, facts)[0]}


def make_profiles(remote: RemoteHost, absent: Sequence[Absent]) -> dict[str, str]:
    """Have profiles made; return for each name why none was, or an empty text."""
    told: dict[str, str] = {}
    for one in absent:
        made = remote.make_profile(one.name)
        told[one.name] = "" if made.home else made.detail or made.reason
    return told


def target_of(
    order: RestoreOrder, saved: SavedHost, snapshot: Snapshot, pairs: Sequence[Pair], *, onto: str, only_pairs: bool
) -> tuple[dict[bytes, bytes], list[str]]:
    """Return which folder of the snapshot goes where on the computer, nothing when all goes to where it was; and notes.

    ``onto`` is the computer's platform; with ``only_pairs`` nobody else's files come along. Raises ``RestoreRefused``
    when a Windows computer's files are meant for another kind of computer, or the reverse, and nobody's home is known.
    """
    if order.into is not None:
        into = (as_on_windows(order.into) if onto == WINDOWS else order.into).encode("utf-8", "surrogateescape")
        return {b"/": into.rstrip(b"/") or b"/"}, []
    abroad = bool(saved.platform) and saved.windows != (onto == WINDOWS)
    if abroad and not pairs:
        raise RestoreRefused(
            f"the snapshot is of a {_kind(saved.windows)} computer, and this one is none",
            hint="Name a teacher who has an account there, or a folder with --into.",
        )
    moved = {old.home: new.home for old, new in pairs}
    notes: list[str] = []
    if onto == WINDOWS or saved.windows:
        folders, notes = _known_folders(pairs, onto=onto)
        moved |= folders
    if all(old == new for old, new in moved.items()) and order.to_host is None and not (only_pairs or abroad):
        return {}, notes
    roots = [path.encode("utf-8", "surrogateescape") for path in snapshot.paths]
    covered = [person.home for person in saved.people]
    if saved.windows:
        covered += [path for person in saved.people for path in person.folders.values()]
    outside = [root for root in roots if not any(_inside(root, folder) for folder in covered)]
    # What was in nobody's home goes to where it was; but not along with one teacher's files, and a drive is no folder.
    with_others = not order.teacher and not abroad
    return {**moved, **({root: root for root in outside} if with_others else {})}, notes


def _known_folders(pairs: Sequence[Pair], *, onto: str) -> tuple[dict[bytes, bytes], list[str]]:
    """Return the known folders that are not where the home alone would bring them: Desktop, Documents and so on."""
    found: dict[bytes, bytes] = {}
    notes: list[str] = []
    for old, new in pairs:
        for name, folder in sorted(old.folders.items()):
            there = new.folders.get(name)
            by_home = new.home + folder[len(old.home) :] if _inside(folder, old.home) else None
            if there is not None and onto == WINDOWS and there.startswith(b"//"):
                notes.append(f"{name} of {new.name} lies on a server there: its files come into the home instead")
                there = None
            if there is not None:
                if by_home is None or not _same(by_home, there, onto=onto):
                    found[folder] = there
            elif by_home is None:
                # It was moved out of the old home, and the new profile has none of its kind.
                known = name in FOLDER_PLACEHOLDERS
                found[folder] = new.home + b"/" + (name.capitalize().encode() if known else folder.rpartition(b"/")[2])
    return found, notes


def _same(one: bytes, other: bytes, *, onto: str) -> bool:
    return folded(one) == folded(other) if onto == WINDOWS else one == other


def _inside(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def _kind(windows: bool) -> str:
    return "Windows" if windows else "Linux or macOS"


def newer_paths(order: RestoreOrder, pairs: Sequence[Pair], *, onto: str) -> tuple[bytes, ...]:
    """Return the paths on the computer of newer files that the order says to replace."""
    found: list[bytes] = []
    for text in order.overwrite_newer:
        raw = (as_on_windows(text) if onto == WINDOWS else text).encode("utf-8", "surrogateescape")
        found += [raw] if raw.startswith(b"/") else [person.home + b"/" + raw for _, person in pairs]
    return tuple(found)


def stage_folders(pairs: Sequence[Pair]) -> Mapping[bytes, bytes]:
    """Return on whose desktop each home's dated folder is made."""
    return {old.home: person.desktop for old, person in pairs if person.desktop}
