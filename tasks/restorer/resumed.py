"""A restore that was cut and went on: what its second plan and result mean for the whole."""

from __future__ import annotations

from dataclasses import replace

from tasks.restorer.items import WRITING, RestorePlan
from tasks.restorer.result import RestoreResult


def beyond(plan: RestorePlan, agreed: RestorePlan) -> bool:
    """Return whether a plan would write or replace what nobody has agreed to; folders' times do not count."""
    agreed_to = {item.path: item.action for item in agreed.items if item.action in ("create", "overwrite")}
    for item in plan.items:
        if item.action == "overwrite" and agreed_to.get(item.path) != "overwrite":
            return True
        if item.action == "create" and item.path not in agreed_to:
            return True
    return False


def with_first_part(result: RestoreResult, first: RestorePlan) -> RestoreResult:
    """Return the result of a plan that compared all contents, with what it found there of the ``first`` plan's work."""
    same = {item.path for item in result.plan.items if item.action == "same"}
    found = [item for item in first.items if item.action in WRITING and item.path in same]
    files = [item for item in found if item.writes_content]
    count = sum(item.node.type != "dir" for item in found)
    return replace(
        result,
        restored=result.restored + count,
        unchanged=result.unchanged - len(found),
        folders=result.folders + sum(item.node.type == "dir" and item.action == "create" for item in found),
        bytes=result.bytes + sum(item.node.size for item in files),
        hashed=result.hashed + len(files),
    )
