"""Which snapshots may go: restic's forget rules, and what is held in spite of them.

The rules are those of ``restic forget``, as restic 0.16 and later apply them (source: ``internal/data/
snapshot_policy.go``). Older clients, 0.14 among them, differ in one point: they do not keep the oldest snapshot while a
rule has counts left, so they would let more go.

Beyond restic's rules four things stay: the newest snapshot of a host, its newest complete one, whatever a hold names,
and before-images of restores for their time. Partial snapshots never use up the counts of complete ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, Generic, Protocol, TypeVar

from configs.model import RetentionConfig
from tasks.policy.snapshot_state import TAG_PREFIX, state_of

#: The tag of a before-image: what a restore was about to overwrite.
BEFORE_RESTORE: Final = "before-restore"


class Retained(Protocol):
    """What is asked of a snapshot; ``repository.snapshot_file.Snapshot`` is one."""

    @property
    def id(self) -> bytes | None:
        """Return the raw ID."""

    @property
    def time(self) -> datetime:
        """Return the aware time it was made."""

    @property
    def hostname(self) -> str:
        """Return the host's name."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Return what was saved."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the tags."""


Kept = TypeVar("Kept", bound=Retained)


@dataclass(frozen=True, slots=True)
class Hold:
    """Snapshots that must stay whatever the rules say: those with one of the IDs (hex, or its first digits) or tags.

    ``reason`` is for people: ``a restore for a.ito is still to be delivered``.
    """

    reason: str
    ids: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def names(self, snapshot: Retained) -> bool:
        """Return whether the hold is about this snapshot."""
        own = (snapshot.id or b"").hex()
        return bool(self.tags.intersection(snapshot.tags)) or any(own.startswith(one) for one in self.ids if one)


@dataclass(frozen=True, slots=True)
class Decision(Generic[Kept]):
    """Whether one snapshot stays, and every reason why, in plain words."""

    snapshot: Kept
    keep: bool
    reasons: tuple[str, ...]


def decide(
    snapshots: Iterable[Kept],
    rules: RetentionConfig,
    holds: Sequence[Hold],
    now: datetime,
    *,
    time_zone: tzinfo | None = None,
) -> list[Decision[Kept]]:
    """Return a decision about each snapshot, newest first.

    Hosts, and different sets of paths of one host, are judged apart. ``time_zone`` says whose days and weeks count;
    None means each snapshot's own.
    """
    ordered = _newest_first(snapshots)
    reasons: dict[int, list[str]] = defaultdict(list)
    regular = [one for one in ordered if BEFORE_RESTORE not in one.tags]
    for group in _grouped(regular, lambda one: (one.hostname, *sorted(one.paths))):
        complete = [one for one in group if _is_complete(one)]
        for judged in (complete, group) if len(complete) < len(group) else (group,):
            for one, why in apply_rules(judged, rules, now, time_zone=time_zone):
                reasons[id(one)] += [text for text in why if text not in reasons[id(one)]]
    for host in _grouped(regular, lambda one: one.hostname):
        reasons[id(host[0])].append("the newest snapshot of this host")
        complete = [one for one in host if _is_complete(one)]
        # one from the future, by a clock that ran ahead, must not stand in for the newest that can be trusted
        newest = complete[:1] + [one for one in complete if one.time <= now][:1]
        for key in dict.fromkeys(map(id, newest)):
            reasons[key].append("the newest complete snapshot of this host")
    for one in ordered:
        reasons[id(one)] += [f"held: {hold.reason}" for hold in holds if hold.names(one)]
        if BEFORE_RESTORE in one.tags and one.time > rules.keep_before_restore.before(now):
            reasons[id(one)].append(f"lets a restore be undone, kept for {rules.keep_before_restore}")
    return [
        Decision(one, keep=bool(reasons[id(one)]), reasons=tuple(reasons[id(one)]) or (_why_not(one, rules),))
        for one in ordered
    ]


def apply_rules(
    group: Sequence[Kept], rules: RetentionConfig, now: datetime, *, time_zone: tzinfo | None = None
) -> Iterator[tuple[Kept, list[str]]]:
    """Yield each snapshot of one group, newest first, with the rules that keep it; no rule set keeps all."""
    ordered = _newest_first(group)
    buckets = [bucket for bucket in _buckets(rules) if bucket.left > 0]
    if not (buckets or rules.keep_within or rules.keep_tags):
        yield from ((one, ["no retention rule is set"]) for one in ordered)
        return
    # a clock that ran ahead must not make everything else look old
    past = [one.time for one in ordered if one.time < now]
    since = rules.keep_within.before(max(past)) if rules.keep_within and past else None
    for number, one in enumerate(ordered):
        why = [f"has the tag '{tag}'" for tag in rules.keep_tags if tag in one.tags]
        if rules.keep_within and (since is None or one.time > since):
            why.append(f"within {rules.keep_within} of the newest")
        local = one.time if time_zone is None else one.time.astimezone(time_zone)
        for bucket in buckets:
            text = bucket.take(local, number, oldest=number == len(ordered) - 1)
            if text:
                why.append(text)
        yield one, why


@dataclass
class _Bucket:
    """One counting rule: it keeps the newest snapshot of each period until its count is used up."""

    name: str
    left: int
    period: Callable[[datetime, int], tuple[int, ...]]
    last: tuple[int, ...] | None = None

    def take(self, local: datetime, number: int, *, oldest: bool) -> str:
        """Return the reason why the rule keeps the snapshot made at this local time, or an empty text."""
        if self.left <= 0:
            return ""
        period = self.period(local, number)
        fresh = period != self.last
        if not (fresh or oldest):
            return ""
        self.last = period
        self.left -= 1
        return f"{self.name} snapshot" if fresh else f"{self.name} snapshot: the oldest there is"


def _buckets(rules: RetentionConfig) -> list[_Bucket]:
    return [
        _Bucket("last", rules.keep_last, lambda _time, number: (number,)),
        _Bucket("hourly", rules.keep_hourly, lambda time, _number: (time.year, time.month, time.day, time.hour)),
        _Bucket("daily", rules.keep_daily, lambda time, _number: (time.year, time.month, time.day)),
        _Bucket("weekly", rules.keep_weekly, lambda time, _number: time.isocalendar()[:2]),
        _Bucket("monthly", rules.keep_monthly, lambda time, _number: (time.year, time.month)),
        _Bucket("yearly", rules.keep_yearly, lambda time, _number: (time.year,)),
    ]


def _newest_first(snapshots: Iterable[Kept]) -> list[Kept]:
    return sorted(snapshots, key=lambda one: (one.time.astimezone(UTC), one.id or b""), reverse=True)


def _grouped(snapshots: Iterable[Kept], key: Callable[[Kept], object]) -> list[list[Kept]]:
    groups: dict[object, list[Kept]] = {}
    for one in snapshots:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _is_complete(snapshot: Retained) -> bool:
    state = state_of(snapshot.tags)
    return state is not None and state.usable


def _why_not(snapshot: Retained, rules: RetentionConfig) -> str:
    if BEFORE_RESTORE in snapshot.tags:
        return f"was made before a restore, more than {rules.keep_before_restore} ago"
    state = next((tag.removeprefix(TAG_PREFIX) for tag in snapshot.tags if tag.startswith(TAG_PREFIX)), "")
    return f"no rule keeps it; it is {state}" if state else "no rule keeps it"
