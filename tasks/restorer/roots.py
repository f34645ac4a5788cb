"""Below which folders the host must permit writing, as few and as narrow as the plan allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.restorer import paths
from tasks.restorer.items import WRITING, PlanItem


def allowed_roots(items: Iterable[PlanItem], candidates: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return roots that cover every item that writes: of the candidates, or else the topmost item itself."""
    narrow = sorted(candidates, key=len, reverse=True)
    used: list[bytes] = []
    for item in items:
        if item.action not in WRITING or any(paths.inside(item.path, root) for root in used):
            continue
        used.append(next((root for root in narrow if paths.inside(item.path, root)), item.path))
    return tuple(
        sorted(root for root in set(used) if not any(root != other and paths.inside(root, other) for other in used))
    )
