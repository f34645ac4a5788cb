"""``firstbell catalog``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli import main


def test_validate_says_that_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "validate"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("every item is sound\n")
    assert "windows " in out


def test_validate_tells_every_problem_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text("catalog: 1\nitems:\n- id: north-one\n  platfrom: windows\n", encoding="utf-8")
    assert main(["catalog", "validate", str(file)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "line 4: At 'north-one.platfrom': unknown key. Did you mean 'platform'?" in captured.err
    assert "line 3: At 'north-one.capture': field required" in captured.err
    assert main(["catalog", "validate", str(file), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["sound"] is False
    assert "platfrom" in document["problems"][0]


def test_validate_of_a_missing_file_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "validate", str(tmp_path / "x.yaml")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_show_lists_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "show", "--platform", "windows", "--class", "cannot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ID", "COMES", "BACK", "SETTING"]
    assert any(one.startswith("windows-chrome-passwords ") for one in lines)
    assert not any("windows-wallpaper" in one for one in lines)
    assert lines[-1] == f"{len(lines) - 2} items"


def test_show_of_a_desktop(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "show", "--desktop", "kde"]) == 0
    out = capsys.readouterr().out
    assert "kde-dolphin" in out
    assert "linux-firefox" in out
    assert "gnome-files" not in out
    assert "windows-" not in out


def test_show_one_item(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "show", "windows-taskbar-pins"]) == 0
    out = capsys.readouterr().out
    assert "Programs pinned to the taskbar (Windows 11)  (windows-taskbar-pins)" in out
    assert "cannot come back" in out
    assert "  do first     Your list of pins is kept" in out
    assert main(["catalog", "show", "windows-taskbar-pins", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["type"], document["restore"]) == ("catalog_item", "cannot")


def test_show_an_item_of_the_school(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(
        "catalog: 1\nplatform: linux\nitems:\n- id: north-one\n  name: Ours\n  why: It matters.\n  desktop: any\n"
        "  capture: [{kind: files, paths: ['{home}/x']}]\n  restore: by-itself\n",
        encoding="utf-8",
    )
    assert main(["catalog", "show", "north-one", "--site-file", str(file)]) == 0
    assert "Ours  (north-one)" in capsys.readouterr().out


def test_show_an_item_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "show", "windows-wallpapr"]) == 1
    assert "Did you mean 'windows-wallpaper'?" in capsys.readouterr().err
