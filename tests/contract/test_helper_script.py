"""One script of raw frames, as any helper in any language must answer it, and how a helper ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tasks.errors import HelperFailed
from tasks.remote.channels.base import Channel
from tasks.remote.facts import Hello
from tasks.remote.launcher import launch
from tests.support.frame_script import Script, run_frame_script
from tests.support.helper_host import LocalAs, interpreters


@pytest.fixture(params=interpreters(), ids=lambda path: path.parent.parent.name)
def started(request: pytest.FixtureRequest) -> Iterator[tuple[Channel, Hello]]:
    transport = LocalAs(request.param)
    transport.open()
    try:
        yield launch(transport)
    finally:
        transport.close()


def test_the_frame_script(started: tuple[Channel, Hello], tmp_path: Path) -> None:
    run_frame_script(started[0], tmp_path, str(tmp_path))


def test_another_version_is_refused(started: tuple[Channel, Hello]) -> None:
    script = Script(started[0])
    ((kind, frame),) = script.ask("hello", v=2)
    assert (kind, frame.header["code"]) == ("error", "version")
    with pytest.raises(HelperFailed, match="another version"):
        started[0].receive()


def test_what_is_no_frame_ends_the_helper_with_a_reason(started: tuple[Channel, Hello]) -> None:
    channel, _ = started
    channel._stream.write(b"this is no frame\n")  # type: ignore[attr-defined]
    with pytest.raises(HelperFailed, match="what arrived is no frame"):
        channel.receive()


def begin_writing(channel: Channel, tmp_path: Path) -> None:
    """Leave one file half written and one finished, both under temporary names."""
    script = Script(channel)
    script.ask("allow-write", {"roots": [str(tmp_path)]}, plan="abc")
    script.post("write", b"x" * 100_000, file=1, path=f"{tmp_path}/half")
    script.post("put", b"y", file=2, path=f"{tmp_path}/whole", meta={}, expect=None)
    script.ask("stat", [str(tmp_path)])
    assert len(os.listdir(tmp_path)) == 2
    assert all(name.startswith(".firstbell-") for name in os.listdir(tmp_path))


def test_a_connection_that_is_cut_leaves_nothing_behind(started: tuple[Channel, Hello], tmp_path: Path) -> None:
    channel, hello = started
    begin_writing(channel, tmp_path)
    process = psutil.Process(hello.pid)
    channel._stream.finish_input()  # type: ignore[attr-defined]
    process.wait(60)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(started: tuple[Channel, Hello], tmp_path: Path, number: int) -> None:
    channel, hello = started
    begin_writing(channel, tmp_path)
    os.kill(hello.pid, number)
    with pytest.raises(HelperFailed):
        channel.receive()
    assert os.listdir(tmp_path) == []


def test_a_cut_in_the_middle_of_a_frame_leaves_nothing_behind(started: tuple[Channel, Hello], tmp_path: Path) -> None:
    channel, hello = started
    begin_writing(channel, tmp_path)
    stream = channel._stream  # type: ignore[attr-defined]
    stream.write(b'{"t":"write","id":99,"file":1,"length":1000}\nonly this')
    stream.finish_input()
    psutil.Process(hello.pid).wait(60)
    assert os.listdir(tmp_path) == []


def test_a_reader_that_goes_away_ends_the_helper(started: tuple[Channel, Hello], tmp_path: Path) -> None:
    channel, hello = started
    begin_writing(channel, tmp_path)
    (tmp_path / "large").write_bytes(bytes(20_000_000))
    process = psutil.Process(hello.pid)
    Script(channel).post("read", json.dumps([f"{tmp_path}/large"]).encode())
    channel.receive()
    channel.close()
    process.wait(60)
    assert os.listdir(tmp_path) == ["large"]


def test_the_helper_keeps_nothing_on_disk(started: tuple[Channel, Hello]) -> None:
    _, hello = started
    process = psutil.Process(hello.pid)
    assert not any("tasks/remote/posix" in part for part in process.cmdline())
    assert not any("tasks/remote/posix" in file.path for file in process.open_files())
