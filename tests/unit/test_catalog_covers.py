"""Which files, values and keys belong to a capture."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from configs.catalog import Capture, Platform, Versions, fill_in, version_tuple
from configs.catalog_patterns import excluded, fixed_part, matches

KINDS: TypeAdapter[Capture] = TypeAdapter(Capture)


def capture(**keys: object) -> Capture:
    return KINDS.validate_python(keys)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/B", False),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/*.txt", "a/.txt", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/b/b/c", True),
        ("a/**/c", "a/bc", False),
        ("a+(b).[c]", "a+(b).[c]", True),
        ("a.c", "abc", False),
        ("a*", "a\nb", True),
    ],
)
def test_patterns(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


def test_a_name_leaves_out_all_that_is_in_it() -> None:
    assert excluded(["Cache"], "home/x/Cache/y")
    assert excluded(["Cache"], "home/Cache")
    assert excluded(["*.log"], "home/x/a.log")
    assert excluded(["home/x"], "home/x/y/z")
    assert not excluded(["home/x"], "other/home/x")
    assert not excluded(["Cache"], "home/Cached/y")


def test_where_to_begin_to_look() -> None:
    assert fixed_part("{home}/a/*/b") == "{home}/a"
    assert fixed_part("{home}/a") == "{home}/a"


def test_files() -> None:
    found = capture(kind="files", paths=["{appdata}\\Example\\**", "C:\\ProgramData\\x.ini"], exclude=["Cache"])
    assert found.kind == "files"
    assert found.paths == ("{appdata}/Example/**", "/C/ProgramData/x.ini")
    assert found.roots() == ("{appdata}/Example", "/C/ProgramData/x.ini")
    assert found.covers("{appdata}/Example/a/b")
    assert not found.covers("{appdata}/Example/Cache/b")
    assert not found.covers("{appdata}/example/a")
    assert found.covers("{appdata}/example/a", ignore_case=True)
    values = {"appdata": "/C/Users/a.ito/AppData/Roaming"}
    assert found.covers("/C/Users/a.ito/AppData/Roaming/Example/a", values)
    assert not found.covers("/C/Users/m.okafor/AppData/Roaming/Example/a", values)


def test_registry_values() -> None:
    found = capture(
        kind="registry",
        key="HKEY_CURRENT_USER\\Control Panel\\Desktop",
        values=["Wall*", "(default)", "SCRNSAVE.EXE"],
        exclude=["WallpaperOrigin*"],
    )
    assert found.kind == "registry"
    assert found.key == "HKCU\\Control Panel\\Desktop"
    assert found.covers("HKCU\\control panel\\DESKTOP", "WALLPAPER")
    assert found.covers(found.key, "")
    assert not found.covers(found.key, "WallpaperOriginX")
    assert not found.covers(found.key, "Other")
    assert not found.covers(found.key + "\\Colors", "Wallpaper")
    assert not found.covers("HKCU\\Control Panel\\DesktopX", "Wallpaper")


def test_registry_keys_below() -> None:
    found = capture(
        kind="registry", key="HKCU\\A\\B", subtree=True, exclude=["Cache", "Deep\\Er", "User Profile System Backup"]
    )
    assert found.kind == "registry"
    assert found.covers("HKCU\\A\\B", "x")
    assert found.covers("HKCU\\A\\B\\C\\D", "a\\b")
    assert not found.covers("HKCU\\A\\BC", "x")
    assert not found.covers("HKCU\\A\\B\\C\\cache\\D", "x")
    assert not found.covers("HKCU\\A\\B\\C", "Cache")
    assert not found.covers("HKCU\\A\\B\\Deep\\Er\\X", "x")
    assert found.covers("HKCU\\A\\B\\Deep", "x")


def test_dconf() -> None:
    found = capture(kind="dconf", paths=["/org/a/", "/org/b/key"], exclude=["state", "/org/a/no/"])
    assert found.kind == "dconf"
    assert found.covers("/org/a/x/y")
    assert found.covers("/org/b/key")
    assert not found.covers("/org/b/key2")
    assert not found.covers("/org/ab")
    assert capture(kind="dconf", paths="/org/a").covers("/org/a/x")  # type: ignore[union-attr, call-arg]
    assert not found.covers("/org/a/state/x")
    assert not found.covers("/org/a/no/x")


def test_plist() -> None:
    found = capture(kind="plist", domain="Apple Global Domain", keys="all", exclude=["NSWindow Frame *"])
    assert found.kind == "plist"
    assert found.domain == "NSGlobalDomain"
    assert found.covers("com.apple.mouse.scaling")
    assert not found.covers("NSWindow Frame Main/Window")


def test_ini() -> None:
    found = capture(
        kind="ini", file="{config}/x", groups={"General": ["a*"], "Libinput][*": "all", "": ["top"]}, exclude=["aNot"]
    )
    assert found.kind == "ini"
    assert found.covers("General", "abc")
    assert found.covers("General", "abc[$e]")
    assert found.covers("General", "abc[de][$i]")
    assert not found.covers("General", "aNot")
    assert not found.covers("Other", "abc")
    assert found.covers("Libinput][1][2][Mouse", "Speed")
    assert found.covers("", "top")


def test_a_command_takes_its_value_as_a_word_or_on_its_input() -> None:
    word = capture(kind="command", argv=["lpstat", "-d"], apply=["lpoptions", "-d", "{value}"])
    stream = capture(kind="command", argv=["x"], apply=["y"])
    assert word.kind == stream.kind == "command"
    assert word.by_argument
    assert not stream.by_argument


def test_braces_of_a_script_are_no_variables() -> None:
    script = "Get-Item | ForEach-Object { $_.Name } > {home}"
    assert fill_in(script, {"home": "/h"}) == "Get-Item | ForEach-Object { $_.Name } > /h"
    with pytest.raises(KeyError):
        fill_in("{documents}", {})


def test_versions() -> None:
    assert version_tuple("128.5esr") == (128, 5)
    assert version_tuple("10.0.22631.4460") == (10, 0, 22631, 4460)
    limits = Versions(os_min="10.0.22000", app_max="21")
    assert limits.allow_os("10.0.22631")
    assert not limits.allow_os("10.0.19045")
    assert limits.allow_app("21.9.1")
    assert not limits.allow_app("22.0")
    assert not Versions(os_max="10.0.19999").allow_os("10.0.22000")
    assert Versions().allow_os("anything")


@pytest.mark.parametrize(
    ("keys", "platform", "then", "now", "fits"),
    [
        ({"same": "os-release"}, "windows", "10.0.22621", "10.0.26100", True),
        ({"same": "os-release"}, "windows", "10.0.19045", "10.0.26100", False),
        ({"same": "os-build"}, "windows", "10.0.22631.3155", "10.0.22631.4460", True),
        ({"same": "os-build"}, "windows", "10.0.22621", "10.0.22631", False),
        ({"same": "os-release"}, "macos", "14.1", "14.6", True),
        ({"same": "os-release"}, "macos", "14.6", "15.0", False),
        ({"same": "os-release"}, "macos", "10.14.6", "10.15.7", False),
        ({"same": "os-release"}, "linux", "46.2", "46.4", True),
        ({"same": "os-release"}, "linux", "46.2", "", False),
        ({"os_min": "10.0.22000"}, "windows", "", "10.0.26100", True),
        ({"os_min": "10.0.22000"}, "windows", "", "", False),
        ({"os_max": "10.0.19999"}, "windows", "10.0.19045", "10.0.22631", False),
        ({}, "windows", "", "", True),
    ],
)
def test_versions_then_and_now(keys: dict[str, str], platform: Platform, then: str, now: str, fits: bool) -> None:
    objection = Versions.model_validate(keys).objection(platform, os_then=then, os_now=now)
    assert (objection is None) is fits, objection


def test_versions_of_the_program_then_and_now() -> None:
    same = Versions(same="app-major")
    assert same.objection("windows", os_then="", os_now="", app_then="22.1", app_now="22.9") is None
    assert same.objection("windows", os_then="", os_now="", app_then="22.1", app_now="23.0") == (
        "it was captured on version 22.1 of the program, and here is 23.0"
    )
    limits = Versions(app_min="16.0", app_max="16")
    assert limits.objection("windows", os_then="", os_now="", app_now="15.0") == (
        "this is for versions of the program from 16.0 up to 16, and here is 15.0"
    )


def test_one_text_is_a_list_of_one() -> None:
    one = capture(kind="registry", key="HKCU\\A\\B", values="x", exclude="y")
    assert one.kind == "registry"
    assert (one.values, one.exclude) == (("x",), ("y",))
    assert capture(kind="registry", key="HKCU\\A\\B", values="all") == capture(kind="registry", key="HKCU\\A\\B")
    assert capture(kind="files", paths="{home}/x") == capture(kind="files", paths=["{home}/x"])
