"""What is told of settings on a terminal, on a page and to programs: words for people, and no value of a secret."""

from __future__ import annotations

from tasks.reports.settings import difference_line, settings_headline, settings_json, settings_lines
from tasks.settings.apply import SettingsResult
from tasks.settings.diff import Difference
from tasks.settings.person import PersonSettings
from tasks.settings.plan import Outcome, SettingsPlan, Step
from tasks.settings.values import Change, ChangeResult, Place, Value

PLACE = Place("files", "{config}/a.conf")
OTHER = Place("dconf", "/org/x/", "colour")
VALUE = Value("text", "a value\x1b[2J of somebody")


def test_what_was_put_back_what_failed_and_what_waits() -> None:
    change, failing = Change(PLACE, VALUE, None), Change(OTHER, VALUE, None)
    result = SettingsResult(
        ((change, ChangeResult(PLACE, ok=True)), (failing, ChangeResult(OTHER, ok=False, reason="it is locked\x07")))
    )
    plan = SettingsPlan(
        (
            Step("some-bookmarks", "Bookmarks", Outcome.SET, PLACE, VALUE),
            Step("some-colour", "Colour", Outcome.SET, OTHER, VALUE),
            Step("some-firefox", "Firefox", Outcome.CLOSE_FIRST, reason="close Firefox on the computer first"),
            Step("some-dock", "Dock", Outcome.FIRST_SIGN_IN, reason="restore once more"),
        )
    )
    one = PersonSettings("a.ito", plan, result, shows={"some-colour": "it shows at the next sign-in"})
    assert not one.complete
    assert settings_lines([one]) == [
        "settings of a.ito: 1 value put back, 1 not",
        r"      /org/x/ colour  (it is locked\x07)",
        "  1 setting coming back when they first sign in",
        "      Dock  (restore once more)",
        "  1 setting waiting, since a program is open that would write over it",
        "      Firefox  (close Firefox on the computer first)",
        "  Colour: it shows at the next sign-in",
    ]
    assert settings_headline([one]) == "1 value put back, 1 value not, 1 waiting"
    assert "a value" not in str(settings_json([one]))


def test_trouble_is_told_and_nothing_is_no_line() -> None:
    problem = PersonSettings("a.ito", problem="the settings in this snapshot cannot be read: it is damaged")
    sealed = PersonSettings("b.ono", SettingsPlan(()), notes=("they are sealed",))
    assert settings_headline([problem, sealed]) == (
        "a.ito: the settings in this snapshot cannot be read: it is damaged, b.ono: they are sealed"
    )
    assert not problem.complete and not sealed.complete
    assert settings_headline([PersonSettings("a.ito", SettingsPlan(()))]) == ""


def test_a_difference_in_a_secret_shows_no_value() -> None:
    shown = Difference("some-keys", "Keys", "changed", PLACE, None, None, secret=True)
    assert difference_line("a.ito", shown) == "a.ito: Keys changed (it holds secrets: its values are not shown)"
