"""One run of the command line that a test looks at, waits for, or kills while it works."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.loopback_site import LoopbackSite

#: No run of a test takes so long, in seconds.
LONGEST = 120.0


class CommandRun:
    """``firstbell`` at work; a context manager that lets no process live on."""

    def __init__(self, site: LoopbackSite, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            site.command(*arguments),
            env=environment or site.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )
        self.pid = self._process.pid
        self.output = ""
        self.errors = ""

    def __enter__(self) -> CommandRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def wait(self) -> int:
        """Wait for its end and return its exit code; what it said is in ``output`` and ``errors`` then."""
        self.output, self.errors = self._process.communicate(timeout=LONGEST)
        return self._process.returncode

    def kill(self) -> None:
        """End it as a power cut would, if it still runs."""
        if not self.ended:
            self._process.send_signal(signal.SIGKILL)
        with contextlib.suppress(ValueError):
            self._process.communicate(timeout=LONGEST)

    def kill_after(self, seconds: float) -> bool:
        """Kill it so many seconds from now; False when it was done before that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            self.kill()
            return False
        self.kill()
        return True

    def peak_memory(self) -> int:
        """Wait for its end and return the most memory that the process had, in bytes (0 where nothing tells it)."""
        peak = 0
        ended = threading.Event()

        def read() -> None:
            self.wait()
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        while not ended.wait(0.02):
            peak = max(peak, _peak_now(self.pid))
        reader.join()
        return peak


def wait_until(condition: Callable[[], bool], *, timeout: float = 30.0, what: str = "what was waited for") -> None:
    """Return once ``condition`` holds; fail when it does not in time."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come to be within {timeout:g} s"
        pause.wait(0.02)


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return the documents of ``--json`` output; each line must be one."""
    return [json.loads(line) for line in text.splitlines()]


def host_result(text: str) -> dict[str, Any]:
    """Return what ``firstbell snapshot HOST --json`` says at the end about its host."""
    return next(line for line in json_lines(text) if line["type"] == "host_result")


def left_over(home: Path) -> list[str]:
    """Return our temporary files that lie in a home."""
    return [
        name for _, _, names in os.walk(home) for name in names if name.startswith(".firstbell-") and ".tmp" in name
    ]


def _peak_now(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) * 1024 if found else 0
