"""The first words of a helper that was just started, behind whatever else its host says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tasks.errors import HelperFailed, ProtocolError, Timeout
from tasks.remote.channels.base import Channel
from tasks.remote.exit_codes import OTHER_VERSION, failure
from tasks.remote.facts import Hello, hello_of
from tasks.remote.frames import PROTOCOL_VERSION
from tasks.transports.base import Stream

#: What may come before the helper's first word: banners, greetings. In bytes.
MAX_NOISE: Final = 64 * 1024
#: How long a program whose output has ended may take to end, in seconds.
_GRACE: Final = 5.0
_SILENCE: Final = "Make the account's login shell silent for programs (look at .bashrc), and let it run /bin/sh."


class Ended(NamedTuple):
    """A program that ended without a word of the helper: its exit code, and what it said instead."""

    code: int
    heard: bytes


def after_noise(
    stream: Stream,
    token: str,
    host: str,
    *,
    hint: str = _SILENCE,
    also: Callable[[bytes], int] | None = None,
) -> bytes | Ended:
    """Return what was read behind the line that ends the noise, or how the program ended when none came.

    ``also`` may tell another place in what was heard where the helper begins, -1 when there is none.
    """
    mark = b"\nfirstbell-helper " + token.encode("ascii") + b"\n"
    # PowerShell and what is between may end lines as Windows does.
    windows_mark = mark.replace(b"\n", b"\r\n")
    heard = b""
    while True:
        piece = stream.read(MAX_NOISE)
        if not piece:
            try:
                return Ended(stream.wait(_GRACE), heard)
            except Timeout:
                return Ended(0, heard)
        heard += piece
        for one in (mark, windows_mark):
            at = heard.find(one)
            if at >= 0:
                return heard[at + len(one) :]
        at = also(heard) if also is not None else -1
        if at >= 0:
            return heard[at:]
        if len(heard) > MAX_NOISE + len(mark):
            raise HelperFailed(
                f"instead of the helper, the host sent {heard[:80].decode('utf-8', 'replace')!r}", hint=hint, host=host
            )


def greeting(channel: Channel, host: str) -> Hello:
    """Return how the helper introduces itself in its first frame.

    Raises ``HelperFailed`` when it is of another version, ``ProtocolError`` when it is no helper of ours.
    """
    frame = channel.receive()
    if frame.type == "error" and frame.header.get("code") == "version":
        raise failure(OTHER_VERSION, str(frame.header.get("message", "")), host)
    hello = hello_of(frame, host)
    if frame.header.get("v") != PROTOCOL_VERSION:
        raise ProtocolError(f"the helper speaks version {frame.header.get('v')!r}", host=host)
    return hello
