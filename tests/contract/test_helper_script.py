"""One script of raw frames, as any helper in any language must answer it, and how a helper ends."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tasks.errors import HelperFailed
from tasks.remote.channels.base import Channel
from tasks.remote.facts import Hello
from tasks.remote.frames import Frame
from tasks.remote.launcher import launch
from tests.support.helper_host import LocalAs, interpreters


@pytest.fixture(params=interpreters(), ids=lambda path: path.parent.parent.name)
def started(request: pytest.FixtureRequest) -> Iterator[tuple[Channel, Hello]]:
    transport = LocalAs(request.param)
    transport.open()
    try:
        yield launch(transport)
    finally:
        transport.close()


class Script:
    """Sends requests one by one and takes their answers whole."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._number = 0

    def post(self, kind: str, payload: bytes = b"", **fields: Any) -> None:
        self._number += 1
        self._channel.send(Frame({"t": kind, "id": self._number, **fields}, payload))

    def answer(self) -> list[tuple[str, Any]]:
        frames: list[tuple[str, Any]] = []
        while True:
            frame = self._channel.receive()
            assert frame.header["id"] == self._number
            assert frame.type == "error" or frame.header["seq"] == len(frames)
            frames.append((frame.type, frame))
            if frame.type in ("done", "error", "hello"):
                return frames

    def ask(self, kind: str, document: Any = None, **fields: Any) -> list[tuple[str, Any]]:
        self.post(kind, b"" if document is None else json.dumps(document).encode(), **fields)
        return self.answer()


def payload(frame: Frame) -> Any:
    return json.loads(bytes(frame.payload))


def test_the_frame_script(started: tuple[Channel, Hello], tmp_path: Path) -> None:
    root = str(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"content")
    script = Script(started[0])

    ((_, hello),) = script.ask("hello", v=1)
    assert hello.header["v"] == 1
    assert set(hello.header) >= {"helper", "platform", "hostname", "serial", "user", "uid", "time", "pid"}

    item, done = script.ask("facts", {"users": []})
    assert (item[0], done[0]) == ("item", "done")
    assert payload(item[1])["users"] == []

    # Pages of about one row: the walk goes on with `more`, until there is no more.
    kinds: list[str] = []
    paths: list[str] = []
    frames = script.ask("list", {"roots": [root], "rules": [], "only": None}, max=1)
    first = script._number
    for _ in range(100):
        kinds.extend(kind for kind, _ in frames)
        paths.extend(payload(frame)["path"] for kind, frame in frames if kind == "entry")
        if not frames[-1][1].header.get("more"):
            break
        frames = script.ask("more", of=first, max=1)
    assert paths[-2:] == [root, f"{root}/folder"]
    assert paths[0] == "/"
    assert kinds.count("done") > 2
    # Asked too often, or about what nobody began: a plain done.
    for of in (first, 12345):
        ((kind, frame),) = script.ask("more", of=of, max=1)
        assert (kind, frame.header.get("more")) == ("done", None)

    (end, done) = script.ask("read", [f"{root}/file"])
    assert end[0] == "end"
    assert bytes(end[1].payload) == b"content"
    assert end[1].header["sha256"] == hashlib.sha256(b"content").hexdigest()
    assert end[1].header["before"] == end[1].header["after"]
    skip, _ = script.ask("read", [f"{root}/missing"])
    assert (skip[0], skip[1].header["reason"], skip[1].header["file"]) == ("skip", "vanished", 0)

    item, _ = script.ask("stat", [f"{root}/file", f"{root}/missing"])
    row, nothing = payload(item[1])
    assert row[:2] == ["file", "file"]
    assert len(row) == 14
    assert nothing is None

    item, _ = script.ask("hash", [f"{root}/file"])
    assert item[1].header["sha256"] == hashlib.sha256(b"content").hexdigest()

    # Refused, malformed and unknown requests end by themselves, not the helper.
    for kind, document in (("make", []), ("commit", None), ("meta", []), ("remove", [])):
        ((answer, frame),) = script.ask(kind, document)
        assert (answer, frame.header["code"]) == ("error", "refused")
    for kind, document in (("nonsense", None), ("read", {"a": 1}), ("list", []), ("stat", ["relative"])):
        assert script.ask(kind, document)[-1][0] == "error"

    assert script.ask("allow-write", {"roots": [root]}, plan="abc")[-1][0] == "done"
    script.post("write", b"new ", file=7, path=f"{root}/new")
    script.post("write", b"content", file=7)
    script.post("finish", json.dumps({"sha256": None, "meta": {"mode": 0o600}, "expect": None}).encode(), file=7)
    item, _ = script.ask("commit")
    (result,) = payload(item[1])
    digest = hashlib.sha256(b"new content").hexdigest()
    assert result == {"file": 7, "ok": True, "sha256": digest, "read_back": True}
    assert (tmp_path / "new").read_bytes() == b"new content"

    assert script.ask("bye")[-1][0] == "done"
    with pytest.raises(HelperFailed):
        started[0].receive()


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
    process.wait(10)
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
    psutil.Process(hello.pid).wait(10)
    assert os.listdir(tmp_path) == []


def test_a_reader_that_goes_away_ends_the_helper(started: tuple[Channel, Hello], tmp_path: Path) -> None:
    channel, hello = started
    begin_writing(channel, tmp_path)
    (tmp_path / "large").write_bytes(bytes(20_000_000))
    process = psutil.Process(hello.pid)
    Script(channel).post("read", json.dumps([f"{tmp_path}/large"]).encode())
    channel.receive()
    channel.close()
    process.wait(10)
    assert os.listdir(tmp_path) == ["large"]


def test_the_helper_keeps_nothing_on_disk(started: tuple[Channel, Hello]) -> None:
    _, hello = started
    process = psutil.Process(hello.pid)
    assert not any("posix_helper" in part for part in process.cmdline())
    assert not any("posix_helper" in file.path for file in process.open_files())
