"""firstbell's own catalog: every item has a collector, an example that fits, and its place on the generated page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.catalog import COLLECTORS, PLATFORMS, Capture, CatalogItem, catalog_problems, load_catalog, shipped_file
from configs.catalog_captures import CAPTURES
from configs.catalog_fixture import fixture_problems, read_fixture
from configs.catalog_item import AFTER_TITLES, AREA_TITLES, RESTORE_TITLES
from configs.catalog_reference import page, with_keys
from configs.values import text_of
from configs.yaml_file import parse_yaml
from tasks.settings.collectors import collectors_for

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "tests" / "testdata" / "catalog"
STALE = "run 'make docs' and commit what it changes"
ITEMS = {one.id: one for platform in PLATFORMS for one in load_catalog(platform)}


def test_every_catalog_is_sound() -> None:
    assert catalog_problems() == []


def test_there_are_enough_items_of_each_desktop() -> None:
    linux = load_catalog("linux")
    assert len(load_catalog("windows")) >= 46
    assert len(load_catalog("macos")) >= 25
    assert sum(one.desktop == "gnome" for one in linux) >= 25
    assert sum(one.desktop == "kde" for one in linux) >= 20


def test_ids_are_unique_over_all_platforms() -> None:
    assert len(ITEMS) == sum(len(load_catalog(platform)) for platform in PLATFORMS)


def test_an_id_says_what_it_is_of() -> None:
    for item in ITEMS.values():
        first = item.id.partition("-")[0]
        assert first == ({"any": "linux"}.get(item.desktop or "", item.desktop) or item.platform), item.id


def test_every_kind_has_a_collector() -> None:
    assert set(COLLECTORS) == set(CAPTURES)
    assert {one.kind for item in ITEMS.values() for one in item.capture} <= set(COLLECTORS)
    assert all(item.collectors for item in ITEMS.values())
    for platform in PLATFORMS:
        catalog = load_catalog(platform)
        collectors = collectors_for(catalog)
        for item in catalog:
            for one in item.capture:
                assert collectors[COLLECTORS[one.kind]].kind == one.kind, item.id


@pytest.mark.parametrize("item_id", ITEMS)
def test_an_example_fits_its_item(item_id: str) -> None:
    item = ITEMS[item_id]
    assert item.fixture == f"{item.platform}/{item_id}.yaml"
    assert fixture_problems(item, read_fixture(EXAMPLES / item.fixture)) == []


def test_every_example_is_of_an_item() -> None:
    found = {f"{path.parent.name}/{path.name}" for path in EXAMPLES.glob("*/*.yaml")}
    assert found == {item.fixture for item in ITEMS.values()}


def test_no_two_items_put_back_the_same_thing() -> None:
    """What an example of one item holds, no other item of that desktop would capture, too."""
    for item in ITEMS.values():
        others = [
            (one, capture)
            for one in ITEMS.values()
            for capture in one.capture
            if one.id != item.id and one.comes_back and one.platform == item.platform
            and (one.desktop == item.desktop or "any" in {one.desktop, item.desktop})
        ]  # fmt: skip
        parts = read_fixture(EXAMPLES / str(item.fixture))["captured"]
        for mine, part in zip(item.capture, parts, strict=True):
            for one, capture in others:
                if not item.comes_back or capture.kind != mine.kind:
                    continue
                assert not list(shared(mine, capture, part[mine.kind])), (item.id, one.id)


def shared(mine: Capture, other: Capture, part: Any) -> Iterator[object]:
    """Yield what both captures would take, of what the example of the first one holds."""
    match mine.kind, other.kind:
        case "files", "files":
            yield from (each for each in part if other.covers(each["path"]))
        case "registry", "registry":
            yield from (each for each in part if other.covers(each["key"], each["value"]))
        case "dconf", "dconf":
            yield from (path for path in part if other.covers(path))
        case "plist", "plist":
            if (mine.domain, mine.host) == (other.domain, other.host):
                yield from (key for key in part if other.covers(key))
        case "ini", "ini":
            if mine.file == other.file:
                yield from (key for group in part for key in part[group] if other.covers(group, key))


def test_the_page_is_what_the_catalog_says() -> None:
    assert (ROOT / "docs" / "catalog.md").read_text(encoding="utf-8") == page(), STALE


def test_every_item_has_its_place_on_the_page() -> None:
    text = page()
    for item_id in ITEMS:
        assert text.count(f'<a id="{item_id}"></a>') == 1, item_id


def test_the_keys_in_the_guide_are_those_of_the_model() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert with_keys(text) == text, STALE


def test_examples_in_the_guide_are_sound(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    whole, one_item, example = blocks
    assert len(whole.splitlines()) == 10, "the guide promises ten lines"
    file = tmp_path / "catalog.yaml"
    file.write_text(whole + one_item + "  fixture: example.yaml\n", encoding="utf-8")
    (tmp_path / "example.yaml").write_text(
        "item: north-register-certificate\ncaptured:\n- presence: ['{appdata}/Example Register/a.p12']\n", "utf-8"
    )
    assert catalog_problems(file) == []
    assert fixture_problems(load_catalog("windows", file).item("north-timetable"), yaml.safe_load(example)) == []


def test_the_mistakes_in_the_guide_read_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    (whole, *_) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (promised,) = re.findall(r"```\n(catalog\.yaml: .*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("catalog.yaml").write_text(whole.replace("subtree", "subtre").replace("appdata", "appdate"), "utf-8")
    assert catalog_problems("catalog.yaml")[0] + "\n" == promised


def test_every_key_is_described_and_its_example_holds() -> None:
    required = ("id", "platform", "name", "why", "capture", "restore")
    whole = {key: CatalogItem.model_fields[key].examples[0] for key in required}  # type: ignore[index]
    for key, field in CatalogItem.model_fields.items():
        assert field.description, key
        assert field.examples, key
        for example in field.examples:
            copied = parse_yaml(f"{key}: {text_of(example)}".encode()).content
            assert CatalogItem.model_validate({**whole, **copied}) == CatalogItem.model_validate(
                {**whole, key: example}
            )
    for kind, model in CAPTURES.items():
        for key, field in model.model_fields.items():
            assert field.description, f"{kind}.{key}"


def test_teachers_read_sentences() -> None:
    for item in ITEMS.values():
        assert item.name[0].isupper(), item.id
        assert not item.name.endswith("."), item.id
        for text in (item.why, item.because, item.do_first, item.limits):
            assert text is None or re.fullmatch(r"(?:[A-Z\"]|macOS).*[.]\)?", text), (item.id, text)
        # words that only people of IT know
        told = f"{item.name} {item.why} {item.because} {item.do_first} {item.limits}"
        assert not re.search(r"registry|HKCU|dconf|plist|AppData|DPAPI|GUID|daemon|\bhash\b", told), item.id


def test_what_is_secret_is_on_request() -> None:
    secret = {item.id for item in ITEMS.values() if item.sensitive}
    assert secret == {
        "windows-wifi",
        "windows-firefox-passwords",
        "macos-firefox-passwords",
        "linux-firefox-passwords",
        "gnome-keyring",
        "kde-wallet",
        "linux-ssh-keys",
    }
    assert all(ITEMS[one].on_request for one in secret)
    assert not secret & {one.id for platform in PLATFORMS for one in load_catalog(platform).chosen()}


def test_what_only_tells_is_never_put_back() -> None:
    for item in ITEMS.values():
        only_told = all(one.kind == "presence" or (one.kind == "command" and not one.apply) for one in item.capture)
        assert not (only_told and item.comes_back), item.id
        assert item.comes_back == (item.restore in {"by-itself", "first-sign-in"})


def test_every_word_of_the_catalog_has_a_title() -> None:
    assert {one.restore for one in ITEMS.values()} == set(RESTORE_TITLES)
    assert {one.area for one in ITEMS.values()} == set(AREA_TITLES)
    assert {one.after for one in ITEMS.values()} <= set(AFTER_TITLES)


def test_the_catalog_ships_with_the_package() -> None:
    for platform in PLATFORMS:
        assert shipped_file(platform).parent == ROOT / "configs" / "catalog"
