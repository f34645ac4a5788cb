"""Runs one Windows command line under Wine, as its own program, with binary-safe standard input and output.

``python wine_pipes.py LINE``; the environment is what ``wine.py`` has set. Wine gives a process a console only when one
of its standard handles is a terminal, and PowerShell without a console does nothing, silently. So standard error is a
pseudo-terminal here; what comes out of it is passed on without escape sequences.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
import threading
from pathlib import Path

_ESCAPES = re.compile(rb"\x1b\][^\x07]*\x07|\x1b\[[0-9;?]*[A-Za-z]|\r")
_FOR_CMD = re.compile(r"^\s*(echo|dir|type|set|ver|cd|mkdir|rd|rmdir|del|mklink)\b|[&|<>]", re.I)
#: What Wine itself says there.
_NOISE = re.compile(rb"^wine: (Read access denied for device|configuration in|created the configuration) .*$\n?", re.M)


def main() -> int:
    """Run the command line through cmd.exe and return its exit code."""
    line = sys.argv[1]
    environment = {**os.environ, "FIRSTBELL_LINE": line}
    # By a variable, which cmd expands before it parses: Wine would quote the line as one argument. Only behind "call"
    # does Wine's cmd look for its own commands and signs in it, and then the exit code is lost.
    command = "call %FIRSTBELL_LINE%" if _FOR_CMD.search(line) else "%FIRSTBELL_LINE%"
    # Not in a folder of this computer: a command that goes astray there would find what it can destroy.
    os.chdir(Path(os.environ["WINEPREFIX"], "drive_c"))
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    process = subprocess.Popen(["wine", "cmd", "/d", "/c", command], env=environment, stderr=slave)
    os.close(slave)
    # This process must not hold open what the program reads and writes: the other side waits for its end.
    os.close(0)
    os.close(1)
    drain = threading.Thread(target=_pass_on, args=(master,), daemon=True)
    drain.start()
    code = process.wait()
    drain.join(1)
    return code & 0xFF


def _pass_on(master: int) -> None:
    """Pass whole lines of the terminal on to standard error."""
    held = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the terminal is gone with its last process
            piece = b""
        held += piece
        lines, newline, rest = held.rpartition(b"\n")
        if not piece:
            lines, newline, rest = held, b"", b""
        text = _NOISE.sub(b"", _ESCAPES.sub(b"", lines + newline))
        if text:
            os.write(2, text)
        held = rest
        if not piece:
            return


if __name__ == "__main__":
    raise SystemExit(main())
