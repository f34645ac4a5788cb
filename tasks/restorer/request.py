"""What a person asks for when something shall come back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.repository.snapshot_file import Snapshot
from tasks.restorer import paths

#: ``plan`` only shows, ``stage`` fills a fresh dated folder, ``apply`` puts things where they were.
Mode = Literal["plan", "stage", "apply"]


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """What to restore from which snapshot to where. Nothing on the host is ever deleted."""

    snapshot: Snapshot
    #: Patterns as ``selection`` reads them; empty means all.
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    mode: Mode = "plan"
    #: Old root in the snapshot -> new root on the host. When given, only what is below an old root is restored.
    target: Mapping[bytes, bytes] = field(default_factory=dict)
    #: Paths on the host of files that may be overwritten although they are newer than the snapshot's.
    overwrite_newer: tuple[bytes, ...] = ()
    #: The homes in the snapshot: what relative patterns start from, and what a dated folder is laid out by.
    homes: tuple[bytes, ...] = ()
    #: For ``stage``: home or root in the snapshot -> folder on the host that gets the dated folder. Without one, or
    #: when it is not there, it is the Desktop in it, or itself.
    stage_in: Mapping[bytes, bytes] = field(default_factory=dict)
    #: For ``stage``: exactly this folder, there or not, to go on with one that was cut off.
    stage_folder: bytes | None = None
    #: For ``stage``: folders that the same request has made and not filled; it goes on with them.
    stage_begun: frozenset[bytes] = frozenset()
    #: Compare the content of files that look unchanged, too.
    check_content: bool = False
    #: The platforms that the snapshot is of and that it is restored onto, as helpers tell them; empty for any POSIX.
    of: str = ""
    onto: str = ""
    #: Whether the host's account may set owners (root); without that, another owner is nothing to restore.
    set_owners: bool = True

    def canonical(self) -> dict[str, Any]:
        """Return the request as JSON values, the same for requests that mean the same."""
        return {
            "snapshot": self.snapshot.id.hex() if self.snapshot.id else self.snapshot.tree.hex(),
            "include": sorted(set(self.include)),
            "exclude": sorted(set(self.exclude)),
            "mode": self.mode,
            "target": [[paths.to_json(old), paths.to_json(new)] for old, new in sorted(self.target.items())],
            "overwrite_newer": [paths.to_json(path) for path in sorted(set(self.overwrite_newer))],
            "stage_in": [[paths.to_json(old), paths.to_json(new)] for old, new in sorted(self.stage_in.items())],
        }

    def digest(self) -> str:
        """Return the SHA-256 of ``canonical``, in hex."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
