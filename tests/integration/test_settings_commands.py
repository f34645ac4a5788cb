"""Settings on the command line, on real parts: saved with every snapshot, put back after the files, taken back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gate_site import HOST
from tests.support.settings_person import has_dconf
from tests.support.settings_site import WALLPAPER, SettingsSite, settings_site

pytestmark = pytest.mark.skipif(
    not has_dconf(), reason="needs dconf and dbus-run-session (Debian: apt-get install dconf-cli dbus)"
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[SettingsSite]:
    for name in [name for name in os.environ if name.startswith("FIRSTBELL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FIRSTBELL_PASSWORD", "secret enough")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with settings_site(tmp_path / "school", capsys) as made:
        made.settle()
        yield made


def test_settings_come_back_after_the_files_and_the_second_time_nothing_changes(site: SettingsSite) -> None:
    site.last("snapshot", HOST, expect=0)
    site.wipe()
    shown = site.restore("--plan")
    assert shown["result"] is None
    assert {"gnome-wallpaper", "north-timetable", "north-printer"} <= {
        *shown["settings"][0]["outcomes"]["set"], *shown["settings"][0]["outcomes"].get("same", [])
    }  # fmt: skip
    assert list(site.home.iterdir()) == []

    done = site.restore()
    assert done["result"]["restored"]
    assert site.dconf("read", WALLPAPER) == f"'file://{site.home}/sea.jpg'"
    assert site.text(".printer") == "Room 12"
    again = site.restore()
    assert again["settings"][0]["outcomes"].get("set") is None
    assert again["settings"][0]["put_back"] == 0
