"""A host behind a channel: its facts, its files for reading, its files for writing."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tasks.errors import ProtocolError
from tasks.remote.channels.base import Channel
from tasks.remote.facts import Disk, Facts, Hello, OneDriveFolder, UserProfile, WindowsFacts, facts_of
from tasks.remote.new_profile import NewProfile, make_profile
from tasks.remote.paging import dump
from tasks.remote.remote_sink import RemoteSink
from tasks.remote.remote_source import RemoteSource
from tasks.remote.rows import NameTable
from tasks.remote.session import Session
from tasks.remote.settings import RemoteSettings

__all__ = [
    "Disk",
    "Facts",
    "Hello",
    "NewProfile",
    "OneDriveFolder",
    "RemoteHost",
    "RemoteSettings",
    "RemoteSink",
    "RemoteSource",
    "UserProfile",
    "WindowsFacts",
]


class RemoteHost:
    """One host, through the helper that ``launcher.launch`` started there. ``close`` ends the helper."""

    def __init__(self, channel: Channel, hello: Hello) -> None:
        self.hello = hello
        self._session = Session(channel)
        self._names = NameTable()

    def facts(self, users: Sequence[str] | None) -> Facts:
        """Return facts about the host and these users (those it knows), or with None about all people's accounts."""
        document = dump({"users": None if users is None else list(users)}).encode("ascii")
        answer = self._session.request("facts", None, document)
        frames = list(answer)
        if len(frames) != 1 or frames[0].type != "item":
            raise ProtocolError("the helper did not tell its facts")
        try:
            return facts_of(json.loads(bytes(frames[0].payload)))
        except ValueError as error:
            raise ProtocolError("the helper's facts are not JSON") from error

    def source(self) -> RemoteSource:
        """Return the host's files for reading."""
        return RemoteSource(self._session, self._names)

    def sink(self) -> RemoteSink:
        """Return the host's files for writing."""
        return RemoteSink(self._session, self._names, proves=self.hello.proves)

    def make_profile(self, user: str) -> NewProfile:
        """Have a Windows host make a profile for this account, when it has none yet, or tell why it cannot."""
        return make_profile(self._session, user)

    def settings(self) -> RemoteSettings:
        """Return the settings of people on the host."""
        return RemoteSettings(self._session, self.hello.platform)

    def close(self) -> None:
        """End the helper. Never raises."""
        self._session.close()
