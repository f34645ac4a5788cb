"""The computer under test: small PowerShell programs on it (probes), and the helper."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tasks.errors import FirstbellError, Timeout, TransportError
from tasks.remote.filesystem import RemoteHost
from tasks.transports.base import Stream, Transport

if TYPE_CHECKING:
    from tasks.transports.ssh import SshTransport

_PROBES = Path(__file__).with_name("probes")
_FULL_PATH = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
#: Free of whatever any shell on the way could mistake: it travels as base64. It reads its script from standard input.
_BOOTSTRAP = (
    "$ProgressPreference='SilentlyContinue';$i=[Console]::OpenStandardInput();$b=New-Object byte[] {size};$o=0;"
    "while($o -lt {size}){{$r=$i.Read($b,$o,{size}-$o);if($r -le 0){{break}};$o+=$r}};"
    ". ([ScriptBlock]::Create([Text.Encoding]::UTF8.GetString($b)))"
)
_PRELUDE = """\
$ErrorActionPreference = 'Stop'
$FieldInput = $i
$FieldOutput = [Console]::OpenStandardOutput()
$Values = ConvertFrom-Json ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('{values}')))
function Tell($Value) {{
    $json = ConvertTo-Json -InputObject $Value -Depth 6 -Compress
    $text = [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json))
    $bytes = [Text.Encoding]::ASCII.GetBytes("`nfirstbell-field {token} $text`n")
    $FieldOutput.Write($bytes, 0, $bytes.Length)
    $FieldOutput.Flush()
}}
try {{
{script}
}} catch {{ Tell @{{ failed = "$_" }} }}
"""


class ProbeError(Exception):
    """A probe did not work: what it said instead."""


@dataclass
class Said:
    """What came back of a probe: what it told, all that it wrote, its standard error, exit code and seconds."""

    told: list[dict[str, Any]]
    output: bytes
    errors: str
    code: int
    seconds: float

    def one(self) -> dict[str, Any]:
        """Return the last that it told. Raises ``ProbeError`` when it told nothing, or that it failed."""
        if not self.told:
            words = self.errors or self.output[:300].decode("utf-8", "replace")
            raise ProbeError(f"the program on the computer ended with {self.code} and told nothing: {words[:400]}")
        if "failed" in self.told[-1]:
            raise ProbeError(str(self.told[-1]["failed"]))
        return self.told[-1]


@dataclass
class Pc:
    """How the computer is reached. ``kind`` is ``winrm``, ``ssh``, or the name of something that only looks like it."""

    kind: str
    #: Returns an open link of its own; who asks closes it.
    new_link: Callable[[], Transport]
    #: Starts the helper and ends it.
    connect: Callable[[], AbstractContextManager[RemoteHost]]
    _link: Transport | None = field(default=None, repr=False)

    def link(self) -> Transport:
        """Return the link that probes share."""
        if self._link is None:
            self._link = self.new_link()
        return self._link

    def close(self) -> None:
        """Close that link."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _start(self, link: Transport, *arguments: str) -> Stream:
        """Start PowerShell; none of the arguments needs quotes."""
        argv = [_FULL_PATH, "-NoLogo", "-NoProfile", "-NonInteractive", *arguments]
        if self.kind == "ssh":
            # cmd.exe takes the line as it is; it does not know the quotes of POSIX shells.
            return cast("SshTransport", link).start_line(" ".join(argv))
        return link.start(argv)

    def begin(self, probe: str, values: Mapping[str, Any] | None = None, link: Transport | None = None) -> Probe:
        """Start a probe, a file of ``probes/``, and leave it running."""
        token = secrets.token_hex(8)
        told = base64.b64encode(json.dumps(dict(values or {})).encode()).decode("ascii")
        text = (_PROBES / f"{probe}.ps1").read_text(encoding="utf-8")
        script = _PRELUDE.format(values=told, token=token, script=text).encode()
        boot = base64.b64encode(_BOOTSTRAP.format(size=len(script)).encode("utf-16-le")).decode("ascii")
        for last in (False, True):
            try:
                stream = self._start(link or self.link(), "-InputFormat", "None", "-EncodedCommand", boot)
                stream.write(script)
                return Probe(stream, token)
            except TransportError:
                # The shared link may have been cut meanwhile: once anew.
                if last or link is not None:
                    raise
                self.close()
        raise AssertionError

    def run(
        self, probe: str, values: Mapping[str, Any] | None = None, *, payload: bytes = b"", timeout: float = 120.0
    ) -> Said:
        """Run a probe to its end, with ``payload`` behind its script on standard input."""
        return self.begin(probe, values).finish(payload, timeout)

    def ask(self, probe: str, values: Mapping[str, Any] | None = None, timeout: float = 120.0) -> dict[str, Any]:
        """Run a probe and return what it told. Raises ``ProbeError``."""
        return self.run(probe, values, timeout=timeout).one()

    def start_plain(self, *arguments: str) -> Said:
        """Run PowerShell with these arguments, none of which needs quotes."""
        return Probe(self._start(self.link(), *arguments), "").finish(b"", 60.0)


class Probe:
    """A probe that runs."""

    def __init__(self, stream: Stream, token: str) -> None:
        self._stream = stream
        self._mark = f"firstbell-field {token} ".encode()
        self._output = b""
        self._started = time.monotonic()

    def wait_for(self, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until it has told something more, and return the last of it; it goes on running."""
        before = len(self._told())
        deadline = time.monotonic() + timeout
        while len(self._told()) == before:
            if time.monotonic() > deadline:
                raise ProbeError(f"the program on the computer told nothing within {timeout:.0f} s")
            piece = self._stream.read(65536)
            if not piece:
                break
            self._output += piece
        return Said(self._told(), self._output, self._stream.error_text(), 0, 0.0).one()

    def finish(self, payload: bytes = b"", timeout: float = 60.0) -> Said:
        """Send the rest of its input, close that, and take everything until it ends."""
        trouble: list[FirstbellError] = []

        def send() -> None:
            try:
                for at in range(0, len(payload), 262_144):
                    self._stream.write(payload[at : at + 262_144])
                self._stream.finish_input()
            except FirstbellError as error:
                trouble.append(error)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        deadline = self._started + timeout
        pieces = [self._output]
        try:
            while piece := self._stream.read(262_144):
                pieces.append(piece)
                if time.monotonic() > deadline:
                    raise Timeout(f"the program on the computer did not end within {timeout:.0f} s")
            sender.join(timeout)
            code = self._stream.wait(30.0)
            self._output = b"".join(pieces)
            seconds = time.monotonic() - self._started
            if trouble and not self._told():
                raise trouble[0]
            return Said(self._told(), self._output, self._stream.error_text(), code, seconds)
        finally:
            self._stream.close()

    def close(self) -> None:
        """End it."""
        self._stream.close()

    def _told(self) -> list[dict[str, Any]]:
        told = []
        for line in self._output.split(b"\n")[:-1]:
            if line.startswith(self._mark):
                told.append(json.loads(base64.b64decode(line[len(self._mark) :])))
        return told
