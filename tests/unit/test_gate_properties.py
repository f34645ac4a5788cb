"""Over whatever facts: the gate opens only where everything that is asked for is known and true."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.duration import Duration
from configs.gate import GateConfig
from tasks.policy.gate import (
    METHODS,
    ApprovalFact,
    CalendarFact,
    GateFacts,
    HoldFact,
    ProfilesFact,
    SnapshotFact,
    Verdict,
    VerificationFact,
    decide,
)
from tasks.policy.snapshot_state import SnapshotState

NOW = datetime(2026, 8, 24, 17, 30, tzinfo=UTC)
TAKEN = NOW - timedelta(hours=2)
ID = "9f" * 32
RULES = GateConfig()

GOOD = GateFacts(
    host="lab3-07",
    snapshot=SnapshotFact(ID, TAKEN, SnapshotState.COMPLETE),
    verifications=(VerificationFact(ID, NOW - timedelta(hours=1), "spot", good=True, users=("a.ito",)),),
    profiles=ProfilesFact(NOW - timedelta(hours=1), ("a.ito",)),
    calendar=CalendarFact(covered=True),
    holds=(),
    cleared=0,
)


LATER = NOW + timedelta(hours=3)
#: The same in a plan that its teachers agreed to.
AGREED = replace(
    GOOD, plan="summer", plan_needs_approval=True, approval=ApprovalFact("Aiko Ito", LATER, "lab3-07", "summer")
)


def test_what_is_agreed_to_in_a_plan_opens_there() -> None:
    assert decide(AGREED, RULES, NOW).is_open
    assert decide(AGREED, RULES.model_copy(update={"approval": "required"}), NOW).is_open
    # It ends by itself, as a hold does.
    over = (HoldFact("educator-hold", "Eva Exam: exam prep", NOW),)
    assert decide(replace(AGREED, holds=over), RULES, NOW).is_open
    assert not decide(AGREED, RULES, LATER).is_open


def test_it_opens_when_all_is_well() -> None:
    verdict = decide(GOOD, RULES, NOW)
    assert (verdict.verdict, verdict.reasons) == (Verdict.OPEN, ())
    assert verdict.verification is not None
    assert verdict.verification.method == "spot"


moments = st.integers(-72 * 60, 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
names = st.sampled_from(["a.ito", "A.ITO", "m.okafor", "NORTH\\a.ito", "Administrator", "svc-firstbell"])
snapshots = st.none() | st.builds(
    SnapshotFact, st.sampled_from([ID, "00" * 32]), moments, st.none() | st.sampled_from(SnapshotState)
)
verifications = st.builds(
    VerificationFact,
    st.sampled_from([ID, ID, "00" * 32]),
    moments,
    st.sampled_from([*METHODS, "looked at it"]),
    st.booleans(),
    st.booleans(),
    st.just(""),
    st.none() | st.lists(names, max_size=3).map(tuple),
)
profiles = st.builds(
    ProfilesFact, moments, st.lists(names, max_size=3).map(tuple), st.dictionaries(names, moments, max_size=2)
)
plans = st.sampled_from(["", "", "summer", "winter"])
# Some of another computer or plan, some over.
approvals = st.builds(
    ApprovalFact,
    by=st.just("Mary Okafor"),
    until=moments.map(lambda moment: moment + timedelta(days=1)),
    host=st.sampled_from(["lab3-07", "lab3-07", "lab3-08"]),
    plan=plans,
)
holds = st.builds(
    HoldFact,
    code=st.sampled_from(["educator-hold", "refused", "deferred"]),
    text=st.just("Eva Exam holds this computer: exam prep"),
    until=moments.map(lambda moment: moment + timedelta(days=1)),
)
any_facts = st.builds(
    GateFacts,
    host=st.just("lab3-07"),
    snapshot=snapshots,
    verifications=st.none() | st.lists(verifications, max_size=4).map(tuple),
    profiles=st.none() | profiles,
    calendar=st.none() | st.builds(CalendarFact, st.booleans(), st.sampled_from([(), ("exams",)])),
    approval=st.none() | approvals,
    holds=st.none() | st.lists(holds, max_size=2).map(tuple),
    override_until=st.none() | moments,
    plan=plans,
    plan_needs_approval=st.booleans(),
    missing=st.sampled_from([(), ("Aiko Ito has not answered",)]),
    cleared=st.none() | st.integers(0, 60),
    ignored=st.sampled_from([(), ("svc-firstbell",)]),
    problems=st.sampled_from([(), (), ("the repository did not answer",)]),
)
rules = st.builds(
    GateConfig,
    max_age=st.sampled_from([Duration(hours=1), Duration(hours=12), Duration(days=2)]),
    min_method=st.sampled_from(METHODS),
    approval=st.sampled_from(["none", "required"]),
    max_hosts=st.integers(1, 50),
    ignore_profiles=st.sampled_from([(), ("admin*",)]),
)
#: Mostly right facts with a few replaced: whole random ones are hardly ever open.
nearly = st.builds(
    lambda good, other, keys: replace(good, **{key: getattr(other, key) for key in keys}),
    st.just(GOOD),
    any_facts,
    st.sets(
        st.sampled_from(
            [
                "snapshot",
                "verifications",
                "profiles",
                "calendar",
                "cleared",
                "approval",
                "holds",
                "override_until",
                "plan",
                "plan_needs_approval",
                "missing",
            ]
        ),
        max_size=4,
    ),
)


def may_open(facts: GateFacts, rules: GateConfig, now: datetime) -> bool:
    """The law, written down a second time and differently: True where the gate may open at all."""
    snapshot, looked = facts.snapshot, facts.profiles
    if facts.problems or snapshot is None or looked is None or not facts.verifications or facts.cleared is None:
        return False
    own = [one for one in facts.verifications if one.snapshot == snapshot.id]
    own = [one for one in own if not one.good or snapshot.taken <= one.at <= now + timedelta(minutes=5)]
    good = [one for one in own if one.good and METHODS.index(rules.min_method) <= _rank(one.method)]
    taken_back = all(
        one.good
        or any(
            better.good and better.complete and better.at > one.at and _rank(better.method) >= max(_rank(one.method), 0)
            for better in own
            if one.method in METHODS
        )
        for one in own
    )
    told = sorted((one for one in own if one.users is not None), key=lambda one: (one.at, not one.good))
    if not told:
        return False
    covered = set(told[-1].users or ())
    ignored = {name for name in looked.names if rules.ignore_profiles and name.casefold().startswith("admin")}
    strange = {name for name in looked.names if name not in covered} - ignored - set(facts.ignored)
    used = {name for name, at in looked.used.items() if name in covered and at > snapshot.taken}
    return (
        snapshot.state in (SnapshotState.COMPLETE, SnapshotState.ACKNOWLEDGED)
        and now - timedelta(days=rules.max_age.days, hours=rules.max_age.hours) <= snapshot.taken
        and snapshot.taken <= now + timedelta(minutes=5)
        and bool(good)
        and taken_back
        and snapshot.taken <= looked.at <= now + timedelta(minutes=5)
        and not strange
        and not used
        and facts.calendar == CalendarFact(covered=True)
        and facts.holds is not None
        and not [one for one in facts.holds if one.until > now]
        and (facts.override_until is None or now < facts.override_until)
        and (not (rules.approval == "required" or facts.plan_needs_approval) or _is_approved(facts, now))
        and facts.cleared < rules.max_hosts
    )


def _is_approved(facts: GateFacts, now: datetime) -> bool:
    found = facts.approval
    return found is not None and found.until > now and (found.host, found.plan) == ("lab3-07", facts.plan)


def _rank(method: str) -> int:
    return METHODS.index(method) if method in METHODS else -1


@settings(max_examples=600, deadline=None)
@given(any_facts | nearly, rules)
def test_it_opens_exactly_where_the_law_allows(facts: GateFacts, rules: GateConfig) -> None:
    verdict = decide(facts, rules, NOW)
    assert verdict.is_open == may_open(facts, rules, NOW)
    assert verdict.is_open == (not verdict.reasons)
    assert all(reason.text and reason.code for reason in verdict.reasons)


WRONG: dict[str, tuple[GateFacts, str]] = {
    "no snapshot": (replace(GOOD, snapshot=None), "no-snapshot"),
    "failed": (replace(GOOD, snapshot=SnapshotFact(ID, TAKEN, SnapshotState.FAILED)), "partial"),
    "partial": (replace(GOOD, snapshot=SnapshotFact(ID, TAKEN, SnapshotState.PARTIAL)), "partial"),
    "no state": (replace(GOOD, snapshot=SnapshotFact(ID, TAKEN, None)), "state-unknown"),
    "stale": (replace(GOOD, snapshot=SnapshotFact(ID, NOW - timedelta(hours=13), SnapshotState.COMPLETE)), "stale"),
    "future": (replace(GOOD, snapshot=SnapshotFact(ID, NOW + timedelta(hours=1), SnapshotState.COMPLETE)), "clock"),
    "never verified": (replace(GOOD, verifications=()), "not-verified"),
    "verifications unknown": (replace(GOOD, verifications=None), "not-verified"),
    "profiles unknown": (replace(GOOD, profiles=None), "profiles-unknown"),
    "profiles of before": (replace(GOOD, profiles=ProfilesFact(TAKEN - timedelta(1), ("a.ito",))), "profiles-unknown"),
    "a stranger": (replace(GOOD, profiles=ProfilesFact(NOW, ("a.ito", "b.new"))), "not-covered"),
    "other capitals": (replace(GOOD, profiles=ProfilesFact(NOW, ("A.Ito",))), "not-covered"),
    "used since": (replace(GOOD, profiles=ProfilesFact(NOW, ("a.ito",), {"a.ito": NOW})), "used-since"),
    "no calendar": (replace(GOOD, calendar=None), "no-calendar"),
    "uncovered": (replace(GOOD, calendar=CalendarFact(covered=False)), "no-calendar"),
    "protected": (replace(GOOD, calendar=CalendarFact(covered=True, protected=("exams",))), "protected"),
    "held": (replace(GOOD, holds=(HoldFact("educator-hold", "Eva Exam: exam prep", LATER),)), "educator-hold"),
    "refused": (replace(GOOD, holds=(HoldFact("refused", "Aiko Ito refused", LATER),)), "refused"),
    "holds unknown": (replace(GOOD, holds=None), "holds-unknown"),
    "an override that is over": (replace(GOOD, override_until=NOW), "override-over"),
    "a plan nobody agreed to": (replace(GOOD, plan="summer", plan_needs_approval=True), "no-approval"),
    "of another computer": (replace(AGREED, approval=ApprovalFact("Aiko", LATER, "lab3-08", "summer")), "no-approval"),
    "for another plan": (replace(AGREED, approval=ApprovalFact("Aiko", LATER, "lab3-07", "winter")), "no-approval"),
    "for no plan": (replace(AGREED, approval=ApprovalFact("Aiko", LATER, "lab3-07")), "no-approval"),
    "approval over": (replace(AGREED, approval=ApprovalFact("Aiko", NOW, "lab3-07", "summer")), "no-approval"),
    "approval, and held": (
        replace(AGREED, holds=(HoldFact("educator-hold", "Eva Exam: exam prep", LATER),)),
        "educator-hold",
    ),
    "count unknown": (replace(GOOD, cleared=None), "clearances-unknown"),
    "too many": (replace(GOOD, cleared=50), "too-many"),
    "unreadable": (replace(GOOD, problems=("no answer",)), "unreadable"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_thing_alone_holds_and_says_why(name: str) -> None:
    facts, code = WRONG[name]
    verdict = decide(facts, RULES, NOW)
    assert not verdict.is_open
    assert code in [reason.code for reason in verdict.reasons]


def checked(method: str, minutes: int, *, good: bool = True, complete: bool = False) -> VerificationFact:
    return VerificationFact(ID, TAKEN + timedelta(minutes=minutes), method, good, complete, users=("a.ito",))


@pytest.mark.parametrize(
    ("made", "least", "codes"),
    [
        ((checked("read-back", 1),), "read-back", []),
        ((checked("read-back", 1),), "spot", ["method"]),
        ((checked("drill", 1),), "spot", []),
        ((checked("spot", 1),), "drill", ["method"]),
        # A sample that passes does not take a failure back: it may have missed what was wrong.
        ((checked("spot", 1, good=False), checked("spot", 2)), "spot", ["verification-failed"]),
        ((checked("spot", 1, good=False), checked("spot", 2, complete=True)), "spot", []),
        (
            (checked("spot", 1, good=False), checked("read-back", 2, complete=True)),
            "read-back",
            ["verification-failed"],
        ),
        ((checked("read-back", 1, good=False), checked("spot", 2, complete=True)), "read-back", []),
        ((checked("spot", 1, complete=True), checked("spot", 2, good=False)), "spot", ["verification-failed"]),
        # A look at every file in the repository says nothing about the computer's files.
        ((checked("spot", -1),), "spot", ["not-verified"]),
    ],
)
def test_how_verifications_add_up(made: tuple[VerificationFact, ...], least: str, codes: list[str]) -> None:
    verdict = decide(replace(GOOD, verifications=made), RULES.model_copy(update={"min_method": least}), NOW)
    assert [reason.code for reason in verdict.reasons] == codes


def test_profiles_that_nobody_would_miss_are_named_once() -> None:
    facts = replace(GOOD, profiles=ProfilesFact(NOW, ("a.ito", "PC\\Administrator", "svc-firstbell")))
    assert [one.code for one in decide(facts, RULES, NOW).reasons] == ["not-covered"]
    lenient = RULES.model_copy(update={"ignore_profiles": ("admin*",)})
    assert decide(replace(facts, ignored=("svc-firstbell",)), lenient, NOW).is_open
