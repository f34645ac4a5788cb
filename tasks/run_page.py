"""What a task puts on its page in the Prefect UI: log lines, a progress bar, pages.

Log lines, names and the progress bar name computers and no files; ``reports/markdown.py`` says what a page may name. A
page that cannot be stored is a warning: it must not cost a snapshot.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from contextvars import copy_context
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from tasks.events import Event, FileRestored, HostDone, HostFailed, HostStarted, Progress, Warned
from tasks.reports.display import show_text
from tasks.reports.tally import percent
from tasks.reports.units import count_of, size

#: A progress bar is written at most so often, in seconds: each write costs the server about 25 ms.
UPDATE_EVERY: Final = 2.0
_NOT_IN_A_KEY: Final = re.compile(r"[^a-z0-9]+")

Logger = logging.Logger | logging.LoggerAdapter[Any]


def artifact_key(*parts: str) -> str:
    """Return the key under which pages of one thing line up as a history: ``teacher-lab3-07-a-ito``."""
    return "-".join(filter(None, (_NOT_IN_A_KEY.sub("-", part.lower()).strip("-") for part in parts)))


def publish(key: str, markdown: str, description: str) -> None:
    """Store a markdown page with the current run."""
    _attempt(
        get_run_logger(),
        lambda: create_markdown_artifact(markdown, key=key, description=description, _sync=True),  # type: ignore[call-arg]
    )


def _attempt(log: Logger, action: Callable[[], object]) -> bool:
    try:
        action()
    # Whatever is wrong between here and the server (a lost connection, a full disk there), the files matter more.
    except Exception as error:  # noqa: BLE001
        log.warning("A page could not be stored on the Prefect server (%s).", type(error).__name__)
        return False
    return True


class RunReporter:
    """A reporter for one computer within a task: events become log lines and a progress bar.

    Events may come from any thread. The bar is written by a thread of its own, which carries the context of the run, so
    that no event waits for the server.
    """

    def __init__(self, host: str, verb: str) -> None:
        self._host = host
        self._verb = verb
        # Taken here: the threads that call later have no run of their own.
        self._log: Logger = get_run_logger()
        self._key = artifact_key("progress", host)
        self._changed = threading.Condition()
        self._latest: Progress | None = None
        self._restored = (0, 0)
        self._closed = False
        self._complete = False
        self._artifact: UUID | None = None
        self._shown = -1
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        context = copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._publish_until_closed,), name=f"progress {self._host}", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._complete = kind is None
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def __call__(self, event: Event) -> None:
        """Take one event."""
        match event:
            case Progress():
                with self._changed:
                    self._latest = event
            case FileRestored():
                with self._changed:
                    self._restored = (self._restored[0] + 1, self._restored[1] + event.size)
            case HostStarted():
                self._log.info("%s: %s begins", event.host, event.action)
            case HostDone():
                self._log.info("%s: %s", event.host, show_text(event.summary))
            case HostFailed():
                self._log.error("%s: %s", event.host, show_text(event.message))
            case Warned():
                self._log.warning("%s: %s", event.host or self._host, show_text(event.message))
            case _:
                # Saved and skipped files have names, and those do not belong into a log.
                pass

    def _publish_until_closed(self) -> None:
        closed = False
        while not closed:
            with self._changed:
                closed = self._changed.wait_for(lambda: self._closed, timeout=UPDATE_EVERY)
                latest, restored = self._latest, self._restored
            if latest is None and not closed:
                continue
            if not _attempt(self._log, lambda latest=latest, restored=restored: self._show(latest, restored)):  # type: ignore[misc]
                return

    def _show(self, latest: Progress | None, restored: tuple[int, int]) -> None:
        if latest is None:
            return
        done = 100 if self._complete else int(percent(latest))
        # The total grows while the host is walked, and a bar that runs backwards looks broken.
        done = max(done, self._shown)
        if done == self._shown:
            return
        text = f"{self._verb} {self._host}: {count_of(latest.files_done, 'file')}, {size(latest.bytes_done)} read"
        if latest.bytes_added:
            text += f", {size(latest.bytes_added)} new"
        if restored[0]:
            text = f"{self._verb} {self._host}: {count_of(restored[0], 'file')}, {size(restored[1])} written"
        if self._artifact is None:
            made: Any = create_progress_artifact(float(done), key=self._key, description=text, _sync=True)  # type: ignore[call-arg]
            self._artifact = made
        else:
            update_progress_artifact(self._artifact, float(done), description=text, _sync=True)  # type: ignore[call-arg]
        self._shown = done
