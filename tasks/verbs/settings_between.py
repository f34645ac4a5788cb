"""What changed in people's settings from one snapshot to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot
from tasks.restorer.walk import INTERNAL, node_at
from tasks.settings.diff import Difference, differences
from tasks.settings.document import PREFIX, SUFFIX, Settings, decode
from tasks.verbs.context import Context
from tasks.verbs.settings_capture import catalog_for
from tasks.verbs.settings_documents import read_own


@dataclass(frozen=True, slots=True)
class PersonDifferences:
    """One person whose settings are in both snapshots."""

    person: str
    changes: tuple[Difference, ...]


def settings_between(
    context: Context, repository: Repository, before: Snapshot, after: Snapshot
) -> Iterator[PersonDifferences]:
    """Yield what changed for everybody whose settings are in both snapshots.

    Of items that hold secrets, by the catalog of today, no value is told.

    Raises ``SettingsUnreadable`` when one of the documents is damaged or of a newer version.
    """
    old, new = _documents(repository, before), _documents(repository, after)
    for name in sorted(old.keys() & new.keys()):
        catalog = catalog_for(context, "darwin" if new[name].platform == "macos" else new[name].platform)
        secret = {item.id for item in catalog or () if item.sensitive}
        if changes := differences(old[name], new[name]):
            yield PersonDifferences(
                new[name].account, tuple(_hidden(one) if one.item in secret else one for one in changes)
            )


def _hidden(one: Difference) -> Difference:
    return replace(one, old=None, new=None, secret=True)


def _documents(repository: Repository, snapshot: Snapshot) -> dict[str, Settings]:
    folder = node_at(repository, snapshot, INTERNAL)
    if folder is None or folder.subtree is None:
        return {}
    found: dict[str, Settings] = {}
    for node in repository.load_tree(folder.subtree).nodes:
        name = node.name.decode("utf-8", "replace")
        if name.startswith(PREFIX) and name.endswith(SUFFIX) and name.count(".json") == 1:
            data = read_own(repository, snapshot, name)
            if data is not None and not name.endswith((".before.json", ".put.json")):
                found[name] = decode(data)
    return found
