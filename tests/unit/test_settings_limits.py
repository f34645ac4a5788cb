"""Which versions settings may be put back on, by the desktop on Linux and by the system elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from configs.catalog import Catalog
from configs.catalog_item import CatalogItem
from tasks.verbs.settings_limits import other_versions, version_in


def catalog(platform: str, **changes: Any) -> Catalog:
    capture = {"kind": "files", "paths": ["{home}/.settings"]}
    content = {
        "id": "some-item", "platform": platform, "name": "Something", "why": "It matters.", "capture": [capture],
        "restore": "by-itself", **changes,
    }  # fmt: skip
    return Catalog(platform, (CatalogItem.model_validate(content),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("then", "now", "fits"),
    [
        ("gnome 46.2, kde 5.27.5", "gnome 46.9", True),
        ("gnome 46.2", "gnome 47.0", False),
        ("gnome 46.2", "", False),
        ("", "gnome 46.2", False),
        # The other desktop says nothing of this one.
        ("kde 5.27.5", "kde 5.27.5", False),
    ],
)
def test_the_release_of_the_desktop_counts_on_linux(then: str, now: str, *, fits: bool) -> None:
    found = other_versions(
        catalog("linux", desktop="gnome", versions={"same": "os-release"}),
        system_then="Debian 12.1", system_now="Debian 12.1", desktop_then=then, desktop_now=now,
    )  # fmt: skip
    assert (found == {}) is fits


@pytest.mark.parametrize(
    ("versions", "then", "now", "told"),
    [
        ({"same": "os-build"}, "Windows 11 Pro 23H2 (build 22631.4317)", "Windows 11 Pro 23H2 (build 22631.9)", ""),
        (
            {"same": "os-build"},
            "Windows 11 Pro (build 22631)",
            "Windows 11 Pro (build 26100)",
            "captured on version 10.0.22631",
        ),
        (
            {"os_min": "10.0.22000"},
            "",
            "Windows 10 Pro 22H2 (build 19045.3803)",
            "for versions of the system from 10.0.22000",
        ),
        # Versions of programs are not captured: kept and told, not tried.
        ({"same": "app-major"}, "10.0.22631", "10.0.22631", "version unknown of the program"),
    ],
)
def test_limits_of_windows(versions: dict[str, str], then: str, now: str, told: str) -> None:
    found = other_versions(
        catalog("windows", versions=versions), system_then=then, system_now=now, desktop_then="", desktop_now=""
    )
    assert told in found.get("some-item", "") and bool(told) == bool(found)


def test_the_first_version_in_a_text() -> None:
    texts = ("GNOME Shell 46.2", "plasmashell 5.27.5", "macOS 15", "Windows 11 Pro 23H2 (build 22631.4317)", "none")
    assert [version_in(text) for text in texts] == ["46.2", "5.27.5", "15", "10.0.22631.4317", ""]
