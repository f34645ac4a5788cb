"""The worker's end of an envelope, with the other end in the test's hands."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator

import pytest

from tasks.errors import Denied, HelperFailed, ProtocolError, Timeout, Unreachable
from tasks.remote.channels.envelope import Deadlines, EnvelopeStream
from tasks.remote.channels.segment import FROM_HELPER, FROM_WORKER
from tasks.remote.channels.stream import StreamChannel
from tests.support.line_peer import LinePeer
from tests.support.memory_spool import MemorySpool

QUICK = Deadlines(silence=30.0, idle=30.0, heartbeat=20.0, acknowledge=0.05, probe=0.2, goodbye=0.2)
LARGE = bytes(range(256)) * 1024


@pytest.fixture
def peer() -> LinePeer:
    return LinePeer()


@pytest.fixture
def store() -> MemorySpool:
    return MemorySpool()


@pytest.fixture
def stream(peer: LinePeer) -> Iterator[EnvelopeStream]:
    stream = EnvelopeStream(peer, "pc", deadlines=QUICK)
    yield stream
    stream.close()


@pytest.fixture
def spooled(peer: LinePeer, store: MemorySpool) -> Iterator[EnvelopeStream]:
    stream = EnvelopeStream(peer, "pc", deadlines=QUICK, spool=store, proxy="system", segment=len(LARGE))
    yield stream
    stream.close()


def read(stream: EnvelopeStream, size: int) -> bytes:
    content = b""
    while len(content) < size:
        content += stream.read(size - len(content))
    return content


def wait_for_ack(peer: LinePeer, number: int) -> None:
    peer.hear("a")
    while peer.of("a")[-1].ack < number:
        peer.hear("a", len(peer.of("a")) + 1)


def number(name: str) -> int:
    return int(name.rpartition("-")[2])


def test_the_first_line_brings_the_key(stream: EnvelopeStream, peer: LinePeer) -> None:
    stream.write(b"hello")
    assert [(line.kind, line.seq) for line in peer.hear("k") + peer.hear("d")] == [("k", 1), ("d", 2)]
    hello = peer.document("k")
    key = base64.b64decode(hello.pop("key"))
    assert len(key) == 32
    assert hello == {"spool": False, "segment": 8 * 1024 * 1024, "proxy": None}
    assert repr(key) not in repr(vars(stream)["_dialogue"])


def test_pieces_come_in_order_and_are_acknowledged(stream: EnvelopeStream, peer: LinePeer) -> None:
    for body in (b"one ", b"two ", b"three"):
        peer.say("d", body)
    assert read(stream, 13) == b"one two three"
    wait_for_ack(peer, 3)


def test_what_was_read_before_the_stream_began_counts(peer: LinePeer) -> None:
    first = LinePeer()
    first.say("d", b"begun ")
    stream = EnvelopeStream(peer, "pc", begun=first.read(100), deadlines=QUICK)
    assert read(stream, 6) == b"begun "
    stream.close()


def test_a_large_write_goes_in_lines_and_waits_for_room(stream: EnvelopeStream, peer: LinePeer) -> None:
    content = LARGE * 40
    writer = threading.Thread(target=stream.write, args=(content,))
    writer.start()
    received = b""
    count = 0
    while len(received) < len(content):
        count += 1
        line = peer.hear("d", count)[-1]
        assert len(line.body) <= 192 * 1024
        received += line.body
        peer.acked = line.seq
        peer.say("a")
    writer.join()
    assert received == content


def test_nothing_acknowledged_stops_a_writer(peer: LinePeer) -> None:
    stream = EnvelopeStream(peer, "pc", deadlines=Deadlines(idle=0.3, goodbye=0.1))
    with pytest.raises(Timeout, match="took nothing more"):
        stream.write(LARGE * 100)
    assert sum(len(line.body) for line in peer.of("d")) < 5 * 1024 * 1024
    stream.close()


def test_what_nobody_reads_is_not_acknowledged(stream: EnvelopeStream, peer: LinePeer) -> None:
    piece = bytes(48 * 1024)
    for _ in range(150):
        peer.say("d", piece)
    peer.say("a", b"ack")
    wait_for_ack(peer, 80)
    peer.say("a", b"ack")
    assert peer.hear("a", len(peer.of("a")) + 1)[-1].ack < 100
    read(stream, 150 * len(piece))
    wait_for_ack(peer, 150)


def test_a_recovered_connection_asks_at_once(stream: EnvelopeStream, peer: LinePeer) -> None:
    peer.hear("k")
    assert peer.on_recovered is not None
    peer.on_recovered()
    assert peer.hear("a")[0].body == b"again"


def test_asked_again_it_sends_again(stream: EnvelopeStream, peer: LinePeer) -> None:
    stream.write(b"hello")
    first = peer.hear("d")
    peer.say("a", b"again")
    assert peer.hear("d", 2) == first * 2
    assert peer.hear("k", 2)[0] == peer.of("k")[1]


def test_silence_is_the_end(peer: LinePeer) -> None:
    stream = EnvelopeStream(peer, "pc", deadlines=Deadlines(silence=0.3))
    with pytest.raises(Timeout, match="nothing was heard of the helper") as caught:
        stream.read(10)
    assert caught.value.host == "pc"
    with pytest.raises(Timeout):
        stream.write(b"x")
    stream.close()


def test_a_broken_connection_reaches_reader_and_writer(stream: EnvelopeStream, peer: LinePeer) -> None:
    peer.say("d", b"last words")
    peer.put(Unreachable("the connection was cut"))
    assert read(stream, 10) == b"last words"
    with pytest.raises(Unreachable, match="was cut"):
        stream.read(10)
    with pytest.raises(Unreachable, match="was cut"):
        stream.write(b"x")


def test_the_end_of_the_program_is_the_end_of_the_stream(stream: EnvelopeStream, peer: LinePeer) -> None:
    peer.say("d", b"last words")
    peer.put(b"")
    assert read(stream, 10) == b"last words"
    assert stream.read(10) == b""
    with pytest.raises(HelperFailed):
        stream.write(b"x")
    with pytest.raises(HelperFailed, match="before its work was done"):
        StreamChannel(stream, "pc").receive()


@pytest.mark.parametrize(
    ("kind", "body"),
    [("k", b"{}"), ("s", b"{}"), ("s", b"no json"), ("s", b'{"n":1,"size":100,"plain":100}'), ("n", b"[]"), ("u", b"")],
)
def test_a_line_that_may_not_come_is_refused(stream: EnvelopeStream, peer: LinePeer, kind: str, body: bytes) -> None:
    peer.say(kind, body)
    with pytest.raises(ProtocolError) as caught:
        stream.read(10)
    assert caught.value.host == "pc"


def test_close_ends_the_helper_or_its_patience(peer: LinePeer) -> None:
    stream = EnvelopeStream(peer, "pc", deadlines=QUICK)
    stream.write(b"bye")
    stream.close()
    assert [line.body for line in peer.of("d") + peer.of("x")] == [b"bye", b"", b"abort"]
    assert peer.closed
    stream.close()
    with pytest.raises(Unreachable):
        stream.read(1)


def test_eight_offers_ahead_of_what_is_read(spooled: EnvelopeStream, peer: LinePeer, store: MemorySpool) -> None:
    assert peer.document("k")["spool"] is True
    assert peer.document("k")["proxy"] == "system"
    offers = dict(peer.document("u"))
    assert list(offers) == list(range(1, 9))
    name = offers[1].removeprefix("put:")
    assert number(name) == 1
    sealed = peer.seal().seal(1, FROM_HELPER, LARGE)
    store.put(name, sealed)
    peer.say("d", b"before ")
    peer.tell("s", {"n": 1, "size": len(sealed), "plain": len(LARGE)})
    peer.say("d", b" after")
    assert read(spooled, 13 + len(LARGE)) == b"before " + LARGE + b" after"
    assert [each[0] for each in peer.document("u", 2)] == [9]
    assert len({*store.offered}) == 9


def test_a_fresh_url_when_one_is_wanted(spooled: EnvelopeStream, peer: LinePeer) -> None:
    peer.hear("u")
    peer.tell("n", {"want": [3, 9, 0], "why": "HTTP status 403"})
    assert [each[0] for each in peer.document("u", 2)] == [3]


def test_large_writes_go_through_the_spool(spooled: EnvelopeStream, peer: LinePeer, store: MemorySpool) -> None:
    spooled.write(b"small")
    peer.hear("d")
    spooled.write(LARGE)
    segment = peer.document("s")
    name = segment["url"].removeprefix("get:")
    sealed = store.take(name)
    assert segment == {"n": 1, "size": len(sealed), "plain": len(LARGE), "url": f"get:{name}"}
    assert peer.seal().open(1, FROM_WORKER, sealed, len(LARGE)) == LARGE
    peer.tell("n", {"get": [1, 2], "why": "HTTP status 403"})
    assert peer.document("u", 2) == [[1, f"get:{name}", "get"]]
    peer.tell("n", {"got": [1]})
    spooled.close()
    assert store.objects == {}


def test_what_the_host_cannot_get_goes_inline(spooled: EnvelopeStream, peer: LinePeer) -> None:
    spooled.write(LARGE)
    assert peer.document("s")["n"] == 1
    peer.tell("n", {"broken": "no connection to the S3 server"})
    lines = peer.hear("i", 2)
    assert all(line.body[:8] == (1).to_bytes(8, "big") for line in lines)
    assert b"".join(line.body[8:] for line in lines) == LARGE
    assert spooled.inline_because == "the host cannot use it: no connection to the S3 server"
    spooled.write(LARGE)
    assert b"".join(line.body for line in peer.hear("d", 2)) == LARGE


def test_a_segment_that_is_not_there_ends_the_stream(spooled: EnvelopeStream, peer: LinePeer) -> None:
    peer.hear("u")
    peer.tell("s", {"n": 1, "size": 1000, "plain": 1000})
    with pytest.raises(Exception, match="no such file"):
        spooled.read(10)


class ClosedSpool(MemorySpool):
    """One that has no credentials."""

    def offer_put(self, name: str) -> str:
        raise Denied("memory:spool: there is no access key")


def test_a_spool_without_credentials_is_told_and_not_used(peer: LinePeer) -> None:
    notes: list[str] = []
    stream = EnvelopeStream(peer, "pc", deadlines=QUICK, spool=ClosedSpool(), on_note=notes.append)
    assert peer.document("k")["spool"] is False
    stream.write(LARGE)
    assert b"".join(line.body for line in peer.hear("d", 2)) == LARGE
    assert len(notes) == 1
    assert "there is no access key" in notes[0]
    stream.close()
