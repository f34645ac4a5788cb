r"""From an argument list to the command line that a WinRM shell gives to cmd.exe.

Two readers come one after the other. cmd.exe takes what its operators and ``%name%`` mean; then the program takes its
line apart by the rules of CommandLineToArgvW. An argument without ``"``, ``%`` and ``!`` is safe inside plain quotes;
of any other, each special character gets a caret, the quotes too, so that cmd.exe never believes itself inside quotes,
where carets do not count. ``^%`` is no escape to cmd.exe, but splits the name: ``%PATH^%`` names no variable.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import Final

from tasks.errors import HelperFailed

#: The longest command line that cmd.exe takes, in characters (learn.microsoft.com, "Command prompt line string
#: limitation").
LONGEST: Final = 8191

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:\\/+~@#$*?\-]+")
_SPECIAL: Final = re.compile(r'[()%!^"<>&|]')
#: What no XML, or no command line, can hold.
_IMPOSSIBLE: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def command_line(argv: Sequence[str], host: str) -> str:
    """Return the command line whose program gets exactly these arguments.

    Raises ``HelperFailed`` when there is none: too long, or with a character that cannot be passed on.
    """
    for argument in argv:
        if match := _IMPOSSIBLE.search(argument):
            raise HelperFailed(
                f"the character {match[0]!r} cannot be in a command line of Windows",
                hint="This is a fault of firstbell: what a program is told goes through its input.",
                host=host,
            )
    program, *arguments = argv
    line = " ".join([_program(program), *map(_argument, arguments)])
    if len(line) > LONGEST:
        raise HelperFailed(
            f"the command line has {len(line)} characters, and cmd.exe takes {LONGEST}",
            hint="This is a fault of firstbell: what is long goes through the program's input.",
            host=host,
        )
    return line


def _program(program: str) -> str:
    """Return the program as the first word; a line that begins with a quote would lose it to cmd.exe's /C.

    ``@`` in front, which only says not to echo, prevents that.
    """
    return program if _PLAIN.fullmatch(program) and not program.startswith("@") else f"@{_quoted(program)}"


def _argument(argument: str) -> str:
    return argument if _PLAIN.fullmatch(argument) else _quoted(argument)


def _quoted(argument: str) -> str:
    # list2cmdline leaves quotes off where only CommandLineToArgvW would not need them.
    quoted = subprocess.list2cmdline([argument])
    if not quoted.startswith('"'):
        # Backslashes before the closing quote count twice.
        ending = argument[len(argument.rstrip("\\")) :]
        quoted = f'"{quoted}{ending}"'
    if any(character in argument for character in '"%!'):
        return _SPECIAL.sub(r"^\g<0>", quoted)
    return quoted
