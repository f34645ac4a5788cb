"""Exclude rules on Windows: what the defaults leave out of a profile and keep, and patterns written for Windows."""

from __future__ import annotations

import re

import pytest

from tasks.archiver.excludes import STANDING_RULES, default_rules, site_rules
from tasks.entries import Rule

HOME = "/C/Users/a.ito"
LOCAL = f"{HOME}/AppData/Local"
ROAMING = f"{HOME}/AppData/Roaming"
RULES = default_rules("windows")


def rule_of(rules: tuple[Rule, ...], path: str, *, folder: bool) -> str | None:
    for rule in rules:
        if rule.tag or (rule.dirs_only and not folder) or rule.min_size:
            continue
        if re.fullmatch(rule.regex, path):
            return rule.id
    return None


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/C/$Recycle.Bin", "trash"),
        ("/D/$RECYCLE.BIN", "trash"),
        ("/D/System Volume Information", "system-volume"),
        (f"{LOCAL}/Temp", "temporary"),
        (f"{HOME}/appdata/local/TEMP", "temporary"),
        (f"{HOME}/AppData/LocalLow/Temp", "temporary"),
        (f"{LOCAL}/Microsoft/OneDrive/logs", "onedrive-logs"),
        (f"{LOCAL}/Microsoft/OneDrive/setup/logs", "onedrive-logs"),
        (f"{ROAMING}/Microsoft/Teams/Cache", "chat-cache"),
        (f"{ROAMING}/Microsoft/Teams/blob_storage", "chat-cache"),
        (f"{ROAMING}/Slack/Service Worker/CacheStorage", "chat-cache"),
        (f"{LOCAL}/Packages/MSTeams_8wekyb3d8bbwe/LocalCache/Microsoft/MSTeams/EBWebView/Default/Cache", "chat-cache"),
        (f"{LOCAL}/Packages/Microsoft.Windows.Photos_8wekyb3d8bbwe/AC", "store-app-cache"),
        (f"{LOCAL}/Packages/Microsoft.Windows.Photos_8wekyb3d8bbwe/TempState", "store-app-cache"),
        (f"{LOCAL}/Google/Chrome/User Data/Default/Cache", "browser-cache"),
        (f"{LOCAL}/Google/Chrome/User Data/ShaderCache", "browser-cache"),
        (f"{LOCAL}/Microsoft/Edge/User Data/Profile 1/Code Cache", "browser-cache"),
        (f"{LOCAL}/Microsoft/Edge/User Data/Default/Service Worker/CacheStorage", "browser-cache"),
        (f"{LOCAL}/Mozilla/Firefox/Profiles/x1.default/cache2", "browser-cache"),
        (f"{LOCAL}/Microsoft/Windows/INetCache", "browser-cache"),
        (f"{LOCAL}/D3DSCache", "cache"),
        (f"{LOCAL}/CrashDumps", "crash-reports"),
        (f"{LOCAL}/Microsoft/WindowsApps", "app-names"),
        (f"{HOME}/Documents/project/node_modules", "node-modules"),
        # what a teacher would miss
        (HOME, None),
        (f"{HOME}/Desktop", None),
        (f"{HOME}/Desktop/Temp", None),
        (f"{HOME}/Documents/Cache", None),
        (f"{HOME}/Documents/$Recycle.Bin", None),
        (f"{HOME}/Temp", None),
        (f"{HOME}/OneDrive - North/logs", None),
        (f"{HOME}/AppData", None),
        (LOCAL, None),
        (f"{LOCAL}/Google/Chrome/User Data/Default", None),
        (f"{LOCAL}/Packages/Microsoft.MicrosoftStickyNotes_8wekyb3d8bbwe/LocalState", None),
        (f"{LOCAL}/Packages/PythonSoftwareFoundation.Python.3.12_qbz5n2kfra8p0/LocalCache", None),
        (f"{LOCAL}/Microsoft/Outlook", None),
        (f"{ROAMING}/Microsoft/Templates", None),
        (f"{ROAMING}/Microsoft/Teams", None),
    ],
)
def test_folders(path: str, rule: str | None) -> None:
    assert rule_of(RULES, path, folder=True) == rule


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        (f"{HOME}/NTUSER.DAT", "registry-hive"),
        (f"{HOME}/ntuser.dat.LOG1", "registry-hive"),
        (f"{HOME}/NTUSER.DAT{{53b39e88-18c4-11ea-a811-000d3aa4692b}}.TM.blf", "registry-hive"),
        (f"{HOME}/ntuser.ini", "registry-hive"),
        (f"{LOCAL}/Microsoft/Windows/UsrClass.dat.LOG2", "registry-hive"),
        (f"{LOCAL}/Microsoft/Outlook/a.ito@north.example.ost", "outlook-copy"),
        (f"{LOCAL}/Microsoft/Windows/Explorer/thumbcache_256.db", "thumbnails"),
        (f"{HOME}/Pictures/Thumbs.db", "thumbnails"),
        ("/C/pagefile.sys", "paging-file"),
        (f"{HOME}/Documents/Outlook Files/archive.pst", None),
        (f"{HOME}/Documents/NTUSER.DATA", None),
        (f"{HOME}/Documents/my ntuser.dat", None),
        (f"{HOME}/Documents/pagefile.sys", None),
        (f"{HOME}/Documents/Temp", None),
        (f"{LOCAL}/Google/Chrome/User Data/Default/Bookmarks", None),
        (f"{LOCAL}/Google/Chrome/User Data/Default/Cache", None),
        (f"{HOME}/Desktop/desktop.ini", None),
    ],
)
def test_files(path: str, rule: str | None) -> None:
    assert rule_of(RULES, path, folder=False) == rule


