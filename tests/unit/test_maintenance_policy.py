"""Over whatever happens: nothing is begun without its clearance, and no computer is forgotten."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.policy.maintenance import (
    LEAST_LEFT,
    MOST_STARTS,
    RIGHT_BEFORE,
    Agreement,
    Do,
    Facts,
    Looked,
    Move,
    after_look,
    next_step,
)
from tasks.policy.maintenance_state import HostState, Kind, after, fold, refused

START = datetime(2026, 7, 6, 15, 0, tzinfo=UTC)
END = START + timedelta(hours=30)
AGREED = Agreement(agreed=True)


@dataclass(frozen=True)
class Step:
    number: int
    step: str
    at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


def cleared(clearance: str = "c1", snapshot: str = "s1", minutes: int = 120) -> dict[str, Any]:
    expiry = START + timedelta(minutes=minutes)
    return {"clearance": clearance, "snapshot": snapshot, "expiry": expiry.isoformat(), "users": ["a.ito"]}


def log(*steps: tuple[Kind | str, Mapping[str, Any]] | Kind) -> list[Step]:
    pairs = [one if isinstance(one, tuple) else (one, {}) for one in steps]
    return [Step(number, str(kind), START, detail) for number, (kind, detail) in enumerate(pairs, 1)]


SAVED = (Kind.SAVED, {"snapshot": "s0", "files": 30})
FRESH = (Kind.REFRESHED, {"snapshot": "s1", "files": 30})
READY = (Kind.OPENED, Kind.ANNOUNCED, Kind.AGREED, Kind.WOKEN, SAVED, Kind.VERIFIED, FRESH)
CLEARED = (*READY, (Kind.CLEARED, cleared()))
STARTED = (*CLEARED, (Kind.STARTED, {"clearance": "c1"}))
BACK = (*STARTED, (Kind.RETURNED, {"clearance": "c1"}), Kind.IDENTIFIED)


def facts(state: HostState, **changes: Any) -> Facts:
    base = Facts(state, START + timedelta(minutes=1), START, END, timedelta(hours=4), agreement=AGREED)
    return replace(base, **changes)


@pytest.mark.parametrize(
    ("steps", "holding", "expected"),
    [
        ((), "", Do.OPEN),
        ((Kind.OPENED,), "", Do.ANNOUNCE),
        ((Kind.OPENED, Kind.ANNOUNCED), "", Do.AGREE),
        ((Kind.OPENED, Kind.ANNOUNCED, Kind.AGREED), "", Do.WAKE),
        (READY[:4], "", Do.SAVE),
        (READY[:5], "", Do.VERIFY),
        (READY[:6], "", Do.REFRESH),
        (READY, "", Do.CLEAR),
        (CLEARED, "", Do.CLEAR),
        (CLEARED, "c1", Do.START),
        (STARTED, "c1", Do.LOOK),
        ((*STARTED, (Kind.RETURNED, {"clearance": "c1"})), "", Do.IDENTIFY),
        (BACK, "", Do.RESTORE),
        ((*BACK, (Kind.BROUGHT, {"account": "a.ito"})), "", Do.FINISH_RESTORE),
        ((*BACK, (Kind.BROUGHT, {"account": "a.ito"}), Kind.RESTORED), "", Do.CHECK),
    ],
)
def test_the_way(steps: tuple[Any, ...], holding: str, expected: Do) -> None:
    state = fold(log(*steps))
    assert not state.damage
    assert next_step(facts(state, holding=holding)).do is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cancelled": True}, Do.CANCEL),
        ({"now": END}, Do.LEAVE),
        ({"now": START - timedelta(minutes=1)}, Do.WAIT),
        ({"agreement": None}, Do.WAIT),
        ({"agreement": Agreement(agreed=False, note=Kind.REFUSED, text="refused")}, Do.WAIT),
        ({"changed": True}, Do.WAIT),
        ({"other": "summer"}, Do.WAIT),
        ({"problems": ("the records of people cannot be read",)}, Do.WAIT),
        ({"now": START + RIGHT_BEFORE}, Do.REFRESH),
        ({"holding": ""}, Do.CLEAR),
        ({"holding": "c0"}, Do.CLEAR),
    ],
)
def test_at_the_last_moment(changes: dict[str, Any], expected: Do) -> None:
    state = fold(log(*CLEARED))
    assert next_step(facts(state, holding="c1")).do is Do.START
    assert next_step(facts(state, **{"holding": "c1", **changes})).do is expected


def test_a_clearance_that_is_nearly_over_is_not_used() -> None:
    steps = (*READY, (Kind.CLEARED, cleared(minutes=3)))
    state = fold(log(*steps))
    assert next_step(facts(state, holding="c1")).do is Do.CLEAR
    assert timedelta(minutes=2) == LEAST_LEFT


def test_what_has_begun_goes_on_whatever_people_say() -> None:
    state = fold(log(*STARTED))
    words = {"cancelled": True, "agreement": None, "changed": True, "other": "x", "problems": ("?",)}
    for more in ({"now": END + timedelta(days=9)}, {"now": START - timedelta(days=9)}, {}):
        assert next_step(facts(state, **words, **more)).do is Do.LOOK


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (((Kind.ANNOUNCED, {}),), "begins with 'opened'"),
        ((Kind.OPENED, Kind.OPENED), "begins with 'opened'"),
        ((*READY, (Kind.STARTED, {"clearance": "c1"})), "no such clearance"),
        ((*CLEARED, (Kind.STARTED, {"clearance": "c2"})), "no such clearance"),
        ((*CLEARED, FRESH, (Kind.STARTED, {"clearance": "c1"})), "no such clearance"),
        ((*STARTED, (Kind.STARTED, {"clearance": "c1"})), "begun before"),
        ((*STARTED, FRESH), "has begun before"),
        ((*STARTED, (Kind.CANCELLED, {})), "has begun before"),
        ((*READY[:-1], (Kind.CLEARED, cleared())), "no snapshot from right before"),
        ((*READY, (Kind.CLEARED, cleared(snapshot="s0"))), "another snapshot"),
        ((*READY, (Kind.CLEARED, {"clearance": "c1"})), "'snapshot' is missing"),
        ((*READY, (Kind.CLEARED, {**cleared(), "expiry": "2026-07-06 17:00"})), "'expiry' is missing"),
        ((Kind.OPENED, ("polished", {})), "does not know"),
        ((*STARTED, Kind.IDENTIFIED), "not back"),
        ((*STARTED, (Kind.BROUGHT, {"account": "a.ito"})), "not known which computer"),
        ((*BACK, (Kind.BROUGHT, {"account": "m.okafor"})), "does not cover"),
        ((*BACK, Kind.RESTORED), "not back yet"),
        (
            (*STARTED, (Kind.UNDONE, {"clearance": "c1"}), (Kind.CLEARED, cleared("c2"))),
            "no snapshot from right before",
        ),
        ((*STARTED, (Kind.UNDONE, {"clearance": "c1"}), *READY[6:], (Kind.CLEARED, cleared())), "used before"),
    ],
)
def test_a_log_that_cannot_be_is_damage_and_waits(steps: tuple[Any, ...], why: str) -> None:
    state = fold(log(*steps))
    assert why in state.damage
    move = next_step(facts(state, holding="c1", accepted=True, confirmed=True))
    assert (move.do, move.where) == (Do.WAIT, "attention")


@pytest.mark.parametrize("number", [0, 2, 7])
def test_a_number_that_is_not_the_next_is_damage(number: int) -> None:
    assert after(HostState(), Step(number, "opened", START)).damage


kinds = st.sampled_from([*Kind, "polished"])
details = st.fixed_dictionaries(
    {
        "snapshot": st.sampled_from(["s0", "s1"]),
        "files": st.just(30),
        "clearance": st.sampled_from(["c1", "c2"]),
        "expiry": st.sampled_from([(START + timedelta(minutes=one)).isoformat() for one in (1, 60)]),
        "users": st.just(["a.ito"]),
        "account": st.just("a.ito"),
        "good": st.booleans(),
        "reason": st.just("why"),
    }
)
any_facts = st.builds(
    Facts,
    state=st.just(HostState()),
    now=st.integers(-90, 90 * 24).map(lambda one: START + timedelta(minutes=one)),
    window_start=st.just(START),
    window_end=st.just(END),
    return_within=st.just(timedelta(hours=4)),
    agreement=st.none() | st.builds(Agreement, agreed=st.booleans()) | st.just(AGREED),
    changed=st.booleans(),
    cancelled=st.booleans(),
    confirmed=st.booleans(),
    accepted=st.booleans(),
    other=st.sampled_from(["", "summer"]),
    holding=st.sampled_from(["", "c1", "c2"]),
    waiting=st.sampled_from([frozenset(), frozenset({"a.ito"})]),
    problems=st.sampled_from([(), ("unreadable",)]),
)


def lawful(steps: list[Step]) -> bool:
    """The law, written down a second time and differently, over a whole log."""
    used: set[str] = set()
    snapshot = clearance = ""
    going = False
    for one in steps:
        if one.step == "refreshed":
            snapshot, clearance = one.detail["snapshot"], ""
        elif one.step == "cleared":
            if one.detail["snapshot"] != snapshot:
                return False
            clearance = one.detail["clearance"]
        elif one.step == "started":
            if going or not clearance or one.detail["clearance"] != clearance or clearance in used:
                return False
            used.add(clearance)
            going = True
        elif one.step == "undone":
            going, snapshot, clearance = False, "", ""
        elif one.step in ("cancelled", "untouched"):
            if going:
                return False
        elif one.step in ("brought", "restored"):
            back = any(before.step == "identified" for before in steps[: one.number - 1])
            if not back:
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(kinds, details), max_size=25), st.integers(0, len(STARTED)), any_facts)
def test_no_log_leads_to_a_wipe_by_a_way_that_is_not_allowed(
    more: list[tuple[Kind | str, dict[str, Any]]], prefix: int, told: Facts
) -> None:
    steps = log(*STARTED[:prefix], *more)
    # Up to where it is damaged it follows the law; a damaged one waits for a person.
    state, good = HostState(), []
    for one in steps:
        state = after(state, one)
        if state.damage:
            break
        good.append(one)
    assert lawful(good)
    move = next_step(replace(told, state=state))
    if state.damage:
        assert (move.do, move.where) == (Do.WAIT, "attention")
    if move.do is Do.START:
        assert may_start(good, replace(told, state=state))


def may_start(steps: list[Step], told: Facts) -> bool:
    newest = max((one.number for one in steps if one.step == "refreshed"), default=0)
    clearance = [one for one in steps if one.step == "cleared" and one.number > newest]
    started = [one.detail["clearance"] for one in steps if one.step == "started"]
    return (
        newest > 0
        and bool(clearance)
        and clearance[-1].detail["clearance"] == told.holding
        and told.holding not in started
        and datetime.fromisoformat(clearance[-1].detail["expiry"]) > told.now
        and told.agreement is not None
        and told.agreement.agreed
        and not (told.cancelled or told.changed or told.other or told.problems)
        and told.window_start <= told.now < told.window_end
    )


class World:
    """One computer, what people say, and a worker that may die after any step, driven by a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = START - timedelta(hours=self.chance.randrange(1, 20))
        self.steps: list[Step] = []
        self.holding = ""
        self.count = 0
        self.wiped = 0
        self.pending: set[str] = set()
        self.refuses = self.chance.random() < 0.2
        self.cancelled = False
        self.saved: set[str] = set()

    def roll(self, share: float) -> bool:
        return self.chance.random() < share

    def append(self, kind: Kind, **detail: Any) -> None:
        state = fold(self.steps)
        assert not refused(state, kind, detail), (kind, refused(state, kind, detail))
        self.steps.append(Step(len(self.steps) + 1, str(kind), self.now, detail))

    def facts(self) -> Facts:
        agreement = Agreement(agreed=not self.refuses and not self.roll(0.05))
        return Facts(
            fold(self.steps),
            self.now,
            START,
            END,
            timedelta(hours=4),
            agreement=agreement,
            cancelled=self.cancelled,
            accepted=self.roll(0.5),
            confirmed=self.wiped > 0 and self.roll(0.1),
            holding=self.holding,
            waiting=frozenset(self.pending),
        )

    def walk(self) -> Move:
        """One run of the flow; it dies with some chance at each step, before or after it is written down."""
        self.holding = ""
        while True:
            now = self.facts()
            move = next_step(now)
            if move.do is Do.WAIT or self.roll(0.08):
                if move.note and (now.state.note is None or now.state.note.kind is not move.note):
                    self.append(move.note, reason=move.text)
                return move
            if not self.carry_out(move, now):
                return move
            if self.roll(0.08):
                return move

    def carry_out(self, move: Move, now: Facts) -> bool:
        self.count += 1
        state = now.state
        simple = {
            Do.OPEN: Kind.OPENED,
            Do.ANNOUNCE: Kind.ANNOUNCED,
            Do.AGREE: Kind.AGREED,
            Do.WAKE: Kind.WOKEN,
            Do.VERIFY: Kind.VERIFIED,
            Do.FINISH_RESTORE: Kind.RESTORED,
            Do.IDENTIFY: Kind.IDENTIFIED,
            Do.TELL: Kind.TOLD,
            Do.ACCEPT: Kind.ACCEPTED,
            Do.CANCEL: Kind.CANCELLED,
            Do.LEAVE: Kind.UNTOUCHED,
        }
        if move.do in simple:
            self.append(simple[move.do])
        elif move.do in (Do.SAVE, Do.REFRESH):
            if self.roll(0.2):
                return False
            kind = Kind.SAVED if move.do is Do.SAVE else Kind.REFRESHED
            self.saved.add(f"s{self.count}")
            self.append(kind, snapshot=f"s{self.count}", files=9)
        elif move.do is Do.CLEAR:
            if self.roll(0.2):
                return False
            assert state.refreshed is not None
            expiry = self.now + timedelta(minutes=self.chance.choice([1, 30, 120]))
            users = ["a.ito", "m.okafor"]
            name = f"c{self.count}"
            self.append(
                Kind.CLEARED, clearance=name, snapshot=state.refreshed.snapshot, expiry=expiry.isoformat(), users=users
            )
            self.holding = name
        elif move.do is Do.START:
            assert self.holding
            self.append(Kind.STARTED, clearance=self.holding)
            if self.roll(0.3):
                return False  # died before anything was done
            self.wiped += self.roll(0.8)
            if self.roll(0.3):
                return False  # died after it
            self.append(Kind.DONE if self.wiped else Kind.BEGUN, clearance=self.holding)
        elif move.do is Do.LOOK:
            return self.look(now)
        elif move.do is Do.CONFIRM:
            assert state.cleared is not None
            self.append(Kind.DONE, clearance=state.cleared.clearance)
        elif move.do is Do.RESTORE:
            for name in ("a.ito", "m.okafor"):
                if name in state.brought:
                    continue
                if self.roll(0.3) and name not in state.put_off:
                    self.pending.add(name)
                    self.append(Kind.PUT_OFF, account=name)
                elif name not in self.pending:
                    self.append(Kind.BROUGHT, account=name)
        elif move.do is Do.CHECK:
            self.append(Kind.CHECKED, good=self.roll(0.9))
        return True

    def look(self, now: Facts) -> bool:
        assert now.state.cleared is not None
        there = self.roll(0.6)
        meant = after_look(now, Looked(there, fresh=self.wiped > 0), stays_itself=False, skew=timedelta(minutes=5))
        if isinstance(meant, Kind):
            self.append(meant, clearance=now.state.cleared.clearance)
            if meant is Kind.UNDONE:
                assert not self.wiped
            return True
        return False


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_dies_every_computer_comes_to_an_end_that_is_told(seed: int) -> None:
    world = World(seed)
    for _ in range(400):
        move = world.walk()
        if move.do is Do.WAIT and move.where in ("done", "untouched") and fold(world.steps).told:
            break
        state = fold(world.steps)
        assert not state.damage
        world.now += timedelta(minutes=world.chance.choice([10, 10, 40, 600]))
        if world.roll(0.03):
            world.now -= timedelta(minutes=60)
        world.cancelled = world.cancelled or world.roll(0.01)
        if world.pending and world.roll(0.3):
            world.pending.pop()
    state = fold(world.steps)
    assert lawful(world.steps)
    assert state.told
    assert sum(one.step == "started" for one in world.steps) <= MOST_STARTS
    if world.wiped:
        # Who was wiped is back, restored once, and never counted among those that nothing was done to.
        assert state.restored
        assert state.ended is None
        assert sum(one.step == "restored" for one in world.steps) == 1
    else:
        assert state.ended or state.restored
