"""Where writing is allowed: roots of a plan, and whether a path really leads below one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tasks.remote.sftp.paths import join, plain, split, within
from tasks.remote.sftp.replies import Refused, RequestError, refusal_of
from tasks.remote.sftp.rows import kind_of
from tasks.transports.sftp_client import NO_SUCH_FILE, SftpClient, SftpError

#: Folders whose real path is remembered.
_KEPT: Final = 4096


class Places:
    """The roots of a plan. Nothing is allowed before ``allow``.

    SFTP has no open folders: between the look at a path and what is done there, somebody on the host could put a
    symlink in its way. So real paths are looked up anew for each commit.
    """

    def __init__(self, client: SftpClient) -> None:
        self._client = client
        self._roots: list[tuple[bytes, bytes]] | None = None
        self._real: dict[bytes, bytes] = {}

    def allow(self, roots: Iterable[object]) -> None:
        """Allow writing below ``roots`` and nowhere else."""
        given = [plain(root) for root in roots]
        self._real = {}
        self._roots = [(root, self._root(root)) for root in given]

    def _root(self, root: bytes) -> bytes:
        try:
            return self._client.realpath(root).result()
        except SftpError:
            return root  # not there yet

    def require(self) -> None:
        """Raise ``RequestError`` when nothing is allowed."""
        if self._roots is None:
            raise RequestError("refused", "writing is not allowed yet")

    def forget(self) -> None:
        """Look real paths up anew from now on."""
        self._real = {}

    def find(self, value: object) -> bytes:
        """Return the real path to write at for a path of the plan. Raises ``Refused``."""
        if self._roots is None:
            raise Refused("outside", "writing is not allowed yet")
        try:
            path = plain(value)
        except RequestError as error:
            raise Refused("outside", str(error)) from error
        for given, real in self._roots:
            if path == given:
                return real
        folder, name = split(path)
        inside = self._folder(folder)
        if not any(within(inside, real) for _, real in self._roots):
            raise Refused("outside", "not below a folder that the plan allows")
        return join(inside, name)

    def _folder(self, folder: bytes) -> bytes:
        real = self._real.get(folder)
        if real is None:
            try:
                real = self._client.realpath(folder).result()
                # Some servers answer for what is not there.
                self._client.lstat(real).result()
            except SftpError as error:
                # What is outside is told so, whether it is there or not; and so is a symlink that leads nowhere.
                inside = any(within(folder, given) for given, _ in self._roots or ())
                if error.code == NO_SUCH_FILE and (not inside or self._is_symlink(folder)):
                    raise Refused("outside", "not below a folder that the plan allows") from error
                raise refusal_of(error, folder) from error
            if len(self._real) >= _KEPT:
                self._real = {}
            self._real[folder] = real
        return real

    def _is_symlink(self, path: bytes) -> bool:
        try:
            return kind_of(self._client.lstat(path).result()) == "symlink"
        except SftpError:
            return False
