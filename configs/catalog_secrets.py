"""Where secrets lie: an item that would capture one must say that it is sensitive, or leave the secret out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from configs.catalog_captures import Capture, CommandCapture
from configs.catalog_item import CatalogItem
from configs.catalog_patterns import matches_any
from configs.catalog_variables import Platform

_CHROMIUM: Final = (
    "Default/Login Data",
    "Default/Cookies",
    "Default/Network/Cookies",
    "Default/Web Data",
    "Local State",
)
_FIREFOX: Final = ("p.default-release/logins.json", "p.default-release/key4.db", "p.default-release/cookies.sqlite")
_OBS: Final = ("basic/profiles/a/service.json", "basic/profiles/a/basic.ini")
_SSH: Final = ("{home}/.ssh/id_rsa", "{home}/.ssh/id_ed25519", "{home}/.netrc", "{home}/.git-credentials")


def _each(folder: str, files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{folder}/{one}" for one in files)


#: Files that hold secrets, one example for each place.
SECRET_FILES: Final[Mapping[Platform, tuple[str, ...]]] = {
    "windows": (
        *_each("{localappdata}/Google/Chrome/User Data", _CHROMIUM),
        *_each("{localappdata}/Microsoft/Edge/User Data", _CHROMIUM),
        *_each("{appdata}/Mozilla/Firefox/Profiles", _FIREFOX),
        *_each("{appdata}/Thunderbird/Profiles", _FIREFOX),
        "{appdata}/Microsoft/Credentials/x",
        "{localappdata}/Microsoft/Credentials/x",
        "{localappdata}/Microsoft/Vault/x/x.vcrd",
        "{appdata}/Microsoft/Protect/x/x",
        "{appdata}/FileZilla/sitemanager.xml",
        "{appdata}/Anki2/prefs21.db",
        *_each("{appdata}/obs-studio", _OBS),
        *_SSH,
    ),
    "macos": (
        "{library}/Keychains/login.keychain-db",
        "{library}/Cookies/Cookies.binarycookies",
        *_each("{appsupport}/Google/Chrome", _CHROMIUM),
        *_each("{appsupport}/Microsoft Edge", _CHROMIUM),
        *_each("{appsupport}/Firefox/Profiles", _FIREFOX),
        "{appsupport}/Anki2/prefs21.db",
        *_each("{appsupport}/obs-studio", _OBS),
        *_SSH,
    ),
    "linux": (
        *_each("{config}/google-chrome", _CHROMIUM),
        *_each("{config}/chromium", _CHROMIUM),
        *_each("{home}/.mozilla/firefox", _FIREFOX),
        *_each("{home}/.thunderbird", _FIREFOX),
        "{data}/keyrings/login.keyring",
        "{data}/kwalletd/kdewallet.kwl",
        "{config}/goa-1.0/accounts.conf",
        "{config}/rclone/rclone.conf",
        "{data}/Anki2/prefs21.db",
        *_each("{config}/obs-studio", _OBS),
        *_SSH,
    ),
}
#: Names that a value, key or file with a secret has.
SECRET_NAMES: Final = (
    "*password*",
    "*passwd*",
    "*passphrase*",
    "*secret*",
    "*token*",
    "*credential*",
    "*.pfx",
    "*.p12",
    "*.kdbx",
)
#: What is called like a secret and is none.
_HARMLESS: Final = ("*passwordchar*", "*askforpassword*", "*askforpassworddelay*", "*passwordmanager*")
_REVEALING: Final = ("key=clear", "find-generic-password", "find-internet-password", "--show-secrets")


def secrets_of(item: CatalogItem) -> Iterator[tuple[int, str]]:
    """Yield the index of each capture that would take a secret in, and which one."""
    for index, capture in enumerate(item.capture):
        for found in _captured(item, capture):
            yield index, found
            break


def _captured(item: CatalogItem, capture: Capture) -> Iterator[str]:
    match capture.kind:
        case "files":
            places = (one for one in SECRET_FILES[item.platform] if capture.covers(one, ignore_case=True))
            yield from places
            yield from _named(item, (one.rpartition("/")[2] for one in capture.paths))
        case "registry":
            yield from _named(item, (one for one in capture.values if capture.covers(capture.key, one)))
        case "plist":
            yield from _named(item, (one for one in capture.keys if capture.covers(one)))
        case "ini":
            names = ((group, key) for group, keys in capture.groups.items() for key in keys)
            yield from _named(item, (key for group, key in names if capture.covers(group, key)))
        case "dconf":
            yield from _named(item, (one.rpartition("/")[2] for one in capture.paths))
        case "command":
            yield from _revealed(capture)
        case _:
            return


def _named(item: CatalogItem, names: Iterator[str]) -> Iterator[str]:
    for name in names:
        if matches_any(SECRET_NAMES, name, separator="\0", ignore_case=True) and not (
            matches_any(_HARMLESS, name, separator="\0", ignore_case=True)
            or matches_any(item.redact, name, separator="\0", ignore_case=True)
        ):
            yield name


def _revealed(capture: CommandCapture) -> Iterator[str]:
    words = " ".join(capture.argv).casefold()
    yield from (one for one in _REVEALING if one in words)
