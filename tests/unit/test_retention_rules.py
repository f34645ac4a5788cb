"""Retention: restic's rules, and what stays in spite of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.duration import Duration
from configs.model import RetentionConfig
from tasks.policy.retention import Hold, apply_rules, decide

NOW = datetime(2026, 8, 24, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Snapshot:
    id: bytes
    time: datetime
    hostname: str = "lab3-07"
    paths: tuple[str, ...] = ("/home/a.ito",)
    tags: tuple[str, ...] = ("state:complete",)


def made(when: datetime | str, number: int = 0, **other: object) -> Snapshot:
    time = datetime.fromisoformat(when).replace(tzinfo=UTC) if isinstance(when, str) else when
    return replace(Snapshot(hashlib.sha256(f"{time}{number}{other}".encode()).digest(), time), **other)  # type: ignore[arg-type]


def rules(**counts: object) -> RetentionConfig:
    nothing = {f"keep_{name}": 0 for name in ("last", "hourly", "daily", "weekly", "monthly", "yearly")}
    return RetentionConfig.model_validate({**nothing, **counts})


def kept(decisions: list) -> list[str]:
    return [one.snapshot.time.isoformat()[:16] for one in decisions if one.keep]


def told(decisions: list) -> list[tuple[str, bool, str]]:
    return [(one.snapshot.time.isoformat()[:16], one.keep, "; ".join(one.reasons)) for one in decisions]


def test_daily_keeps_the_last_of_each_day_and_says_why() -> None:
    days = [made(f"2026-08-{day:02} {hour:02}:00") for day in (20, 21, 22, 23) for hour in (8, 16)]
    assert told(decide(days, rules(keep_daily=2), (), NOW)) == [
        (
            "2026-08-23T16:00",
            True,
            "daily snapshot; the newest snapshot of this host; the newest complete snapshot of this host",
        ),
        ("2026-08-23T08:00", False, "no rule keeps it; it is complete"),
        ("2026-08-22T16:00", True, "daily snapshot"),
        ("2026-08-22T08:00", False, "no rule keeps it; it is complete"),
        ("2026-08-21T16:00", False, "no rule keeps it; it is complete"),
        ("2026-08-21T08:00", False, "no rule keeps it; it is complete"),
        ("2026-08-20T16:00", False, "no rule keeps it; it is complete"),
        ("2026-08-20T08:00", False, "no rule keeps it; it is complete"),
    ]


def test_oldest_stays_while_a_rule_has_counts_left() -> None:
    days = [made("2026-01-01 08:00"), made("2026-01-01 09:00"), made("2026-03-01 08:00")]
    assert kept(decide(days, rules(keep_yearly=3), (), NOW)) == ["2026-03-01T08:00", "2026-01-01T08:00"]


def test_no_rule_keeps_all() -> None:
    days = [made(f"2026-08-{day:02} 08:00") for day in (20, 21, 22)]
    assert all(one.keep for one in decide(days, rules(), (), NOW))


@pytest.mark.parametrize(
    ("within", "expected"),
    [
        ("36h", ["2026-03-31T08:00"]),
        ("2d", ["2026-03-31T08:00", "2026-03-29T08:01"]),
        # one month before 31 March is 31 February, which is 3 March
        ("1m", ["2026-03-31T08:00", "2026-03-29T08:01", "2026-03-03T09:00"]),
        ("1y", ["2026-03-31T08:00", "2026-03-29T08:01", "2026-03-03T09:00", "2026-03-03T08:00"]),
    ],
)
def test_within_counts_from_the_newest_snapshot(within: str, expected: list[str]) -> None:
    times = ["2026-03-31 08:00", "2026-03-29 08:01", "2026-03-03 09:00", "2026-03-03 08:00", "2024-01-01 08:00"]
    assert kept(decide([made(when) for when in times], rules(keep_within=within), (), NOW)) == expected


def test_a_clock_that_ran_ahead_does_not_age_the_others() -> None:
    ahead = made("2031-01-01 08:00")
    others = [made("2026-08-23 08:00"), made("2026-08-22 08:00")]
    assert len(kept(decide([ahead, *others], rules(keep_within="7d"), (), NOW))) == 3
    # and it does not stand in for the newest complete one
    assert "2026-08-23T08:00" in kept(decide([ahead, *others], rules(keep_last=1), (), NOW))


def test_days_are_those_of_the_school() -> None:
    evening, morning = made("2026-08-22 23:30"), made("2026-08-23 00:30")
    both = decide([evening, morning], rules(keep_daily=9), (), NOW, time_zone=UTC)
    assert [one.reasons[0] for one in both] == ["daily snapshot", "daily snapshot"]
    same_day = decide([evening, morning], rules(keep_daily=1), (), NOW, time_zone=ZoneInfo("Europe/Berlin"))
    assert kept(same_day) == ["2026-08-23T00:30"]


def test_partial_snapshots_do_not_use_up_the_counts_of_complete_ones() -> None:
    complete = [made(f"2026-08-{day:02} 08:00") for day in (18, 19, 20)]
    partial = [made(f"2026-08-{day:02} 20:00", tags=("state:partial",)) for day in (19, 20, 21, 22)]
    assert kept(decide([*complete, *partial], rules(keep_daily=2), (), NOW)) == [
        "2026-08-22T20:00",
        "2026-08-21T20:00",
        "2026-08-20T08:00",
        "2026-08-19T08:00",
    ]


def test_the_only_complete_snapshot_stays_behind_any_number_of_partial_ones() -> None:
    old = made("2020-01-01 08:00", tags=("state:complete-with-acknowledged-skips",))
    partial = [made(f"2026-08-{day:02} 20:00", tags=("state:partial",)) for day in range(1, 20)]
    decisions = decide([old, *partial], rules(keep_last=1), (), NOW)
    assert kept(decisions) == ["2026-08-19T20:00", "2020-01-01T08:00"]


def test_hosts_and_paths_are_judged_apart() -> None:
    mine = made("2026-08-01 08:00")
    theirs = made("2026-07-01 08:00", hostname="lab3-08")
    elsewhere = made("2026-06-01 08:00", paths=("/srv", "/home/a.ito"))
    same_paths = made("2026-05-01 08:00", paths=("/home/a.ito", "/srv"))
    decisions = decide([mine, theirs, elsewhere, same_paths], rules(keep_last=1), (), NOW)
    assert kept(decisions) == ["2026-08-01T08:00", "2026-07-01T08:00", "2026-06-01T08:00"]


def test_holds_by_id_and_tag() -> None:
    days = [made(f"2026-08-{day:02} 08:00") for day in (19, 20, 21, 22)]
    tagged = replace(days[1], tags=("exams",))
    holds = (
        Hold("a restore for a.ito is still to be delivered", ids=frozenset({days[0].id.hex()[:8]})),
        Hold("the exams are not over", tags=frozenset({"exams"})),
    )
    decisions = decide([days[0], tagged, days[2], days[3]], rules(keep_last=1), holds, NOW)
    assert told(decisions)[1:] == [
        ("2026-08-21T08:00", False, "no rule keeps it; it is complete"),
        ("2026-08-20T08:00", True, "held: the exams are not over"),
        ("2026-08-19T08:00", True, "held: a restore for a.ito is still to be delivered"),
    ]


def test_keep_tags() -> None:
    days = [made("2026-08-19 08:00", tags=("exams",)), made("2026-08-20 08:00"), made("2026-08-21 08:00")]
    assert kept(decide(days, rules(keep_tags=["exams"], keep_last=1), (), NOW)) == [
        "2026-08-21T08:00",
        "2026-08-19T08:00",
    ]


def test_before_images_live_their_own_time_and_are_no_ones_newest() -> None:
    regular = made("2026-08-01 08:00")
    young = made("2026-08-20 08:00", tags=("before-restore", "state:complete"))
    old = made("2026-05-01 08:00", tags=("before-restore", "state:complete"))
    assert told(decide([regular, young, old], rules(keep_last=1, keep_before_restore="30d"), (), NOW)) == [
        ("2026-08-20T08:00", True, "lets a restore be undone, kept for 30d"),
        (
            "2026-08-01T08:00",
            True,
            "last snapshot; the newest snapshot of this host; the newest complete snapshot of this host",
        ),
        ("2026-05-01T08:00", False, "was made before a restore, more than 30d ago"),
    ]


# Properties

zones = st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-11))])
times = st.datetimes(datetime(2024, 1, 1), datetime(2026, 9, 1), timezones=zones)  # noqa: DTZ001
states = st.sampled_from([(), ("state:complete",), ("state:partial",), ("before-restore",)])
snapshots = st.lists(
    st.builds(
        made,
        times,
        st.integers(),
        hostname=st.sampled_from(["a", "b"]),
        paths=st.sampled_from([("/x",), ("/x", "/y")]),
        tags=states,
    ),
    max_size=25,
    unique_by=lambda one: one.id,
)
counts = st.integers(0, 4)
policies = st.builds(
    rules,
    keep_last=counts,
    keep_hourly=counts,
    keep_daily=counts,
    keep_weekly=counts,
    keep_monthly=counts,
    keep_yearly=counts,
    keep_within=st.sampled_from([None, "36h", "14d", "2m", "1y3d"]),
)


@settings(max_examples=150, deadline=None)
@given(snapshots, policies)
def test_newest_and_newest_complete_of_each_host_always_stay(given_snapshots: list, policy: RetentionConfig) -> None:
    decisions = decide(given_snapshots, policy, (), NOW)
    assert sorted(one.snapshot.id for one in decisions) == sorted(one.id for one in given_snapshots)
    stays = {one.snapshot.id for one in decisions if one.keep}
    for host in ("a", "b"):
        own = [one for one in given_snapshots if one.hostname == host and "before-restore" not in one.tags]
        complete = [one for one in own if "state:complete" in one.tags]
        for candidates in (own, complete):
            if candidates:
                newest = max(one.time for one in candidates)
                assert any(one.time == newest and one.id in stays for one in candidates)


@settings(max_examples=100, deadline=None)
@given(snapshots, policies, st.randoms(use_true_random=False))
def test_what_goes_once_changes_nothing_for_what_stays(given_snapshots: list, policy: RetentionConfig, order) -> None:
    shuffled = list(given_snapshots)
    order.shuffle(shuffled)
    first = decide(given_snapshots, policy, (), NOW)
    assert told(decide(shuffled, policy, (), NOW)) == told(first)
    # every forget is idempotent: a second run on what was kept loses nothing more
    remaining = [one.snapshot for one in first if one.keep]
    assert all(one.keep for one in decide(remaining, policy, (), NOW))


@settings(max_examples=100, deadline=None)
@given(snapshots, policies)
def test_all_that_restic_would_keep_is_kept(given_snapshots: list, policy: RetentionConfig) -> None:
    stays = {one.snapshot.id for one in decide(given_snapshots, policy, (), NOW) if one.keep}
    for host in ("a", "b"):
        for paths in (("/x",), ("/x", "/y")):
            group = [
                one
                for one in given_snapshots
                if one.hostname == host and one.paths == paths and "before-restore" not in one.tags
            ]
            assert all(one.id in stays for one, why in apply_rules(group, policy, NOW) if why)


def test_duration_reaches_before_the_calendar() -> None:
    assert Duration(years=9999).before(NOW) == datetime.min.replace(tzinfo=UTC)
    assert Duration(days=999_999).before(NOW) == datetime.min.replace(tzinfo=UTC)
