"""Progress on a terminal and as JSON lines, and the units that both show."""

from __future__ import annotations

import io
import json
import threading
from datetime import UTC, datetime
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from tasks.events import (
    Event,
    FileRestored,
    FileSaved,
    HostDone,
    HostFailed,
    HostStarted,
    ItemSkipped,
    Milestone,
    Progress,
    Warned,
)
from tasks.reports.display import md, md_code, shorten, show_path, show_text
from tasks.reports.json_lines import JsonReporter, event_json
from tasks.reports.tally import Tally, percent
from tasks.reports.text import TextReporter
from tasks.reports.units import clock, count_of, duration, local_day_time, plain_size, size
from tests.support.golden import check_golden

EVENTS: tuple[Event, ...] = (
    HostStarted("lab3-07", "snapshot"),
    Progress("lab3-07", 812, 2400, 1 << 30, 4 << 30, 300 << 20, 1),
    FileSaved("lab3-07", b"/home/a/\xff.txt", 12, False),
    ItemSkipped("lab3-07", b"/home/a/x\ny", "denied", "", "Permission denied"),
    FileRestored("lab3-07", b"/home/a/b", 12, "create"),
    Warned("lab3-07", "the clock of this computer is 3 h late"),
    HostFailed("lab3-08", "SSH unreachable (port 22 refused)", "Switch it on."),
    HostDone("lab3-07", "snapshot", "complete in 12 s"),
    Milestone("lab3-07", "host.returned", "north", "lab3-summer", "it is back"),
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def reporter(stream: io.StringIO, clock: Clock, **more: object) -> TextReporter:
    options = {"title": "snapshot north", "hosts": 24, "tty": True, "columns": lambda: 100, **more}
    return TextReporter(stream, monotonic=clock, **options)  # type: ignore[arg-type]


def on_screen(written: str) -> list[str]:
    """Return the lines that a terminal shows in the end."""
    lines = [""]
    for part in written.replace("\r\x1b[K", "\r").split("\n"):
        lines[-1] = part.rsplit("\r", 1)[-1]
        lines.append("")
    return [line for line in lines if line]


def test_every_event_has_a_json_form() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    check_golden("reports/events.jsonl", "".join(json.dumps(event_json(event)) + "\n" for event in EVENTS))


def test_the_status_line_rewrites_itself() -> None:
    stream, now = io.StringIO(), Clock()
    text = reporter(stream, now)
    for event in EVENTS[:2]:
        now.now += 131
        text(event)
    assert on_screen(stream.getvalue()) == [
        "snapshot north  [0:04:22]  0/24 hosts  812 files  1.0 GiB read  300.0 MiB added"
    ]
    for event in EVENTS[3:]:
        now.now += 1
        text(event)
    assert on_screen(stream.getvalue())[:-1] == [
        "lab3-07  the clock of this computer is 3 h late",
        "lab3-08  FAILED  SSH unreachable (port 22 refused)  Switch it on.",
        "lab3-07  complete in 12 s",
        "lab3-07  it is back",
    ]
    text.close()
    assert "snapshot north" not in on_screen(stream.getvalue())[-1]


def test_the_status_line_never_wraps() -> None:
    stream, now = io.StringIO(), Clock()
    text = reporter(stream, now, columns=lambda: 40)
    now.now += 1
    text(EVENTS[1])
    assert len(on_screen(stream.getvalue())[0]) == 39


def test_the_status_line_is_redrawn_ten_times_a_second_at_most() -> None:
    stream, now = io.StringIO(), Clock()
    text = reporter(stream, now)
    for _ in range(1000):
        now.now += 0.001
        text(EVENTS[2])
    assert 9 <= stream.getvalue().count("\r") <= 11


def test_without_a_terminal_there_are_plain_lines() -> None:
    stream, now = io.StringIO(), Clock()
    text = reporter(stream, now, tty=False)
    for seconds in (1, 20, 11, 1, 28, 2):
        now.now += seconds
        text(EVENTS[1])
    text(EVENTS[-2])
    text.close()
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().splitlines() == [
        "snapshot north  [0:00:32]  0/24 hosts  812 files  1.0 GiB read  300.0 MiB added",
        "snapshot north  [0:01:03]  0/24 hosts  812 files  1.0 GiB read  300.0 MiB added",
        "lab3-07  complete in 12 s",
    ]


def test_one_host_shows_percent_and_verbose_names_files_safely() -> None:
    stream, now = io.StringIO(), Clock()
    text = reporter(stream, now, hosts=1, title="snapshot lab3-07", verbose=True, tty=False)
    for event in EVENTS[:5]:
        text(event)
    assert text.status().startswith("snapshot lab3-07  [0:00:00]  25.0%")
    assert stream.getvalue().splitlines() == [
        "lab3-07  + /home/a/\\xff.txt  12 B",
        "lab3-07  - /home/a/x\\ny  (may not be read)",
    ]


def test_reporters_take_events_from_many_threads() -> None:
    stream = io.StringIO()
    json_lines = JsonReporter(stream)
    threads = [threading.Thread(target=lambda: [json_lines(event) for event in EVENTS * 50]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 4 * 50 * len(EVENTS)


def test_a_new_attempt_does_not_count_twice() -> None:
    tally = Tally(hosts=2)
    tally.add(EVENTS[1])
    tally.add(HostStarted("lab3-07", "snapshot"))
    assert (tally.files, tally.read) == (0, 0)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress("h", 0, 0, 0, 0, 0, 0), 0.0),
        (Progress("h", 1, 4, 0, 0, 0, 0), 25.0),
        (Progress("h", 1, 4, 30, 40, 0, 0), 75.0),
        (Progress("h", 9, 4, 50, 40, 0, 0), 100.0),
    ],
)
def test_percent(progress: Progress, expected: float) -> None:
    assert percent(progress) == expected


