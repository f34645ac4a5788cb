r"""What is left out by standing rule: defaults per operating system, and the patterns of a site.

A rule's ``regex`` matches a whole path and uses only what Python's ``re`` and .NET read alike (``remote/PROTOCOL.md``):
scoped flags ``(?i:...)``, ``[^/]``, ``[\s\S]``, alternation. ``[\s\S]`` and not ``.``, which stops at a newline,
and names may hold one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from configs.errors import ConfigError
from configs.folders import portable_pattern
from tasks.archiver.windows_excludes import WINDOWS_RULES
from tasks.entries import Rule, Skipped

#: Virtual machine images of at least this many bytes are left out by default.
VM_LIMIT: Final = 4 * 1024**3

_ANY: Final = r"[\s\S]*"


#: What holds on every host without being asked for: the archiver and the host themselves say so.
STANDING_RULES: Final = (
    Rule("special", "a socket, FIFO or device: it holds no content, and its program makes it anew"),
    Rule(
        "cloud-only",
        "only a placeholder is on this computer: the content is in the cloud (such as OneDrive) and stays there; it "
        "comes back when its owner signs in",
    ),
    Rule("other-filesystem", "another disk or network folder is mounted here: it is not part of this computer"),
    Rule("virtual-filesystem", "the system's own view of itself (such as /proc), not files on a disk"),
)


def default_rules(platform: str, *, vm_limit: int | None = VM_LIMIT) -> tuple[Rule, ...]:
    """Return the standing rules for ``platform``: ``linux``, ``windows``, or ``darwin`` or ``macos`` for Apple's.

    Virtual machine images of at least ``vm_limit`` bytes are left out; None saves them whatever their size.

    Raises ``ConfigError`` for a platform without rules: walking it with none would read caches for hours.
    """
    if platform == "linux":
        own = _LINUX
    elif platform in ("darwin", "macos"):
        own = _MACOS
    elif platform == "windows":
        own = WINDOWS_RULES
    else:
        raise ConfigError(f"no exclude rules for the platform {platform!r}", hint="Use linux, macos or windows.")
    if vm_limit is None:
        return (*own, *_EVERYWHERE)
    machines = Rule(
        "vm-image",
        "disk image of a virtual machine: too large for a nightly copy, and made anew from its template",
        rf"(?i:{_ANY}\.(?:vdi|vmdk|vhd|vhdx|qcow|qcow2|hds|ova))",
        min_size=vm_limit,
    )
    return (*own, *_EVERYWHERE, machines)


def with_standing_rule(skip: Skipped) -> Skipped:
    """Return the skip with the rule that covers its reason on every host, if one does and none is named."""
    if skip.reason in ("special", "cloud-only") and not skip.rule:
        return replace(skip, rule=skip.reason)
    return skip


def _folders(id_: str, reason: str, *patterns: str) -> Rule:
    return Rule(id_, reason, rf"{_ANY}/(?:{'|'.join(patterns)})", dirs_only=True)


_BROWSER_REASON = "a browser's cache: it loads pages again by itself; bookmarks, passwords and settings are kept"

_EVERYWHERE: Final = (
    Rule("cache-tag", "a folder that its program marked as a cache (CACHEDIR.TAG)", tag="CACHEDIR.TAG"),
    _folders("node-modules", "packages that npm downloads again from package.json", "node_modules"),
    Rule("own-temporary", "a temporary file of a restore that was cut off", rf"{_ANY}/\.firstbell-[^/]*\.tmp"),
)

_LINUX: Final[tuple[Rule, ...]] = (
    _folders("cache", "a program's cache (~/.cache), made again by itself", r"\.cache"),
    _folders(
        "trash",
        "the trash: its owner has thrown this away",
        r"\.local/share/Trash",
        r"\.Trash",
        r"\.Trash-[0-9]+",
    ),
    _folders("thumbnails", "preview pictures, made again from the pictures", r"\.thumbnails"),
    _folders(
        "browser-cache",
        _BROWSER_REASON,
        # Chromium and its kin keep these in the profile, below ~/.config, and Electron programs do the same.
        r"\.config/[^/]+(?:/[^/]+){0,3}/(?:Cache|Code Cache|GPUCache|CachedData|ShaderCache|GrShaderCache"
        r"|Service Worker/CacheStorage|Service Worker/ScriptCache)",
        # Programs in snaps and flatpaks keep a cache of their own.
        r"snap/[^/]+/[^/]+/\.cache",
        r"\.var/app/[^/]+/cache",
        r"\.mozilla/firefox/[^/]+/(?:cache2|startupCache|thumbnails)",
    ),
    _folders("virtual-files", "a window onto other computers (GVFS, portal), not files of this one", r"\.gvfs"),
)

_MACOS: Final[tuple[Rule, ...]] = (
    _folders("cache", "a program's cache (Library/Caches), made again by itself", "Library/Caches", r"\.cache"),
    _folders("trash", "the trash: its owner has thrown this away", r"\.Trash", r"\.Trashes", r"\.local/share/Trash"),
    _folders(
        "browser-cache",
        _BROWSER_REASON,
        r"Library/Application Support/[^/]+(?:/[^/]+){0,4}/(?:Cache|Code Cache|GPUCache|CachedData|ShaderCache"
        r"|GrShaderCache|Service Worker/CacheStorage|Service Worker/ScriptCache)",
        r"Library/Containers/[^/]+/Data/Library/Caches",
        r"Library/Group Containers/[^/]+/Library/Caches",
        r"Library/Safari/(?:Touch Icons Cache|Template Icons)",
    ),
    _folders("thumbnails", "preview pictures, made again from the pictures", r"\.thumbnails"),
    _folders("search-index", "the search index, made again by Spotlight", r"\.Spotlight-V100", r"\.fseventsd"),
    _folders("logs", "program logs (Library/Logs)", "Library/Logs"),
)


def site_rules(patterns: Sequence[str], *, platform: str = "linux", homes: Sequence[bytes] = ()) -> tuple[Rule, ...]:
    r"""Return one rule for each of a site's own patterns; macOS and Windows compare names without case.

    The patterns are a subset of gitignore's: ``*`` and ``?`` within a name, ``**`` for any folders, a leading ``/``
    for an absolute path, a leading ``~/`` for a home folder (those in ``homes``, or else the usual places), a trailing
    ``/`` for folders only, ``\`` before a character that shall stand for itself. Without a leading ``/`` or ``~/`` a
    pattern matches at any depth.

    For Windows a pattern may be written with ``\`` between names: one that stands before none of ``[ ] !`` is such a
    separator, since no name on Windows has what else would need to be quoted. ``C:\Temp`` is ``/C/Temp``.

    Raises ``ConfigError`` that names every pattern that is none.
    """
    rules: list[Rule] = []
    problems: list[str] = []
    insensitive = platform in ("darwin", "macos", "windows")
    for pattern in dict.fromkeys(patterns):
        try:
            regex, dirs_only = _compile(_separated(pattern) if platform == "windows" else pattern, homes)
        except ValueError as error:
            problems.append(f"  {pattern!r}: {error}")
            continue
        if insensitive:
            regex = f"(?i:{regex})"
        rules.append(Rule(f"site:{pattern}", f"left out by the site's own pattern {pattern}", regex, dirs_only))
    if problems:
        count = "1 exclude pattern is wrong" if len(problems) == 1 else f"{len(problems)} exclude patterns are wrong"
        raise ConfigError(
            "\n".join([f"{count}:", *problems]),
            hint="Patterns know *, ?, **, a leading / or ~/, a trailing / for folders, and \\ to quote a character.",
        )
    return tuple(rules)


_USUAL_HOMES: Final = "(?:/home/[^/]+|/Users/[^/]+|/root|/var/root|/[A-Z]/Users/[^/]+)"


def _separated(pattern: str) -> str:
    """Return a pattern for Windows with ``/`` between names."""
    return re.sub(r"\\+(?![\[\]!\\])", "/", portable_pattern(pattern))


def _compile(pattern: str, homes: Sequence[bytes]) -> tuple[str, bool]:
    """Return the regex of a pattern and whether it is for folders only. Raises ``ValueError`` with the fault."""
    if not pattern.strip():
        raise ValueError("is empty")
    if pattern.startswith("!"):
        raise ValueError("begins with '!': taking back an exclude is not supported (write \\! for the character)")
    body = pattern
    dirs_only = body.endswith("/") and not body.endswith("\\/")
    body = body.rstrip("/") if dirs_only else body
    if not body.strip("*/") or body == "~":
        raise ValueError("would leave out everything")
    if body.startswith("~/"):
        prefix = "|".join(re.escape(home.decode("utf-8", "replace")) for home in homes)
        prefix, body = f"(?:{prefix})/" if prefix else f"{_USUAL_HOMES}/", body[2:]
    elif body.startswith("/"):
        prefix, body = "/", body[1:]
    else:
        prefix = rf"{_ANY}/"
    parts = body.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("has an empty part, '.' or '..' between slashes")
    if not any(part.strip("*") for part in parts):
        raise ValueError("would leave out everything")
    regex = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            regex += rf"{_ANY}[^/]" if last else rf"(?:{_ANY}/)?"
        else:
            regex += _compile_name(part) + ("" if last else "/")
    return prefix + regex, dirs_only


def _compile_name(part: str) -> str:
    regex = ""
    position = 0
    while position < len(part):
        character = part[position]
        position += 1
        if character == "*":
            if part[position : position + 1] == "*":
                raise ValueError("has '**' beside other characters: it stands for whole folders only")
            regex += "[^/]*"
        elif character == "?":
            regex += "[^/]"
        elif character == "[":
            raise ValueError("has '[': sets of characters are not supported (write \\[ for the character)")
        elif character == "\\":
            if position == len(part):
                raise ValueError("ends with a single backslash")
            regex += re.escape(part[position])
            position += 1
        else:
            regex += re.escape(character)
    return regex
