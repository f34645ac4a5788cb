r"""One JSON object per event and per result, for programs: ``--json``.

Each object has ``type``; keys are stable, new ones may be added. Sizes are bytes, durations seconds. A path is a string
in which bytes that are not UTF-8 are spelled ``\xff``; only then ``path_base64`` holds its exact bytes.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, TextIO

from tasks.events import (
    Event,
    FileRestored,
    FileSaved,
    HostDone,
    HostFailed,
    HostStarted,
    ItemSkipped,
    Milestone,
    Progress,
    Warned,
)
from tasks.reports.model import HostReport, SiteReport, SkipGroup, TeacherPage
from tasks.reports.tally import percent

_TYPES: Final[Mapping[type, str]] = {
    HostStarted: "host_started",
    Progress: "progress",
    FileSaved: "file_saved",
    ItemSkipped: "item_skipped",
    FileRestored: "file_restored",
    Warned: "warned",
    HostFailed: "host_failed",
    HostDone: "host_done",
    Milestone: "milestone",
}


class JsonReporter:
    """A reporter that writes one line per event to a stream, usually standard output; thread-safe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Take one event."""
        self.write(event_json(event))

    def write(self, value: Mapping[str, Any]) -> None:
        """Write one object as a line."""
        line = json.dumps(value, separators=(",", ":"))
        with self._lock:
            self._stream.write(f"{line}\n")
            self._stream.flush()


def path_json(path: bytes, key: str = "path") -> dict[str, str]:
    """Return ``path`` under ``key``, with its exact bytes beside it where the string cannot hold them."""
    try:
        return {key: path.decode()}
    except UnicodeDecodeError:
        return {
            key: path.decode("utf-8", "backslashreplace"),
            f"{key}_base64": base64.b64encode(path).decode("ascii"),
        }


def event_json(event: Event) -> dict[str, Any]:
    """Return the object for one event: its type, its fields, and for progress the share that is done."""
    value: dict[str, Any] = {"type": _TYPES[type(event)]}
    for item in fields(event):
        content = getattr(event, item.name)
        value |= path_json(content, item.name) if isinstance(content, bytes) else {item.name: content}
    if isinstance(event, Progress):
        value["percent"] = round(percent(event), 1)
    return value


def host_json(report: HostReport) -> dict[str, Any]:
    """Return the object for the result of one computer."""
    return {
        "type": "host_result",
        "host": report.host,
        "state": report.state,
        "snapshot": report.snapshot,
        "files": report.files,
        "files_unchanged": report.files_unchanged,
        "bytes": report.bytes,
        "bytes_added": report.bytes_added,
        "seconds": round(report.seconds, 3),
        "message": report.message,
        "hint": report.hint,
        "notes": list(report.notes),
        "skips": [_skip_json(group) for group in report.skips],
        "teachers": [_teacher_json(page) for page in report.teachers],
    }


def site_json(report: SiteReport) -> dict[str, Any]:
    """Return the object for the result of a site run; the hosts' own objects come before it, as lines of their own."""
    return {
        "type": "site_result",
        "site": report.site,
        "started": report.started.isoformat(),
        "seconds": round(report.seconds, 3),
        "hosts": len(report.hosts),
        "complete": report.in_state("complete"),
        "complete_with_acknowledged_skips": report.in_state("complete-with-acknowledged-skips"),
        "partial": report.in_state("partial"),
        "failed": report.in_state("failed"),
    }


def _skip_json(group: SkipGroup) -> dict[str, Any]:
    return {
        "reason": group.reason,
        "count": group.count,
        "acknowledged": group.acknowledged,
        "why": group.why,
        "examples": [path_json(path) for path in group.examples],
    }


def _teacher_json(page: TeacherPage) -> dict[str, Any]:
    return {
        "name": page.name,
        "full_name": page.full_name,
        **path_json(page.home, "home"),
        "files": page.files,
        "bytes": page.bytes,
        "skips": [_skip_json(group) for group in page.skips],
    }
