"""The catalog: which settings there are on a platform, in the order in which they come back.

firstbell's own items lie in ``configs/catalog/<platform>.yaml``. A school adds its own in one file, without code
(``docs/settings.md``); an item with the id of one of ours takes its place, and ``leave_out`` takes ours away.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from configs.catalog_captures import (
    COLLECTORS,
    Capture,
    CommandCapture,
    DconfCapture,
    FilesCapture,
    IniCapture,
    PlistCapture,
    PresenceCapture,
    RegistryCapture,
)
from configs.catalog_checks import order_findings
from configs.catalog_file import CATALOG_VERSION, CatalogFile, read_catalog_file
from configs.catalog_item import CatalogItem, Prerequisite, RestoreClass, Versions, release_of, version_tuple
from configs.catalog_variables import PLATFORMS, VARIABLES, Platform, fill_in
from configs.errors import ConfigError
from configs.problems import did_you_mean

__all__ = [
    "CATALOG_VERSION",
    "COLLECTORS",
    "PLATFORMS",
    "VARIABLES",
    "Capture",
    "Catalog",
    "CatalogItem",
    "CommandCapture",
    "DconfCapture",
    "FilesCapture",
    "IniCapture",
    "Platform",
    "PlistCapture",
    "Prerequisite",
    "PresenceCapture",
    "RegistryCapture",
    "RestoreClass",
    "Versions",
    "catalog_problems",
    "fill_in",
    "load_catalog",
    "release_of",
    "shipped_file",
    "version_tuple",
]

_HINT: Final = "Correct the file; docs/settings.md shows how an item is written, and every key."


@dataclass(frozen=True)
class Catalog:
    """The items of a platform, in the order in which they come back: what is required first, then ``order``."""

    platform: Platform
    items: tuple[CatalogItem, ...]
    version: int = CATALOG_VERSION
    _by_id: Mapping[str, CatalogItem] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {one.id: one for one in self.items})

    def __iter__(self) -> Iterator[CatalogItem]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def get(self, item_id: str) -> CatalogItem | None:
        """Return the item, or None when this catalog does not have it (any more)."""
        return self._by_id.get(item_id)

    def item(self, item_id: str) -> CatalogItem:
        """Return the item.

        Raises:
            ConfigError: there is none of this id.
        """
        found = self._by_id.get(item_id)
        if found is None:
            raise ConfigError(
                f"the catalog of {self.platform} has no item '{item_id}'.{did_you_mean(item_id, self._by_id)}",
                hint="'firstbell catalog show' lists all of them.",
            )
        return found

    def for_desktop(self, desktop: str) -> Catalog:
        """Return the catalog without what belongs to another desktop of Linux than ``gnome``, ``kde`` or ``any``."""
        kept = (one for one in self.items if one.desktop in {None, "any", desktop})
        return Catalog(self.platform, tuple(kept))

    def chosen(self, asked_for: Iterable[str] = ()) -> tuple[CatalogItem, ...]:
        """Return what is captured: everything but the items on request, and of these the ones that are asked for."""
        asked = frozenset(asked_for)
        return tuple(one for one in self.items if not one.on_request or one.id in asked)

    def digest(self) -> str:
        """Return the SHA-256 of what the catalog says, in hex: it changes when what is captured or put back does."""
        said = [one.model_dump(mode="json", exclude={"fixture"}) for one in self.items]
        text = json.dumps([self.version, self.platform, said], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def tag(self) -> str:
        """The version that a document or a snapshot names: ``1-3fa0c19b``."""
        return f"{self.version}-{self.digest()[:8]}"


def shipped_file(platform: Platform) -> Path:
    """Return where firstbell's own items of a platform lie."""
    return Path(__file__).parent / "catalog" / f"{platform}.yaml"


def load_catalog(platform: Platform, site_file: Path | str | None = None) -> Catalog:
    """Return the catalog of a platform, with the school's own items over ours.

    Raises:
        ConfigError: a file cannot be read, or an item is malformed; every problem is told, with file and line.
    """
    own = read_catalog_file(shipped_file(platform), platform=platform)
    site = read_catalog_file(Path(site_file)) if site_file is not None else None
    catalog = _combined(platform, own, site)
    _refuse((own, site))
    return catalog


