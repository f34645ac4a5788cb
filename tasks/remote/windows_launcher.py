r"""Start the helper on Windows: PowerShell reads its text from standard input and runs it.

Nothing is written to the host's disk. The command line holds a bootstrap that reads exactly as many bytes as the text
has, so that what follows on standard input is left to the helper. It passes through cmd.exe on its way, and has none of
the characters that cmd.exe looks for.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal, cast

from tasks.errors import HelperFailed, Timeout, TransportError
from tasks.remote.channels.base import Channel
from tasks.remote.channels.envelope import EnvelopeStream
from tasks.remote.channels.lines import decode_line
from tasks.remote.channels.stream import StreamChannel
from tasks.remote.exit_codes import RESTRICTED, failure
from tasks.remote.facts import Hello
from tasks.remote.frames import PROTOCOL_VERSION, encode_header
from tasks.remote.handshake import Ended, after_noise, greeting
from tasks.transports.base import Stream, Transport

if TYPE_CHECKING:
    from tasks.backends.spool import SpoolStore
    from tasks.transports.ssh import SshTransport

#: How the helper's output travels: as bytes, or as checked lines (``channels/envelope.py``).
Mode = Literal["frames", "lines"]

#: Every Windows has it there; PATH is the account's own.
POWERSHELL: Final = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"

_BOOTSTRAP: Final = (
    "if($ExecutionContext.SessionState.LanguageMode -ne 'FullLanguage'){{exit {restricted}}};"
    "$ProgressPreference='SilentlyContinue';"
    "$i=[Console]::OpenStandardInput();$n={length};$b=New-Object byte[] $n;$k=0;"
    "while($k -lt $n){{$r=$i.Read($b,$k,$n-$k);if($r -le 0){{exit 0}};$k+=$r}};"
    ". ([ScriptBlock]::Create([Text.Encoding]::ASCII.GetString($b))) '{token}' '{mode}' $i"
)
_FORBIDDEN: Final = frozenset('%"&|<>^!')
#: How often the start is tried anew when the link was interrupted meanwhile.
_TRIES: Final = 4
_HINT: Final = "Start PowerShell there by hand, with the same account, and look at what it says."


@dataclass(frozen=True, slots=True)
class Spooling:
    """Where bulk passes between a worker and a host whose link is slow.

    ``proxy`` is how the host reaches the store: an address, ``system``, or None for directly. ``on_note`` is told, in a
    sentence, when it cannot; by another thread.
    """

    store: SpoolStore
    proxy: str | None = None
    on_note: Callable[[str], None] | None = None


def launch_windows(
    transport: Transport, *, become: str | None = None, spooling: Spooling | None = None
) -> tuple[Channel, Hello]:
    """Start the helper on a Windows host and return the channel to it and how it introduced itself.

    Over a link that may lose or repeat pieces, the frames travel in checked lines, and what is large through the spool.

    Raises:
        HelperFailed: it could not be started; the hint says what to do on the host.
        Timeout, Unreachable: the host does not answer.
    """
    if become:
        raise HelperFailed(
            f"there is no {become} on Windows",
            hint="Leave 'become' out of the inventory, and let the account be an administrator.",
            host=transport.host,
        )
    for _ in range(_TRIES - 1):
        started = _Start(transport, spooling)
        try:
            return started.run()
        except TransportError:
            # A text of which a piece is missing or came twice is no helper: begin anew.
            if not started.interrupted:
                raise
    return _Start(transport, spooling).run()


class _Start:
    """One try to start the helper."""

    def __init__(self, transport: Transport, spooling: Spooling | None) -> None:
        self.interrupted = False
        self._transport = transport
        self._spooling = spooling
        self._token = secrets.token_hex(8)

    def run(self) -> tuple[Channel, Hello]:
        """Start it. ``interrupted`` says afterwards whether the link was, so that a failure says little."""
        mode: Mode = "frames" if self._transport.reliable else "lines"
        host = self._transport.host
        stream = self._begin(command(self._token, mode))
        try:
            stream.on_recovered = self._on_recovered
            begun = self._send_text(stream, _first_line if mode == "lines" else None)
            stream.on_recovered = None
            carrier = stream if mode == "frames" else self._envelope(stream, begun)
            channel = StreamChannel(carrier, host, begun if mode == "frames" else b"")
        except BaseException:
            stream.close()
            raise
        try:
            carrier.write(encode_header({"t": "hello", "id": 0, "v": PROTOCOL_VERSION}, 0))
            return channel, greeting(channel, host)
        except BaseException:
            channel.close()
            raise

    def _send_text(self, stream: Stream, also: Callable[[bytes], int] | None) -> bytes:
        """Send the helper; return what came behind its first sign of life."""
        host = self._transport.host
        text = source()
        # PowerShell that ended already takes no input; what it said and its exit code are told below.
        with contextlib.suppress(HelperFailed):
            stream.write(text)
        # A second copy of it does no harm: the helper takes none of it for a line of ours.
        if self.interrupted and len(text) > stream.unbroken:
            raise Timeout("the link was interrupted while the helper was sent", host=host)
        begun = after_noise(stream, self._token, host, hint=_HINT, also=also)
        if isinstance(begun, Ended):
            said = stream.error_text() or begun.heard.decode("utf-8", "replace")
            raise failure(begun.code, said, host)
        return begun

    def _begin(self, argv: Sequence[str]) -> Stream:
        if self._transport.identity().kind == "ssh-host-key":
            # Not quoted as for a POSIX shell: cmd.exe takes the line as it is, and PowerShell joins what is behind
            # -Command.
            return cast("SshTransport", self._transport).start_line(" ".join(argv))
        return self._transport.start(argv)

    def _on_recovered(self) -> None:
        self.interrupted = True

    def _envelope(self, stream: Stream, begun: bytes) -> EnvelopeStream:
        spooling = self._spooling
        return EnvelopeStream(
            stream,
            self._transport.host,
            begun=begun,
            spool=spooling.store if spooling else None,
            proxy=spooling.proxy if spooling else None,
            on_note=spooling.on_note if spooling else None,
        )


def _first_line(heard: bytes) -> int:
    """Return where a line of the helper begins: the mark before it may be lost where pieces of output can be."""
    at = 0
    while (end := heard.find(b"\n", at)) >= 0:
        if decode_line(heard[at:end]) is not None:
            return at
        at = end + 1
    return -1


def is_windows(transport: Transport) -> bool:
    """Return whether the host behind an SSH server without a POSIX shell is a Windows, by what its shell says.

    Raises ``HelperFailed`` when it is one whose shell takes standard input for itself.
    """
    stream = cast("SshTransport", transport).start_line("echo %OS% $env:OS")
    try:
        stream.finish_input()
        said = b""
        while piece := stream.read(4096):
            said += piece
    except TransportError:
        return False
    finally:
        stream.close()
    if b"Windows_NT" not in said:
        return False
    if b"%OS%" in said:
        raise HelperFailed(
            "PowerShell is the shell of the SSH server there, and would take the helper's input for itself",
            hint=(
                "Make cmd.exe its shell, as an administrator in PowerShell: Remove-ItemProperty -Path"
                r" HKLM:\SOFTWARE\OpenSSH -Name DefaultShell"
            ),
            host=transport.host,
        )
    return True


def command(token: str, mode: Mode) -> list[str]:
    """Return the program and its arguments that start the helper, once its ``source`` is written to it.

    ``-InputFormat None`` keeps PowerShell from reading standard input by itself.
    """
    bootstrap = _BOOTSTRAP.format(length=len(source()), token=token, mode=mode, restricted=RESTRICTED)
    if _FORBIDDEN & set(bootstrap) or len(bootstrap) > 2000:
        raise ValueError("the bootstrap does not pass through cmd.exe")
    arguments = ("-NoLogo", "-NoProfile", "-NonInteractive", "-InputFormat", "None", "-Command", bootstrap)
    return [POWERSHELL, *arguments]


@cache
def source() -> bytes:
    """Return the helper's text: its PowerShell with all of its C#, not indented.

    So it is short enough to pass through WinRM in one piece, which arrives whole or not at all.
    """
    folder = resources.files("tasks.remote").joinpath("windows")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".cs")), key=lambda file: file.name)
    csharp = "\n".join(file.read_text(encoding="ascii") for file in files)
    if "\n'@" in csharp:
        raise ValueError("the C# would end the text that holds it")
    script = folder.joinpath("helper.ps1").read_text(encoding="ascii")
    lines = script.replace("#CSHARP#", csharp, 1).splitlines()
    return "".join(line.strip() + "\n" for line in lines).encode("ascii")


__all__: Sequence[str] = ("POWERSHELL", "Mode", "Spooling", "command", "is_windows", "launch_windows", "source")
