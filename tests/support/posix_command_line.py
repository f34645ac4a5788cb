"""Runs a Windows command line on this computer: taken apart as cmd.exe and a Windows program do, then by ``sh``.

For tests that need a command line to be quoted right, and a program behind it, but no Windows.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping

_PASSED = ("HOME", "LANG", "PATH", "TMPDIR")
_OPERATORS = "&|<>()"


class NotOneCommand(ValueError):
    """cmd.exe would not run this line as one program."""


def through_cmd(line: str, variables: Mapping[str, str]) -> str:
    """Return what ``cmd.exe /C line`` hands on to the program. Raises ``NotOneCommand``.

    Its phases (Microsoft's "cmd" page and SS64's "How does the command line work"): outer quotes go when the line
    begins with one; ``%name%`` is replaced also inside quotes, and stays when there is no such variable; outside of
    quotes, ``^`` takes the next character as it is, and operators begin something else.
    """
    if len(line) > 8191:
        raise NotOneCommand("longer than cmd.exe takes")
    if line.startswith('"'):
        first, _, last = line[1:].rpartition('"')
        line = first + last
    line = _expand(line, {name.upper(): value for name, value in variables.items()}).lstrip("@ ")
    result, quoted, position = "", False, 0
    while position < len(line):
        character = line[position]
        if character == "^" and not quoted:
            position += 1
            character = line[position : position + 1]
        elif character == '"':
            quoted = not quoted
        elif character in "\r\n" or (character in _OPERATORS and not quoted):
            raise NotOneCommand(f"{character!r} at {position} of {line!r}")
        result += character
        position += 1
    return result


def _expand(line: str, variables: Mapping[str, str]) -> str:
    result = ""
    while "%" in line:
        before, _, rest = line.partition("%")
        name, closing, after = rest.partition("%")
        if closing and name.upper() in variables:
            result, line = result + before + variables[name.upper()], after
        else:
            # Interactive mode, which /C is: the sign stays, and the next one may begin a name.
            result, line = result + before + "%", rest
    return result + line


def split(line: str) -> list[str]:
    """Return the arguments that CommandLineToArgvW finds in a command line."""
    if line.startswith('"'):
        program, _, line = line[1:].partition('"')
    else:
        program = re.split(r"[ \t]", line, maxsplit=1)[0]
        line = line[len(program) :]
    arguments, current, started, quoted, position = [program], "", False, False, 0
    while position < len(line):
        character = line[position]
        if character in " \t" and not quoted:
            if started:
                arguments.append(current)
            current, started = "", False
            position += 1
            continue
        started = True
        slashes = 0
        while line[position : position + 1] == "\\":
            slashes, position = slashes + 1, position + 1
        if line[position : position + 1] == '"':
            current += "\\" * (slashes // 2)
            if slashes % 2:
                current += '"'
            elif quoted and line[position + 1 : position + 2] == '"':
                current, position = current + '"', position + 1
            else:
                quoted = not quoted
            position += 1
        elif slashes:
            current += "\\" * slashes
        else:
            current, position = current + character, position + 1
    return [*arguments, current] if started else arguments


def run(line: str) -> subprocess.Popen[bytes]:
    """Start what a command line says, in a process group of its own."""
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@"', "sh", *split(through_cmd(line, environment))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
