"""What macOS hides: without Full Disk Access a Desktop looks empty to whoever comes over SSH, and nothing fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tasks.errors import HelperFailed
from tasks.remote.filesystem import RemoteHost
from tasks.verbs.people import Person

#: Folders of a home that macOS lets nobody look into who has not been allowed to. iCloud Drive is in Library.
#: https://support.apple.com/guide/security/controlling-app-access-to-files-secddd1d86a6/web
_PROTECTED: Final = ("desktop", "documents", "downloads")
_CURE: Final = (
    "switch on Full Disk Access for sshd-keygen-wrapper there (System Settings, Privacy & Security), and save it again"
)


def veiled_folders(remote: RemoteHost, people: Sequence[Person], notes: list[str]) -> tuple[bytes, ...]:
    """Return folders of these people on a Mac that may look empty although they are not; why, and the cure, in notes.

    Nothing of somebody of whom the probe shows that protected files can be read.
    """
    found: list[bytes] = []
    settings = remote.settings()
    for person in people:
        home = person.home.decode("utf-8", "surrogateescape")
        try:
            (answer,) = settings.read_settings(person.name, home, [{"op": "identity"}])
        except HelperFailed as error:
            answer = {"ok": False, "detail": error.message}
        if not answer.get("ok"):
            why = str(answer.get("detail") or "the profile cannot be looked at")
            notes.append(f"it cannot be told whether macOS hides files of {person.name} ({why}): {_CURE}")
        elif answer.get("full_disk_access") is False:
            notes.append(f"macOS does not let us look into protected folders of {person.name}: {_CURE}")
        else:
            continue
        found += [person.folders.get(name, person.home + b"/" + name.capitalize().encode()) for name in _PROTECTED]
    return tuple(dict.fromkeys(found))
