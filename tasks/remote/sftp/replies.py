"""Answers to requests, and why something is not done: as reasons of the frame contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from tasks.remote.frames import Buffer, Frame
from tasks.transports import sftp_client as sftp

#: JSON payloads end here, in bytes: a name in base64 is at most 340.
SOFT_PAYLOAD: Final = 384 * 1024
#: Longest path that SFTP servers pass to their system, in bytes (PATH_MAX with its NUL).
MAX_PATH: Final = 4095

dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode

_READ: Final = {
    sftp.NO_SUCH_FILE: "vanished",
    sftp.PERMISSION_DENIED: "denied",
    sftp.BAD_MESSAGE: "name",  # OpenSSH's word for ENAMETOOLONG and EINVAL
}
_WRITE: Final = {
    sftp.NO_SUCH_FILE: "vanished",
    sftp.PERMISSION_DENIED: "denied",
    sftp.BAD_MESSAGE: "unsupported",
    sftp.UNSUPPORTED: "unsupported",
}


class RequestError(Exception):
    """One request cannot be served; told by an ``error`` frame."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Skip(Exception):
    """An entry cannot be read, and why."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Refused(Exception):
    """A path cannot be written, and why."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def skip_of(error: sftp.SftpError, path: bytes = b"") -> Skip:
    """Return the reason for which reading failed."""
    if len(path) > MAX_PATH:
        return Skip("name", "the path is too long for SFTP")
    return Skip(_READ.get(error.code, "unreadable"), str(error))


def refusal_of(error: sftp.SftpError, path: bytes = b"") -> Refused:
    """Return the reason for which writing failed."""
    if len(path) > MAX_PATH:
        return Refused("unsupported", "the path is too long for SFTP")
    return Refused(_WRITE.get(error.code, "unreadable"), str(error))


def result(fields: dict[str, Any], refusal: Refused | None, detail: str = "", sha256: str = "") -> dict[str, Any]:
    """Return a result as the contract writes it, from the fields that name what it is about."""
    fields["ok"] = refusal is None
    if refusal is not None:
        fields["reason"] = refusal.reason
        detail = refusal.detail
    if detail:
        fields["detail"] = detail
    if sha256 and refusal is None:
        fields["sha256"] = sha256
    return fields


class Reply:
    """The answer to one request: numbers its frames and puts them out."""

    def __init__(self, put: Callable[[Frame], None], number: int) -> None:
        self._put = put
        self.number = number
        self._seq = 0

    def renumber(self, number: int) -> None:
        """Go on as the answer to another request: the next page."""
        self.number = number
        self._seq = 0

    def send(self, kind: str, fields: dict[str, Any] | None = None, payload: Buffer = b"") -> None:
        """Send one frame."""
        header: dict[str, Any] = {"t": kind, "id": self.number, "seq": self._seq, **(fields or {})}
        self._seq += 1
        if len(payload):
            header["length"] = len(payload)
        self._put(Frame(header, payload))

    def skip(self, fields: dict[str, Any], skip: Skip) -> None:
        """Tell that something is not read, and why."""
        if skip.detail:
            fields["detail"] = skip.detail
        self.send("skip", {**fields, "reason": skip.reason})

    def items(self, texts: Iterable[str], header: Callable[[], dict[str, Any]] = dict) -> None:
        """Send JSON texts as arrays, in as few frames as they fit; ``header`` gives further fields for each."""
        group: list[str] = []
        size = 0
        for text in texts:
            if group and size + len(text) > SOFT_PAYLOAD:
                self.send("item", header(), f"[{','.join(group)}]".encode("ascii"))
                group, size = [], 0
            group.append(text)
            size += len(text) + 1
        if group:
            self.send("item", header(), f"[{','.join(group)}]".encode("ascii"))

    def finish(self, *, more: bool = False) -> None:
        """Send the last frame."""
        self.send("done", {"more": True} if more else None)