def test_the_regexes_use_what_dotnet_reads_alike() -> None:
    for rule in RULES:
        # no look-around, no names, no flags but the scoped one: see the module text of excludes.py
        assert not re.search(r"\(\?(?!:|i:)", rule.regex), rule.id
        assert not re.search(r"\\[A-Za-rt-z]", rule.regex.replace(r"\S", "")), rule.id


def test_cloud_only_is_told_in_words() -> None:
    (rule,) = [one for one in STANDING_RULES if one.id == "cloud-only"]
    assert "OneDrive" in rule.reason
    assert "comes back when its owner signs in" in rule.reason


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.iso", "/C/Users/a/x.ISO", True),
        ("C:\\Temp\\*.log", "/C/temp/x.log", True),
        ("C:\\Temp\\*.log", "/D/temp/x.log", False),
        ("c:/temp/", "/C/Temp", True),
        ("~\\Downloads\\cache\\", "/C/Users/a.ito/downloads/cache", True),
        ("~\\Downloads\\cache\\", "/C/Users/a.ito/x/downloads/cache", False),
        ("~/Downloads/cache/", "/C/Users/a.ito/Downloads/cache", True),
        ("AppData\\Local\\Foo", "/C/Users/a.ito/AppData/Local/Foo", True),
        ("Old\\**\\*.bak", "/C/Old/x/y.bak", True),
        ("~\\Plan [2026]\\", "/C/Users/a.ito/Plan [2026]", True),
        ("*\\[old\\]", "/C/Users/x[old]", True),
        ("**/x\\[old\\]", "/C/Users/x[old]", True),
        ("/C/Users/*/Videos", "/c/users/a.ito/videos", True),
    ],
)
def test_patterns_of_a_site(pattern: str, path: str, matches: bool) -> None:
    (rule,) = site_rules([pattern], platform="windows", homes=[b"/C/Users/a.ito"])
    assert rule.id == f"site:{pattern}"
    assert bool(re.fullmatch(rule.regex, path)) is matches


def test_a_backslash_still_quotes_elsewhere() -> None:
    (rule,) = site_rules(["a\\ b"], platform="linux")
    assert re.fullmatch(rule.regex, "/home/a b")
