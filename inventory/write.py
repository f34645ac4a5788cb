"""The raw entries of an inventory's files, and replacing a file so that no moment sees half of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configs.whole_file import write_whole
from configs.yaml_file import parse_yaml
from inventory.files import host_files


@dataclass
class Entries:
    """What the files say, as it stands there, before any resolving."""

    #: Host -> its file and its keys.
    hosts: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    default_site: str = ""
    has_defaults: bool = False

    @property
    def spelled(self) -> dict[str, str]:
        """Return each host's name by its folded one."""
        return {name.casefold(): name for name in self.hosts}

    def group(self, name: str, more: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """Return the keys of a group of the files or of ``more``, empty when there is none."""
        return self.groups.get(name) or more.get(name) or {}

    def says(self, key: str, folded: str) -> bool:
        """Return whether a host's own entry, one of its groups or the defaults set a key."""
        _, entry = self.hosts.get(self.spelled.get(folded, ""), (None, {}))
        groups = [self.groups.get(name, {}) for name in entry.get("groups") or ()]
        return any(one.get(key) for one in (entry, *groups, self.defaults))

    def mentions(self, key: str) -> bool:
        """Return whether a key is set anywhere in the inventory."""
        return any(
            one.get(key) for one in (self.defaults, *self.groups.values(), *(one for _, one in self.hosts.values()))
        )

    def site_of(self, folded: str) -> str:
        """Return the site that a host's own entry or one of its groups names."""
        _, entry = self.hosts.get(self.spelled.get(folded, ""), (None, {}))
        groups = [self.groups.get(name, {}) for name in entry.get("groups") or ()]
        return next((str(one["site"]) for one in (entry, *groups) if one.get("site")), "")


def read_entries(folder: Path) -> Entries:
    """Return the entries of an inventory that loads, or nothing where there is none yet."""
    found = Entries()
    if not folder.is_dir():
        return found
    defaults = folder / "defaults.yaml"
    if defaults.exists():
        found.has_defaults = True
        found.defaults = parse_yaml(defaults.read_bytes()).content or {}
        found.default_site = str(found.defaults.get("site") or "")
    for file in (folder / "groups.yaml", *host_files(folder)):
        if not file.exists():
            continue
        data = file.read_bytes()
        found.texts[file] = data.decode("utf-8-sig")
        for name, entry in (parse_yaml(data).content or {}).items():
            if file.name == "groups.yaml" and file.parent == folder:
                found.groups[name] = entry or {}
            else:
                found.hosts[name] = (file, entry or {})
    return found


def replace_file(file: Path, text: str) -> None:
    """Write a file under a temporary name and rename it; the previous version stays beside it as ``.bak``.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o644
    if file.exists():
        mode = file.stat().st_mode & 0o777
        write_whole(file.with_name(file.name + ".bak"), file.read_bytes(), mode=mode)
    write_whole(file, text.encode(), mode=mode)
