"""Over whatever people say in whatever order: a computer is agreed to only where everybody who must has."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.answers import Answered, Decision, HoldLifted, HoldPlaced, Line, Overridden
from tasks.policy.approval import Seat, Subject, standing_of
from tests.support.people_site import NOW

HERE = Subject("lab3-07", ("lab-3",), "north", "summer", "d1")
SEATS = (Seat("a", "Aiko", ("m",)), Seat("b", "Bo"))

moments = st.integers(-48, 48).map(lambda hours: NOW + timedelta(hours=hours))
people = st.sampled_from(["a", "a", "b", "b", "m", "x"])
answers = st.builds(
    lambda at, person, plan, host, decision, until: ("answer", at, person, plan, host, decision, until),
    moments,
    people,
    st.sampled_from([("summer", "d1"), ("summer", "d1"), ("summer", "d0"), ("winter", "d1"), ("", "")]),
    st.sampled_from(["lab3-07", "lab3-07", "lab3-08"]),
    st.sampled_from([Decision.APPROVE, Decision.APPROVE, Decision.DEFER, Decision.REFUSE]),
    moments.map(lambda moment: moment + timedelta(days=1)),
)
holds = st.builds(
    lambda scope, target, hosts, until: ("hold", scope, target, hosts, until),
    st.sampled_from(["host", "group", "site"]),
    st.sampled_from(["lab3-07", "lab-3", "north", "lab3-08"]),
    st.sampled_from([(), ("lab3-07",), ("lab3-08",)]),
    moments,
)
lifts = st.integers(1, 8).map(lambda hold: ("lift", hold))
overrides = st.builds(
    lambda two, plan, past, silent, until: ("override", two, plan, past, silent, until),
    st.sampled_from([("h", "d"), ("h", "h")]),
    st.sampled_from(["summer", "winter"]),
    st.sets(st.integers(1, 8), max_size=8),
    st.sets(st.sampled_from(["a", "b"])),
    moments,
)
some = st.lists(answers | answers | answers | holds | lifts | overrides, max_size=6)
YES = [
    ("answer", NOW, person, ("summer", "d1"), "lab3-07", Decision.APPROVE, NOW + timedelta(days=3))
    for person in ("a", "b")
]
#: Half of them begin where everybody has agreed.
ledgers = some | some.map(lambda rest: [*YES, *rest])


def line(seq: int, told: tuple) -> Line:  # type: ignore[type-arg]
    match told:
        case ("answer", at, person, (plan, digest), host, decision, until):
            return Answered(seq, at, person, person.upper(), "", "", plan, digest, (host,), decision, until)
        case ("hold", scope, target, hosts, until):
            return HoldPlaced(seq, NOW, "e", "Eva", "", "", scope, target, hosts, until, "exams")
        case ("lift", hold):
            return HoldLifted(seq, NOW, "e", "Eva", "", "", hold)
        case (_, two, plan, past, silent, until):
            # Nobody goes past what is still to come.
            known = tuple(sorted(one for one in past if one < seq))
            return Overridden(
                seq, NOW, two, two, (), (), plan, ("lab3-07",), known, tuple(sorted(silent)), until, "flood"
            )
    raise AssertionError(told)


def may_be_agreed(lines: list[Line], now: datetime) -> bool:
    """A second and simpler law, that is never stricter: what must be true wherever it is agreed."""
    two = [
        one
        for one in lines
        if isinstance(one, Overridden) and one.plan == "summer" and len(set(one.people)) == 2 and now < one.until
    ]
    past = {seq for one in two for seq in one.past}
    silent = {key for one in two for key in one.silent}
    lifted = {one.hold for one in lines if isinstance(one, HoldLifted)}
    for one in lines:
        touches = isinstance(one, HoldPlaced) and (
            "lab3-07" in one.hosts
            or (one.scope, one.target) in {("host", "lab3-07"), ("group", "lab-3"), ("site", "north")}
        )
        if touches and one.until > now and one.seq not in past | lifted:  # type: ignore[union-attr]
            return False
    for person, key in (("a", "a"), ("b", "b")):
        own = [one for one in lines if isinstance(one, Answered) and "lab3-07" in one.hosts and one.person == person]
        here = [one for one in own if one.plan == "summer"]
        word = here[-1] if here else None
        if word is not None and word.decision is not Decision.APPROVE and word.until > now and word.seq not in past:
            # The teacher's last word is no.
            return False
        yes = [
            one
            for one in lines
            if isinstance(one, Answered)
            and one.decision is Decision.APPROVE
            and one.person in ({"a", "m"} if person == "a" else {"b"})
            and (one.plan, one.digest, one.hosts) == ("summer", "d1", ("lab3-07",))
            and one.at <= now + timedelta(minutes=5)
            and now < one.until
        ]
        if not yes and key not in silent and not any(one.seq in past for one in own) and not past:
            return False
    return True


@settings(max_examples=800, deadline=None)
@given(ledgers)
def test_it_is_agreed_only_where_the_law_allows(told: list[tuple]) -> None:  # type: ignore[type-arg]
    lines = [line(seq, one) for seq, one in enumerate(told, 1)]
    found = standing_of(HERE, SEATS, lines, NOW)
    if found.agreed:
        assert may_be_agreed(lines, NOW)
        assert not (found.missing or found.refused_by or found.holds or found.stops or found.silent)
        assert found.until is not None
        assert found.until > NOW
    else:
        assert found.missing or found.stops
    assert not standing_of(HERE, SEATS, lines, NOW, problems=["line 3 is gone"]).agreed


@settings(max_examples=300, deadline=None)
@given(ledgers, people, st.sampled_from([Decision.DEFER, Decision.REFUSE]))
def test_a_no_said_last_always_holds(told: list[tuple], person: str, decision: Decision) -> None:  # type: ignore[type-arg]
    lines = [line(seq, one) for seq, one in enumerate(told, 1)]
    last = Answered(
        len(lines) + 1, NOW, person, person, "", "", "summer", "d1", ("lab3-07",), decision, NOW + timedelta(days=3)
    )
    assert not standing_of(HERE, SEATS, [*lines, last], NOW).agreed
    # Also where nobody has to agree.
    assert standing_of(HERE, (), [*lines, last], NOW).stops


@settings(max_examples=300, deadline=None)
@given(ledgers)
def test_more_answers_of_others_never_take_a_hold_away(told: list[tuple]) -> None:  # type: ignore[type-arg]
    lines = [line(seq, one) for seq, one in enumerate(told, 1) if one[0] == "answer"]
    hold = HoldPlaced(99, NOW, "e", "Eva", "", "", "group", "lab-3", (), NOW + timedelta(hours=1), "exams")
    assert not standing_of(HERE, SEATS, [hold, *lines], NOW).agreed
