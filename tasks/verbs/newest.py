"""The snapshot that counts of a host: its newest that firstbell made, whatever its state.

To find it, all snapshots of a repository would have to be read, which are thousands after a year. So this computer
remembers which snapshot is of which host: a file never changes, and its ID is its hash. What is remembered only spares
reading the snapshots of other hosts; those of the host in question are always read from the repository.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from configs.whole_file import write_whole
from tasks.policy.retention import BEFORE_RESTORE
from tasks.repository.repository import Repository
from tasks.repository.snapshot_file import Snapshot

#: The tag of every snapshot that firstbell made.
OURS: Final = "firstbell"
_FILE: Final = "snapshot-hosts.json"


def newest_snapshot(snapshots: Iterable[Snapshot], host: str) -> Snapshot | None:
    """Return the newest snapshot of a host; what a restore kept aside is none, nor is what another program made."""
    own = (one for one in snapshots if one.hostname == host and OURS in one.tags and BEFORE_RESTORE not in one.tags)
    return max(own, key=lambda one: (one.time, one.id or b""), default=None)


def snapshots_of_hosts(repository: Repository, hosts: Collection[str], folder: Path | None = None) -> list[Snapshot]:
    """Return all snapshots of these hosts, and maybe some of others; ``folder`` is where things are remembered.

    The default is ``firstbell`` in the folder for caches of this account; a folder that is not to be used costs time
    only.
    """
    folder = folder or cache_folder()
    path = folder / repository.config.id / _FILE if folder is not None else None
    known = _remembered(path)
    listed = {id_.hex(): id_ for id_ in repository.snapshot_ids()}
    wanted = [id_ for name, id_ in listed.items() if known.get(name) in hosts or name not in known]
    found = repository.load_snapshots(wanted)
    fresh = {(one.id or b"").hex(): one.hostname for one in found}
    if any(name not in known for name in fresh):
        _remember(path, {name: host for name, host in {**known, **fresh}.items() if name in listed})
    return found


def cache_folder() -> Path | None:
    """Return where this account remembers things, None where it has no such place."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / "firstbell"
    try:
        return Path.home() / ".cache" / "firstbell"
    except RuntimeError:
        return None


def _remembered(path: Path | None) -> Mapping[str, str]:
    if path is None:
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or not all(isinstance(host, str) for host in found.values()):
        return {}
    return found


def _remember(path: Path | None, hosts: Mapping[str, str]) -> None:
    if path is None:
        return
    # Nobody needs to know that nothing can be remembered: it is found again the next time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, json.dumps(hosts).encode(), mode=0o600, durable=False)
