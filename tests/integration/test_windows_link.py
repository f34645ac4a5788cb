"""The link to a Windows host: the worker against the helper's own C#, under Mono, through a pipe that loses things."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tasks.backends.s3_location import parse_s3_location
from tasks.backends.s3_spool import S3Spool
from tasks.errors import HelperFailed, ProtocolError
from tasks.remote.channels.envelope import Deadlines, EnvelopeStream
from tasks.transports.base import Buffer
from tasks.transports.local import LocalStream, LocalTransport
from tests.support.far_side import build_far_side
from tests.support.flaky_http import Faults, FlakyHttp
from tests.support.lossy_stream import Losses, LossyStream
from tests.support.seaweed import SeaweedServer

pytestmark = pytest.mark.mono

QUICK = Deadlines(probe=0.5, acknowledge=0.2)
#: The spool's first wait between tries, and the silence that the helper bears, in ms.
HASTY = ["10", "180000"]
MIB = 1024 * 1024
StartProgram = Callable[..., LocalStream]


@pytest.fixture(scope="module")
def far_side(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return build_far_side(tmp_path_factory.mktemp("far-side"))


@pytest.fixture
def start(far_side: list[str]) -> Iterator[StartProgram]:
    transport = LocalTransport("pc")
    transport.open()
    try:
        yield lambda arguments=HASTY: transport.start([*far_side, *arguments])
    finally:
        transport.close()


@pytest.fixture
def flaky(s3_server: SeaweedServer) -> Iterator[FlakyHttp]:
    with FlakyHttp(s3_server.endpoint_url) as server:
        yield server


@pytest.fixture
def spool(s3_location: str, flaky: FlakyHttp) -> Iterator[S3Spool]:
    """A spool whose URLs lead through the flaky server; the worker takes the straight way."""
    store = S3Spool(parse_s3_location(s3_location.removeprefix("s3:")), reach=flaky.url)
    try:
        yield store
    finally:
        store.close()


def content(size: int, seed: int = 1) -> bytes:
    """Bytes that cannot be guessed from their neighbours, a quarter of them blanks."""
    block = hashlib.shake_128(str(seed).encode()).digest(size - size // 4)
    return block + b" " * (size // 4)


def echo(stream: EnvelopeStream, sent: bytes) -> bytes:
    def write() -> None:
        stream.write(b"echo\n")
        stream.write(sent)
        stream.finish_input()

    writer = threading.Thread(target=write)
    writer.start()
    pieces = list(iter(lambda: stream.read(MIB), b""))
    writer.join()
    return b"".join(pieces)


def everything(spool: S3Spool) -> list[str]:
    """Names of all that lies in the spool, also what was stored a moment ago by a clock that is ahead of ours."""
    return list(spool.list(-3600))


def test_bytes_come_back_as_they_went(start: StartProgram) -> None:
    stream = EnvelopeStream(start(), "pc")
    sent = content(6_000_001)
    assert echo(stream, sent) == sent
    assert stream.wait(60) == 0
    assert stream.damaged == 0
    assert stream.rate is not None
    assert stream.rate > 100_000
    assert stream.inline_because == "there is no spool"
    stream.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_what_a_link_loses_repeats_or_cuts_is_mended(start: StartProgram, seed: int) -> None:
    lossy = LossyStream(start(), Losses(dropped=0.01, doubled=0.01, cut=0.01, seed=seed))
    stream = EnvelopeStream(lossy, "pc", deadlines=QUICK)
    sent = content(3_000_000, seed)
    assert echo(stream, sent) == sent
    assert lossy.harmed > 10
    assert stream.damaged > 0
    stream.close()


def test_what_is_large_goes_through_the_spool(start: StartProgram, spool: S3Spool, flaky: FlakyHttp) -> None:
    notes: list[str] = []
    counted = CountingStream(start())
    stream = EnvelopeStream(counted, "pc", spool=spool, on_note=notes.append)
    sent = content(12_000_000)
    assert echo(stream, sent) == sent
    assert stream.inline_because is None
    # Of 24 MB, the link carried references, and a rest or two.
    assert counted.bytes < 500_000
    assert flaky.count["PUT"] >= 2
    for headers in flaky.seen:
        assert int(headers["Content-Length"]) > 61
        assert not {"Content-Type", "Expect", "Transfer-Encoding", "Authorization"} & headers.keys()
    stream.close()
    assert everything(spool) == []
    assert notes == []


def test_a_spool_that_refuses_cuts_and_expires_over_a_link_that_loses(
    start: StartProgram, spool: S3Spool, flaky: FlakyHttp
) -> None:
    flaky.faults = Faults(refuse_put=10, refuse_get=10, cut=9, expired=7, delay=0.01)
    lossy = LossyStream(start(), Losses(0.01, 0.01, 0.01, piece=2048, seed=5))
    stream = EnvelopeStream(lossy, "pc", spool=spool, segment=256 * 1024, deadlines=QUICK)
    sent = content(8_000_000)
    assert echo(stream, sent) == sent
    assert stream.inline_because is None
    assert min(flaky.count[fault] for fault in ("refused", "cut", "expired")) >= 2
    stream.close()
    assert everything(spool) == []


def test_a_spool_that_breaks_in_the_middle(start: StartProgram, spool: S3Spool, flaky: FlakyHttp) -> None:
    flaky.faults = Faults(refuse_after=9)
    notes: list[str] = []
    stream = EnvelopeStream(start(), "pc", spool=spool, segment=512 * 1024, on_note=notes.append)
    sent = content(7_000_000)
    assert echo(stream, sent) == sent
    assert flaky.count["passed"] == 9
    assert stream.inline_because == "the host cannot use it: HTTP status 503 SlowDown"
    assert len(notes) == 1
    assert "slow" in notes[0]
    stream.close()
    assert everything(spool) == []


def test_a_spool_that_the_host_cannot_reach(start: StartProgram, s3_location: str) -> None:
    store = S3Spool(parse_s3_location(s3_location.removeprefix("s3:")), reach="http://127.0.0.1:9")
    stream = EnvelopeStream(start(), "pc", spool=store, segment=MIB)
    sent = content(3_000_000)
    assert echo(stream, sent) == sent
    assert stream.inline_because == "the host cannot use it: no connection to the S3 server"
    stream.close()
    store.close()


def test_a_spool_that_sends_the_host_elsewhere(start: StartProgram, spool: S3Spool, flaky: FlakyHttp) -> None:
    flaky.faults = Faults(moved=True)
    stream = EnvelopeStream(start(), "pc", spool=spool, segment=MIB)
    sent = content(3_000_000)
    assert echo(stream, sent) == sent
    assert stream.inline_because == "the host cannot use it: HTTP status 307"
    stream.close()


def test_a_proxy_on_the_way_to_the_spool(start: StartProgram, s3_location: str, flaky: FlakyHttp) -> None:
    # A name that only the proxy knows. For an address of this computer, .NET takes no proxy.
    store = S3Spool(parse_s3_location(s3_location.removeprefix("s3:")), reach="http://s3.school.test:9000")
    stream = EnvelopeStream(start(), "pc", spool=store, proxy=flaky.url.replace("//", "//a.ito:secret@"), segment=MIB)
    sent = content(3_000_000)
    assert echo(stream, sent) == sent
    assert stream.inline_because is None
    assert flaky.count["PUT"] >= 3
    assert flaky.count["passed"] == flaky.count["all"]
    stream.close()
    store.close()


def test_a_proxy_that_is_none(start: StartProgram, spool: S3Spool) -> None:
    stream = EnvelopeStream(start(), "pc", spool=spool, proxy="a proxy?", segment=MIB)
    sent = content(1_000_000)
    assert echo(stream, sent) == sent
    assert stream.inline_because == "the host cannot use it: the address of the proxy is none"
    stream.close()


def test_a_spool_that_the_worker_cannot_use(start: StartProgram, spool: S3Spool) -> None:
    stream = EnvelopeStream(start(), "pc", spool=ReadOnlySpool(spool), segment=MIB)
    sent = content(3_000_000)
    assert echo(stream, sent) == sent
    assert stream.inline_because == "this place is read-only"
    stream.close()


def test_a_segment_changed_on_its_way_to_the_worker_is_refused(start: StartProgram, spool: S3Spool) -> None:
    stream = EnvelopeStream(start(), "pc", spool=ChangingSpool(spool), segment=MIB)
    stream.write(b"produce 3000000 1\n")
    with pytest.raises(ProtocolError, match="changed on its way"):
        list(iter(lambda: stream.read(MIB), b""))
    stream.close()
    assert everything(spool) == []


def test_a_segment_changed_on_its_way_to_the_host_is_sent_inline(start: StartProgram, spool: S3Spool) -> None:
    stream = EnvelopeStream(start(), "pc", spool=ChangingSpool(spool), segment=MIB)
    sent = content(3_000_000)
    stream.write(b"digest\n")
    stream.write(sent)
    stream.finish_input()
    assert b"".join(iter(lambda: stream.read(100), b"")).decode() == hashlib.sha256(sent).hexdigest()
    assert stream.inline_because == "the host cannot use it: a segment was changed on its way"
    stream.close()


def test_the_helper_ends_when_the_worker_falls_silent(start: StartProgram) -> None:
    program = start(["10", "1000"])
    stream = EnvelopeStream(program, "pc", deadlines=Deadlines(heartbeat=1000.0, probe=1000.0))
    stream.write(b"digest\n")
    assert stream.wait(60) == 4
    assert "nothing was heard of the worker" in program.error_text()
    assert stream.read(10) == b""
    stream.close()


def test_work_that_is_broken_off_ends_the_helper_quickly(start: StartProgram) -> None:
    program = start()
    stream = EnvelopeStream(program, "pc")
    stream.write(b"produce 1000000000 1\n")
    assert len(stream.read(10)) == 10
    stream.close()
    # By itself, with its last words: "the worker takes no more".
    assert program.wait(60) == 3


def test_a_helper_that_is_killed_is_the_end(start: StartProgram) -> None:
    program = start()
    stream = EnvelopeStream(program, "pc")
    stream.write(b"echo\n" + b"x" * 1000)
    assert stream.read(10)
    os.kill(program._process.pid, signal.SIGKILL)
    assert len(b"".join(iter(lambda: stream.read(1000), b""))) <= 990
    with pytest.raises(HelperFailed):
        stream.write(b"more")
    assert stream.wait(60) == 137
    stream.close()


class CountingStream(LossyStream):
    """Counts what the link carries."""

    def __init__(self, inner: LocalStream) -> None:
        super().__init__(inner, Losses(piece=MIB))
        self.bytes = 0

    def write(self, data: Buffer) -> None:
        self.bytes += len(data)
        super().write(data)

    def read(self, limit: int) -> bytes:
        piece = super().read(limit)
        self.bytes += len(piece)
        return piece


class WrappedSpool:
    """The real spool, for the two below."""

    def __init__(self, inner: S3Spool) -> None:
        self.location = inner.location
        self.inner = inner

    def offer_put(self, name: str) -> str:
        return self.inner.offer_put(name)

    def offer_get(self, name: str) -> str:
        return self.inner.offer_get(name)

    def put(self, name: str, data: Buffer) -> None:
        self.inner.put(name, data)

    def take(self, name: str) -> bytes:
        return self.inner.take(name)

    def discard(self, name: str) -> None:
        self.inner.discard(name)

    def list(self, older_than: float) -> Iterator[str]:
        return self.inner.list(older_than)


class ReadOnlySpool(WrappedSpool):
    """Takes nothing from the worker."""

    def put(self, name: str, data: Buffer) -> None:
        raise HelperFailed("this place is read-only")


class ChangingSpool(WrappedSpool):
    """Changes one bit of whatever passes."""

    def put(self, name: str, data: Buffer) -> None:
        super().put(name, _changed(data))

    def take(self, name: str) -> bytes:
        return _changed(super().take(name))


def _changed(data: Buffer) -> bytes:
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)
