"""What may be said of a snapshot."""

from __future__ import annotations

import pytest

from tasks.entries import Skipped
from tasks.events import SkipReason
from tasks.policy.snapshot_state import SnapshotState, derive, state_of

RULES = {"cache", "special"}


def test_nothing_left_out_is_complete() -> None:
    assert derive([], RULES) is SnapshotState.COMPLETE


def test_skips_by_standing_rules_are_acknowledged() -> None:
    skips = [Skipped(b"/a/.cache", "excluded", "cache"), Skipped(b"/a/fifo", "special", "special")]
    assert derive(skips, RULES) is SnapshotState.ACKNOWLEDGED


@pytest.mark.parametrize("reason", ["denied", "unreadable", "changed", "vanished", "name", "loop", "cloud-only"])
def test_one_skip_without_rule_makes_it_partial(reason: SkipReason) -> None:
    skips = [Skipped(b"/a/.cache", "excluded", "cache"), Skipped(b"/a/b", reason), Skipped(b"/c", "special", "special")]
    assert derive(skips, RULES) is SnapshotState.PARTIAL


def test_a_rule_that_nobody_made_covers_nothing() -> None:
    assert derive([Skipped(b"/a", "excluded", "made-up")], RULES) is SnapshotState.PARTIAL


def test_a_missing_folder_makes_it_partial() -> None:
    assert derive([], RULES, missing=[b"/home/a/Desktop"]) is SnapshotState.PARTIAL


def test_a_person_may_answer_for_a_path_and_what_is_below() -> None:
    skips = [Skipped(b"/a/b", "denied"), Skipped(b"/a/b/c/d", "vanished")]
    assert derive(skips, RULES, acknowledged=[b"/a/b"]) is SnapshotState.ACKNOWLEDGED
    assert derive(skips, RULES, acknowledged=[b"/a/b/c"]) is SnapshotState.PARTIAL
    assert derive([Skipped(b"/a/bc", "denied")], RULES, acknowledged=[b"/a/b"]) is SnapshotState.PARTIAL
    assert derive(skips, RULES, acknowledged=[b"/"]) is SnapshotState.ACKNOWLEDGED


def test_states_are_told_by_a_tag() -> None:
    for state in SnapshotState:
        assert state_of(["firstbell", state.tag]) is state
    assert state_of(["firstbell"]) is None
    assert state_of(["state:of-the-future"]) is SnapshotState.PARTIAL
    assert [state.usable for state in SnapshotState] == [True, True, False, False]
