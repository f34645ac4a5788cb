"""How long a maintenance takes, by what earlier snapshots took; and in which order computers are worked on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.policy.estimate import ASSUMED_BYTES, ASSUMED_RATE, Measured, efforts, schedule
from tasks.policy.school_time import Stretch

MIB = 2**20
NIGHT = datetime(2026, 8, 3, 20, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def run(day: int, covered: int, read: int, seconds: float) -> Measured:
    return Measured(NIGHT + timedelta(days=day), covered * MIB, read * MIB, seconds)


def test_the_first_snapshot_tells_the_rate_and_the_later_ones_the_delta() -> None:
    runs = [run(0, 6000, 6000, 300), run(1, 6100, 5, 40), run(2, 6200, 20, 70)]
    (one,) = efforts(["a"], [("a", it) for it in runs])
    assert one.bytes == 6200 * MIB
    # 260 s beyond what a walk alone takes.
    assert one.full == pytest.approx(30 + 6200 / (6000 / 260))
    assert one.delta == 70
    assert one.restore > one.full
    assert one.measured


def test_a_small_delta_says_nothing_of_the_rate() -> None:
    """A walk of ten minutes that found little must not look like a line of 50 KiB/s."""
    (one,) = efforts(["a"], [("a", run(1, 6000, 5, 600))])
    assert one.full == pytest.approx(30 + 6000 * MIB / ASSUMED_RATE)
    assert one.delta == 600


def test_a_computer_that_was_never_saved_is_taken_for_the_largest_and_no_faster_than_assumed() -> None:
    runs = [("a", run(0, 900, 900, 10)), ("b", run(0, 9000, 9000, 90))]
    found = {one.host: one for one in efforts(["a", "c"], runs)}
    assert (found["c"].bytes, found["c"].measured, found["c"].last) == (9000 * MIB, False, None)
    assert found["c"].full == found["c"].delta == pytest.approx(30 + 9000 * MIB / ASSUMED_RATE)


def test_where_nothing_was_ever_measured_something_is_assumed() -> None:
    (one,) = efforts(["a"], [])
    assert one.bytes == ASSUMED_BYTES
    assert not one.measured


def test_lanes_are_filled_with_the_slowest_first() -> None:
    free = [Stretch(NIGHT, NIGHT + 10 * HOUR)]
    found = schedule([("a", 1 * HOUR), ("b", 4 * HOUR), ("c", 3 * HOUR), ("d", 2 * HOUR)], free, 2)
    times = {one.host: one.time for one in found}
    assert [one.host for one in found] == ["b", "c", "d", "a"]
    assert times["d"] == Stretch(NIGHT + 3 * HOUR, NIGHT + 5 * HOUR)
    assert times["a"] == Stretch(NIGHT + 4 * HOUR, NIGHT + 5 * HOUR)


def test_no_computer_lies_open_when_classes_begin() -> None:
    nights = [Stretch(NIGHT, NIGHT + 2 * HOUR), Stretch(NIGHT + 24 * HOUR, NIGHT + 28 * HOUR)]
    found = {one.host: one.time for one in schedule([("a", 3 * HOUR), ("b", 1 * HOUR), ("c", 5 * HOUR)], nights, 1)}
    assert found["a"] == Stretch(NIGHT + 24 * HOUR, NIGHT + 27 * HOUR)
    assert found["c"] is None
    assert found["b"] == Stretch(NIGHT, NIGHT + HOUR)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 300)), min_size=1, max_size=4),
    st.integers(1, 5),
)
def test_never_more_at_once_than_allowed_and_never_outside_the_open_times(
    minutes: list[int], gaps: list[tuple[int, int]], lanes: int
) -> None:
    free, at = [], NIGHT
    for pause, length in gaps:
        begin = at + timedelta(minutes=pause)
        at = begin + timedelta(minutes=length)
        free.append(Stretch(begin, at))
    needs = [(f"pc-{number:02}", timedelta(minutes=one)) for number, one in enumerate(minutes)]
    found = schedule(needs, free, lanes)
    assert sorted(one.host for one in found) == [name for name, _ in needs]
    busy = [one.time for one in found if one.time is not None]
    for one in found:
        if one.time is not None:
            assert one.time.length == one.needs
            assert any(it.start <= one.time.start and one.time.end <= it.end for it in free)
        else:
            assert one.needs > max(it.length for it in free) or len(busy) >= lanes
    for moment in [one.start for one in busy]:
        assert sum(one.holds(moment) for one in busy) <= lanes
