r"""What an item of the catalog captures: one model for each kind, and the name of the collector that carries it out.

Every kind but ``command`` and ``presence`` can say by itself whether it ``covers`` one thing, so that collectors, the
tests of the catalog and whoever compares two documents decide alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from configs.base import Model
from configs.catalog_patterns import excluded, fixed_part, matches, matches_any
from configs.catalog_variables import check_no_nul, check_path, fill_in
from configs.folders import text_or_advice
from configs.values import Size

#: Kind of capture -> name of the collector: ``tasks.settings`` has one under each of these names.
COLLECTORS: Final[Mapping[str, str]] = {
    "files": "files",
    "registry": "registry",
    "dconf": "dconf",
    "plist": "plist",
    "ini": "ini",
    "command": "command",
    "presence": "presence",
}
_HIVES: Final = {"HKEY_CURRENT_USER": "HKCU", "HKEY_LOCAL_MACHINE": "HKLM", "HKCU": "HKCU", "HKLM": "HKLM"}
_DOMAIN: Final = re.compile(
    r"NSGlobalDomain|(?:/Library/Preferences/)?[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?"
)
_DCONF: Final = re.compile(r"/(?:[^/\s]+/)*[^/\s]*")


def one_or_list(value: object) -> object:
    """Return a list with the one text in it that stands where a list may; anything else as it is."""
    return (value,) if isinstance(value, str) else value


def _all_or_list(value: object) -> object:
    return ("*",) if value == "all" else one_or_list(value)


def _value_names(value: object) -> object:
    """Take Windows' own way to show the value without a name for that name, which is empty."""
    names = _all_or_list(value)
    return ["" if one in {"(default)", "(Default)"} else one for one in names] if isinstance(names, list) else names


def _check_key(value: str) -> str:
    hive, _, rest = value.partition("\\")
    short = _HIVES.get(hive.upper())
    if short is None:
        msg = f"'{value}' is no key of the teacher (HKCU\\...) or of the computer (HKLM\\...)" + (
            "; a key is written with '\\'" if "/" in value and "\\" not in value else ""
        )
        raise ValueError(msg)
    if not rest or rest.endswith("\\") or "\\\\" in rest:
        msg = f"'{value}' names no key; write for example 'HKCU\\Control Panel\\Desktop', with single '\\'"
        raise ValueError(msg)
    if "*" in rest:
        msg = f"'{value}': a key has no '*'; use 'subtree: true' for the keys below it"
        raise ValueError(msg)
    return f"{short}\\{rest}"


def _check_dconf(value: str) -> str:
    if "*" in value:
        msg = f"'{value}': a path of dconf has no '*'; end it with '/' for all below, and leave out by 'exclude'"
        raise ValueError(msg)
    if _DCONF.fullmatch(value) is None or value == "/" or "//" in value:
        msg = f"'{value}' is no path of dconf; write '/org/gnome/desktop/background/' (all below) or '/.../picture-uri'"
        raise ValueError(msg)
    return value


def _check_domain(value: str) -> str:
    if value in {"Apple Global Domain", "-g", "-globalDomain"}:
        return "NSGlobalDomain"
    if _DOMAIN.fullmatch(value) is None or value.endswith(".plist"):
        msg = f"'{value}' is no domain; write for example 'com.apple.dock' or 'NSGlobalDomain', without '.plist'"
        raise ValueError(msg)
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_list)]
Names = Annotated[tuple[str, ...], BeforeValidator(_all_or_list), Field(min_length=1)]
ValueNames = Annotated[tuple[str, ...], BeforeValidator(_value_names), Field(min_length=1)]
CatalogPath = Annotated[str, BeforeValidator(text_or_advice), AfterValidator(check_path)]
Paths = Annotated[tuple[CatalogPath, ...], BeforeValidator(one_or_list)]
RegistryKey = Annotated[str, AfterValidator(_check_key)]
Word = Annotated[str, AfterValidator(check_no_nul)]
Words = Annotated[tuple[Word, ...], Field(min_length=1)]


