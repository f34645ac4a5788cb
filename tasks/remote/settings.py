"""Operations on a person's settings, over the helper: ``settings`` and ``set-settings`` of ``PROTOCOL.md``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

from tasks.entries import Piece, Skipped
from tasks.errors import HelperFailed, ProtocolError
from tasks.remote.frames import encode_path
from tasks.remote.paging import dump, send_parts
from tasks.remote.remote_source import RemoteSource
from tasks.remote.rows import NameTable
from tasks.remote.session import Session

#: Operations in one frame, as JSON text: well below what a frame may carry, beside the program.
_FRAME: Final = 640 * 1024
#: Operations in one request: its answers wait in the helper's memory.
_REQUEST: Final = 4 * 1024 * 1024
#: A file that is read whole: the registry of one person.
_LARGEST_FILE: Final = 256 * 1024 * 1024


class RemoteSettings:
    """The settings of people on one host. It satisfies ``tasks.settings.values.SettingsHost``."""

    def __init__(self, session: Session, platform: str) -> None:
        self._session = session
        #: On Windows the helper itself carries out the operations.
        self._program = "" if platform == "windows" else _person_program()

    def read_settings(self, user: str, home: str, operations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the answer to each operation; none of them writes."""
        return self._ask("settings", user, home, operations)

    def write_settings(self, user: str, home: str, operations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Carry out operations that may write; ``allow_settings`` comes first."""
        return self._ask("set-settings", user, home, operations)

    def begin_commands(self, operations: Sequence[Mapping[str, Any]]) -> None:
        """Have a Windows host begin commands that take their time, and are asked for later; nobody waits for them."""
        aside = [{**one, "aside": True} for one in operations]
        document = dump({"user": "", "home": "/", "ops": aside}).encode("ascii")
        self._session.request("settings", {}, document).drop()

    def read_file(self, path: str) -> bytes | None:
        """Return a file with the helper's own rights, None where there is none.

        Raises ``HelperFailed`` when it cannot be read, or was changed meanwhile.
        """
        name = path.encode("utf-8", "surrogateescape")
        content = bytearray()
        for one in RemoteSource(self._session, NameTable()).read([name]):
            if isinstance(one, Piece):
                content += one.data or bytes(one.zero)
            elif isinstance(one, Skipped):
                if one.reason == "vanished":
                    return None
                raise HelperFailed(f"{path} cannot be read: {one.detail or one.reason}")
            elif one.before != one.after:
                raise HelperFailed(f"{path} was changed while it was read")
            if len(content) > _LARGEST_FILE:
                raise HelperFailed(f"{path} is larger than a file of settings can be")
        return bytes(content)

    def allow_settings(self, plan: str, home: str, *folders: str) -> None:
        """Let what follows write, for the plan with this digest: in the home and in that person's folders elsewhere."""
        paths = [encode_path(one.encode("utf-8", "surrogateescape")) for one in (home, *folders)]
        self._session.request("allow-write", {"plan": plan}, dump({"roots": paths}).encode("ascii")).wait()

    def _ask(self, kind: str, user: str, home: str, operations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        answers: list[Mapping[str, Any]] = []
        for group in _grouped([dump(one) for one in operations], _REQUEST):
            answers += self._request(kind, user, home, group)
        return answers

    def _request(self, kind: str, user: str, home: str, operations: Sequence[str]) -> list[Mapping[str, Any]]:
        head = dump({"user": user, "home": home, **({"program": self._program} if self._program else {})})
        documents: list[bytes] = []
        for group in _grouped(operations, _FRAME):
            ops = f'"ops":[{",".join(group)}]'
            # The texts come once only: parts of a request are joined.
            documents.append((f"{head[:-1]},{ops}}}" if not documents else f"{{{ops}}}").encode("ascii"))
        answers: list[Mapping[str, Any]] = []
        for frame in send_parts(self._session, kind, {}, documents):
            try:
                found = json.loads(bytes(frame.payload))
            except ValueError as error:
                raise ProtocolError("the helper's answer about settings is not JSON") from error
            if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
                raise ProtocolError("the helper's answer about settings is no list of answers")
            answers += found
        if len(answers) != len(operations):
            raise ProtocolError(f"the helper answered {len(answers)} of {len(operations)} operations on settings")
        return answers


def _grouped(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for text in texts:
        if group and size + len(text) > most:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text) + 1
    if group:
        yield group


@cache
def _person_program() -> str:
    return resources.files("tasks.remote").joinpath("posix_person.py").read_text("utf-8")
