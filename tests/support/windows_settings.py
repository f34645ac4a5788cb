"""Somebody on a Windows under Wine whose settings tests read and write, through the real helper."""

from __future__ import annotations

from pathlib import Path

from tasks.remote.filesystem import RemoteSettings
from tasks.settings.values import Account
from tests.support.hive_file import Key, hive
from tests.support.wine import WinePrefix

#: Wine knows one account, whatever it is called; its registry is the one that is always loaded.
SIGNED_IN = "S-1-5-21-0-0-0-1000"
_PROFILES = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList"


def add_person(windows: WinePrefix, name: str, sid: str = SIGNED_IN, registry: Key | None = None) -> Path:
    """Let somebody have a profile; with a ``registry``, in a file: of somebody who is not signed in."""
    windows.registry(rf"{_PROFILES}\{sid}", "ProfileImagePath", rf"C:\users\{name}", "REG_EXPAND_SZ")
    home = windows.drive / "users" / name
    for folder in ("Desktop", "Documents", "AppData/Roaming", "AppData/Local"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    if registry is not None:
        (home / "NTUSER.DAT").write_bytes(hive(registry))
    return home


def account_in(name: str) -> Account:
    """Return the account with this home, and what variables stand for there."""
    home = f"/C/users/{name}"
    return Account(
        name, home, {"home": home, "appdata": f"{home}/AppData/Roaming", "localappdata": f"{home}/AppData/Local"}
    )


def allow(host: RemoteSettings, account: Account) -> None:
    """Let what follows write into this profile."""
    host.allow_settings("0" * 64, account.home)
