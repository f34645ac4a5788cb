"""Requests and answers over one channel: order, numbers, refusals, and that nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue

import pytest

from tasks.errors import HelperFailed, ProtocolError, Unreachable
from tasks.remote.channels.base import Channel
from tasks.remote.frames import Frame
from tasks.remote.paging import Pages
from tasks.remote.session import MAX_UNSENT, Session


class ScriptedChannel(Channel):
    """Answers each request by what a function returns for it."""

    def __init__(self, answer: Callable[[Frame], list[Frame]]) -> None:
        self._answer = answer
        self._frames: Queue[Frame | None] = Queue()
        self.sent: list[Frame] = []
        self.gate = threading.Event()
        self.gate.set()

    def send(self, frame: Frame) -> None:
        self.gate.wait(10)
        self.sent.append(frame)
        for answer in self._answer(frame):
            self._frames.put(answer)

    def receive(self) -> Frame:
        frame = self._frames.get(timeout=10)
        if frame is None:
            raise Unreachable("closed")
        return frame

    def close(self) -> None:
        self._frames.put(None)


@contextmanager
def session_of(answer: Callable[[Frame], list[Frame]]) -> Iterator[tuple[Session, ScriptedChannel]]:
    channel = ScriptedChannel(answer)
    session = Session(channel)
    try:
        yield session, channel
    finally:
        session.close()


def frames(request: Frame, *kinds: str, start: int = 0) -> list[Frame]:
    number = request.header["id"]
    return [Frame({"t": kind, "id": number, "seq": start + seq}) for seq, kind in enumerate(kinds)]


def test_answers_can_be_taken_in_another_order() -> None:
    with session_of(lambda request: frames(request, "item", "item", "done")) as (session, _):
        first, second = session.request("stat"), session.request("stat")
        assert [frame.type for frame in second] == ["item", "item"]
        assert [frame.type for frame in first] == ["item", "item"]
        assert first.last is not None


@pytest.mark.parametrize("sequence", [(0, 2), (0, 0), (1, 2), (0, None)])
def test_a_lost_or_doubled_frame_is_an_error(sequence: tuple[int, int | None]) -> None:
    def answer(request: Frame) -> list[Frame]:
        return [Frame({"t": "item", "id": request.header["id"], "seq": seq}) for seq in sequence]

    with session_of(answer) as (session, _):
        request = session.request("stat")
        with pytest.raises(ProtocolError, match="was due"):
            list(request)


def test_an_error_ends_its_request_only() -> None:
    def answer(request: Frame) -> list[Frame]:
        if request.type == "list":
            number = request.header["id"]
            return [Frame({"t": "error", "id": number, "seq": -1, "code": "bad-rule", "message": "no regex"})]
        return frames(request, "done")

    with session_of(answer) as (session, _):
        first, second = session.request("list"), session.request("commit")
        with pytest.raises(HelperFailed, match="no regex"):
            list(first)
        assert list(second) == []


def test_a_frame_that_nobody_asked_for_is_an_error() -> None:
    stray = Frame({"t": "done", "id": 99, "seq": 0})
    with session_of(lambda _: [stray]) as (session, _), pytest.raises(ProtocolError, match="nobody asked"):
        list(session.request("stat"))


def test_pages_follow_each_other_and_what_was_asked_too_much_is_dropped() -> None:
    def answer(request: Frame) -> list[Frame]:
        if request.type == "bye":
            return []
        page = frames(request, "entry", "done")
        if request.header["id"] < 4:
            page[-1].header["more"] = True
        if request.header["id"] > 4:
            return frames(request, "done")
        return page

    with session_of(answer) as (session, channel):
        pages = Pages(session, session.request("list", {"max": 1}), 1, eager=2)
        assert [frame.header["id"] for frame in pages] == [1, 2, 3, 4]
        asked = [frame.header.get("of") for frame in channel.sent if frame.type == "more"]
        assert set(asked) == {1}
        # The dropped answers are thrown away when they come, and disturb nobody.
        assert [frame.type for frame in session.request("stat")] == []


def test_on_a_deep_link_more_pages_are_asked_for_ahead() -> None:
    def answer(request: Frame) -> list[Frame]:
        page = frames(request, "data", "done")
        page[-1].header["more"] = True
        return page

    with session_of(answer) as (session, channel):
        pages = Pages(session, session.request("read", {"max": 1}), 1, ahead=6)
        next(iter(pages))
        pages.ask_ahead()
        pause = threading.Event()
        for _ in range(1000):
            if len(channel.sent) == 6:
                break
            pause.wait(0.01)
        pages.ask_ahead()
        assert [frame.type for frame in channel.sent] == ["read", *["more"] * 5]


def test_content_waits_while_too_much_is_unsent() -> None:
    with session_of(lambda request: []) as (session, channel):
        channel.gate.clear()
        sent = 0
        done = threading.Event()

        def write() -> None:
            nonlocal sent
            for _ in range(40):
                session.stream("write", {"file": 1}, bytes(1024 * 1024))
                sent += 1
            done.set()

        thread = threading.Thread(target=write)
        thread.start()
        # One batch may be with the sender, and as much again may wait.
        assert not done.wait(0.2)
        assert sent <= 2 * MAX_UNSENT // (1024 * 1024) + 1
        channel.gate.set()
        assert done.wait(10)
        thread.join()
        assert sent == 40


def test_answers_are_taken_before_content_is_sent() -> None:
    with session_of(lambda request: frames(request, "item", "done") if request.type == "stat" else []) as (session, _):
        answer = session.request("stat")
        session.stream("write", {"file": 1}, b"x")
        assert answer.complete


def test_a_session_that_is_closed_refuses() -> None:
    with session_of(lambda request: []) as (session, _):
        session.close()
        with pytest.raises(HelperFailed):
            session.request("stat")
