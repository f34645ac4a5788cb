"""Start the helper on a host: find an interpreter, send it the helper, shake hands.

Nothing is written to the host's disk. ``transport.start`` runs one line of POSIX shell, which finds a Python and
replaces itself by it; that Python reads the helper's text from standard input and runs it. On Windows that is
``windows_launcher.py``'s matter.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal, cast

from tasks.errors import HelperFailed, TransportError
from tasks.remote.channels.base import Channel
from tasks.remote.channels.stream import StreamChannel
from tasks.remote.exit_codes import NO_COMMAND, NO_INTERPRETER, NO_SHELL, failure
from tasks.remote.facts import Hello
from tasks.remote.frames import PROTOCOL_VERSION, Frame, encode_header
from tasks.remote.handshake import Ended, after_noise, greeting
from tasks.transports.base import Transport

if TYPE_CHECKING:
    from tasks.remote.windows_launcher import Spooling
    from tasks.transports.ssh import SshTransport

Become = Literal["sudo"]
#: The parts of the helper for Linux and macOS, in ``posix/``; each names what stands before it.
_PARTS: Final = (
    "start",
    "frames",
    "paths",
    "entries",
    "walking",
    "reading",
    "new_files",
    "writing",
    "facts",
    "person",
    "serving",
)
#: Exit codes of a server that starts its own program instead of ours, such as one for SFTP only. It says nothing on
#: standard error then; our programs do when they fail.
_NO_PROGRAMS: Final = (0, 1, 254, 255)

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


def launch(
    transport: Transport, *, become: str | None = None, platform: str = "auto", spooling: Spooling | None = None
) -> tuple[Channel, Hello]:
    """Start the helper over an open transport and return the channel to it and how it introduced itself.

    ``become="sudo"`` runs it as root. An SSH host without Python, or one whose accounts may start no programs, is
    served over SFTP instead, as the account itself. ``platform`` is as in the inventory; with ``auto`` the link or what
    the host says to a POSIX shell tells whether it is a Windows. ``spooling`` says where bulk may pass to and from a
    Windows whose link is slow; others do not need it.

    Raises:
        HelperFailed: it could not be started; the hint says what to do on the host.
        Timeout, Unreachable: the host does not answer.
    """
    if become not in (None, "sudo"):
        raise ValueError(f"cannot become root by {become!r}")
    if platform == "windows" or (platform == "auto" and transport.platform == "windows"):
        from tasks.remote.windows_launcher import launch_windows

        return launch_windows(transport, become=become, spooling=spooling)
    source = helper_source()
    token = secrets.token_hex(8)
    argv = ["/bin/sh", "-c", _FIND_PYTHON, "sh", _BOOTSTRAP, str(len(source)), token]
    if become:
        argv = ["/bin/sh", "-c", _BECOME_ROOT, "sh", *argv]
    stream = transport.start(argv)
    try:
        # An interpreter that ended already takes no input; what it said and its exit code are told below.
        with contextlib.suppress(HelperFailed):
            stream.write(source + encode_header({"t": "hello", "id": 0, "v": PROTOCOL_VERSION}, 0))
        begun = after_noise(stream, token, transport.host)
        if not isinstance(begun, Ended):
            channel = StreamChannel(stream, transport.host, begun)
            return channel, greeting(channel, transport.host)
        said = stream.error_text() or begun.heard.decode("utf-8", "replace")
        error = failure(begun.code, said, transport.host)
        runs_programs = begun.code not in _NO_PROGRAMS or bool(stream.error_text())
    except BaseException:
        stream.close()
        raise
    stream.close()
    if transport.identity().kind != "ssh-host-key":
        raise error
    if platform == "auto" and begun.code not in (NO_INTERPRETER, NO_SHELL) and runs_programs:
        from tasks.remote.windows_launcher import is_windows, launch_windows

        if is_windows(transport):
            return launch_windows(transport, become=become, spooling=spooling)
    if become:
        raise error
    if runs_programs and begun.code not in (NO_INTERPRETER, NO_SHELL, NO_COMMAND):
        raise error
    try:
        return _over_sftp(transport)
    except TransportError as second:
        raise error from second


@cache
def helper_source() -> bytes:
    """Return the helper's text for Linux and macOS: its parts, joined."""
    folder = resources.files("tasks.remote").joinpath("posix")
    return b"\n\n".join(folder.joinpath(f"{part}.py").read_bytes() for part in _PARTS)


def _over_sftp(transport: Transport) -> tuple[Channel, Hello]:
    from tasks.remote.channels.sftp import SftpChannel

    channel = SftpChannel(cast("SshTransport", transport))
    try:
        channel.send(Frame({"t": "hello", "id": 0, "v": PROTOCOL_VERSION}))
        return channel, greeting(channel, transport.host)
    except BaseException:
        channel.close()
        raise


__all__: Sequence[str] = ("Become", "launch")
