"""Which collectors a platform has."""

from __future__ import annotations

from collections.abc import Mapping

from configs.catalog import Catalog, CommandCapture
from tasks.settings.command import CommandCollector
from tasks.settings.dconf import DconfCollector
from tasks.settings.files import FilesCollector
from tasks.settings.ini import IniCollector
from tasks.settings.plist import PlistCollector
from tasks.settings.presence import PresenceCollector
from tasks.settings.registry import RegistryCollector
from tasks.settings.values import Collector


def collectors_for(catalog: Catalog) -> Mapping[str, Collector]:
    """Return the collectors for the captures of a catalog, by their kind."""
    commands = [one for item in catalog for one in item.capture if isinstance(one, CommandCapture)]
    found: dict[str, Collector] = {
        "files": FilesCollector(ignore_case=catalog.platform == "windows"),
        "ini": IniCollector(),
        "command": CommandCollector(commands),
        "presence": PresenceCollector(),
    }
    if catalog.platform == "linux":
        found["dconf"] = DconfCollector()
    elif catalog.platform == "macos":
        found["plist"] = PlistCollector()
    elif catalog.platform == "windows":
        found["registry"] = RegistryCollector()
    return found
