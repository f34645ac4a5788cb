"""A school's own items, the order of all of them, and the tag that says which catalog it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.catalog import Catalog, catalog_problems, in_order, load_catalog
from configs.errors import ConfigError

ITEM = """- id: {id}
  platform: {platform}
  name: One of ours
  why: It matters.
  capture:
  - {{kind: files, paths: ['{{home}}/x']}}
  restore: by-itself
"""


def site_file(folder: Path, *items: str, top: str = "") -> Path:
    file = folder / "catalog.yaml"
    file.write_text("catalog: 1\n" + top + "items:\n" + "".join(items), encoding="utf-8")
    return file


def test_items_of_the_school_are_added_on_their_platform_only(tmp_path: Path) -> None:
    file = site_file(tmp_path, ITEM.format(id="north-one", platform="windows"))
    ours, without = load_catalog("windows", file), load_catalog("windows")
    assert len(ours) == len(without) + 1
    assert ours.item("north-one").name == "One of ours"
    assert len(load_catalog("macos", file)) == len(load_catalog("macos"))
    assert ours.tag != without.tag
    assert load_catalog("macos", file).tag == load_catalog("macos").tag


def test_an_item_of_the_school_takes_the_place_of_ours(tmp_path: Path) -> None:
    file = site_file(tmp_path, ITEM.format(id="windows-fonts", platform="windows"))
    ours = load_catalog("windows", file)
    assert len(ours) == len(load_catalog("windows"))
    assert ours.item("windows-fonts").name == "One of ours"


def test_items_of_ours_are_left_out(tmp_path: Path) -> None:
    file = site_file(tmp_path, top="leave_out: [windows-favorites, macos-fonts]\n")
    assert load_catalog("windows", file).get("windows-favorites") is None
    assert load_catalog("macos", file).get("macos-fonts") is None
    assert catalog_problems(file) == []


def test_leaving_out_what_there_is_not_is_told(tmp_path: Path) -> None:
    file = site_file(tmp_path, top="leave_out: [windows-favorite]\n")
    (message,) = catalog_problems(file)
    assert "line 2: At 'leave_out.0': there is no item 'windows-favorite'. Did you mean 'windows-favorites'?" in message


def test_leaving_out_what_another_item_needs_is_told(tmp_path: Path) -> None:
    file = site_file(tmp_path, top="leave_out: [windows-firefox]\n")
    with pytest.raises(ConfigError, match="it needs 'windows-firefox', which is left out"):
        load_catalog("windows", file)


def test_an_id_of_another_platform_is_refused(tmp_path: Path) -> None:
    file = site_file(tmp_path, ITEM.format(id="windows-fonts", platform="macos"))
    (message,) = catalog_problems(file)
    assert "line 3: At 'windows-fonts.id': firstbell has an item of this id on windows; choose another one" in message


def test_an_item_without_platform_is_refused(tmp_path: Path) -> None:
    text = ITEM.format(id="north-one", platform="windows").replace("  platform: windows\n", "")
    (message,) = catalog_problems(site_file(tmp_path, text))
    assert "At 'north-one.platform': field required" in message


def test_what_is_required_comes_first_else_order_counts() -> None:
    for platform in ("windows", "macos", "linux"):
        catalog = load_catalog(platform)
        place = {one.id: index for index, one in enumerate(catalog)}
        assert len(place) == len(catalog)
        for item in catalog:
            assert all(place[other] < place[item.id] for other in item.requires), item.id
        free = [one.order for one in catalog if not one.requires]
        assert free == sorted(free)


def test_a_required_item_with_a_high_order_still_comes_first() -> None:
    fonts = load_catalog("windows").item("windows-fonts")
    late = fonts.model_copy(update={"id": "north-late", "order": 900})
    early = fonts.model_copy(update={"id": "north-early", "order": 1, "requires": ("north-late",)})
    middle = fonts.model_copy(update={"id": "north-middle", "order": 500})
    assert [one.id for one in in_order((early, middle, late))] == ["north-middle", "north-late", "north-early"]


def test_equal_order_keeps_the_order_of_the_file() -> None:
    fonts = load_catalog("windows").item("windows-fonts")
    items = tuple(fonts.model_copy(update={"id": f"north-{name}"}) for name in "zxay")
    assert in_order(items) == items


def test_a_desktop_of_linux_gets_its_own_and_the_common_items() -> None:
    linux = load_catalog("linux")
    gnome = linux.for_desktop("gnome")
    assert {one.desktop for one in gnome} == {"gnome", "any"}
    assert {one.desktop for one in linux.for_desktop("kde")} == {"kde", "any"}
    assert {one.desktop for one in linux.for_desktop("xfce")} == {"any"}
    assert len(load_catalog("windows").for_desktop("")) == len(load_catalog("windows"))


def test_what_is_on_request_is_captured_on_request() -> None:
    catalog = load_catalog("windows")
    assert "windows-wifi" not in {one.id for one in catalog.chosen()}
    asked = {one.id for one in catalog.chosen(["windows-wifi"])}
    assert "windows-wifi" in asked
    assert "windows-firefox-passwords" not in asked


def test_an_unknown_item_is_told_with_its_neighbour() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'windows-fonts'"):
        load_catalog("windows").item("windows-font")


def test_the_tag_follows_what_is_captured_and_not_the_example() -> None:
    item = load_catalog("windows").item("windows-fonts")
    one = Catalog("windows", (item,))
    assert one.tag == Catalog("windows", (item.model_copy(update={"fixture": None}),)).tag
    assert one.tag != Catalog("windows", (item.model_copy(update={"order": 1}),)).tag
    assert one.tag != Catalog("macos", (item,)).tag
    assert one.tag.startswith("1-")
    assert one.digest()[:8] == one.tag.partition("-")[2]
