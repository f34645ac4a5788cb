"""An item of the catalog: one setting as a teacher would name it, what it consists of, and how it comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from configs.base import Model
from configs.catalog_captures import COLLECTORS, Capture, Paths, Texts, one_or_list
from configs.catalog_patterns import matches_any
from configs.catalog_variables import Platform

RestoreClass = Literal["by-itself", "first-sign-in", "needs-it", "cannot"]
#: Restore class -> the words for it on a teacher's page, and the order of its sections.
RESTORE_TITLES: Final[Mapping[RestoreClass, str]] = {
    "by-itself": "comes back by itself",
    "first-sign-in": "comes back when you first sign in",
    "needs-it": "IT will do",
    "cannot": "cannot come back",
}
Desktop = Literal["gnome", "kde", "any"]
Area = Literal[
    "desktop",
    "input",
    "accessibility",
    "devices",
    "network",
    "files",
    "office",
    "browsers",
    "classroom",
    "applications",
    "system",
]
AREA_TITLES: Final[Mapping[Area, str]] = {
    "desktop": "Desktop, windows and colours",
    "input": "Keyboard, mouse and language",
    "accessibility": "Seeing, hearing and reaching",
    "devices": "Screens, sound and printers",
    "network": "Network and online accounts",
    "files": "Files and folders",
    "office": "Office, mail and notes",
    "browsers": "Browsers",
    "classroom": "Teaching software",
    "applications": "Other programs",
    "system": "The computer",
}
After = Literal[
    "nothing",
    "reopen-application",
    "refresh-desktop",
    "restart-explorer",
    "restart-dock",
    "restart-finder",
    "restart-menu-bar",
    "restart-plasma",
    "reload-kwin",
    "sign-in",
    "restart-computer",
]
#: What has to happen until a setting that was put back shows -> the words for it.
AFTER_TITLES: Final[Mapping[After, str]] = {
    "nothing": "it shows at once",
    "reopen-application": "it shows when the program is opened again",
    "refresh-desktop": "it shows when the desktop is drawn anew",
    "restart-explorer": "it shows when Explorer starts again",
    "restart-dock": "it shows when the Dock starts again",
    "restart-finder": "it shows when Finder starts again",
    "restart-menu-bar": "it shows when the menu bar starts again",
    "restart-plasma": "it shows when the KDE desktop starts again",
    "reload-kwin": "it shows when the window manager reads its settings again",
    "sign-in": "it shows at the next sign-in",
    "restart-computer": "it shows when the computer starts again",
}
_ID: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_WINDOWS_11: Final = (10, 0, 22000)
_VERSION: Final = re.compile(r"\d+(?:\.\d+){0,3}")


def _check_id(value: str) -> str:
    if _ID.fullmatch(value) is None or len(value) > 60:
        msg = f"'{value}' is no id; write small letters, digits and '-', at least two words: 'windows-wallpaper'"
        raise ValueError(msg)
    return value


def _check_version(value: str) -> str:
    if _VERSION.fullmatch(value) is None:
        msg = f"'{value}' is no version; write numbers with dots between them, such as '10.0.22000'"
        raise ValueError(msg)
    return value


def _check_sentence(value: str) -> str:
    text = " ".join(value.split())
    if not text:
        msg = "this is for people to read, and it is empty"
        raise ValueError(msg)
    return text


def _one_mapping(value: object) -> object:
    return (value,) if isinstance(value, dict) else value


Id = Annotated[str, AfterValidator(_check_id)]
VersionText = Annotated[str, AfterValidator(_check_version)]
Sentence = Annotated[str, AfterValidator(_check_sentence)]
Ids = Annotated[tuple[Id, ...], BeforeValidator(one_or_list)]


def version_tuple(text: str) -> tuple[int, ...]:
    """Return the numbers of a version, to compare two; what is no number ends it: ``128.5esr`` is ``(128, 5)``."""
    found: list[int] = []
    for part in text.strip().split("."):
        digits = re.match(r"\d+", part)
        if digits is None:
            break
        found.append(int(digits[0]))
        if digits[0] != part:
            break
    return tuple(found)


class Prerequisite(Model):
    """A program that must be there before the setting makes sense. It is there when one of the signs is."""

    application: Sentence = Field(description="What the program is called.", examples=["SMART Notebook"])
    programs: Texts = Field(
        default=(),
        description="Names in the list of installed programs, `*` allowed.",
        examples=[["SMART Notebook*"]],
    )
    commands: Texts = Field(default=(), description="Commands that the teacher can start.", examples=[["gsettings"]])
    paths: Paths = Field(
        default=(), description="Files or folders, `*` allowed.", examples=[["/Applications/Firefox.app"]]
    )


class Versions(Model):
    """Between which versions the setting may be put back. Outside of them it is kept, and told."""

    os_min: VersionText | None = Field(
        default=None,
        description="Oldest version of Windows or macOS; on Linux of the desktop.",
        examples=["10.0.22000"],
    )
    os_max: VersionText | None = Field(
        default=None, description="Newest version; `10.0` means any `10.0.x`.", examples=["10.0.21999"]
    )
    app_min: VersionText | None = Field(
        default=None, description="Oldest version of the program that is a prerequisite.", examples=["16.0"]
    )
    app_max: VersionText | None = Field(default=None, description="Newest version of the program.", examples=["21"])
    same: Literal["any", "os-release", "os-build", "app-major"] = Field(
        default="any",
        description=(
            "What must be as it was at the time of capture: nothing (`any`), the release of the system (`os-release`: "
            "Windows 10 or 11, macOS 14, GNOME 46), its build (`os-build`), or the first number of the program's "
            "version (`app-major`)."
        ),
        examples=["os-build"],
    )

    def objection(
        self, platform: Platform, *, os_then: str, os_now: str, app_then: str = "", app_now: str = ""
    ) -> str | None:
        """Return why a setting of then must not be put back onto the versions of now, or None.

        Versions of the system are Windows' and macOS' own, on Linux the desktop's. One that is not known (empty) is an
        objection where it matters.
        """
        for what, now, oldest, newest in (
            ("the system", os_now, self.os_min, self.os_max),
            ("the program", app_now, self.app_min, self.app_max),
        ):
            if (oldest is not None or newest is not None) and not (now and _within(now, oldest, newest)):
                words = " ".join(word for word in (oldest and f"from {oldest}", newest and f"up to {newest}") if word)
                return f"this is for versions of {what} {words}, and here is {now or 'one that is not known'}"
        if self.same == "any":
            return None
        what, then, now = (
            ("the program", app_then, app_now) if self.same == "app-major" else ("the system", os_then, os_now)
        )
        if then and now and _shape(self.same, platform, then) == _shape(self.same, platform, now):
            return None
        return f"it was captured on version {then or 'unknown'} of {what}, and here is {now or 'one that is not known'}"

    def allow_os(self, version: str) -> bool:
        """Return whether a version of the system, or of the desktop, lies within the limits."""
        return _within(version, self.os_min, self.os_max)

    def allow_app(self, version: str) -> bool:
        """Return whether a version of the program lies within the limits."""
        return _within(version, self.app_min, self.app_max)


def release_of(platform: Platform, version: str) -> tuple[int, ...]:
    """Return what makes a release: 10 or 11 of Windows, 14 of macOS (10.15 before 11), 46 of GNOME."""
    numbers = version_tuple(version)
    if platform == "windows":
        return (11,) if numbers >= _WINDOWS_11 else numbers[:1]
    return numbers[:2] if platform == "macos" and numbers[:1] == (10,) else numbers[:1]


def _shape(same: str, platform: Platform, version: str) -> tuple[int, ...]:
    if same == "os-build":
        return version_tuple(version)[:3]
    return release_of(platform, version) if same == "os-release" else version_tuple(version)[:1]


def _within(version: str, oldest: str | None, newest: str | None) -> bool:
    found = version_tuple(version)
    if oldest is not None and found < version_tuple(oldest):
        return False
    limit = version_tuple(newest) if newest is not None else ()
    return not limit or found[: len(limit)] <= limit


class CatalogItem(Model):
    """One setting: what it is, what is captured, how it comes back."""

    id: Id = Field(description="Its name for programs, unique.", examples=["windows-wallpaper"])
    platform: Platform = Field(
        description="`windows`, `macos` or `linux`; for a whole file it stands at its top.", examples=["windows"]
    )
    name: Sentence = Field(description="Its name as a teacher would say it.", examples=["Desktop wallpaper"])
    why: Sentence = Field(
        description="Why it matters to a teacher, one sentence.",
        examples=["The picture tells you at a glance that this is your computer."],
    )
    area: Area = Field(default="applications", description="Where it stands on a page.", examples=["desktop"])
    desktop: Desktop | None = Field(
        default=None, description="On Linux: the desktop it belongs to (`gnome`, `kde`, `any`).", examples=["gnome"]
    )
    capture: Annotated[tuple[Capture, ...], BeforeValidator(_one_mapping), Field(min_length=1)] = Field(
        description="What is captured, by `kind`.",
        examples=[[{"kind": "registry", "key": "HKCU\\Control Panel\\Desktop", "values": ["Wallpaper"]}]],
    )
    restore: RestoreClass = Field(
        description=(
            "How it comes back: `by-itself`, at the `first-sign-in`, IT has to do something (`needs-it`), or it "
            "`cannot`."
        ),
        examples=["by-itself"],
    )
    because: Sentence | None = Field(
        default=None,
        description="Why IT is needed, or why it cannot come back, in plain words. Required for these two.",
        examples=["Windows locks saved passwords to this installation."],
    )
    do_first: Sentence | None = Field(
        default=None,
        description="What the teacher can do before the wipe. Required for `cannot`.",
        examples=["Turn on sync in Chrome (the round picture at the top right)."],
    )
    limits: Sentence | None = Field(
        default=None,
        description="What of it does not come back, when the rest does.",
        examples=["Windows asks once for the password of each drive."],
    )
    order: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=500, description="Lower comes back earlier; equal ones as they stand in the file.", examples=[100]
    )
    requires: Ids = Field(
        default=(), description="Ids of items that must come before it.", examples=[["windows-fonts"]]
    )
    prerequisites: tuple[Prerequisite, ...] = Field(
        default=(),
        description="Programs that must be installed. While one is missing, the setting is kept, and told.",
        examples=[[{"application": "SMART Notebook", "programs": ["SMART Notebook*"]}]],
    )
    closed: Texts = Field(
        default=(),
        description="Programs that must not run while it is put back, since they would write over it.",
        examples=[["firefox.exe"]],
    )
    opt_in: bool = Field(
        default=False, description="Whether it is captured only where the school asks for it.", examples=[True]
    )
    sensitive: bool = Field(
        default=False,
        description="Whether it holds secrets: captured only where the school asks for it, and sealed apart.",
        examples=[True],
    )
    redact: Texts = Field(
        default=(),
        description="Names of values or keys (`*` allowed) that are told and never stored.",
        examples=[["*Password*"]],
    )
    versions: Versions = Field(
        default=Versions(), description="Between which versions it may be put back.", examples=[{"same": "os-build"}]
    )
    after: After = Field(
        default="sign-in", description="What has to happen until it shows.", examples=["restart-explorer"]
    )
    fixture: str | None = Field(
        default=None,
        description="File with an example of what is captured, for tests; required in firstbell's own catalog.",
        examples=["windows/windows-wallpaper.yaml"],
    )

    def __hash__(self) -> int:
        return hash((self.platform, self.id))

    @property
    def on_request(self) -> bool:
        """Whether it is captured only where the school asks for it."""
        return self.opt_in or self.sensitive

    def redacts(self, name: str) -> bool:
        """Return whether a value or key of this name is told and never stored; case does not count."""
        return matches_any(self.redact, name, separator="\0", ignore_case=True)

    @property
    def collectors(self) -> tuple[str, ...]:
        """Names of the collectors that it needs, each once."""
        return tuple(dict.fromkeys(COLLECTORS[one.kind] for one in self.capture))

    @property
    def comes_back(self) -> bool:
        """Whether firstbell puts it back. Of ``needs-it`` and ``cannot`` it only tells what was there."""
        return self.restore in {"by-itself", "first-sign-in"}


def restorable(capture: Capture) -> bool:
    """Return whether there is something in a capture that can be put back; else it only tells what is there."""
    if capture.kind == "command":
        return bool(capture.apply)
    return capture.kind != "presence"
