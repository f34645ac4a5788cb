"""The whole way of one person's settings on Linux: captured by a catalog, wiped, planned, put back, taken back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from configs.catalog import Catalog
from configs.catalog_item import CatalogItem
from tasks.settings.apply import apply_changes, before_image, current_values, undo_changes
from tasks.settings.capture import capture_settings
from tasks.settings.collectors import collectors_for
from tasks.settings.diff import differences
from tasks.settings.document import ProfileIdentity, Settings, decode, encode
from tasks.settings.plan import Outcome, SettingsPlan, Situation, plan_settings
from tasks.settings.values import Place, Value
from tests.support.settings_person import Person, has_dconf, settings_person

pytestmark = pytest.mark.skipif(
    not has_dconf(), reason="needs dconf and dbus-run-session (Debian: apt-get install dconf-cli dbus)"
)
KDE = "[General]\nColorScheme=BreezeDark\n[KDE]\nSingleClick=false\n"


def _item(id_: str, capture: Mapping[str, Any], **more: Any) -> CatalogItem:
    content = {
        "id": id_, "platform": "linux", "desktop": "any", "name": id_, "why": "It matters.", "restore": "by-itself",
        "capture": [capture], **more,
    }  # fmt: skip
    return CatalogItem.model_validate(content)


CATALOG = Catalog(
    "linux",
    (
        _item("gnome-wallpaper", {"kind": "dconf", "paths": ["/org/gnome/desktop/background/"]}),
        _item("kde-colours", {"kind": "ini", "file": "{config}/kdeglobals", "groups": {"General": ["ColorScheme"]}}),
        _item("files-bookmarks", {"kind": "files", "paths": ["{config}/gtk-3.0/bookmarks"]}),
        _item(
            "command-printer",
            {"kind": "command", "argv": ["cat", "{home}/printer"], "apply": ["sh", "-c", 'cat > "$HOME/printer"']},
        ),
        _item("secret-keys", {"kind": "files", "paths": ["{home}/.ssh/id"]}, sensitive=True),
        _item("files-absent", {"kind": "files", "paths": ["{config}/nothing"]}),
        _item("sign-in-thing", {"kind": "files", "paths": ["{config}/later"]}, restore="first-sign-in"),
    ),
)


class Story:
    """A person with settings, and what a worker does with them."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.collectors = collectors_for(CATALOG)
        person.run("dconf", "write", "/org/gnome/desktop/background/picture-uri", f"'file://{person.home}/sea.jpg'")
        person.write(".config/kdeglobals", KDE)
        person.write(".config/gtk-3.0/bookmarks", "file:///x Lessons\n")
        person.write(".config/later", "x")
        person.write("printer", "Room 12")
        person.write(".ssh/id", "SECRET")

    def capture(self, *asked_for: str) -> tuple[Settings, Settings | None]:
        found = capture_settings(
            self.person.host, self.person.account, CATALOG, self.collectors,
            identity=ProfileIdentity("machine", "1"), asked_for=asked_for,
        )  # fmt: skip
        return decode(encode(found.open)), found.sealed

    def plan(
        self, saved: Settings, applied: Mapping[Place, Value] | None = None, *, fresh: bool = True
    ) -> SettingsPlan:
        places = [entry.place for _, entry in saved.entries()]
        now, unreadable = current_values(self.person.host, self.person.account, places, self.collectors)
        situation = Situation(
            self.person.account.variables, windows=False, fresh=True, current=now, unreadable=unreadable,
            applied=applied or {},
        )  # fmt: skip
        return plan_settings(saved, CATALOG.items, situation)

    def apply(self, plan: SettingsPlan) -> Mapping[Place, Value]:
        result = apply_changes(self.person.host, self.person.account, plan.changes(), self.collectors)
        assert not result.failed, result.failed
        return result.applied()


@pytest.fixture
def story() -> Iterator[Story]:
    with settings_person() as person:
        yield Story(person)


def test_settings_are_captured_wiped_and_put_back_and_the_second_time_nothing_changes(story: Story) -> None:
    person = story.person
    saved, sealed = story.capture()
    assert {item.id: item.state for item in saved.items} == {
        "gnome-wallpaper": "captured", "kde-colours": "captured", "files-bookmarks": "captured",
        "command-printer": "captured", "secret-keys": "left-out", "files-absent": "absent",
        "sign-in-thing": "captured",
    }  # fmt: skip
    assert sealed is None
    assert encode(story.capture()[0]) == encode(saved)

    person.wipe()
    # The image has defaults of its own.
    person.write(".config/kdeglobals", "[General]\nColorScheme=BreezeLight\nfont=Sans\n")
    plan = story.plan(saved)
    assert plan.items(Outcome.SET) == ("gnome-wallpaper", "kde-colours", "files-bookmarks", "command-printer")
    assert plan.items(Outcome.FIRST_SIGN_IN) == ("sign-in-thing",)
    person.allow()
    applied = story.apply(plan)
    assert person.run("dconf", "read", "/org/gnome/desktop/background/picture-uri").strip() == (
        f"'file://{person.home}/sea.jpg'"
    )
    assert "ColorScheme=BreezeDark\nfont=Sans" in (person.home / ".config/kdeglobals").read_text()
    assert (person.home / "printer").read_text() == "Room 12"
    assert story.plan(saved, applied).changes() == ()
    assert [one.item for one in differences(saved, story.capture()[0])] == ["sign-in-thing"]


def test_what_the_teacher_chose_after_the_restore_stays_and_undo_takes_only_ours_back(story: Story) -> None:
    person = story.person
    saved, _ = story.capture()
    person.wipe()
    person.write(".config/kdeglobals", "[General]\nColorScheme=BreezeLight\n")
    plan = story.plan(saved)
    before = before_image(plan, person.account, ProfileIdentity(), "linux")
    person.allow()
    applied = story.apply(plan)
    person.run("dconf", "write", "/org/gnome/desktop/background/picture-uri", "'teacher'")
    again = story.plan(saved, applied)
    assert again.items(Outcome.KEEP) == ("gnome-wallpaper",)
    assert again.changes() == ()

    undone = apply_changes(person.host, person.account, undo_changes(decode(encode(before)), applied), story.collectors)
    assert {change.place.name for change, _ in undone.failed} == {"picture-uri", ""}
    assert {result.conflict for change, result in undone.failed if change.place.collector == "dconf"} == {True}
    assert person.run("dconf", "read", "/org/gnome/desktop/background/picture-uri").strip() == "'teacher'"
    assert "ColorScheme=BreezeLight" in (person.home / ".config/kdeglobals").read_text()
    assert not (person.home / ".config/gtk-3.0/bookmarks").exists()


def test_secrets_are_captured_only_when_asked_for_and_never_in_the_open_document(story: Story) -> None:
    saved, sealed = story.capture("secret-keys")
    assert sealed is not None
    assert [item.id for item in sealed.items] == ["secret-keys"]
    assert "U0VDUkVU" in encode(sealed).decode()
    assert "U0VDUkVU" not in encode(saved).decode()
    (item,) = (item for item in saved.items if item.id == "secret-keys")
    assert (item.state, item.entries) == ("left-out", ())
