"""Progress for a terminal: one status line that rewrites itself, or plain lines where the output is no terminal."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from typing import Final, TextIO

from tasks.events import Event, FileSaved, HostDone, HostFailed, ItemSkipped, Milestone, Progress, Warned
from tasks.reports.display import shorten, show_path, show_text
from tasks.reports.reasons import wording
from tasks.reports.tally import Tally, percent
from tasks.reports.units import clock, count_of, size

#: A status line is redrawn at most so often, in seconds.
_REDRAW: Final = 0.1
#: Without a terminal a line of progress comes so often, in seconds.
_PLAIN_EVERY: Final = 30.0
_CLEAR: Final = "\r\x1b[K"


def _columns() -> int:
    return shutil.get_terminal_size().columns


class TextReporter:
    """A reporter that writes to a stream, usually standard error; thread-safe.

    ``title`` opens the status line (``snapshot north``); ``hosts`` is how many computers the run has. With ``verbose``
    each file is named as it is done; skips are always told by the final report, not here.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        title: str,
        hosts: int = 1,
        tty: bool | None = None,
        verbose: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        columns: Callable[[], int] = _columns,
    ) -> None:
        self._stream = stream
        self._title = title
        self._tty = stream.isatty() if tty is None else tty
        self._verbose = verbose
        self._monotonic = monotonic
        self._columns = columns
        self._lock = threading.Lock()
        self._tally = Tally(hosts=hosts)
        self._started = monotonic()
        self._drawn = self._started - _REDRAW
        self._plain = self._started
        self._shown = False

    def __call__(self, event: Event) -> None:
        """Take one event."""
        if isinstance(event, FileSaved) and (event.unchanged or not self._verbose):
            # Nothing to say and nothing to add up, thousands of times a second; Progress has the sums.
            if self._tty:
                with self._lock:
                    self._redraw(force=False)
            return
        with self._lock:
            self._tally.add(event)
            line = self._line_for(event)
            if line:
                self._write_line(line)
            if self._tty:
                self._redraw(force=bool(line))
            elif isinstance(event, Progress) and self._monotonic() - self._plain >= _PLAIN_EVERY:
                self._write_line(self.status())

    def close(self) -> None:
        """Remove the status line."""
        with self._lock:
            self._clear()
            self._stream.flush()

    def status(self) -> str:
        """Return the status line as it would be drawn now, of any width."""
        tally = self._tally
        parts = [self._title, f"[{clock(self._monotonic() - self._started)}]"]
        if tally.hosts > 1:
            parts.append(f"{tally.done}/{tally.hosts} hosts")
        elif tally.progress:
            progress = next(iter(tally.progress.values()))
            if progress.bytes_total or progress.files_total:
                parts.append(f"{percent(progress):.1f}%")
        if tally.restored:
            parts.append(f"{count_of(tally.restored, 'file')} restored")
        elif tally.progress:
            parts += [count_of(tally.files, "file"), f"{size(tally.read)} read", f"{size(tally.added)} added"]
        if skipped := sum(tally.skipped.values()):
            parts.append(f"{skipped:,} left out")
        if tally.failed:
            parts.append(count_of(tally.failed, "error"))
        return "  ".join(parts)

    def _line_for(self, event: Event) -> str:
        match event:
            case HostFailed():
                hint = f"  {event.hint}" if event.hint else ""
                return f"{event.host}  FAILED  {show_text(event.message)}{hint}"
            case HostDone():
                return f"{event.host}  {show_text(event.summary)}" if self._tally.hosts > 1 else ""
            case Warned():
                return f"{event.host}  {show_text(event.message)}" if event.host else show_text(event.message)
            case Milestone():
                return f"{event.host}  {show_text(event.text)}"
            case ItemSkipped() if self._verbose:
                return f"{event.host}  - {show_path(event.path)}  ({wording(event.reason).short})"
            case FileSaved():
                return f"{event.host}  + {show_path(event.path)}  {size(event.size)}"
            case _:
                return ""

    def _write_line(self, line: str) -> None:
        self._clear()
        self._stream.write(f"{line}\n")
        self._plain = self._monotonic()
        if not self._tty:
            self._stream.flush()

    def _redraw(self, *, force: bool) -> None:
        now = self._monotonic()
        if not force and now - self._drawn < _REDRAW:
            return
        # One column stays free: a line as wide as the terminal wraps on some of them.
        self._stream.write(f"{_CLEAR}{shorten(self.status(), max(20, self._columns() - 1))}")
        self._stream.flush()
        self._drawn = now
        self._shown = True

    def _clear(self) -> None:
        if self._shown:
            self._stream.write(_CLEAR)
            self._shown = False
