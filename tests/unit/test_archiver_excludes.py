"""Exclude rules: what the defaults leave out and keep, and the patterns of a site."""

from __future__ import annotations

import re

import pytest

from configs.errors import ConfigError
from tasks.archiver.excludes import STANDING_RULES, default_rules, site_rules
from tasks.entries import Rule

GIB = 1024**3


def rule_of(rules: tuple[Rule, ...], path: str, *, folder: bool = True, size: int = 0) -> str | None:
    for rule in rules:
        if rule.tag or (rule.dirs_only and not folder) or (rule.min_size and (folder or size < rule.min_size)):
            continue
        if re.fullmatch(rule.regex, path):
            return rule.id
    return None


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/home/a.ito/.cache", "cache"),
        ("/srv/homes/a.ito/.cache", "cache"),
        ("/home/a.ito/.local/share/Trash", "trash"),
        ("/media/disk/.Trash-1000", "trash"),
        ("/home/a.ito/.thumbnails", "thumbnails"),
        ("/home/a.ito/.config/google-chrome/Default/Cache", "browser-cache"),
        ("/home/a.ito/.config/google-chrome/Default/Code Cache", "browser-cache"),
        ("/home/a.ito/.config/google-chrome/Default/Service Worker/CacheStorage", "browser-cache"),
        ("/home/a.ito/.mozilla/firefox/x1.default/cache2", "browser-cache"),
        ("/home/a.ito/project/node_modules", "node-modules"),
        ("/home/a.ito/line\nbreak/node_modules", "node-modules"),
        ("/home/a.ito/.config/google-chrome/Default/Bookmarks", None),
        ("/home/a.ito/.config/google-chrome/Default", None),
        ("/home/a.ito/.mozilla/firefox/x1.default/places.sqlite", None),
        ("/home/a.ito/Documents/Cache", None),
        ("/home/a.ito/Documents/my node_modules", None),
        ("/home/a.ito/.local/share", None),
        ("/home/a.ito/.config", None),
        ("/home/a.ito", None),
        ("/", None),
    ],
)
def test_defaults_on_linux(path: str, rule: str | None) -> None:
    assert rule_of(default_rules("linux"), path) == rule


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/Users/a.ito/Library/Caches", "cache"),
        ("/Users/a.ito/.Trash", "trash"),
        ("/Users/a.ito/Library/Application Support/Google/Chrome/Default/GPUCache", "browser-cache"),
        ("/Users/a.ito/Library/Containers/com.apple.Safari/Data/Library/Caches", "cache"),
        ("/Users/a.ito/Library/Preferences", None),
        ("/Users/a.ito/Library/Safari/Bookmarks.plist", None),
        ("/Users/a.ito/Library/Application Support/Google/Chrome/Default", None),
        ("/Users/a.ito/Desktop", None),
    ],
)
def test_defaults_on_macos(path: str, rule: str | None) -> None:
    assert rule_of(default_rules("darwin"), path) == rule
    assert default_rules("darwin") == default_rules("macos")


def test_files_are_not_taken_for_folders() -> None:
    assert rule_of(default_rules("linux"), "/home/a.ito/.cache", folder=False) is None
    assert rule_of(default_rules("linux"), "/home/a.ito/.firstbell-ab12.tmp", folder=False) == "own-temporary"


def test_virtual_machines_over_a_size() -> None:
    rules = default_rules("linux", vm_limit=2 * GIB)
    assert rule_of(rules, "/home/a/VMs/Windows.VDI", folder=False, size=3 * GIB) == "vm-image"
    assert rule_of(rules, "/home/a/VMs/Windows.VDI", folder=False, size=1 * GIB) is None
    assert rule_of(rules, "/home/a/VMs/Windows.vdi.txt", folder=False, size=3 * GIB) is None


def test_unknown_platforms_are_refused() -> None:
    with pytest.raises(ConfigError, match="plan9"):
        default_rules("plan9")


def test_rules_have_reasons_and_ids_of_their_own() -> None:
    for platform in ("linux", "darwin", "windows"):
        rules = (*default_rules(platform), *STANDING_RULES)
        assert len({rule.id for rule in rules}) == len(rules)
        assert all(len(rule.reason) > 15 for rule in rules)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.iso", "/home/a/x.iso", True),
        ("*.iso", "/x.iso", True),
        ("*.iso", "/home/a.iso/b", False),
        ("*.iso", "/home/a/line\nbreak.iso", True),
        ("Downloads", "/home/a/Downloads", True),
        ("Downloads", "/home/a/Downloads/x", False),  # it is not walked into
        ("Downloads", "/home/a/My Downloads", False),
        ("/scratch", "/scratch", True),
        ("/scratch", "/home/scratch", False),
        ("/home/*/tmp", "/home/a/tmp", True),
        ("/home/*/tmp", "/home/a/b/tmp", False),
        ("/home/**/tmp", "/home/a/b/tmp", True),
        ("/home/**/tmp", "/home/tmp", True),
        ("/home/**", "/home/a", True),
        ("/home/**", "/home", False),
        ("**/build", "/home/a/build", True),
        ("a/b", "/x/a/b", True),
        ("a/b", "/x/ba/b", False),
        ("file?.txt", "/home/file1.txt", True),
        ("file?.txt", "/home/file/.txt", False),
        ("~/Games", "/home/a/Games", True),
        ("~/Games", "/Users/a/Games", True),
        ("~/Games", "/home/a/b/Games", False),
        (r"\[x\]", "/home/[x]", True),
        (r"what\?", "/home/what?", True),
        (r"what\?", "/home/what!", False),
        ("a.b+c(d)", "/home/a.b+c(d)", True),
        ("a.b+c(d)", "/home/aXb+c(d)", False),
        ("Sch\u00fcler", "/home/Sch\u00fcler", True),
        ("READ me", "/home/read ME", False),
    ],
)
def test_site_patterns(pattern: str, path: str, matches: bool) -> None:
    (rule,) = site_rules([pattern])
    assert rule.id == f"site:{pattern}"
    assert bool(re.fullmatch(rule.regex, path)) is matches


def test_site_patterns_for_folders_only() -> None:
    (rule,) = site_rules(["tmp/"])
    assert rule.dirs_only
    assert re.fullmatch(rule.regex, "/home/a/tmp")


def test_macos_compares_without_case() -> None:
    (rule,) = site_rules(["READ me"], platform="darwin")
    assert re.fullmatch(rule.regex, "/home/read ME")


def test_homes_may_be_told() -> None:
    (rule,) = site_rules(["~/Games"], homes=[b"/srv/a+b"])
    assert re.fullmatch(rule.regex, "/srv/a+b/Games")
    assert not re.fullmatch(rule.regex, "/home/a/Games")


def test_a_pattern_is_taken_once() -> None:
    assert len(site_rules(["*.iso", "*.iso"])) == 1


def test_every_bad_pattern_is_named() -> None:
    bad = ["", " ", "!keep", "[ab]c", "a**b", "/", "**", "*", "*/", "~", "a//b", "../x", "end\\"]
    with pytest.raises(ConfigError) as caught:
        site_rules(["*.iso", *bad])
    text = str(caught.value)
    assert "13 exclude patterns are wrong" in text
    for pattern in bad:
        assert repr(pattern) in text
    assert "*.iso" not in text
