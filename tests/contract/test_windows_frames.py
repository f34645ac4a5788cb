"""The script of raw frames, answered by the Windows helper, and how that ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tasks.errors import HelperFailed
from tasks.remote.channels.base import Channel
from tasks.remote.launcher import launch
from tests.support.frame_script import Script, run_frame_script
from tests.support.wine import WinePrefix, WineTransport


@pytest.fixture
def channel(windows: WinePrefix) -> Iterator[Channel]:
    transport = WineTransport("pc", windows)
    transport.open()
    try:
        yield launch(transport)[0]
    finally:
        transport.close()


def test_the_frame_script(channel: Channel, windows: WinePrefix) -> None:
    folder = windows.drive / "script"
    folder.mkdir()
    run_frame_script(channel, folder, "/C/script")


def test_another_version_is_refused(channel: Channel) -> None:
    ((kind, frame),) = Script(channel).ask("hello", v=2)
    assert (kind, frame.header["code"]) == ("error", "version")
    with pytest.raises(HelperFailed, match="another version"):
        channel.receive()


def test_what_is_no_frame_ends_the_helper_with_a_reason(channel: Channel) -> None:
    channel._stream.write(b"this is no frame\n")  # type: ignore[attr-defined]
    with pytest.raises(HelperFailed, match="what arrived is no frame"):
        channel.receive()
