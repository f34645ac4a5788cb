"""The lines of an envelope: what is damaged is not there, what is missing is asked for, what comes twice is dropped."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.remote.channels.dialogue import WINDOW, Deadlines, Dialogue
from tasks.remote.channels.lines import MAX_LINE, Inbox, Line, LineSplitter, Outbox, decode_line, encode_line

LINES = st.builds(
    Line,
    st.sampled_from("dskuxnia"),
    st.integers(0, 10**17),
    st.integers(0, 10**17),
    st.binary(max_size=300),
)


@given(LINES)
def test_a_line_says_what_it_was_given(line: Line) -> None:
    text = encode_line(line)
    assert text.isascii()
    assert text.count(b"\n") == 1
    assert decode_line(text[:-1]) == line
    assert decode_line(text[:-1] + b"\r") == line


def test_the_format_is_the_agreed_one() -> None:
    # sha256("d 7 3 aGk=") and sha256("a 7 3 -"), computed by coreutils
    assert encode_line(Line("d", 7, 3, b"hi")) == b"d 7 3 d196885e aGk=\n"
    assert encode_line(Line("a", 7, 3)) == b"a 7 3 ae576ce0 -\n"


@given(LINES, st.data())
def test_one_wrong_character_is_seen(line: Line, data: st.DataObject) -> None:
    text = bytearray(encode_line(line)[:-1])
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] ^= data.draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128]))
    assert decode_line(bytes(text)) is None


@given(st.lists(LINES, max_size=5), st.data())
def test_lines_come_out_of_any_pieces(lines: list[Line], data: st.DataObject) -> None:
    text = b"\r\nnoise\n" + b"".join(map(encode_line, lines))
    splitter = LineSplitter()
    found: list[Line] = []
    while text:
        size = data.draw(st.integers(1, len(text)))
        found += splitter.feed(text[:size])
        text = text[size:]
    assert found == lines
    assert splitter.damaged == 1


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    splitter = LineSplitter()
    for _ in range(64):
        assert not list(splitter.feed(b"d 1 0 " + b"A" * MAX_LINE))
    assert sum(map(len, splitter._begun)) <= 2 * MAX_LINE
    good = Line("d", 1, 0, b"after it")
    assert list(splitter.feed(b"\n" + encode_line(good))) == [good]
    assert splitter.damaged == 1


def test_what_comes_behind_a_gap_is_kept() -> None:
    inbox = Inbox()
    lines = [Line("d", number, 0, b"%d" % number) for number in range(1, 7)]
    assert inbox.accept(lines[0]) == lines[:1]
    assert not inbox.missing
    assert inbox.accept(lines[2]) == inbox.accept(lines[3]) == inbox.accept(lines[5]) == []
    assert inbox.missing
    assert inbox.accept(lines[1]) == lines[1:4]
    assert inbox.answer
    assert inbox.missing
    assert inbox.accept(lines[4]) == lines[4:]
    assert not inbox.missing
    assert inbox.last == 6


def test_a_gap_is_asked_for_once_and_again_when_the_answer_has_it_too() -> None:
    inbox = Inbox()

    def asks(number: int) -> bool:
        inbox.accept(Line("d", number, 0))
        asked, inbox.ask = inbox.ask, False
        return asked

    assert [asks(number) for number in (1, 3, 4, 6)] == [False, True, False, False]
    # The replay begins without its first line; the next one jumps over the second gap.
    assert [asks(number) for number in (3, 4)] == [True, False]
    assert [asks(number) for number in (2, 3, 4, 6)] == [False, False, False, True]
    assert [asks(number) for number in (5, 6, 7)] == [False, False, False]


def test_a_remark_tells_that_the_last_line_is_missing() -> None:
    inbox = Inbox()
    inbox.accept(Line("a", 0, 0))
    assert not inbox.ask
    inbox.accept(Line("a", 1, 0))
    assert inbox.ask
    inbox.ask = False
    inbox.accept(Line("d", 2, 0))
    assert not inbox.ask


def test_what_is_not_acknowledged_leaves_once_more() -> None:
    outbox = Outbox()
    for body in (b"1", b"2", b"3"):
        outbox.add("d", body, 0)
    first = outbox.next()
    assert decode_line(outbox.remark(b"", 9)[:-1]) == Line("a", 1, 9)
    rest = [outbox.next(), outbox.next(), outbox.next()]
    assert rest[-1] is None
    assert outbox.acknowledge(1)
    assert not outbox.acknowledge(1)
    outbox.rewind()
    assert [outbox.next(), outbox.next()] == rest[:2]
    assert outbox.acknowledge(99)
    assert (outbox.acked, outbox.size, outbox.last) == (3, 0, 3)
    assert first is not None


class End:
    """One end of a dialogue in a test, with the time it is told."""

    def __init__(self) -> None:
        self.dialogue = Dialogue(Deadlines(), 0.0)
        self.splitter = LineSplitter()
        self.heard: list[bytes] = []

    def take(self, piece: bytes, now: float) -> None:
        for line in self.splitter.feed(piece):
            self.heard += [due.body for due in self.dialogue.hear(line, now)]
            self.dialogue.acknowledge()


@pytest.mark.parametrize("seed", range(12))
def test_two_ends_agree_over_a_link_that_harms_every_tenth_piece(seed: int) -> None:
    chance = random.Random(seed)
    ends = End(), End()
    ways: tuple[deque[bytes], deque[bytes]] = deque(), deque()
    said: tuple[list[bytes], list[bytes]] = [], []
    now = 0.0
    while now < 2000.0:
        now += 0.1
        for me, (end, way) in enumerate(zip(ends, ways, strict=True)):
            if now < 60.0 and end.dialogue.has_room and chance.random() < 0.5:
                said[me].append(chance.randbytes(chance.randrange(2000)))
                end.dialogue.queue("d", said[me][-1], now)
            text = end.dialogue.batch(now)
            for start in range(0, len(text), 700):
                piece = text[start : start + 700]
                fate = chance.random()
                if fate > 0.1:
                    way.append(piece)
                elif fate > 0.06:
                    way.extend((piece, piece))
                elif fate > 0.03:
                    way.append(piece[: chance.randrange(len(piece))])
            while way and chance.random() < 0.8:
                ends[1 - me].take(way.popleft(), now)
        if now > 60.0 and all(end.dialogue.settled for end in ends):
            break
    assert ends[1].heard == said[0]
    assert ends[0].heard == said[1]
    assert len(said[0]) > 200
    assert now < 300.0


def test_the_window_bounds_what_is_kept() -> None:
    dialogue = Dialogue(Deadlines(), 0.0)
    count = 0
    while dialogue.has_room:
        dialogue.queue("d", b"x" * 192 * 1024, 0.0)
        count += 1
    assert count * 256 * 1024 < WINDOW + 512 * 1024
    dialogue.hear(Line("a", 0, 1), 1.0)
    assert dialogue.has_room


def test_silence_is_broken_by_heartbeats_and_an_open_question_by_probes() -> None:
    deadlines = Deadlines()
    dialogue = Dialogue(deadlines, 0.0)
    assert dialogue.batch(deadlines.heartbeat - 1) == b""
    assert decode_line(dialogue.batch(deadlines.heartbeat)[:-1]) == Line("a", 0, 0)
    dialogue.queue("d", b"x", 100.0)
    assert dialogue.batch(100.0).startswith(b"d 1 ")
    probes = [now / 10 for now in range(1000, 1400) if b"YWNr" in dialogue.batch(now / 10)]
    assert probes[0] == pytest.approx(100.0 + deadlines.probe, abs=0.2)
    assert 4 <= len(probes) <= 8