def test_units() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1048575, 1048576, 44_238_000_000)] == [
        "0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.0 MiB", "41.2 GiB",
    ]  # fmt: skip
    assert [plain_size(n) for n in (1, 999_999, 3_300_000_000)] == ["1 byte", "1.0 MB", "3.3 GB"]
    assert [clock(s) for s in (0, 131.9, 360_000)] == ["0:00:00", "0:02:11", "100:00:00"]
    assert [duration(s) for s in (0.2, 59.4, 59.6, 131, 3600, 3900)] == [
        "under 1 s", "59 s", "1 min", "2 min 11 s", "1 h", "1 h 5 min",
    ]  # fmt: skip
    assert [count_of(n, "file") for n in (0, 1, 1204)] == ["0 files", "1 file", "1,204 files"]
    winter, summer = datetime(2026, 1, 31, 23, 30, tzinfo=UTC), datetime(2026, 6, 30, 22, 5, tzinfo=UTC)
    assert local_day_time(winter, ZoneInfo("Europe/Berlin")) == "Sunday 1 February 2026, 00:30"
    assert local_day_time(summer, ZoneInfo("Europe/Berlin")) == "Wednesday 1 July 2026, 00:05"


def test_texts_cannot_act() -> None:
    assert show_text("a\x1b[31m\x9b\u202e\u2066\u2028\ud800é😀") == ("a\\x1b[31m\\x9b\\u202e\\u2066\\u2028\\ud800é😀")
    assert show_path(b"/home/a/b/c", b"/home/a/") == "b/c"
    assert show_path(b"/home/ab", b"/home/a") == "/home/ab"
    assert md("a|b [x](http://y) <b> www.z") == "a\\|b \\[x\\](http\\://y) \\<b\\> www\\.z"
    assert md_code("`a``b") == "``` `a``b ```"
    assert shorten("0123456789", 7) == "01…6789"
    assert len(shorten("x" * 300, 200)) == 200
