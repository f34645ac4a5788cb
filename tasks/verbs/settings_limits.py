"""Which settings cannot be put back on a host now: a program is missing or runs, or the system has another version."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from configs.catalog import Catalog, CatalogItem
from configs.catalog_variables import fill_in
from tasks.remote.filesystem import RemoteSettings
from tasks.settings.values import Account

#: As the Windows helper tells it: "Windows 11 Pro 23H2 (build 22631.4317)", of which Windows itself says 10.0.22631.
_BUILD: Final = re.compile(r"\(build (\d+(?:\.\d+)?)\)")
_DOTTED: Final = re.compile(r"\d+(?:\.\d+)+")
_NUMBER: Final = re.compile(r"\d+")
#: What tells the version of a desktop on Linux.
_DESKTOPS: Final[Mapping[str, tuple[str, ...]]] = {
    "gnome": ("gnome-shell", "--version"),
    "kde": ("plasmashell", "--version"),
}


def desktops_of(host: RemoteSettings, account: Account, platform: str) -> str:
    """Return the desktops of a Linux computer with their versions, ``gnome 46.2, kde 5.27.5``; elsewhere nothing."""
    if platform != "linux":
        return ""
    asked = [{"op": "command", "argv": list(argv), "seconds": 10} for argv in _DESKTOPS.values()]
    answers = host.read_settings(account.name, account.home, asked)
    found = []
    for name, answer in zip(_DESKTOPS, answers, strict=True):
        if answer.get("ok") and answer.get("exit") == 0:
            said = base64.b64decode(str(answer.get("out") or "")).decode("utf-8", "replace")
            if version := version_in(said):
                found.append(f"{name} {version}")
    return ", ".join(found)


def version_in(text: str) -> str:
    """Return the version in a text, empty when there is none."""
    if (build := _BUILD.search(text)) is not None:
        return f"10.0.{build[1]}"
    match = _DOTTED.search(text) or _NUMBER.search(text)
    return match[0] if match else ""


def other_versions(
    catalog: Catalog, *, system_then: str, system_now: str, desktop_then: str, desktop_now: str
) -> Mapping[str, str]:
    """Return of which items the version is none that they may be put back on, and why.

    Versions of programs are not captured: an item that needs one of them is kept, and told.
    """
    found: dict[str, str] = {}
    for item in catalog:
        then, now = version_in(system_then), version_in(system_now)
        if catalog.platform == "linux":
            then, now = _desktop(desktop_then, item.desktop), _desktop(desktop_now, item.desktop)
        why = item.versions.objection(catalog.platform, os_then=then, os_now=now)
        if why is not None:
            found[item.id] = why
    return found


def _desktop(told: str, desktop: str | None) -> str:
    versions = dict(part.split(" ", 1) for part in told.split(", ") if " " in part)
    return versions.get(desktop or "", "")


def programs_of(
    host: RemoteSettings, account: Account, items: Sequence[CatalogItem]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return of which items a program is missing, and of which one runs that would write over it; in words."""
    needing = [(item, number) for item in items for number in range(len(item.prerequisites))]
    closing = [item for item in items if item.closed]
    operations = [_signs(item, number, account) for item, number in needing]
    operations += [{"op": "programs", "running": list(item.closed)} for item in closing]
    if not operations:
        return {}, {}
    answers = host.read_settings(account.name, account.home, operations)
    missing: dict[str, str] = {}
    for (item, number), answer in zip(needing, answers, strict=False):
        signs = [*answer.get("commands", ()), *answer.get("paths", ()), *answer.get("programs", ())]
        if answer.get("ok") and not signs:
            missing[item.id] = f"{item.prerequisites[number].application} is not installed on this computer"
    running: dict[str, str] = {}
    for item, answer in zip(closing, answers[len(needing) :], strict=True):
        if not answer.get("ok"):
            running[item.id] = "it cannot be told whether a program runs that would write over it"
        elif now := [str(one) for one in answer.get("running", ())]:
            running[item.id] = f"close {_called(item, now)} on the computer first (or sign out), and restore again"
    return missing, running


def _called(item: CatalogItem, running: Sequence[str]) -> str:
    """Return a program as people call it, where the item says so."""
    named = [one.application for one in item.prerequisites]
    return named[0] if len(named) == 1 else ", ".join(running)


def _signs(item: CatalogItem, number: int, account: Account) -> dict[str, Any]:
    one = item.prerequisites[number]
    paths = []
    for path in one.paths:
        try:
            paths.append(fill_in(path, account.variables))
        except KeyError:
            continue
    return {"op": "programs", "commands": list(one.commands), "paths": paths, "programs": list(one.programs)}