class FilesCapture(Model):
    """Files, with their content."""

    kind: Literal["files"] = Field(description="`files`")
    paths: Annotated[Paths, Field(min_length=1)] = Field(
        description="Files: a path, or a pattern with `*` (within a name) and `**` (all folders below).",
        examples=[["{appdata}/Microsoft/Signatures/**"]],
    )
    exclude: Texts = Field(
        default=(), description="What to leave out: a name, or a pattern like those of `paths`.", examples=[["Cache"]]
    )
    max_size: Size = Field(default=64 * 2**20, description="A larger file is left out, and told.", examples=["200 MiB"])

    def covers(self, path: str, values: Mapping[str, str] | None = None, *, ignore_case: bool = False) -> bool:
        """Return whether a file belongs to it. With the ``values`` of the variables the path is a real one."""
        return any(matches(one, path, ignore_case=ignore_case) for one in self._filled(self.paths, values)) and not (
            excluded(self._filled(self.exclude, values), path, ignore_case=ignore_case)
        )

    def roots(self) -> tuple[str, ...]:
        """Return for each path the part before its first ``*``, with variables: where to begin to look."""
        return tuple(fixed_part(one) for one in self.paths)

    @staticmethod
    def _filled(patterns: tuple[str, ...], values: Mapping[str, str] | None) -> tuple[str, ...]:
        return patterns if values is None else tuple(fill_in(one, values) for one in patterns)


class RegistryCapture(Model):
    """Values of the Windows registry, with their kinds."""

    kind: Literal["registry"] = Field(description="`registry`")
    key: RegistryKey = Field(
        description="The key: `HKCU\\...` is the teacher's own, `HKLM\\...` the computer's.",
        examples=["HKCU\\Control Panel\\Desktop"],
    )
    values: ValueNames = Field(
        default=("*",),
        description="Names of values, `*` allowed; `all` for all of them; `(default)` is the one without a name.",
        examples=[["Wallpaper", "WallpaperStyle"]],
    )
    subtree: bool = Field(default=False, description="Whether the keys below it belong to it, too.", examples=[True])
    exclude: Texts = Field(
        default=(),
        description="Values or keys below to leave out: a name, or a path below the key, `*` and `**` allowed.",
        examples=[["FavoritesResolve"]],
    )

    def covers(self, key: str, value: str) -> bool:
        r"""Return whether a value of a key (``HKCU\...``) belongs to it; case does not count, as in Windows."""
        inside = key[len(self.key) + 1 :]
        if key.casefold() != self.key.casefold():
            if not self.subtree or not key.casefold().startswith(self.key.casefold() + "\\"):
                return False
        elif inside:
            return False
        path = f"{inside}\\{value}" if inside else value
        return matches_any(self.values, value, separator="\0", ignore_case=True) and not excluded(
            self.exclude, path, separator="\\", ignore_case=True
        )


class DconfCapture(Model):
    """Settings of GNOME and its programs."""

    kind: Literal["dconf"] = Field(description="`dconf`")
    paths: Annotated[
        tuple[Annotated[str, AfterValidator(_check_dconf)], ...], BeforeValidator(one_or_list), Field(min_length=1)
    ] = Field(
        description="Keys, or folders ending in `/`, of which everything below belongs to it.",
        examples=[["/org/gnome/desktop/background/"]],
    )
    exclude: Texts = Field(
        default=(), description="Keys or folders to leave out, `*` and `**` allowed.", examples=[["picture-uri"]]
    )

    def covers(self, path: str) -> bool:
        """Return whether a key (``/org/.../picture-uri``) belongs to it."""
        # without a '/' at its end it may be meant for either, and a key has nothing below
        inside = any(path == one or path.startswith(one.rstrip("/") + "/") for one in self.paths)
        return inside and not excluded(tuple(one.rstrip("/") for one in self.exclude), path)


class PlistCapture(Model):
    """Settings of macOS and its programs, asked for with `defaults`."""

    kind: Literal["plist"] = Field(description="`plist`")
    domain: Annotated[str, AfterValidator(_check_domain)] = Field(
        description="The domain, or `NSGlobalDomain`; one below `/Library/Preferences/` is the computer's.",
        examples=["com.apple.dock"],
    )
    keys: Names = Field(
        default=("*",), description="Keys, `*` allowed; `all` for all of them.", examples=[["autohide", "tilesize"]]
    )
    exclude: Texts = Field(default=(), description="Keys to leave out, `*` allowed.", examples=[["NSWindow*"]])
    host: Literal["any", "current"] = Field(
        default="any",
        description="`current`: what holds on this one Mac only (`defaults -currentHost`); `any`: everything else.",
        examples=["current"],
    )

    def covers(self, key: str) -> bool:
        """Return whether a key of the domain belongs to it."""
        return matches_any(self.keys, key, separator="\0") and not matches_any(self.exclude, key, separator="\0")


