"""Runs one command of the stock restic client: lines as they come, a time limit, an orderly end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from tasks.errors import RepositoryError, StoreUnavailable, ToolMissing

#: How to get the program, for messages.
CURE: Final = "Install restic 0.14 or newer (apt install restic, brew install restic, https://restic.net)."
#: Lines of output that are kept; callers that want more listen.
_KEPT_LINES: Final = 20_000
#: Seconds for restic to remove its lock after it was interrupted.
_GRACE: Final = 15.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended: its exit code and the lines it wrote, secrets replaced."""

    code: int
    output: tuple[str, ...]
    errors: tuple[str, ...]


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    time_limit: float,
    secrets: Iterable[str] = (),
    report: Callable[[str], None] | None = None,
) -> Finished:
    """Run a program to its end; ``report`` gets each line of both streams, from two threads.

    When the time limit passes, or the caller is interrupted, restic is interrupted as by Ctrl-C, so that it takes its
    lock away, and killed when that does not help.

    Raises:
        ToolMissing: the program is not there.
        StoreUnavailable: the time limit, in seconds, passed.
    """
    hide = tuple(secret for secret in secrets if secret)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except (FileNotFoundError, PermissionError) as error:
        raise ToolMissing("the restic client is not installed on this computer", hint=CURE) from error
    output: deque[str] = deque(maxlen=_KEPT_LINES)
    errors: deque[str] = deque(maxlen=_KEPT_LINES)
    readers = [
        threading.Thread(target=_read, args=(stream, kept, hide, report), daemon=True)
        for stream, kept in ((process.stdout, output), (process.stderr, errors))
    ]
    for reader in readers:
        reader.start()
    try:
        code = process.wait(time_limit)
    except subprocess.TimeoutExpired as error:
        raise StoreUnavailable(f"restic did not end within {time_limit:.0f} s, and was stopped") from error
    finally:
        _end(process)
        for reader in readers:
            reader.join(_GRACE)
    return Finished(code, tuple(output), tuple(errors))


def _read(
    stream: IO[str] | None, kept: deque[str], hide: tuple[str, ...], report: Callable[[str], None] | None
) -> None:
    if stream is None:
        raise RepositoryError("restic was started without its output")
    with stream:
        for raw in stream:
            line = raw.rstrip("\r\n")
            for secret in hide:
                line = line.replace(secret, "[secret]")
            kept.append(line)
            if report:
                report(line)


def _end(process: subprocess.Popen[str]) -> None:
    """Make sure that the process and its children are gone."""
    if process.poll() is None:
        _signal(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    if process.poll() is None:
        _signal(process.pid, signal.SIGKILL)
        process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)
