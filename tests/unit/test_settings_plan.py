"""What putting settings back would do: never over what the teacher chose since, and nothing of what is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.catalog_item import CatalogItem
from tasks.settings.document import Item, Settings
from tasks.settings.plan import Outcome, SettingsPlan, Situation, plan_settings
from tasks.settings.values import Entry, Place, Value

HOME = "/home/a.ito"
PLACE = Place("dconf", "/org/gnome/desktop/background/", "picture-uri")
OTHER = Place("dconf", "/org/gnome/desktop/background/", "color")
SAVED = Value("gvariant", f"'file://{HOME}/sea.jpg'")
THERE = Value("gvariant", "'file:///usr/share/default.jpg'")
SITUATION = Situation({"home": HOME}, windows=False, fresh=True, current={})


def item(id_: str = "gnome-wallpaper", **changes: Any) -> CatalogItem:
    """Return an item of the catalog."""
    content = {
        "id": id_,
        "platform": "linux",
        "desktop": "gnome",
        "name": "Wallpaper",
        "why": "It shows whose computer it is.",
        "capture": [{"kind": "dconf", "paths": ["/org/gnome/desktop/background/"]}],
        "restore": "by-itself",
        **changes,
    }
    return CatalogItem.model_validate(content)


def settings(*entries: Entry, id_: str = "gnome-wallpaper") -> Settings:
    """Return what was captured of one item."""
    found = entries or (Entry(PLACE, SAVED),)
    return Settings("a.ito", "linux", "", variables={"home": HOME}, items=(Item(id_, "Wallpaper", "captured", found),))


def outcome(plan: SettingsPlan) -> Outcome:
    """Return what becomes of the one step."""
    (step,) = plan.steps
    return step.outcome


@pytest.mark.parametrize(
    ("fresh", "current", "applied", "expected"),
    [
        # Nothing stands there: it comes back, whoever's profile it is.
        (True, None, None, Outcome.SET),
        (False, None, None, Outcome.SET),
        (True, SAVED, None, Outcome.SAME),
        (False, SAVED, None, Outcome.SAME),
        # The image's default goes; what the teacher chose since the snapshot stays.
        (True, THERE, None, Outcome.SET),
        (False, THERE, None, Outcome.KEEP),
        # What firstbell wrote before may be replaced by an older or newer snapshot; what the teacher made of it not.
        (True, THERE, THERE, Outcome.SET),
        (False, THERE, THERE, Outcome.SET),
        (True, THERE, SAVED, Outcome.KEEP),
        (False, THERE, SAVED, Outcome.KEEP),
    ],
)
def test_newer_is_told_from_what_is_known(
    *, fresh: bool, current: Value | None, applied: Value | None, expected: Outcome
) -> None:
    situation = replace(
        SITUATION,
        fresh=fresh,
        current={} if current is None else {PLACE: current},
        applied={} if applied is None else {PLACE: applied},
    )
    assert outcome(plan_settings(settings(), [item()], situation)) is expected


@pytest.mark.parametrize(("policy", "expected"), [("keep", "keep"), ("ask", "ask"), ("replace", "set")])
def test_a_newer_value_is_kept_asked_about_or_replaced_by_policy(policy: Any, expected: str) -> None:
    situation = replace(SITUATION, fresh=False, current={PLACE: THERE}, newer=policy)
    assert outcome(plan_settings(settings(), [item()], situation)).value == expected
    named = replace(situation, replace=frozenset({"gnome-wallpaper"}))
    assert outcome(plan_settings(settings(), [item()], named)) is Outcome.SET


def test_a_place_that_cannot_be_read_is_kept() -> None:
    situation = replace(SITUATION, unreadable={PLACE: "dconf did not answer"})
    assert outcome(plan_settings(settings(), [item()], situation)) is Outcome.KEEP


def test_an_item_that_the_catalog_lost_stays_in_the_snapshot() -> None:
    plan = plan_settings(settings(id_="gnome-old-thing"), [item()], SITUATION)
    assert outcome(plan) is Outcome.UNKNOWN
    assert plan.changes() == ()
    assert "not in the catalog any more" in plan.steps[0].reason


def test_classes_and_prerequisites() -> None:
    cannot = item(restore="cannot", because="It is tied to the chip.", do_first="Write it down.")
    needs = item(restore="needs-it", because="It needs a driver.")
    later = item(restore="first-sign-in")
    assert outcome(plan_settings(settings(), [cannot], SITUATION)) is Outcome.CANNOT
    assert outcome(plan_settings(settings(), [needs], SITUATION)) is Outcome.NEEDS_IT
    assert outcome(plan_settings(settings(), [later], SITUATION)) is Outcome.FIRST_SIGN_IN
    missing = replace(SITUATION, missing={"gnome-wallpaper": "GNOME is not installed"})
    assert outcome(plan_settings(settings(), [later], missing)) is Outcome.NO_PROGRAM
    version = replace(SITUATION, other_version={"gnome-wallpaper": "it is of GNOME 3"})
    assert outcome(plan_settings(settings(), [later], version)) is Outcome.OTHER_VERSION


def test_items_come_back_in_the_order_of_the_catalog() -> None:
    saved = replace(
        settings(),
        items=(
            Item("gnome-a-first", "A", "captured", (Entry(OTHER, SAVED),)),
            Item("gnome-wallpaper", "Wallpaper", "captured", (Entry(PLACE, SAVED),)),
        ),
    )
    plan = plan_settings(saved, [item(), item("gnome-a-first")], SITUATION)
    assert [change.place for change in plan.changes()] == [PLACE, OTHER]


_values = st.sampled_from([SAVED, THERE, Value("gvariant", "'teacher'")])
_maps = st.dictionaries(st.sampled_from([PLACE, OTHER]), _values)


@given(saved=_maps, current=_maps, applied=_maps, fresh=st.booleans())
def test_the_second_time_nothing_is_left_to_change(
    *, saved: dict[Place, Value], current: dict[Place, Value], applied: dict[Place, Value], fresh: bool
) -> None:
    document = (
        settings(*(Entry(place, value) for place, value in saved.items())) if saved else replace(settings(), items=())
    )
    situation = replace(SITUATION, fresh=fresh, current=current, applied=applied)
    first = plan_settings(document, [item()], situation)
    written = {change.place: change.value for change in first.changes() if change.value is not None}
    # A value that firstbell did not put there is never lost unless the profile is another one.
    for change in first.changes():
        assert change.expect is None or fresh or applied.get(change.place) == change.expect
    again = replace(situation, current={**current, **written}, applied={**applied, **written})
    assert plan_settings(document, [item()], again).changes() == ()


def steps(plan: SettingsPlan) -> dict[str, tuple[Outcome, str]]:
    """Return item -> what becomes of it, and why."""
    return {step.item: (step.outcome, step.reason) for step in plan.steps}


def test_what_requires_something_that_waits_waits_with_it() -> None:
    first, second = item("gnome-fonts"), item("gnome-theme", requires=["gnome-fonts"])
    both = Settings(
        "a.ito", "linux", "", items=(*settings(id_="gnome-fonts").items, *settings(id_="gnome-theme").items)
    )
    plan = plan_settings(both, [first, second], replace(SITUATION, running={"gnome-fonts": "close Fonts first"}))
    assert steps(plan) == {
        "gnome-fonts": (Outcome.CLOSE_FIRST, "close Fonts first"),
        "gnome-theme": (Outcome.CLOSE_FIRST, "it needs 'Wallpaper' first: close Fonts first"),
    }
    assert plan.waits
    assert plan.changes() == ()
    # What stands there already needs nothing.
    there = replace(SITUATION, current={PLACE: SAVED}, running={"gnome-fonts": "close Fonts first"})
    assert {outcome for outcome, _ in steps(plan_settings(both, [first, second], there)).values()} == {Outcome.SAME}


def test_a_first_sign_in_without_a_step_of_its_own_needs_somebody_signed_in() -> None:
    known = item(restore="first-sign-in")
    assert outcome(plan_settings(settings(), [known], replace(SITUATION, windows=True))) is Outcome.FIRST_SIGN_IN
    plan = plan_settings(settings(), [known], SITUATION)
    assert steps(plan)["gnome-wallpaper"] == (
        Outcome.FIRST_SIGN_IN, "restore the settings once more when they have signed in",
    )  # fmt: skip
    assert outcome(plan_settings(settings(), [known], replace(SITUATION, signed_in=True))) is Outcome.SET
    named = replace(SITUATION, replace=frozenset({"gnome-wallpaper"}))
    assert outcome(plan_settings(settings(), [known], named)) is Outcome.SET
