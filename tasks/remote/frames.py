"""The frame: one line of JSON, then ``length`` raw bytes. ``PROTOCOL.md`` is the contract."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tasks.errors import ProtocolError

PROTOCOL_VERSION: Final = 1
#: Largest header line, newline included, in bytes.
MAX_HEADER: Final = 64 * 1024
#: Largest payload, in bytes.
MAX_PAYLOAD: Final = 1024 * 1024

Buffer = bytes | bytearray | memoryview

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


class Frame(NamedTuple):
    """A header, and the payload that follows it."""

    header: dict[str, Any]
    payload: Buffer = b""

    @property
    def type(self) -> str:
        """Return the type of the frame, the header's ``t``."""
        return str(self.header["t"])


def encode_header(header: Mapping[str, Any], payload_length: int) -> bytes:
    """Return the header line of a frame. Raises ``ProtocolError`` when header or payload are too large."""
    fields = dict(header)
    if payload_length:
        if payload_length > MAX_PAYLOAD:
            raise ProtocolError(f"a frame's payload of {payload_length} bytes exceeds {MAX_PAYLOAD}")
        fields["length"] = payload_length
    line = _encode(fields).encode("ascii") + b"\n"
    if len(line) > MAX_HEADER:
        raise ProtocolError(f"a frame's header of {len(line)} bytes exceeds {MAX_HEADER}")
    return line


def decode_header(line: Buffer) -> dict[str, Any]:
    """Return the header of a frame from its line. Raises ``ProtocolError`` when it is not one."""
    try:
        header = json.loads(bytes(line))
    except ValueError as error:
        raise ProtocolError(f"a frame's header is not JSON: {bytes(line[:80])!r}") from error
    if not isinstance(header, dict) or not isinstance(header.get("t"), str):
        raise ProtocolError(f"a frame's header has no type: {bytes(line[:80])!r}")
    length = header.get("length", 0)
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= MAX_PAYLOAD:
        raise ProtocolError(f"a frame's length is {length!r}")
    return header


def encode_path(path: bytes) -> str | dict[str, str]:
    """Return a path or name as the protocol writes it: text when it is UTF-8, else base64 of its bytes."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(path).decode("ascii")}


def decode_path(value: object) -> bytes:
    """Return the raw bytes of a path or name. Raises ``ProtocolError`` when ``value`` is none."""
    if isinstance(value, str):
        # A Windows name may hold a lone surrogate; it keeps its WTF-8 bytes.
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        return base64.b64decode(value["b64"], validate=True)
    raise ProtocolError(f"not a path: {value!r}")
