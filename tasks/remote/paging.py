"""Answers that come in pages, and long lists that go in several frames."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tasks.remote.frames import Frame, encode_path
from tasks.remote.session import LARGE, Answer, Session

#: Largest list in one request, as JSON: well under what a frame may carry.
_LIST: Final = 512 * 1024

dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def encode_paths(paths: Iterable[bytes]) -> Iterator[str]:
    """Yield each path as JSON text."""
    for path in paths:
        yield dump(encode_path(path))


def batches(items: Iterable[str], most: int = 1 << 30) -> Iterator[list[str]]:
    """Yield JSON texts in groups of at most ``most``, each group small enough for one frame."""
    group: list[str] = []
    size = 0
    for item in items:
        if group and (size + len(item) > _LIST or len(group) >= most):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item) + 1
    if group:
        yield group


def array(items: Sequence[str]) -> bytes:
    """Return JSON texts as a JSON array."""
    return f"[{','.join(items)}]".encode("ascii")


def send_parts(session: Session, kind: str, fields: Mapping[str, Any], documents: Sequence[bytes]) -> Answer:
    """Send a request whose list is too long for one frame as several, and return its answer."""
    answer = session.expect(LARGE)
    for document in documents[:-1]:
        session.post(answer.number, kind, {**fields, "part": True}, document)
    session.post(answer.number, kind, fields, documents[-1])
    return answer


class Pages:
    """The frames of a paged answer, the next pages asked for ahead.

    ``eager`` pages are asked for before there is a sign of them; without, the next ones are asked for when the current
    one shows by a frame of content that it is long: until there are ``ahead`` in all.
    """

    def __init__(self, session: Session, first: Answer, page: int, *, eager: int = 0, ahead: int = 2) -> None:
        self._session = session
        self._first = first
        self._page = page
        self._ahead = ahead
        self._answers: deque[Answer] = deque((first,))
        self._over = False
        for _ in range(eager):
            self._ask()

    def _ask(self) -> None:
        self._answers.append(self._session.request("more", {"of": self._first.number, "max": self._page}))

    def ask_ahead(self) -> None:
        """Ask for the pages behind the current one, as far as that is not done yet."""
        while len(self._answers) < self._ahead and not self._over:
            self._ask()

    def __iter__(self) -> Iterator[Frame]:
        ahead = len(self._answers)
        while self._answers:
            answer = self._answers[0]
            yield from answer
            self._answers.popleft()
            if answer.last is not None and answer.last.header.get("more"):
                while len(self._answers) < ahead:
                    self._ask()
            else:
                break
        self._over = True
        self._drop()

    def close(self) -> None:
        """Give up what is left of the answer."""
        if not self._over:
            self._over = True
            self._answers.append(self._session.request("more", {"of": self._first.number, "max": 0}))
        self._drop()

    def _drop(self) -> None:
        while self._answers:
            self._answers.popleft().drop()
