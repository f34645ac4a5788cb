"""Making, renaming and removing one entry, when what stands there is as the plan saw it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from tasks.remote.sftp import metadata
from tasks.remote.sftp.paths import decode_path, join, split
from tasks.remote.sftp.places import Places
from tasks.remote.sftp.replies import Refused
from tasks.remote.sftp.rows import SECOND, Accounts, kind_of, mtime_of
from tasks.transports.sftp_client import NO_SUCH_FILE, SftpClient, SftpError
from tasks.transports.sftp_packet import Attributes


class Maker:
    """Works at real paths, which ``Places`` has found allowed."""

    def __init__(self, client: SftpClient, accounts: Accounts, places: Places) -> None:
        self._client = client
        self._accounts = accounts
        self._places = places

    def standing(self, place: bytes) -> Attributes | None:
        """Return what is there, or None for nothing."""
        try:
            return self._client.lstat(place).result()
        except SftpError as error:
            if error.code == NO_SUCH_FILE:
                return None
            raise

    def check(self, place: bytes, expect: Any) -> Attributes | None:
        """Return what is there. Raises ``Refused`` when it is not what the plan saw."""
        standing = self.standing(place)
        if standing is None:
            if expect is not None:
                raise Refused("conflict", "nothing is there any more")
            return None
        kind = kind_of(standing)
        agrees = expect is not None and kind == expect[0]
        if agrees and kind != "dir":
            # A plan may come from a helper that tells fractions of a second.
            agrees = mtime_of(standing) == expect[2] // SECOND * SECOND and (
                kind != "file" or standing.size == expect[1]
            )
        if not agrees:
            raise Refused("conflict", f"a {kind} is there that the plan did not see")
        return standing

    def move(self, temp: bytes, place: bytes, expect: Any) -> None:
        """Rename a finished entry into its place, when that is as the plan saw it."""
        standing = self.check(place, expect)
        if standing is None:
            self._rename_new(temp, place)
        elif kind_of(standing) == "dir":
            raise Refused("conflict", "a folder is there")
        elif self._client.has(b"posix-rename@openssh.com"):
            self._client.posix_rename(temp, place).result()
        else:
            self._replace_in_steps(temp, place)

    def _rename_new(self, temp: bytes, place: bytes) -> None:
        """Rename to a name that nothing has; the server fails when something has it by now."""
        try:
            self._client.rename(temp, place).result()
        except SftpError:
            self.check(place, None)
            raise

    def _replace_in_steps(self, temp: bytes, place: bytes) -> None:
        """Replace what is there on a server that cannot do so at once; at each moment it has one of its names."""
        aside = beside(place)
        self._client.rename(place, aside).result()
        try:
            self._rename_new(temp, place)
        except (SftpError, Refused):
            self._client.rename(aside, place).result()
            raise
        self._client.remove(aside).result()

    def make(self, item: Mapping[str, Any], place: bytes) -> str:
        """Make a folder, symlink or hard link; what is there already, alike, is left as it is."""
        operation = item["op"]
        standing = self.standing(place)
        if operation == "dir":
            return self._folder(item, place, standing)
        if operation == "hardlink":
            if not self._client.has(b"hardlink@openssh.com"):
                raise Refused("unsupported", "the SFTP server cannot make hard links")
            first = self._places.find(item["target"])
            # Whether two names are one file already cannot be seen over SFTP.
            self._create(item, place, standing, lambda new: self._client.hardlink(first, new).result())
            return ""
        if operation != "symlink":
            raise Refused("unsupported", f"cannot make a {operation} over SFTP")
        target = decode_path(item["target"])
        if standing is not None and kind_of(standing) == "symlink" and self._client.readlink(place).result() == target:
            return ""
        self._create(item, place, standing, lambda new: self._client.symlink(target, new).result())
        return self.meta(item, place)

    def _folder(self, item: Mapping[str, Any], place: bytes, standing: Attributes | None) -> str:
        if standing is not None and kind_of(standing) == "dir":
            return ""
        if standing is not None:
            self.check(place, item.get("expect"))
            self._client.remove(place).result()
        self._client.mkdir(place, 0o700).result()
        # Writable for its owner until its contents are there; what is put in it changes its time.
        meta = {key: value for key, value in (item.get("meta") or {}).items() if key != "mtime"}
        if meta.get("mode") is not None:
            meta["mode"] |= 0o700
        return self.meta({"meta": meta}, place)

    def _create(
        self, item: Mapping[str, Any], place: bytes, standing: Attributes | None, call: Callable[[bytes], None]
    ) -> None:
        """Make a name: new, or in the place of what the plan saw there."""
        if standing is None:
            call(place)
            return
        self.check(place, item.get("expect"))
        temp = beside(place)
        call(temp)
        try:
            self.move(temp, place, item.get("expect"))
        except (SftpError, Refused):
            self._client.remove(temp)
            raise

    def remove(self, item: Mapping[str, Any], place: bytes) -> str:
        """Remove a file or an empty folder."""
        expect = item.get("expect")
        if self.standing(place) is None:
            if expect is None:
                return ""
            raise Refused("vanished", "nothing is there any more")
        standing = self.check(place, expect)
        if standing is not None and kind_of(standing) == "dir":
            self._remove_folder(place)
        else:
            self._client.remove(place).result()
        return ""

    def _remove_folder(self, place: bytes) -> None:
        try:
            self._client.rmdir(place).result()
        except SftpError:
            # SFTP has no word for it: look whether something is in it.
            if any(True for _ in self._client.listing(self._client.opendir(place).result())):
                raise Refused("conflict", "the folder is not empty") from None
            raise

    def meta(self, item: Mapping[str, Any], place: bytes) -> str:
        """Set metadata, and return what could not be set."""
        standing = self._client.lstat(place).result()
        setter = metadata.setter_for(self._client, place, standing)
        return metadata.begin(setter, self._accounts, standing, item.get("meta") or {}).finish()


def beside(place: bytes) -> bytes:
    """Return an unused path in the same folder, whose name tells whose it is."""
    return join(split(place)[0], f".firstbell-{secrets.token_hex(8)}.tmp".encode("ascii"))
