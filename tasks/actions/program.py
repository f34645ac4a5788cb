"""Run a program on the worker: without a shell, with little of the worker's environment, and to an end in time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tasks.errors import ActionFailed, ActionUnknown
from tasks.transports.redact import Redactor

#: What a program gets of the worker's environment; the rest holds what opens repository and store.
_PASSED: Final = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "SSH_AUTH_SOCK", "TMPDIR", "TZ", "USER")
#: How much is kept of what it says, and how much of that is told: bytes, lines, characters.
_KEPT: Final = 64 * 1024
_LINES: Final = 20
_LONGEST: Final = 2000
#: How long a program may take to end after it was asked to, in seconds.
_GRACE: Final = 10.0
#: How long to wait for the last words of a program that has ended, but left something running.
_LAST_WORDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code, 128 + n for signal n, and the last lines of what it said, redacted."""

    code: int
    text: str


def run_program(
    argv: Sequence[str],
    *,
    host: str,
    timeout: float,
    environment: Mapping[str, str],
    redactor: Redactor,
    folder: Path | None = None,
) -> Ended:
    """Run a program to its end; ``timeout`` is in seconds, ``folder`` where it runs.

    Raises:
        ActionFailed: it could not be started.
        ActionUnknown: it was ended, with everything it had started, because its time was up.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**{name: os.environ[name] for name in _PASSED if name in os.environ}, **environment},
            cwd=folder,
            # A group of its own, so that all of it can be ended; and Ctrl-C at the worker's terminal does not cut it.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "an argument or variable cannot be passed on"
        raise ActionFailed(
            f"{argv[0]} could not be started: {reason}",
            hint="Nothing was started. Check that the program is on this worker and that its account may run it.",
            host=host,
        ) from None
    heard = _Heard(process.stdout, redactor)
    try:
        code = process.wait(timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        raise ActionUnknown(
            f"{Path(argv[0]).name} was ended after {_minutes(timeout)}, and nobody knows how far it came"
            + _said(heard.text()),
            hint="Look at the computer. A program that takes longer needs a longer 'timeout_minutes'.",
            host=host,
        ) from None
    except BaseException:
        # Nothing goes on that nobody watches.
        _end(process)
        raise
    finally:
        heard.finish()
    return Ended(code if code >= 0 else 128 - code, heard.text())


def in_words(name: str, ended: Ended, meanings: Mapping[int, str]) -> str:
    """Return how a program ended, for a person."""
    meaning = meanings.get(ended.code, "")
    if not meaning and ended.code > 128:
        with contextlib.suppress(ValueError):
            meaning = f"it was ended by {signal.Signals(ended.code - 128).name}"
    return f"{name} ended with exit code {ended.code}{f' ({meaning})' if meaning else ''}{_said(ended.text)}"


def _said(text: str) -> str:
    return f". Its last words: {text}" if text else ""


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:g} s" if minutes < 1 else "1 minute" if minutes == 1 else f"{minutes} minutes"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and everything in its group."""
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    # What the program itself started may have outlived it.
    _signal(process.pid, signal.SIGKILL)
    process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


class _Heard:
    """The end of what a program says, read on a thread so that it never waits for us."""

    def __init__(self, pipe: IO[bytes] | None, redactor: Redactor) -> None:
        assert pipe is not None  # noqa: S101 - Popen was asked for it
        self._pipe = pipe
        self._redactor = redactor
        self._kept = bytearray()
        self._cut = False
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._listen, name="firstbell-program", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        read: Callable[[int], bytes] = self._pipe.read1  # type: ignore[attr-defined]  # of the buffered reader
        with self._pipe:
            while piece := read(_KEPT):
                with self._guard:
                    self._kept += piece
                    if len(self._kept) > _KEPT:
                        self._cut = True
                        del self._kept[: len(self._kept) - _KEPT]

    def finish(self) -> None:
        """Wait for its last words, but not for what it left running."""
        self._thread.join(_LAST_WORDS)

    def text(self) -> str:
        """Return the last lines, without secrets and without what a terminal would obey."""
        with self._guard:
            kept, cut = bytes(self._kept), self._cut
        if cut:
            # The first line is not whole: of a secret in it, the rest would not be found.
            kept = kept.partition(b"\n")[2]
        text = self._redactor.text(kept.decode("utf-8", "replace"))
        lines = ["".join(one for one in line if one.isprintable()).rstrip() for line in text.splitlines()]
        told = "\n".join([line for line in lines if line][-_LINES:])
        return told if len(told) <= _LONGEST else f"... {told[-_LONGEST:]}"
