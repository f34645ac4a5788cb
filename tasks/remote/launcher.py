"""Start the helper on a host: find an interpreter, send it the helper, shake hands.

Nothing is written to the host's disk. ``transport.start`` runs one line of POSIX shell, which finds a Python and
replaces itself by it; that Python reads the helper's text from standard input and runs it.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from tasks.errors import HelperFailed, ProtocolError, Timeout, TransportError
from tasks.remote.channels.base import Channel
from tasks.remote.channels.stream import StreamChannel
from tasks.remote.exit_codes import NO_COMMAND, NO_INTERPRETER, NO_SHELL, OTHER_VERSION, failure
from tasks.remote.facts import Hello, hello_of
from tasks.remote.frames import PROTOCOL_VERSION, Frame, encode_header
from tasks.transports.base import Stream, Transport

if TYPE_CHECKING:
    from tasks.transports.ssh import SshTransport

Become = Literal["sudo"]

#: What may come before the helper's first word: banners, greetings. In bytes.
MAX_NOISE: Final = 64 * 1024
#: Exit codes of a server that starts its own program instead of ours, such as one for SFTP only. It says nothing on
#: standard error then; our programs do when they fail.
_NO_PROGRAMS: Final = (0, 1, 254, 255)
#: How long a program whose output has ended may take to end, in seconds.
_GRACE: Final = 5.0

# One line, without "!": the login shell that passes it on may be csh. The interpreter is tried before it replaces the
# shell. On macOS /usr/bin/python3 is a stub: without the developer tools it would open a dialog on the user's screen.
_FIND_PYTHON: Final = (
    "for p in python3 /usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3 /opt/local/bin/python3"
    " /usr/libexec/platform-python; do"
    ' p=$(command -v "$p" 2>/dev/null) || continue;'
    ' case "$p" in /usr/bin/python3) if [ "$(uname -s)" = Darwin ]; then'
    " xcode-select -p >/dev/null 2>&1 || continue; fi;; esac;"
    ' "$p" -I -S -B -c "import sys; sys.exit(sys.version_info < (3, 6))" </dev/null >/dev/null 2>&1 || continue;'
    ' exec "$p" -I -S -B -c "$@"; done;'
    ' echo "no python3 of version 3.6 or newer" >&2; exit 97'
)
# READER has perhaps read more than the helper's text: the first frames.
_BOOTSTRAP: Final = (
    'import sys; r=open(0,"rb",262144,closefd=False); s=r.read(int(sys.argv[1])); '
    'exec(compile(s,"firstbell-helper","exec"),{"__name__":"firstbell","READER":r,"TOKEN":sys.argv[2]})'
)
_BECOME_ROOT: Final = (
    'if [ "$(id -u)" = 0 ]; then exec "$@"; fi; command -v sudo >/dev/null 2>&1 || exit 96; exec sudo -n -- "$@"'
)


def launch(transport: Transport, *, become: str | None = None) -> tuple[Channel, Hello]:
    """Start the helper over an open transport and return the channel to it and how it introduced itself.

    ``become="sudo"`` runs it as root. An SSH host without Python, or one whose accounts may start no programs, is
    served over SFTP instead, as the account itself.

    Raises:
        HelperFailed: it could not be started; the hint says what to do on the host.
        Timeout, Unreachable: the host does not answer.
    """
    if become not in (None, "sudo"):
        raise ValueError(f"cannot become root by {become!r}")
    source = _helper_source()
    token = secrets.token_hex(8)
    argv = ["/bin/sh", "-c", _FIND_PYTHON, "sh", _BOOTSTRAP, str(len(source)), token]
    if become:
        argv = ["/bin/sh", "-c", _BECOME_ROOT, "sh", *argv]
    stream = transport.start(argv)
    try:
        # An interpreter that ended already takes no input; what it said and its exit code are told below.
        with contextlib.suppress(HelperFailed):
            stream.write(source + encode_header({"t": "hello", "id": 0, "v": PROTOCOL_VERSION}, 0))
        begun = _after_noise(stream, token, transport.host)
        if not isinstance(begun, _Ended):
            channel = StreamChannel(stream, transport.host, begun)
            return channel, _greeting(channel, transport.host)
        said = stream.error_text() or begun.heard.decode("utf-8", "replace")
        error = failure(begun.code, said, transport.host)
        runs_programs = begun.code not in _NO_PROGRAMS or bool(stream.error_text())
    except BaseException:
        stream.close()
        raise
    stream.close()
    if become or transport.identity().kind != "ssh-host-key":
        raise error
    if runs_programs and begun.code not in (NO_INTERPRETER, NO_SHELL, NO_COMMAND):
        raise error
    try:
        return _over_sftp(transport)
    except TransportError as second:
        raise error from second


@cache
def _helper_source() -> bytes:
    return resources.files("tasks.remote").joinpath("posix_helper.py").read_bytes()


class _Ended(NamedTuple):
    """A program that ended without a word of the helper: its exit code, and what it said instead."""

    code: int
    heard: bytes


def _after_noise(stream: Stream, token: str, host: str) -> bytes | _Ended:
    """Return what was read behind the line that ends the noise, or how the program ended when none came."""
    mark = b"\nfirstbell-helper " + token.encode("ascii") + b"\n"
    heard = b""
    while True:
        piece = stream.read(MAX_NOISE)
        if not piece:
            try:
                return _Ended(stream.wait(_GRACE), heard)
            except Timeout:
                return _Ended(0, heard)
        heard += piece
        at = heard.find(mark)
        if at >= 0:
            return heard[at + len(mark) :]
        if len(heard) > MAX_NOISE + len(mark):
            raise HelperFailed(
                f"instead of the helper, the host sent {_excerpt(heard)}",
                hint="Make the account's login shell silent for programs (look at .bashrc), and let it run /bin/sh.",
                host=host,
            )


def _greeting(channel: Channel, host: str) -> Hello:
    frame = channel.receive()
    if frame.type == "error" and frame.header.get("code") == "version":
        raise failure(OTHER_VERSION, str(frame.header.get("message", "")), host)
    hello = hello_of(frame, host)
    if frame.header.get("v") != PROTOCOL_VERSION:
        raise ProtocolError(f"the helper speaks version {frame.header.get('v')!r}", host=host)
    return hello


def _over_sftp(transport: Transport) -> tuple[Channel, Hello]:
    from tasks.remote.channels.sftp import SftpChannel

    channel = SftpChannel(cast("SshTransport", transport))
    try:
        channel.send(Frame({"t": "hello", "id": 0, "v": PROTOCOL_VERSION}))
        return channel, _greeting(channel, transport.host)
    except BaseException:
        channel.close()
        raise


def _excerpt(heard: bytes) -> str:
    return repr(heard[:80].decode("utf-8", "replace"))


__all__: Sequence[str] = ("MAX_NOISE", "Become", "launch")