def _check_group(value: str) -> str:
    if value.startswith("[") and value.endswith("]"):
        msg = f"'{value}': a group is written without its outer brackets, '{value[1:-1]}'"
        raise ValueError(msg)
    return value


class IniCapture(Model):
    """Keys of a file with `[group]` and `key=value`, such as those of KDE; what else the file holds is left alone."""

    kind: Literal["ini"] = Field(description="`ini`")
    file: CatalogPath = Field(description="The file.", examples=["{config}/kdeglobals"])
    groups: Annotated[Mapping[Annotated[str, AfterValidator(_check_group)], Names], Field(min_length=1)] = Field(
        description=(
            "Group (`*` allowed) -> keys (`*` allowed, `all` for all of them). A group in a group is written as in the "
            "file between its outer brackets, `Containments][1`; what stands before the first group is the group ``."
        ),
        examples=[{"KDE": ["SingleClick", "LookAndFeelPackage"]}],
    )
    exclude: Texts = Field(default=(), description="Keys to leave out, `*` allowed.", examples=[["History*"]])

    def covers(self, group: str, key: str) -> bool:
        """Return whether a key of a group belongs to it; a mark behind a key, as ``[$e]``, is no part of its name."""
        name = re.sub(r"(?:\[[^\]]*\])+$", "", key)
        return any(
            matches(pattern, group, separator="\0") and matches_any(keys, name, separator="\0")
            for pattern, keys in self.groups.items()
        ) and not matches_any(self.exclude, name, separator="\0")


class CommandCapture(Model):
    """What a command answers. It only asks and changes nothing; there is no shell, so each word stands by itself."""

    kind: Literal["command"] = Field(description="`command`")
    argv: Words = Field(
        description="The program and its words; variables such as `{home}` are filled in.",
        examples=[["lpstat", "-d"]],
    )
    apply: tuple[Word, ...] = Field(
        default=(),
        description=(
            "The command that puts it back. `{value}` becomes what was captured (with `lines`: one call for each "
            "line); without `{value}` it comes on standard input. Empty: it is only told."
        ),
        examples=[["lpoptions", "-d", "{value}"]],
    )
    format: Literal["text", "json", "lines"] = Field(
        default="text",
        description="What the answer is: `text`, `json` (compared by content), or `lines` (compared as a set).",
        examples=["lines"],
    )
    run_as: Literal["teacher", "administrator"] = Field(
        default="teacher",
        description="Who asks: the teacher, or an administrator, where the setting is the computer's.",
        examples=["administrator"],
    )

    @property
    def by_argument(self) -> bool:
        """Whether the value goes into the words of ``apply``, not to its standard input."""
        return any("{value}" in word for word in self.apply)


class PresenceCapture(Model):
    """Whether something is there at all: nothing of its content is read. For what cannot come back."""

    kind: Literal["presence"] = Field(description="`presence`")
    paths: Paths = Field(
        default=(),
        description="Files or folders, `*` allowed.",
        examples=[["{localappdata}/Google/Chrome/User Data/*/Login Data"]],
    )
    keys: Annotated[tuple[RegistryKey, ...], BeforeValidator(one_or_list)] = Field(
        default=(), description="Keys of the Windows registry.", examples=[["HKCU\\Software\\SimonTatham\\PuTTY"]]
    )


Capture = Annotated[
    FilesCapture | RegistryCapture | DconfCapture | PlistCapture | IniCapture | CommandCapture | PresenceCapture,
    Field(discriminator="kind"),
]
#: Kind -> its model, for whoever needs its keys.
CAPTURES: Final[Mapping[str, type[Model]]] = {
    "files": FilesCapture,
    "registry": RegistryCapture,
    "dconf": DconfCapture,
    "plist": PlistCapture,
    "ini": IniCapture,
    "command": CommandCapture,
    "presence": PresenceCapture,
}


def kinds_hint(kind: Any) -> str:
    """Return which kinds of capture there are, as an advice to whoever wrote another one."""
    from configs.problems import did_you_mean

    near = did_you_mean(str(kind), CAPTURES)
    return near or f" There are {', '.join(CAPTURES)}."
