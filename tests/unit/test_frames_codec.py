"""The frame codec: whatever goes in comes out, and nothing else is let in."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import HelperFailed, ProtocolError
from tasks.remote.channels.stream import StreamChannel
from tasks.remote.frames import MAX_HEADER, MAX_PAYLOAD, Frame, decode_header, decode_path, encode_header, encode_path
from tasks.transports.base import Buffer, Stream

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_headers = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda key: key != "length"), _values, max_size=6
).map(lambda header: {**header, "t": "data"})


class CannedStream(Stream):
    """Gives out what it was made with in pieces of given sizes, and keeps what is written."""

    def __init__(self, output: bytes = b"", sizes: list[int] | None = None, code: int = 0, errors: str = "") -> None:
        self._output = output
        self._sizes = list(sizes or [])
        self._code = code
        self._errors = errors
        self.written = bytearray()

    def write(self, data: Buffer) -> None:
        self.written += data

    def read(self, limit: int) -> bytes:
        size = min(limit, self._sizes.pop() if self._sizes else limit)
        piece, self._output = self._output[:size], self._output[size:]
        return piece

    def finish_input(self) -> None:
        pass

    def wait(self, timeout: float) -> int:
        return self._code

    def error_text(self) -> str:
        return self._errors

    def close(self) -> None:
        pass


@given(_headers)
def test_header_comes_back(header: dict[str, object]) -> None:
    line = encode_header(header, 0)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert decode_header(line) == header


@given(st.binary(max_size=300))
def test_path_comes_back_through_json(path: bytes) -> None:
    assert decode_path(json.loads(json.dumps(encode_path(path)))) == path


@given(st.binary(max_size=200))
def test_noise_is_a_header_or_a_protocol_error(line: bytes) -> None:
    try:
        header = decode_header(line)
    except ProtocolError:
        return
    assert isinstance(header["t"], str)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]\n",
        b"{}\n",
        b'{"t":1}\n',
        b'{"t":"data","length":-1}\n',
        b'{"t":"data","length":true}\n',
        b'{"t":"data","length":1048577}\n',
        b'{"t":"data","length":"5"}\n',
    ],
)
def test_malformed_headers_are_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_header(line)


def test_limits_are_held_when_sending() -> None:
    assert encode_header({"t": "data"}, MAX_PAYLOAD)
    with pytest.raises(ProtocolError):
        encode_header({"t": "data"}, MAX_PAYLOAD + 1)
    with pytest.raises(ProtocolError):
        encode_header({"t": "data", "path": "x" * MAX_HEADER}, 0)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(_headers, st.binary(max_size=3000)), min_size=1, max_size=6),
    st.lists(st.integers(1, 700), max_size=60),
)
def test_frames_come_back_whatever_the_pieces(frames: list[tuple[dict[str, object], bytes]], sizes: list[int]) -> None:
    sender = CannedStream()
    StreamChannel(sender, "h").send_all([Frame(dict(header), payload) for header, payload in frames])
    channel = StreamChannel(CannedStream(bytes(sender.written), sizes), "h")
    for header, payload in frames:
        frame = channel.receive()
        frame.header.pop("length", None)
        assert frame.header == header
        assert bytes(frame.payload) == payload


def test_large_payloads_come_back_whatever_the_pieces() -> None:
    chance = random.Random(7)
    payloads = [chance.randbytes(size) for size in (MAX_PAYLOAD, 1, 70_000, 65_536, MAX_PAYLOAD - 1, 300_000)]
    sender = CannedStream()
    for payload in payloads:
        StreamChannel(sender, "h").send(Frame({"t": "data"}, payload))
    for sizes in ([], [chance.randrange(1, 400_000) for _ in range(200)], [4096] * 2000):
        channel = StreamChannel(CannedStream(bytes(sender.written), sizes), "h")
        assert [bytes(channel.receive().payload) for _ in payloads] == payloads


def test_what_was_read_before_is_not_lost() -> None:
    line = encode_header({"t": "data"}, 3)
    channel = StreamChannel(CannedStream(b"c" + encode_header({"t": "done"}, 0)), "h", line + b"ab")
    assert bytes(channel.receive().payload) == b"abc"
    assert channel.receive().type == "done"


def test_a_header_without_end_is_refused() -> None:
    channel = StreamChannel(CannedStream(b"{" * (2 * MAX_HEADER)), "h")
    with pytest.raises(ProtocolError):
        channel.receive()


def test_the_end_of_the_program_is_told_with_its_reason() -> None:
    channel = StreamChannel(CannedStream(b'{"t":"da', code=99, errors="firstbell helper: MemoryError"), "lab-1")
    with pytest.raises(HelperFailed, match=r"^lab-1: the helper failed; it said: firstbell helper: MemoryError$"):
        channel.receive()
