"""Folders that must not come out empty-handed, such as a teacher's Desktop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.archiver.source import Skipped


def missing_folders(
    must_exist: Sequence[bytes], saved: Mapping[bytes, int], skips: Sequence[Skipped]
) -> tuple[bytes, ...]:
    """Return which of ``must_exist`` are there and gave nothing, although something is, or may be, in them.

    One that is not there, and one that is truly empty, is not among them. A standing rule does not excuse it: a rule
    that leaves out a whole Desktop is a mistake.

    Args:
        must_exist: The folders' paths.
        saved: How many files and symlinks were saved in each folder that was listed.
        skips: All that was left out.
    """
    missing: list[bytes] = []
    for path in must_exist:
        if saved.get(path):
            continue
        below = path + b"/"
        for skip in skips:
            touches = skip.path == path or skip.path.startswith(below) or below.startswith(skip.path + b"/")
            if touches and (skip.reason != "vanished" or path in saved):
                missing.append(path)
                break
    return tuple(missing)
