"""In which state a run ends, and with which sentence."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.errors import Unreachable
from tasks.reports.model import HostReport, SiteReport, SkipGroup

GOOD = HostReport("pc-2", "complete", files=12, bytes_added=2048)
COVERED = HostReport("pc-5", "complete-with-acknowledged-skips", files=12)
PARTLY = HostReport("pc-1", "partial", skips=(SkipGroup("denied", 3),))
OFF = HostReport("pc-3", "failed", message="SSH unreachable (22 refused)", hint="Switch it on.")
FULL = HostReport("pc-4", "failed", message="disk full")


@pytest.mark.parametrize(
    ("hosts", "type_", "name", "message"),
    [
        ((GOOD, COVERED), "COMPLETED", "Completed", "2 computers: 2 saved"),
        ((GOOD,), "COMPLETED", "Completed", "pc-2: saved, 12 files, 2.0 KiB new"),
        ((GOOD, PARTLY), "COMPLETED", "PartlyDone", "1 of 2 needs attention. pc-1: 3 items may not be read"),
        (
            (GOOD, PARTLY, OFF),
            "COMPLETED",
            "PartlyDone",
            "2 of 3 need attention. pc-3: SSH unreachable (22 refused); pc-1: 3 items may not be read",
        ),
        ((PARTLY,), "COMPLETED", "PartlyDone", "pc-1: 3 items may not be read"),
        ((OFF,), "FAILED", "Failed", "pc-3: SSH unreachable (22 refused)"),
        ((OFF, FULL), "FAILED", "Failed", "pc-3: SSH unreachable (22 refused); pc-4: disk full"),
        ((FULL,) * 9, "FAILED", "Failed", "No computer was saved: disk full"),
        ((OFF, *(FULL,) * 4), "FAILED", "Failed", None),
        ((), "FAILED", "Failed", "No computer was saved: there is none to save"),
    ],
)
def test_site_state(hosts: tuple[HostReport, ...], type_: str, name: str, message: str | None) -> None:
    from flows.outcome import site_state

    state = site_state(SiteReport("north", datetime(2026, 11, 25, tzinfo=UTC), 3.0, hosts))
    assert (state.type.value, state.name) == (type_, name)
    if message is None:
        assert state.message is not None
        assert state.message.startswith("No computer was saved. pc-3: ")
        assert state.message.endswith("; and 2 more")
    else:
        assert state.message == message


@pytest.mark.parametrize(
    ("message", "hint", "expected"),
    [
        ("SSH unreachable", "Switch it on.", "pc-1: SSH unreachable. Switch it on."),
        ("no host 'x'. Did you mean 'y'?", "See the list.", "pc-1: no host 'x'. Did you mean 'y'? See the list."),
        ("two\n  lines", "", "pc-1: two lines"),
    ],
)
def test_a_failure_says_the_cure(message: str, hint: str, expected: str) -> None:
    from flows.outcome import failed

    assert failed(Unreachable(message, hint=hint, host="pc-1")).message == expected


def test_a_failure_opens_with_the_computer_once() -> None:
    from tasks.worker import describe

    assert describe("pc-1", Unreachable("refused", host="pc-1")) == "pc-1: refused"
    assert describe("pc-1", Unreachable("refused")) == "pc-1: refused"
