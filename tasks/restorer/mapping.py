"""Where on the host each path of a snapshot goes.

A *place* maps one old root to one new root; the longest old root wins. In place it is ``/`` to ``/``. To another home
or computer, the places are what the request says. In a dated folder, each home (or root outside the homes) gets a
folder ``Restored YYYY-MM-DD`` of its own, laid out as the home is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tasks.errors import RestoreRefused
from tasks.restorer import paths
from tasks.restorer.host_paths import HostPaths


@dataclass(frozen=True, slots=True)
class Place:
    """What is below ``old`` in the snapshot goes below ``new`` on the host.

    ``fresh`` is a folder of our own making, so ``old`` itself has no place; ``base`` is the folder on the host that
    tells who shall own what is there.
    """

    old: bytes
    new: bytes
    base: bytes
    fresh: bool = False

    def of(self, path: bytes) -> bytes:
        """Return where ``path``, inside ``old``, goes."""
        if self.old == self.new:
            return path
        rest = paths.relative(path, self.old)
        return paths.join(self.new, rest) if rest else self.new


class Placement:
    """All places of one restore."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.places = tuple(sorted(places, key=lambda place: len(place.old), reverse=True))
        self.in_place = all(place.old == place.new for place in self.places)

    def place_of(self, path: bytes) -> Place | None:
        """Return the place that ``path`` belongs to, or None when it is restored nowhere."""
        for place in self.places:
            if paths.inside(path, place.old):
                return place
        return None

    def leads_in(self, path: bytes) -> bool:
        """Return whether ``path`` is a folder above an old root: it is left as the host has it."""
        return any(place.old != path and paths.inside(place.old, path) for place in self.places)


def in_place(folders: Sequence[bytes], host: HostPaths) -> Placement:
    """Return the placement that puts everything where it was; ``folders`` are the roots that are folders.

    Where a root is behind a symlink on the host now, that is how the host is set up: its files go to the real place.
    """
    moved = [Place(root, real, real) for root in folders if (real := host.real_path(root)) != root]
    return Placement([Place(b"/", b"/", b"/"), *moved])


def mapped(target: Mapping[bytes, bytes], host: HostPaths) -> Placement:
    """Return the placement that ``target`` says. Raises ``RestoreRefused``."""
    pairs = [(absolute(old), host.real_path(absolute(new))) for old, new in target.items()]
    return Placement([Place(old, new, new) for old, new in pairs])


def staged(
    roots: Sequence[bytes],
    homes: Sequence[bytes],
    target: Mapping[bytes, bytes],
    stage_in: Mapping[bytes, bytes],
    stage_folder: bytes | None,
    host: HostPaths,
    now: datetime,
    *,
    begun: frozenset[bytes] = frozenset(),
) -> Placement:
    """Return a placement into dated folders that are not there yet, or are in ``begun``. Raises ``RestoreRefused``.

    The date is that of ``now`` in its own time zone: pass the local time of the school.
    """
    units = staging_units(roots, homes)
    where = mapped(target or {b"/": b"/"}, host)
    chosen: list[Place] = []
    taken: set[bytes] = set()
    found = _bases(units, where, stage_in, host)
    bases = [base for _, base in found]
    for unit, base in found:
        shared = bases.count(base) > 1 or (stage_folder is not None and len(found) > 1)
        folder = host.real_path(absolute(stage_folder)) if stage_folder is not None else _fresh(base, host, now, begun)
        new = folder
        if shared:
            name = paths.relative(unit, paths.parent(unit)) or b"files"
            new = _unused(paths.join(folder, name), lambda path: path in taken)
        taken.add(new)
        chosen.append(Place(unit, new, base, fresh=True))
    return Placement(chosen)


def staging_units(roots: Sequence[bytes], homes: Sequence[bytes]) -> list[bytes]:
    """Return what gets a dated folder: each home that holds a root, and each root that is in no home."""
    known = [absolute(home) for home in homes]
    units = [next((home for home in known if paths.inside(root, home)), root) for root in roots]
    units = list(dict.fromkeys(units))
    return [unit for unit in units if not any(unit != other and paths.inside(unit, other) for other in units)]


def _bases(
    units: Sequence[bytes], where: Placement, stage_in: Mapping[bytes, bytes], host: HostPaths
) -> list[tuple[bytes, bytes]]:
    """Return each unit with the folder that gets its dated folder; one that has no place there is left out, and told.

    Raises ``RestoreRefused`` when none has one.
    """
    found: list[tuple[bytes, bytes]] = []
    refusal: RestoreRefused | None = None
    for unit in units:
        try:
            found.append((unit, _base(unit, where, stage_in, host)))
        except RestoreRefused as error:
            refusal = refusal or error
    if refusal is not None and not found:
        raise refusal
    return found


def _base(unit: bytes, where: Placement, stage_in: Mapping[bytes, bytes], host: HostPaths) -> bytes:
    told = next((absolute(folder) for old, folder in stage_in.items() if absolute(old) == unit), None)
    candidates = [] if told is None else [told]
    place = where.place_of(unit)
    if place is not None:
        home = place.of(unit)
        candidates += [paths.join(home, b"Desktop"), home]
    if not candidates:
        raise RestoreRefused(
            f"nothing says where to put what was in {paths.display(unit)}",
            hint="Name the folder on the computer that it shall go to.",
        )
    for candidate in map(host.real_path, candidates):
        there = host.look(candidate)
        if there is not None and there.type == "dir":
            return candidate
    raise RestoreRefused(
        f"there is no folder {paths.display(candidates[-1])} on the computer",
        hint="The person has perhaps never signed in there. Give another folder, or restore in place.",
    )


def _fresh(base: bytes, host: HostPaths, now: datetime, begun: frozenset[bytes]) -> bytes:
    if now.tzinfo is None:
        raise ValueError("the time of a restore must be aware")
    name = f"Restored {now:%Y-%m-%d}".encode()
    return _unused(paths.join(base, name), lambda path: path not in begun and host.look(path) is not None)


def _unused(path: bytes, taken: Callable[[bytes], bool]) -> bytes:
    """Return ``path``, or the first of ``path (2)``, ``path (3)``, ... that is not taken."""
    number, candidate = 1, path
    while taken(candidate):
        number += 1
        candidate = path + f" ({number})".encode()
    return candidate


def absolute(path: bytes) -> bytes:
    """Return a path that somebody gave, tidied. Raises ``RestoreRefused`` when it is not absolute."""
    try:
        return paths.clean(path)
    except ValueError as error:
        raise RestoreRefused(str(error), hint="Give the whole path, from '/' on.") from error
