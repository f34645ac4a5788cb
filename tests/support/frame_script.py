"""One script of raw frames, as any helper in any language must answer it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import HelperFailed
from tasks.remote.channels.base import Channel
from tasks.remote.frames import Frame


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


def run_frame_script(channel: Channel, folder: Path, root: str) -> None:
    """Go through all requests; ``folder`` is empty, and ``root`` is how the host calls it. The helper ends with it."""
    (folder / "folder").mkdir()
    (folder / "file").write_bytes(b"content")
    script = Script(channel)

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
    assert (folder / "new").read_bytes() == b"new content"

    assert script.ask("bye")[-1][0] == "done"
    with pytest.raises(HelperFailed):
        channel.receive()