def catalog_problems(site_file: Path | str | None = None) -> list[str]:
    """Return what is wrong with firstbell's own catalogs and the school's file, a message for each file.

    Raises:
        ConfigError: a file cannot be read.
    """
    own = {platform: read_catalog_file(shipped_file(platform), platform=platform) for platform in PLATFORMS}
    site = read_catalog_file(Path(site_file)) if site_file is not None else None
    everywhere = {item.id: item.platform for file in own.values() for item in file.items}
    if site is not None:
        for item in site.items:
            if everywhere.get(item.id, item.platform) != item.platform:
                text = f"firstbell has an item of this id on {everywhere[item.id]}; choose another one"
                site.add_finding(item.id, (("id",), text))
        known = {*everywhere, *(item.id for item in site.items)}
        for index, one in enumerate(site.leave_out):
            if one not in known:
                site.add(("leave_out",), (str(index),), f"there is no item '{one}'.{did_you_mean(one, known)}")
        for item in site.items:
            for text in _fixture_problems(item, Path(site_file or "").parent):
                site.add_finding(item.id, (("fixture",), text))
    for platform in PLATFORMS:
        _combined(platform, own[platform], site)
    return [one.message() for one in (*own.values(), site) if one is not None and one.problems]


def _fixture_problems(item: CatalogItem, folder: Path) -> list[str]:
    """Return what is wrong with the example that a school's item names, beside the school's file."""
    if item.fixture is None:
        return []
    import yaml

    from configs.catalog_fixture import fixture_problems, read_fixture

    try:
        return fixture_problems(item, read_fixture(folder / item.fixture))
    except OSError as error:
        return [f"'{item.fixture}' cannot be read: {error.strerror}"]
    except yaml.YAMLError as error:
        return [f"'{item.fixture}' is not YAML: {error}"]


def _combined(platform: Platform, own: CatalogFile, site: CatalogFile | None) -> Catalog:
    """Return ours and the school's items together; what is wrong with their order is noted in their files."""
    items = {one.id: one for one in own.items}
    files = dict.fromkeys(items, own)
    left_out: tuple[str, ...] = ()
    if site is not None:
        left_out = site.leave_out
        for one in site.items:
            if one.platform == platform:
                items[one.id] = one
                files[one.id] = site
        for name in left_out:
            items.pop(name, None)
    broken = own.broken | (site.broken if site is not None else set())
    for item_id, finding in order_findings(tuple(items.values()), left_out):
        # an item that is broken in its file is told there; who waits for it is not to blame
        if not (finding[0] == ("requires",) and broken & set(items[item_id].requires)):
            files[item_id].add_finding(item_id, finding)
    return Catalog(platform, in_order(tuple(items.values())))


def in_order(items: Sequence[CatalogItem]) -> tuple[CatalogItem, ...]:
    """Return the items so that each stands behind what it requires, else by ``order``, else as they came.

    Items that wait for each other, which ``order_findings`` tells, are left out.
    """
    place = {one.id: index for index, one in enumerate(items)}
    waits = {one.id: {other for other in one.requires if other in place} for one in items}
    ready = [(one.order, place[one.id]) for one in items if not waits[one.id]]
    heapq.heapify(ready)
    found: list[CatalogItem] = []
    while ready:
        item = items[heapq.heappop(ready)[1]]
        found.append(item)
        for one in items:
            if item.id in waits[one.id]:
                waits[one.id].discard(item.id)
                if not waits[one.id]:
                    heapq.heappush(ready, (one.order, place[one.id]))
    return tuple(found)


def _refuse(files: Iterable[CatalogFile | None]) -> None:
    wrong = [one.message() for one in files if one is not None and one.problems]
    if wrong:
        raise ConfigError("\n".join(wrong), hint=_HINT)
